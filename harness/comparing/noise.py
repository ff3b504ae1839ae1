"""Whether a number moved further than numbers do that nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.calibration import own_noise
from harness.expectations.noise import FLOAT32_RELATIVE, NOISES, Measure, noise_of, usual_noise
from harness.inputs import Subject
from harness.spec import Calibration
from harness.stats.noise import Noise
from harness.verdict import Measurement, Verdict


@dataclass(frozen=True, slots=True)
class Moved:
    """One number in two runs. beyond: further than `by` allows: the noise, or where that is not known the interval."""

    name: str
    then: float
    now: float
    beyond: bool
    by: str

    @property
    def difference(self) -> float:
        return self.now - self.then


def noise_for(dtypes: set[str], subject: Subject | None, calibration: Calibration | None) -> tuple[Noise | None, str]:
    """The noise between two readings in these precisions, and whose it is; None where no precision is known.

    A subject's own is of one precision, today's: between two, the usual one of the coarser holds.
    """
    known = {dtype for dtype in dtypes if dtype}
    if not known:
        return None, ""
    own, words = own_noise(subject, calibration) if subject is not None and known == {subject.dtype} else (None, "")
    if own is not None:
        return own, words
    coarse = next((dtype for dtype in sorted(known) if dtype != "float32"), "float32")
    return usual_noise(coarse), f"the usual noise of {coarse}"


def moved(then: Verdict, now: Verdict, same_prompts: bool, noise: Noise | None, words: str) -> Moved | None:
    """The measurement of a claim in two runs; None where the two did not measure the same thing.

    Noise explains a difference on the same prompts only; on others, and for measures of which no noise is known, a
    number has moved where it lies outside the other's 95 % interval.
    """
    before, after = then.measurement, now.measurement
    if before is None or after is None or before.name != after.name:
        return None
    allowed = _allowed(then, noise) if same_prompts and noise is not None else None
    if allowed is not None:
        beyond, by = not abs(after.value - before.value) <= allowed, f"{allowed:.2g}, {NOISES:g} times {words}"
    else:
        beyond, by = _beyond_intervals(before, after)
    return Moved(before.name, before.value, after.value, beyond, by)


def _allowed(then: Verdict, noise: Noise) -> float | None:
    """None for a measure of which no noise is known."""
    measured = then.measurement
    assert measured is not None
    measure = next((one for one in Measure if one == measured.name.replace(" ", "_")), None)
    if measure is None:
        return None
    variance = 1.0
    if measure is Measure.MSE:
        fvu = next((one.value for one in then.also if one.name == "fvu"), None)
        if not fvu:
            return None
        variance = measured.value / fvu
    return NOISES * noise_of(measure, measured.value, noise, variance)


def _beyond_intervals(before: Measurement, after: Measurement) -> tuple[bool, str]:
    outside = [_outside(after.value, before), _outside(before.value, after)]
    known = [one for one in outside if one is not None]
    if known:
        return any(known), "the 95 % intervals"
    largest = max(abs(before.value), abs(after.value))
    return not abs(after.value - before.value) <= NOISES * FLOAT32_RELATIVE * largest, "rounding in float32"


def _outside(value: float, of: Measurement) -> bool | None:
    if of.low is None or of.high is None:
        return None
    return not of.low <= value <= of.high
