"""What was not judged in this run, for its last lines: pytest's own short lines are cut at 80 characters."""

from __future__ import annotations

from collections.abc import Iterable

from harness.reports.display import one_line
from harness.reports.record import Record
from harness.verdict import Outcome

NOTHING_JUDGED = "No claim was judged: this run shows nothing."
MOST_REASONS = 6
LONGEST = 400


def unjudged_lines(records: Iterable[Record]) -> list[str]:
    """Each reason once, with the number of claims that it kept from being judged; the most frequent first."""
    counts: dict[str, int] = {}
    for record in records:
        if record.verdict.outcome is Outcome.NOT_RUN and not record.verdict.details.get("cold"):
            text = one_line(record.verdict.finding, LONGEST)
            counts[text] = counts.get(text, 0) + 1
    told = sorted(counts, key=lambda text: -counts[text])
    more = [f"... and {len(told) - MOST_REASONS} other reasons"] if len(told) > MOST_REASONS else []
    return [f"{counts[text]} not judged: {text}" for text in told[:MOST_REASONS]] + more


def kept_lines(records: Iterable[Record]) -> list[str]:
    """That verdicts are an earlier run's, and what judges them anew; nothing where none is."""
    kept = sum(record.kept for record in records)
    told = "1 verdict is" if kept == 1 else f"{kept:,} verdicts are"
    same = "an earlier run's, of the same claims, evidence and code; --no-store judges anew"
    return [f"{told} {same}"] if kept else []
