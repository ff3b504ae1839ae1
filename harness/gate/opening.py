"""The run that a script relies on: found, unedited, valid, whole and young enough."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.gate.blocking import InterventionBlocked, Reason, Why
from harness.history.runs import Edited, NotARun, read_results, results_file
from harness.language.specs import Loaded, load
from harness.reports.record import Record
from harness.reports.write import reports_dir
from harness.spec import Broken
from harness.weights import Sample


@dataclass(frozen=True, slots=True)
class Opened:
    """A run's records by id, what each claim was judged on (reports/basis.py), the weights that they were read with by
    fingerprint, and today's specs."""

    records: Mapping[str, Record]
    judged_on: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, Sample]
    loaded: Loaded
    reasons: tuple[Reason, ...] = field(default=())


def opened(root: Path, run: str, max_age: datetime.timedelta | None) -> Opened:
    """The run, with what is wrong with it as a whole.

    Raises InterventionBlocked where there is none, or where it is not as it was written: nothing in it counts then.
    """
    try:
        document = read_results(results_file(root, reports_dir(root), run))
    except NotARun as error:
        raise _blocked(Why.RUN_EDITED if isinstance(error, Edited) else Why.RUN_MISSING, str(error)) from None
    try:
        records = {data["id"]: Record.from_dict(data) for data in document["records"]}
        weights = {key: Sample.from_dict(sample) for key, sample in document["weights"].items()}
        judged_on = document["basis"]["claims"]
        started = datetime.datetime.fromisoformat(document["run"]["started"])
    except KeyError as missing:
        raise _blocked(Why.RUN_MISSING, f"the record lacks {missing}: another version wrote it") from None
    loaded = load(root)
    reasons = (*_of_run(document["run"]), *_of_age(started, max_age), *_of_specs(loaded))
    return Opened(records, judged_on, weights, loaded, reasons)


def _blocked(why: Why, message: str) -> InterventionBlocked:
    return InterventionBlocked((), [Reason(why, message)], "pytest")


def _of_run(run: Mapping[str, Any]) -> Iterator[Reason]:
    for line in run.get("invalid") or ():
        yield Reason(Why.RUN_INVALID, f"run {run['id']} is invalid: {line}")
    if run["partial"]:
        yield Reason(Why.RUN_PARTIAL, f"run {run['id']} was interrupted, or lost records")


def _of_age(started: datetime.datetime, max_age: datetime.timedelta | None) -> Iterator[Reason]:
    age = datetime.datetime.now(datetime.UTC) - started
    if max_age is not None and age > max_age:
        yield Reason(Why.RUN_STALE, f"the run began {age.days} days ago, {started:%Y-%m-%d}; allowed: {max_age}")
    if age < -datetime.timedelta(hours=1):
        yield Reason(Why.RUN_STALE, f"the run began at {started:%Y-%m-%d %H:%M} UTC, which is in the future")


def _of_specs(loaded: Loaded) -> Iterator[Reason]:
    """A claim that cannot be read may be about any feature."""
    for item in loaded.items:
        if isinstance(item, Broken):
            yield Reason(Why.SPECS_BROKEN, f"{item.id} cannot be read (`interp check` says why)")
    if not loaded.items:
        yield Reason(Why.SPECS_BROKEN, "there are no claims under specs/ in `root`")
