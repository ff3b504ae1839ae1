"""Whether a feature fires on the same tokens in both models: Jaccard and Pearson with limits over prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats
from harness.stats.transfer.conditions import Condition
from harness.stats.transfer.pairs import Pairs, PairSums, sums_of_units

FEWEST_FIRING = 10
"""Units on which a feature fires in either model. Two sentences are no pattern."""
_AT_ONCE = 2_000_000  # units x features


@dataclass(frozen=True, slots=True)
class Likeness:
    """One measure of likeness per feature, [d_sae]: its value, its jackknife error, and on how many units the feature
    fires in either model. has_limits False: the value is its own limit (these prompts only)."""

    value: Floats
    error: Floats
    n: NDArray[np.int64]
    has_limits: bool = True

    def low(self, alpha: float) -> Floats:
        """The one-sided lower limit at 1 - alpha."""
        return self.value - self._reach(alpha)

    def high(self, alpha: float) -> Floats:
        """The one-sided upper limit at 1 - alpha."""
        return self.value + self._reach(alpha)

    def _reach(self, alpha: float) -> Floats:
        """Student's t on n - 1 degrees of freedom, times the error; infinite under FEWEST_FIRING units."""
        from scipy.special import stdtrit

        if not self.has_limits:
            return np.zeros(len(self.value))
        t = stdtrit(np.maximum(self.n - 1, 1), 1 - alpha)
        return np.asarray(np.where(self.n >= FEWEST_FIRING, t * self.error, np.inf), np.float64)


@dataclass(frozen=True, slots=True)
class Pattern:
    """How alike two models' activations of each feature are on the same tokens."""

    jaccard: Likeness
    pearson: Likeness


def pattern_of_all(base: Condition, adapted: Condition, pairs: Pairs, sums: PairSums, limits: bool = True) -> Pattern:
    """The pattern of every feature, with the jackknife's errors over units (leaving out one unit at a time)."""
    jaccard, pearson = sums.jaccard(), sums.pearson()
    d_sae, units = len(jaccard), max(base.n_units, 1)
    n, errors = np.zeros(d_sae, np.int64), np.zeros((2, d_sae))
    step = max(1, _AT_ONCE // units)
    for first in range(0, d_sae if limits else 0, step):
        part = slice(first, min(first + step, d_sae))
        own = sums_of_units(base, adapted, pairs, part)
        n[part] = ((own.kx + own.ky) > 0).sum(axis=0)
        left = sums.of(part) - own
        for row, left_out in enumerate((left.jaccard(), left.pearson())):
            errors[row, part] = np.sqrt((units - 1) * left_out.var(axis=0))
    return Pattern(Likeness(jaccard, errors[0], n, limits), Likeness(pearson, errors[1], n, limits))
