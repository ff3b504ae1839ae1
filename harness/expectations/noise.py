"""How much a number moves when nothing that it should depend on does: another batch, kernel or rounding.

Measured once for both precisions and all subjects alike (docs/statistics.md, Noise); no figure of a subject's own is
kept yet. float16 has more bits than bfloat16 and takes its figures.
"""

from __future__ import annotations

from typing import Literal

Measure = Literal["firing_rate", "median_activation", "auroc", "density", "fvu", "mse", "l0"]

NOISES = 3.0  # a difference within three times the noise is none
FLOAT32_RELATIVE = 2e-7  # batch size, padding, attention kernel; no firing flips
# Of the value: 2.3 % of firings flip, a feature's mean moves .35 % in the median, L0 by at most .3 %.
_HALF_RELATIVE = {"firing_rate": 0.023, "density": 0.023, "median_activation": 0.0035, "l0": 0.003}
_HALF_AUROC = 0.023  # a prompt that flips moves an AUROC by at most its share of a side
_HALF_FVU = 1e-3


def noise_of(measure: Measure, value: float, dtype: str, variance: float = 1.0) -> float:
    """The noise of a number, in its own unit. variance: of the activations per dimension, which the mse scales with."""
    if dtype == "float32":
        return FLOAT32_RELATIVE * abs(value)
    if measure == "auroc":
        return _HALF_AUROC
    if measure in ("fvu", "mse"):
        return _HALF_FVU * (variance if measure == "mse" else 1.0)
    return _HALF_RELATIVE[measure] * abs(value)
