"""Two claims that cannot both hold: one number, held against bounds that have nothing in common."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from harness.baselines import measured_fields
from harness.expectations.bounds import Bound
from harness.inputs import PromptSet
from harness.spec import Spec

_DIGITS = 12  # 1 - .9 is .09999999999999998, which must not lie outside a bound of .1
_SHOWN = 20  # lines; the rest is counted


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two specs of which one at most can be met, whatever the model does. more: others that `other` excludes, too."""

    one: Spec
    other: Spec
    number: str
    more: int = 0

    @property
    def message(self) -> str:
        """Without the first one's place."""
        also = f"; {self.other.id} contradicts {self.more} more" if self.more else ""
        return (
            f"{self.one.id} and {self.other.id} at {self.other.source} contradict each other: "
            f"their bounds on the {self.number} exclude each other, so one of the two cannot hold{also}"
        )

    def __str__(self) -> str:
        return f"{self.one.source}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """The keys of `interp check --json`, and `specs`, the two ids."""
        place = {"file": self.one.source.path, "line": self.one.source.line, "column": self.one.source.column}
        specs = [self.one.id, self.other.id]
        return {"code": "contradiction", **place, "message": self.message, "nearest": [], "specs": specs}


@dataclass(frozen=True, slots=True)
class _Range:
    """The closed range in which a spec claims that a number lies; `key` says which number."""

    spec: Spec
    number: str
    key: Hashable
    low: float
    high: float


def contradictions(specs: Iterable[Spec]) -> list[Contradiction]:
    """Pairs with disjoint bounds on one number, in the order of the specs: each spec with the first that it excludes.

    All pairs of 5,000 specs may be 6 million; so every spec that excludes another is in one pair at least.

    One number: same subject, feature, way of reading and prompts, in whatever order and under whatever name. Compared
    are bounds of one kind, fires_more with the sets exchanged, and fire_rate with silent_on. Left out: expected
    failures (xfail), `together: any` and bounds over another subject's number.
    """
    found: dict[Hashable, list[_Range]] = {}
    sets = _Sets()
    for spec in specs:
        for each in _ranges(spec, sets):
            found.setdefault(each.key, []).append(each)
    made = (Contradiction(a.spec, b.spec, a.number, n) for group in found.values() for a, b, n in _disjoint(group))
    return list({(c.one.id, c.other.id): c for c in made}.values())


def lines(found: Sequence[object]) -> list[str]:
    """A line for each of the first contradictions, and how many are left."""
    left = len(found) - _SHOWN
    return [*map(str, found[:_SHOWN]), *([f"{left} more pairs of claims contradict each other"] if left > 0 else [])]


def _disjoint(group: list[_Range]) -> list[tuple[_Range, _Range, int]]:
    """Each range with the first that has no number in common with it, and how many more the later of the two has.

    In the order of the group. Those that begin beyond a range's end, and those that end before it begins, are one part
    each of the ranges in the order of their beginnings and of their ends.
    """
    beyond = _Ordered([each.low for each in group])
    before = _Ordered([each.high for each in group])
    firsts, counts = [], []
    for one in group:
        above, below = bisect_right(beyond.values, one.high), bisect_left(before.values, one.low)
        firsts.append(min(beyond.first_from(above), before.first_to(below)))
        counts.append(len(group) - above + below)
    pairs = {(min(i, j), max(i, j)) for i, j in enumerate(firsts) if j < len(group) and i != j}
    return [(group[i], group[j], counts[j] - 1) for i, j in sorted(pairs)]


class _Ordered:
    """Numbers in rising order, and the place that each had among those given."""

    def __init__(self, given: list[float]) -> None:
        places = sorted(range(len(given)), key=given.__getitem__)
        self.values = [given[i] for i in places]
        self._to = [len(given), *accumulate(places, min)]
        self._from = [len(given), *accumulate(reversed(places), min)]

    def first_to(self, end: int) -> int:
        """The first place of the lowest `end` numbers; how many there are in all where it is none."""
        return self._to[end]

    def first_from(self, start: int) -> int:
        """The same of all but the lowest `start` numbers."""
        return self._from[len(self.values) - start]


class _Sets:
    """What a set holds, as a key; the suites of one load share their sets, and hashing prompts is what costs."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[PromptSet, Hashable]] = {}

    def key(self, prompts: PromptSet) -> Hashable:
        if id(prompts) not in self._known:
            self._known[id(prompts)] = prompts, frozenset(prompts.prompts)
        return self._known[id(prompts)][1]


def _ranges(spec: Spec, sets: _Sets) -> Iterator[_Range]:
    if spec.xfail is not None or spec.together == "any":
        return
    for name, bound in spec.expectation:
        if isinstance(bound, Bound) and getattr(bound, "over", None) is None:
            what, low, high = _placed(spec, name, bound, sets)
            for feature in _features(spec, sets):
                yield _Range(
                    spec, name.replace("_", " "), (spec.subject.name, feature, _reading(spec), what), low, high
                )


def _features(spec: Spec, sets: _Sets) -> list[Hashable]:
    if spec.best is not None:
        return [(sets.key(spec.best.prompts), sets.key(spec.best.than), spec.best.by)]
    return list(spec.features) or [None]


def _reading(spec: Spec) -> tuple[str, ...]:
    return spec.claim.pool, spec.claim.tokens, spec.claim.special_tokens


def _placed(spec: Spec, name: str, bound: Bound, sets: _Sets) -> tuple[Hashable, float, float]:
    """(which number, low, high): exchanged sets mirror an AUROC at one half and a difference at 0."""
    if spec.kind in ("fire_rate", "silent_on"):
        return ("rate", sets.key(spec.sets["prompts"])), bound.low, bound.high
    if spec.kind == "fires_more":
        return _compared(spec, name, bound, sets)
    fields = repr(sorted(measured_fields(spec.expectation).items()))
    roles: list[Any] = sorted((role, sets.key(prompts)) for role, prompts in spec.sets.items())
    return (spec.kind, name, fields, *roles, *sorted(spec.corpora.items())), bound.low, bound.high


def _compared(spec: Spec, name: str, bound: Bound, sets: _Sets) -> tuple[Hashable, float, float]:
    prompts, than = sets.key(spec.sets["prompts"]), sets.key(spec.sets["than"])
    low, high = bound.low, bound.high
    if hash(prompts) > hash(than):
        low, high = (round(1 - high, _DIGITS), round(1 - low, _DIGITS)) if name == "auroc" else (-high, -low)
    return ("fires_more", name, frozenset((prompts, than))), low, high
