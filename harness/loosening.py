"""`interp check --against REF`: bars that are lower than at a git ref, claims that measure something else under their
old id, and whether the change says why."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.baselines import claim_digest, is_bar
from harness.errors import Source
from harness.expectations.base import Expectation
from harness.expectations.bounds import Bound
from harness.families import DEFAULT_Q
from harness.git import commit_of, output, without_filters
from harness.language.specs import Loaded, load
from harness.provenance import Provenance, provenance_of
from harness.remeasured import remeasured
from harness.spec import Broken, Spec


@dataclass(frozen=True, slots=True)
class Loosened:
    """One claim whose bar is lower, or that measures something else. because: the reason that this change gives, empty
    where it gives none; then `mend` says where one would stand."""

    id: str
    source: Source
    what: tuple[str, ...]
    because: str
    mend: str = "say why in its `loosened_because`, or put it back"

    def to_dict(self) -> dict[str, Any]:
        """The keys of `interp check --json`, and `because`."""
        place = {"file": self.source.path, "line": self.source.line, "column": self.source.column}
        end = f" (because: {self.because})" if self.because else f": {self.mend}"
        message = f"{self.id}: {'; '.join(self.what)}{end}"
        return {"code": "loosened", **place, "message": message, "nearest": [], "because": self.because or None}


def loosened_since(root: Path, ref: str, now: Loaded, paths: Sequence[Path] | None = None) -> list[Loosened]:
    """Every claim of `ref` whose bar is lower now, that measures something else, or is gone, in the order of the files.

    paths: as given to `load` for `now`. Raises git.UnknownRef, and EnvironmentFault `git_missing` or `git_failed`.
    """
    with tempfile.TemporaryDirectory(prefix="interp-against-") as folder:
        old_root = Path(folder)
        _extract(root, ref, old_root)
        return list(compared(load(old_root, _moved(paths, root, old_root)), now))


def _extract(root: Path, ref: str, into: Path) -> None:
    """specs/ as it was at `ref`; nothing is checked out. A ref that has no specs/ gives none."""
    commit = commit_of(root, ref)
    if not output(root, "ls-tree", commit, "--", "specs"):
        return
    packed = output(root, *without_filters(root), "archive", "--format=tar", commit, "--", "specs")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")


def _moved(paths: Sequence[Path] | None, root: Path, old_root: Path) -> list[Path] | None:
    """The same files and folders in the old tree, those that it has."""
    if paths is None:
        return None
    full = [path if path.is_absolute() else root / path for path in paths]
    inside = [old_root / path.relative_to(root) for path in full if path.is_relative_to(root)]
    return [path for path in inside if path.exists()]


def compared(old: Loaded, now: Loaded) -> Iterator[Loosened]:
    """The old claims in order, each held against what it has become."""
    new = {item.id: item for item in now.items if isinstance(item, Spec)}
    before = [item for item in old.items if isinstance(item, Spec)]
    known = {spec.id for spec in before}
    renamed = _Renamed([spec for spec in new.values() if spec.id not in known])
    unread = {item.id for item in now.items if isinstance(item, Broken)}
    for spec in before:
        if spec.id in unread or spec.suite in unread:
            continue  # a mistake of its own already
        became = new.get(spec.id) or renamed.take(spec)
        if became is None:
            yield _gone(spec, old, now)
        elif what := tuple(_lower(spec, became)):
            yield Loosened(became.id, became.source, what, _newly(became.loosened_because, spec.loosened_because))


def _gone(spec: Spec, old: Loaded, now: Loaded) -> Loosened:
    """A claim that is gone: its suite can say why, and a suite that is gone cannot."""
    because = _newly(now.loosened_because.get(spec.suite, ""), old.loosened_because.get(spec.suite, ""))
    if any(item.suite == spec.suite for item in now.items):
        mend = f"say why in `loosened_because` at the head of {spec.source.path}, or put it back"
        return Loosened(spec.id, spec.source, ("the claim is gone",), because, mend)
    mend = "no file is left that could say why, so a person has to decide; or put it back"
    return Loosened(spec.id, spec.source, ("the claim is gone with its suite",), "", mend)


def _newly(reason: str, before: str) -> str:
    """A reason that stood there before explains an earlier change, not this one."""
    return reason if reason != before else ""


class _Renamed:
    """Claims that are new by name: one that measures what an old one measured is that one, renamed or moved."""

    def __init__(self, specs: Iterable[Spec]) -> None:
        self.left = [(_identity(spec), spec) for spec in specs]

    def take(self, old: Spec) -> Spec | None:
        wanted = _identity(old)
        for i, (identity, spec) in enumerate(self.left):
            if identity == wanted:
                del self.left[i]
                return spec
        return None


def _identity(spec: Spec) -> tuple[str, str]:
    return spec.subject.name, claim_digest(spec)


def _lower(old: Spec, new: Spec) -> Iterator[str]:
    """What is lower about a claim than it was, one phrase each."""
    if old.kind != new.kind:
        yield f"it was {old.kind}, and is {new.kind}"
    else:
        yield from _lower_bars(old.expectation, new.expectation)
        if parts := tuple(remeasured(old, new)):
            yield f"what is measured was changed ({'; '.join(parts)})"
    if (old.severity, new.severity) == ("fail", "warn"):
        yield "severity fail is warn"
    if old.xfail is None and new.xfail is not None:
        yield f"xfail added ({new.xfail})"
    if (old.claim.scope, new.claim.scope) == ("population", "sample"):
        yield "scope population is sample"
    if new.claim.alpha > old.claim.alpha:
        yield f"alpha {old.claim.alpha:g} is {new.claim.alpha:g}"
    yield from _looser_family(old, new)
    if (old.together, new.together) == ("all", "any"):
        yield "together all is any"
    if old.discovered_on is not None and new.discovered_on is None and new.best is None:
        yield "discovered_on is gone" if new.attributed_to is None else "discovered_on is only the author's word"
    if old.attributed_to is not None and provenance_of(new) == Provenance("none"):
        yield "the source in discovered_on is gone"
    yield from _other_baseline(old, new)


def _looser_family(old: Spec, new: Spec) -> Iterator[str]:
    if old.family is not None and new.family is None:
        yield f"family {old.family} is left"
    elif old.family is not None and (new.q or DEFAULT_Q) > (old.q or DEFAULT_Q):
        yield f"q {old.q or DEFAULT_Q:g} is {new.q or DEFAULT_Q:g}"


def _lower_bars(old: Expectation, new: Expectation) -> Iterator[str]:
    for name in type(old).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        if was == now or not (is_bar(old, name) or is_bar(new, name)):
            continue
        bounds = isinstance(was, Bound) or isinstance(now, Bound)
        if _wider(was, now) if bounds else _looser(was, now):
            yield f"{name} {_said(was)} is {_said(now)}"


def _wider(was: Bound | None, now: Bound | None) -> bool:
    """True where a number could pass that did not before; a bound of another form is taken to be so."""
    if was is None or now is None:
        return now is None
    if type(was) is not type(now) or _rest(was) != _rest(now):
        return True
    return now.low < was.low or now.high > was.high


def _rest(bound: Bound) -> dict[str, Any]:
    return bound.model_dump(exclude={"at_least", "at_most", "between"})


def _looser(was: Any, now: Any) -> bool:
    """A larger tolerance, or one of another form: what it allows cannot be compared."""
    numbers = isinstance(was, int | float) and isinstance(now, int | float)
    return now > was if numbers else True


def _said(bar: Any) -> str:
    return "left out" if bar is None else f"({bar})" if not isinstance(bar, int | float) else f"{bar:g}"


def _other_baseline(old: Spec, new: Spec) -> Iterator[str]:
    if old.baseline is None:
        return
    if new.baseline is None:
        yield f"its baseline {old.baseline.value:.6g} is gone"
    elif new.baseline.value != old.baseline.value:
        yield f"its baseline {old.baseline.value:.6g} is {new.baseline.value:.6g}"
