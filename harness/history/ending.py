"""What the history does as a run ends: a trend for its page before it is written, its place in the index after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import EnvironmentFault
from harness.history.index import Index
from harness.history.opening import opened
from harness.history.pruning import Limits, prune, removed_line
from harness.history.series import Measured, series
from harness.inputs import Picture
from harness.reports.display import one_line
from harness.reports.exhibits import Exhibits
from harness.reports.record import Record, Run
from harness.reports.write import write_run

T = TypeVar("T")
TREND = 20  # values in a sparkline, this run's among them


def write_and_keep(
    run: Run, reports: Path, limits: Limits, exhibits: Exhibits, open_picture: Callable[[Picture], Any]
) -> tuple[EnvironmentFault | None, list[str]]:
    """Write the run, index it and remove old ones: the fault where it could not be written, and what is to be said.

    The index and the pruning are best effort: a run is as good without them, and `interp history` mends the index.
    """
    with suppress(OSError):  # then write_run says so
        (reports / "runs").mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    with ExitStack() as stack:
        index = _without_it(lambda: stack.enter_context(opened(reports, check=False)), said)
        trends = _without_it(lambda: _trends(index[0], run), said) if index else None
        fault = write_run(run, reports, exhibits, open_picture, trends or {})
        said += index[1] if index else []
        if fault is None and index:
            said += _without_it(lambda: _kept(index[0], run, reports, limits), said) or []
    return fault, [f"history: {line}" for line in said]


def _without_it(do: Callable[[], T], said: list[str]) -> T | None:
    """What `do` gives; None, and a line, where it cannot: whatever lies in reports/runs/, this run has its verdicts."""
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - the history is a convenience, the run is not
        said.append(
            f"not brought up to date ({one_line(f'{type(error).__name__}: {error}')}): `interp history` shows why"
        )
        return None


def _trends(index: Index, run: Run) -> dict[str, list[float | None]]:
    """By claim, its values over the last runs, this one's at the end."""
    earlier = index.measured((record.id for record in run.records), TREND - 1)
    return {record.id: series([*earlier[record.id], _now(record)]) for record in run.records}


def _now(record: Record) -> Measured:
    measured = record.verdict.measurement
    return (
        (record.verdict.word, None, None) if measured is None else (record.verdict.word, measured.name, measured.value)
    )


def _kept(index: Index, run: Run, reports: Path, limits: Limits) -> list[str]:
    said = []
    removed = prune(reports, limits)
    if removed:
        said.append(removed_line(removed))
    try:
        index.add(run, reports / "runs" / run.id)
        index.forget(removed)
    except (sqlite3.DatabaseError, ValueError) as error:
        said.append(f"this run is not indexed yet ({error}); `interp history` will do it")
    return said
