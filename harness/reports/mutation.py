"""The score of each suite's mutants, as results.json, the terminal and summary.md show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.mutants.score import Score, kills_nothing, score
from harness.reports.display import number
from harness.reports.record import Record
from harness.verdict import Fate, Trial


@dataclass(frozen=True, slots=True)
class SuiteScore:
    """The mutants of a suite's met claims. `nothing`: the ids of claims that kill none of theirs."""

    suite: str
    claims: int
    score: Score
    nothing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"suite": self.suite, "claims": self.claims, **asdict(self.score), "kill_nothing": list(self.nothing)}

    def line(self) -> str:
        """`tiny-gemma2/numbered: 24 of 30 mutants killed (0.80 [0.6143, 0.9229]), 2 not run; 6 met claims`"""
        found = self.score
        limits = f" [{number(found.low)}, {number(found.high)}]" if found.low is not None else ""
        share = f" ({found.killed / found.applicable:.2f}{limits})" if found.applicable else ""
        unread = f", {found.not_run} not run" if found.not_run else ""
        counts = f"{found.killed} of {found.applicable} mutants killed{share}{unread}"
        return f"{self.suite}: {counts}; {self.claims} met claims"


def suite_scores(records: Iterable[Record]) -> list[SuiteScore]:
    """One row a suite whose met claims had their mutants judged, in the order of the records; [] where none had."""
    suites: dict[str, list[Record]] = {}
    for record in records:
        if record.verdict.mutants is not None:
            suites.setdefault(record.suite, []).append(record)
    return [_scored(suite, found) for suite, found in suites.items()]


def _scored(suite: str, records: Sequence[Record]) -> SuiteScore:
    nothing = tuple(record.id for record in records if kills_nothing(trials(record)))
    return SuiteScore(suite, len(records), score(t for record in records for t in trials(record)), nothing)


def trials(record: Record) -> tuple[Trial, ...]:
    return record.verdict.mutants or ()


def survivors(record: Record) -> str:
    """`wrong_feature (1 of 3 meet the claim (feature 7)), random_sae`; empty where none survived."""
    found = [trial for trial in trials(record) if trial.fate is Fate.SURVIVED]
    return ", ".join(f"{t.mutant} ({t.note})" if t.tried > 1 else t.mutant for t in found)


def hints(records: Iterable[Record]) -> list[str]:
    """What to assert against each mutant that survived anywhere, once each."""
    found = {t.mutant: t.hint for record in records for t in trials(record) if t.fate is Fate.SURVIVED}
    return [f"to kill {mutant}: {hint}" for mutant, hint in sorted(found.items())]


def mutation_lines(records: Sequence[Record], most: int = 10) -> Iterator[str]:
    """The terminal's part: a row a suite, then the claims that kill nothing."""
    rows = suite_scores(records)
    yield from (row.line() for row in rows)
    nothing = [name for row in rows for name in row.nothing]
    for name in nothing[:most]:
        yield f"kills no mutant: {name}"
    if len(nothing) > most:
        yield f"kills no mutant: and {len(nothing) - most} more"
