"""What the history does as a run ends: a trend for its page before it is written, its place in the index after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault
from harness.history.index import Index
from harness.history.opening import opened
from harness.history.pruning import Limits, prune, removed_line
from harness.history.series import Measured, series
from harness.inputs import Picture
from harness.reports.exhibits import Exhibits
from harness.reports.record import Record, Run
from harness.reports.write import write_run

TREND = 20  # values in a sparkline, this run's among them


def write_and_keep(
    run: Run, reports: Path, limits: Limits, exhibits: Exhibits, open_picture: Callable[[Picture], Any]
) -> tuple[EnvironmentFault | None, list[str]]:
    """Write the run, index it and remove old ones: the fault where it could not be written, and what is to be said.

    The index and the pruning are best effort: a run is as good without them, and `interp history` mends the index.
    """
    with suppress(OSError):  # then write_run says so
        (reports / "runs").mkdir(parents=True, exist_ok=True)
    with opened(reports, check=False) as (index, said):
        try:
            trends = _trends(index, run)
        except sqlite3.DatabaseError:
            trends = {}
        fault = write_run(run, reports, exhibits, open_picture, trends)
        if fault is None:
            said += _kept(index, run, reports, limits)
    return fault, [f"history: {line}" for line in said]


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
