"""A subject's own numerical noise, as `interp calibrate` measured it, and whether the figures still stand."""

from __future__ import annotations

from harness.baselines import differing
from harness.inputs import Subject
from harness.keys import code_parts
from harness.spec import Calibration
from harness.stats.noise import Noise

FOLDER = "measured/noise"  # under specs/; JSON, so that no suite of YAML can have a file of the same name


def own_noise(subject: Subject, calibration: Calibration | None) -> tuple[Noise | None, str]:
    """(the subject's own noise or None, whose noise holds, in words).

    Of a model in float32 it is what batches do; of one in half precision the larger of that and of its rounding.
    """
    if calibration is None:
        return None, ""
    stale = _stale(subject, calibration)
    if stale:
        return None, f"the usual noise of {subject.dtype} (this subject's own was measured with another {stale})"
    exact = subject.dtype == "float32"
    noise = calibration.batch if exact else calibration.batch.at_least(calibration.precision)
    return noise, f"the noise of {subject.name} (measured {calibration.date})"


def _stale(subject: Subject, calibration: Calibration) -> str:
    """What differs today, by name; empty where the figures stand. Versions count: they bring the kernels."""
    return ", ".join(name for name, _, _ in differing(calibration.read_with, code_parts(subject)))
