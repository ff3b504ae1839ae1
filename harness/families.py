"""Families: claims that are corrected for multiplicity together, whatever a run selected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import Source
from harness.spec import Broken, Spec
from harness.stats.multiplicity import benjamini_hochberg
from harness.verdict import Measurement, Outcome, Verdict

DEFAULT_Q = 0.05
MOST_Q = 0.1  # as for alpha
KIND = "family"  # what a family's record says where a spec's says its kind
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Family:
    """A test item of its own: all `members` are judged by p, those with a q above the family's fail it.

    left_out: members that are expected to be unmet. broken: members that cannot be read, whose p nobody knows.
    """

    name: str
    q: float
    members: tuple[Spec, ...]
    left_out: tuple[Spec, ...] = ()
    broken: tuple[Broken, ...] = ()

    @property
    def id(self) -> str:
        """No spec can have this name: theirs hold `::`."""
        return f"{KIND}[{self.name}]"

    @property
    def first(self) -> Spec | Broken:
        return self.members[0] if self.members else self.broken[0]

    @property
    def source(self) -> Source:
        return self.first.source

    @property
    def tags(self) -> tuple[str, ...]:
        """Those that all members share: `-m color` selects a family that is about color throughout."""
        each = [*(spec.tags for spec in self.members), *(item.tags for item in self.broken)]
        return tuple(tag for tag in each[0] if all(tag in tags for tags in each))


def families_of(items: Iterable[Spec | Broken]) -> tuple[Family, ...]:
    """Every family declared in these items, in the order of the files; none of expected failures alone."""
    found: dict[str, list[Spec | Broken]] = {}
    for item in items:
        for name in named_by(item):
            found.setdefault(name, []).append(item)
    made = (_family(name, members) for name, members in found.items())
    return tuple(family for family in made if family.members or family.broken)


def named_by(item: Spec | Broken) -> tuple[str, ...]:
    """The families that an item belongs to: one at most for a spec, several for a file that cannot be read."""
    if isinstance(item, Broken):
        return item.families
    return () if item.family is None else (item.family,)


def _family(name: str, items: Sequence[Spec | Broken]) -> Family:
    specs = [item for item in items if isinstance(item, Spec)]
    return Family(
        name,
        next((spec.q for spec in specs if spec.q is not None), DEFAULT_Q),
        tuple(spec for spec in specs if spec.xfail is None),
        tuple(spec for spec in specs if spec.xfail is not None),
        tuple(item for item in items if isinstance(item, Broken)),
    )


def judge_family(family: Family, verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdict of a family from those of all its members, by spec id.

    details: `members`, {id: {p, q, verdict, measured}} with p = 1 for one that was not measured, and `above`, the ids
    that fail it. A member that this run was not asked to read makes the family cold: q over the others would be
    another number.
    """
    if family.broken:
        return Verdict(Outcome.NOT_RUN, f"could not be run: {_listed(b.id for b in family.broken)} cannot be read")
    cold = [spec.id for spec in family.members if verdicts[spec.id].details.get("cold")]
    if cold:
        return Verdict(Outcome.NOT_RUN, f"not run: no evidence of {_listed(cold)}", details={"cold": True})
    members = _corrected([(spec.id, verdicts[spec.id]) for spec in family.members])
    above = [name for name, one in members.items() if one["q"] > family.q]
    return Verdict(
        _outcome(members, above),
        _above_text(family, members, above) if above else _met_text(family, members),
        measurement=Measurement("largest q", max(one["q"] for one in members.values()), len(members)),
        bound=f"at most {family.q:g}",
        warnings=(
            *(f"left out: {spec.id} is expected to be unmet ({spec.xfail})" for spec in family.left_out),
            *_loose_q(family.q),
        ),
        details={"members": members, "above": above},
    )


def _loose_q(q: float) -> tuple[str, ...]:
    """A line for a q at which more than one claim in ten of those with that q is expected to be false."""
    return (f"q {q:g}: of the claims that pass, {q:.0%} may be false; .05 is usual",) if q > MOST_Q else ()


def _outcome(members: Mapping[str, Mapping[str, Any]], above: Sequence[str]) -> Outcome:
    """Claims without evidence refute nothing: where only such are above, the family has not been run either."""
    if not above:
        return Outcome.MET
    ran = any(members[name]["verdict"] != Outcome.NOT_RUN for name in above)
    return Outcome.UNMET if ran else Outcome.NOT_RUN


def _corrected(verdicts: Sequence[tuple[str, Verdict]]) -> dict[str, dict[str, Any]]:
    p = [verdict.p if verdict.p is not None and math.isfinite(verdict.p) else None for _, verdict in verdicts]
    q = benjamini_hochberg([1.0 if each is None else each for each in p])
    return {
        name: {"p": 1.0 if mine is None else mine, "q": its, "verdict": verdict.word, "measured": mine is not None}
        for (name, verdict), mine, its in zip(verdicts, p, q, strict=True)
    }


def severity_of(family: Family, verdict: Verdict) -> Literal["fail", "warn"]:
    """warn where only claims that warn are above the bound, each of which was run."""
    above = set(verdict.details.get("above", ()))
    grave = [
        spec
        for spec in family.members
        if spec.id in above
        and (spec.severity == "fail" or verdict.details["members"][spec.id]["verdict"] == Outcome.NOT_RUN)
    ]
    return "warn" if above and not grave else "fail"


def _met_text(family: Family, members: Mapping[str, Mapping[str, Any]]) -> str:
    worst = max(members, key=lambda name: members[name]["q"])
    most = f"the largest is {members[worst]['q']:.3g} ({worst})"
    return f"every q of the {len(members)} claims of family {family.name} is at most {family.q:g}; {most}"


def _above_text(family: Family, members: Mapping[str, Mapping[str, Any]], above: Sequence[str]) -> str:
    each = _listed(_said(name, members[name]) for name in sorted(above, key=lambda name: -members[name]["q"]))
    return f"q is above {family.q:g} for {len(above)} of the {len(members)} claims of family {family.name}: {each}"


def _said(name: str, one: Mapping[str, Any]) -> str:
    p = f"p {one['p']:.3g}" if one["measured"] else f"{one['verdict'].replace('_', ' ')}, so p 1"
    return f"{name} (q {one['q']:.3g}, {p})"


def _listed(each: Iterable[str]) -> str:
    names = list(each)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
