"""How much a number moves when nothing that it should depend on does: another batch, kernel or rounding.

A subject's own figures are measured by `interp calibrate`; without them the usual ones of its precision stand
(docs/statistics.md, Noise). float16 has more bits than bfloat16 and takes its figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from harness.stats.noise import Noise


class Measure(StrEnum):
    """What a number is, as far as its noise goes. Ranks, cosines and counts are left out: nobody measured theirs."""

    FIRING_RATE = "firing_rate"
    MEDIAN_ACTIVATION = "median_activation"
    MEAN_ACTIVATION = "mean_activation"
    MAX_ACTIVATION = "max_activation"
    AUROC = "auroc"
    DENSITY = "density"
    FVU = "fvu"
    MSE = "mse"
    L0 = "l0"


NOISES = 3.0  # a difference within three times the noise is none
FLOAT32_RELATIVE = 2e-7  # batch size, padding, attention kernel; no firing flips
USUAL_FLOAT32 = Noise(flips=0.0, mean=FLOAT32_RELATIVE, single=FLOAT32_RELATIVE, l0=0.0, fvu=FLOAT32_RELATIVE)
# 2.3 % of firings flip, a feature's mean moves .35 % in the median, one activation 29 % at p99, L0 by at most .3 %.
USUAL_HALF = Noise(flips=0.023, mean=0.0035, single=0.29, l0=0.003, fvu=1e-3)
_FLIPS = frozenset({Measure.FIRING_RATE, Measure.DENSITY, Measure.AUROC})


def usual_noise(dtype: str) -> Noise:
    return USUAL_FLOAT32 if dtype == "float32" else USUAL_HALF


def noise_of(measure: Measure, value: float, noise: Noise, variance: float = 1.0) -> float:
    """The noise of a number, in its own unit, never less than rounding makes it.

    variance: of the activations per dimension, which the mse scales with. A prompt that flips moves an AUROC by at most
    its share of a side. The noise of a difference of means is that of the two means: give their sum as `value`.
    """
    shares = {
        Measure.FIRING_RATE: noise.flips,
        Measure.DENSITY: noise.flips,
        Measure.MEDIAN_ACTIVATION: noise.mean,
        Measure.MEAN_ACTIVATION: noise.mean,
        Measure.MAX_ACTIVATION: noise.single,
        Measure.L0: noise.l0,
    }
    fixed = {Measure.AUROC: noise.flips, Measure.FVU: noise.fvu, Measure.MSE: noise.fvu * variance}
    moved = fixed[measure] if measure in fixed else shares[measure] * abs(value)
    return max(moved, FLOAT32_RELATIVE * abs(value))


@dataclass(frozen=True, slots=True)
class Margin:
    """How far the number that decided a claim is from the bound; negative nowhere. value: the number measured, or what
    its noise is relative to."""

    measure: Measure
    value: float
    distance: float

    def is_fragile(self, noise: Noise) -> bool:
        """Inside the noise. Without flips, whatever counts firings stays as it is, on the bound too."""
        if self.measure in _FLIPS and noise.flips == 0:
            return False
        return self.distance < NOISES * noise_of(self.measure, self.value, noise)


def closest(margins: Iterable[Margin], noise: Noise) -> Margin | None:
    """The fragile margin with the least distance, None where none is."""
    return min((m for m in margins if m.is_fragile(noise)), key=lambda m: m.distance, default=None)
