"""Claims whose control could not be judged: nobody knows whether their verdicts can be believed, so they have none.

A control that gives the wrong answer makes the whole run invalid: the judging is broken. One that raises shows that
something is wrong where it was made, at a subject or a kind, and says nothing of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.controls.base import Control
from harness.errors import EnvironmentFault
from harness.families import KIND
from harness.reports.record import Record
from harness.verdict import Outcome, Verdict


def uncontrolled(records: Mapping[str, Record], controls: Iterable[Control]) -> dict[str, Record]:
    """The same records by id. One that was decided, and that a control which raised stands beside, is not run; so is
    a family with such a member."""
    raised = [control for control in controls if control.trace]
    if not raised:
        return dict(records)
    found = {name: _beside(record, raised) for name, record in records.items()}
    for name, record in records.items():
        if record.kind == KIND:
            members = record.verdict.details.get("members", {})
            found[name] = next((found[member] for member in members if found.get(member) is not None), None)
    return {name: _not_run(record, found[name]) for name, record in records.items()}


def _beside(record: Record, raised: Sequence[Control]) -> Control | None:
    return next((control for control in raised if control.stands_beside(record.subject, record.kind)), None)


def _not_run(record: Record, control: Control | None) -> Record:
    if control is None or record.verdict.outcome not in (Outcome.MET, Outcome.UNMET):
        return record
    fault = EnvironmentFault("control_failed", f"{control}.", "Its verdicts cannot be believed until this is found.")
    details = {"faults": [fault.code], "traceback": control.trace}
    verdict = Verdict(Outcome.NOT_RUN, f"could not be controlled: {fault}", details=details)
    return replace(record, verdict=verdict, acceptable=None, kept=False).in_plain_types()
