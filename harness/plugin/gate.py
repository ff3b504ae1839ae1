"""What a record means for its test: pass, fail, expected failure, or (for a cold gpu spec in a plain run) skip."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.families import Family
from harness.reports.display import one_line
from harness.reports.failure import failure_text
from harness.reports.record import Record
from harness.session import SpecSession
from harness.spec import Broken, Spec
from harness.verdict import Outcome

RECORD = pytest.StashKey[Record]()
COLD_HINT = "gpu spec without evidence on this machine; run it with `pytest -m gpu` where a GPU is"


@dataclass(slots=True, repr=False)
class Gate:
    """The `harness` fixture: what a test asks to settle its spec."""

    session: SpecSession

    def check(self, item: Spec | Broken | Family, node: pytest.Item) -> None:
        """Judge one spec, or a family; returns where its test passes."""
        record = self.session.record(item)
        node.stash[RECORD] = record
        settle(record, node.nodeid)


def settle(record: Record, node_id: str) -> None:
    """Turn a record into a test outcome. xfail covers `unmet` only, strictly; warn never covers `not_run`."""
    outcome = record.verdict.outcome
    if outcome is Outcome.NOT_RUN and record.verdict.details.get("cold"):
        pytest.skip(COLD_HINT)
    if record.xfail and outcome is Outcome.UNMET:
        # pytest.xfail() would format a traceback with all its arguments, 1.3 s each, and show it to nobody.
        raise pytest.xfail.Exception(one_line(record.xfail), pytrace=False)
    if record.xfail and outcome is Outcome.MET:
        pytest.fail(_unexpected(record, node_id), pytrace=False)
    if outcome is Outcome.MET or (record.severity == "warn" and outcome is not Outcome.NOT_RUN):
        return
    pytest.fail(failure_text(record, rerun_command(node_id)), pytrace=False)


def _unexpected(record: Record, node_id: str) -> str:
    first = f"expected to be unmet ({one_line(record.xfail or '')}), but it is met: take `xfail` away"
    return f"{first}\n\n{failure_text(record, rerun_command(node_id))}"


def rerun_command(node_id: str) -> str:
    return f'pytest "{node_id}"'
