"""`interp accept` as data: which baselines a run would set, and why some of its numbers are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.baselines import FOLDER, claim_digest
from harness.errors import Source
from harness.expectations import kinds
from harness.history.runs import NotARun, records_of
from harness.language.measured import measured_path, read_measured, suite_of, write_measured
from harness.language.mistakes import Mistakes
from harness.language.references import Folder
from harness.language.specs import load
from harness.language.walking import walked
from harness.reports.record import Record
from harness.spec import Baseline, Spec

_SAME = ("measure", "value", "n", "unit", "feature", "claim", "read_with")


@dataclass(frozen=True, slots=True)
class Change:
    """One baseline to be set; `old` is None where there is none yet."""

    id: str
    old: Baseline | None
    new: Baseline

    @property
    def relative(self) -> float | None:
        """(new - old) / |old|; None without an old value, or where it is 0."""
        if self.old is None or self.old.value == 0:
            return None
        return (self.new.value - self.old.value) / abs(self.old.value)

    @property
    def why(self) -> str:
        if self.old is None:
            return "new"
        if self.old.claim != self.new.claim:
            return "the claim was edited"
        moved = [name for name, said in self.new.read_with.items() if self.old.read_with.get(name) != said]
        return f"{', '.join(moved)} moved" if moved else "measured again"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What accepting a run comes to. kept: claims whose baseline stays. refused: (claim, why)."""

    run: str
    changes: tuple[Change, ...]
    kept: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def acceptance(root: Path, document: Mapping[str, Any], only_new: bool = False) -> Acceptance:
    """What the run would change in specs/measured/; nothing is measured again. only_new: no baseline is replaced.

    Refused: what the run did not measure, and what it measured of a claim that is gone or has been edited since.
    Raises NotARun where the run is invalid or partial, or holds no claim with a baseline, Mistakes where
    specs/measured/ cannot be read.
    """
    if document["run"].get("invalid"):
        raise NotARun(f"this run is invalid, so nothing of it can be accepted: {document['run']['invalid'][0]}")
    if document["run"]["partial"]:
        raise NotARun("this run was cut short, before its controls were judged: run it again, then accept that run.")
    walk = walked(Folder(root))
    measured = read_measured(Folder(root), walk=walk)
    mistakes = [walk.mistakes[path] for path in walk.amiss_at(root / "specs" / FOLDER)]
    mistakes += [e for broken in measured.broken for e in broken.errors]
    if mistakes:
        raise Mistakes(mistakes)
    specs = {item.id: item for item in load(root).items if isinstance(item, Spec)}
    records = [record for record in records_of(document) if _takes_baseline(record)]
    if not records:
        raise NotARun("this run judged no claim that takes a baseline (kind unchanged): there is nothing to accept.")
    changes, kept, refused = [], [], []
    for record in records:
        why_not = _refused(record, specs.get(record.id))
        if why_not:
            refused.append((record.id, why_not))
            continue
        change = Change(record.id, measured.baselines.get(record.id), _baseline(record, document["run"]))
        if change.old is not None and (only_new or _same(change.old, change.new)):
            kept.append(record.id)
        else:
            changes.append(change)
    return Acceptance(document["run"]["id"], tuple(changes), tuple(kept), tuple(refused))


def write(root: Path, accepted: Acceptance) -> list[Path]:
    """Set the baselines; the files written, one a suite."""
    paths = []
    for suite in sorted({suite_of(change.id) for change in accepted.changes}):
        found = read_measured(Folder(root), {suite}).baselines
        found |= {change.id: change.new for change in accepted.changes if suite_of(change.id) == suite}
        paths.append(measured_path(root, suite))
        write_measured(paths[-1], found)
    return paths


def _takes_baseline(record: Record) -> bool:
    kind = kinds().get(record.kind)
    return kind is not None and kind.takes_baseline


def _refused(record: Record, spec: Spec | None) -> str:
    """Why a record's number cannot be a baseline; empty where it can."""
    if record.acceptable is None:
        return f"{record.verdict.word.replace('_', ' ')}: {record.verdict.finding}"
    if spec is None:
        return "there is no claim of this name any more, or its file cannot be read"
    if claim_digest(spec) != record.acceptable["claim"]:
        return "the claim has been edited since this run: run it again, then accept that run"
    return ""


def _baseline(record: Record, run: Mapping[str, Any]) -> Baseline:
    assert record.acceptable is not None
    return Baseline(**record.acceptable, date=run["started"][:10], run=run["id"], source=Source(""))


def _same(old: Baseline, new: Baseline) -> bool:
    return all(getattr(old, name) == getattr(new, name) for name in _SAME)
