"""One claim's numbers over several runs, of one measure: an undecided run may have measured something else."""

from __future__ import annotations

from collections.abc import Sequence

from harness.verdict import Outcome

Measured = tuple[str, str | None, float | None]
_DECIDED = (Outcome.MET, Outcome.UNMET)


def series(runs: Sequence[Measured]) -> list[float | None]:
    """(verdict, measure, value) of each run as values of the measure that last decided the claim, or else was last
    seen; None where a run has none of it."""
    decided = [measure for verdict, measure, _ in runs if verdict in _DECIDED and measure]
    seen = decided or [measure for _, measure, _ in runs if measure]
    return [value if seen and measure == seen[-1] else None for _, measure, value in runs]
