"""A fragile verdict is judged again with the models in float32: what holds only in half precision does not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from harness.inputs import Subject
from harness.spec import Spec
from harness.verdict import Outcome, Verdict

DTYPE: Literal["float32"] = "float32"
_NOT = "not rechecked"


def in_float32(spec: Spec) -> Spec | None:
    """The claim about the same weights in float32; None where they are read so already.

    Without the subject's noise, which is that of another precision.
    """
    if all(subject.dtype == DTYPE for subject in spec.subjects):
        return None
    others = {name: _precise(subject) for name, subject in spec.others.items()}
    claim = replace(spec.claim, dtype=DTYPE)
    return replace(spec, subject=_precise(spec.subject), others=others, claim=claim, calibration=None)


def _precise(subject: Subject) -> Subject:
    return subject if subject.dtype == DTYPE else replace(subject, name=f"{subject.name} ({DTYPE})", dtype=DTYPE)


def settled_by(verdict: Verdict, precise: Verdict) -> Verdict:
    """The verdict with what float32 gave. A claim met only in half precision ends as it does in float32; one
    that is unmet stays so: nothing is made green by being read otherwise than it will be used."""
    value = "" if precise.measurement is None else f", {precise.measurement}"
    details = {**verdict.details, DTYPE: f"{precise.word}{value}"}
    if verdict.outcome is not Outcome.MET or precise.outcome is Outcome.MET:
        return verdict.with_(details=details)
    finding = f"{verdict.finding}. That is inside the noise, and in {DTYPE} it is {precise.word}: {precise.finding}"
    return verdict.with_(outcome=precise.outcome, reason=precise.reason, finding=finding, details=details)


def not_rechecked(verdict: Verdict, why: str) -> Verdict:
    return verdict.with_(details={**verdict.details, DTYPE: f"{_NOT}: {why}"})


def lacks_recheck(verdict: Verdict) -> bool:
    """Whether it was fragile and could not be judged in float32 here: elsewhere, or later, it may be."""
    return str(verdict.details.get(DTYPE, "")).startswith(_NOT)
