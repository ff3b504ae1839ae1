"""`pytest --failed-in RUN`: only the claims whose tests failed in that run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from harness.history.runs import NotARun, read_results, records_of, results_file
from harness.reports.display import one_line
from harness.reports.write import reports_dir

FAILED = pytest.StashKey[tuple[str, ...]]()
FAILED_INPUT = "interp_failed"
_ABOUT = pytest.StashKey[str]()
_MOST_NAMED = 5


def choose(config: pytest.Config) -> None:
    """Look the run up once, in the controlling process: workers are told, or `latest` could be another run for them."""
    given = getattr(config, "workerinput", {})
    if FAILED_INPUT in given:
        config.stash[FAILED] = tuple(given[FAILED_INPUT])
    elif config.option.failed_in is not None and not given:
        config.stash[FAILED], config.stash[_ABOUT] = _failed(config.rootpath, config.option.failed_in)


def _failed(root: Path, run: str) -> tuple[tuple[str, ...], str]:
    try:
        document = read_results(results_file(root, reports_dir(root), run))
        records = list(records_of(document))
    except NotARun as error:
        raise pytest.UsageError(f"--failed-in: {error}") from None
    failed = tuple(record.id for record in records if record.is_red)
    about = f"{len(failed)} of {len(records)} claims failed in run {document['run']['id']}"
    if document["run"]["partial"]:
        about += ", which was cut short: what it did not reach counts as failed"
    return failed, about


def deselect(config: pytest.Config, items: list[pytest.Item], id_of: Callable[[pytest.Item], str | None]) -> None:
    """Leave the failed claims; id_of: None for a test that is not to be deselected."""
    failed = config.stash.get(FAILED, None)
    if failed is None:
        return
    chosen = set(failed)
    gone = [item for item in items if (name := id_of(item)) is not None and name not in chosen]
    if gone:
        config.hook.pytest_deselected(items=gone)
        refused = set(gone)
        items[:] = [item for item in items if item not in refused]


def about(config: pytest.Config, known: Collection[str]) -> str | None:
    """What the selection came to, for the end of the run; None where there was none. known: the ids of today."""
    said = config.stash.get(_ABOUT, None)
    if said is None:
        return None
    failed = config.stash[FAILED]
    lost = [name for name in failed if name not in known]
    named = ", ".join(map(one_line, lost[:_MOST_NAMED]))
    more = f"; {len(lost)} of them are no claims any more: {named}" if lost else ""
    nothing = "" if len(lost) < len(failed) else "; nothing is selected"
    return f"--failed-in: {said}{more}{nothing}"
