"""Whether a feature fires on the same tokens in both models: Jaccard and Pearson with limits over prompts.

Both limits are a jackknife's on a scale on which the number is nearer to normal: the logit for Jaccard, Fisher's z for
Pearson. On the numbers themselves features on the bound were called stable too often (docs/statistics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats
from harness.stats.transfer.conditions import Condition
from harness.stats.transfer.pairs import Pairs, PairSums, sums_of_units

FEWEST_FIRING = 10
"""Units on which a feature fires, in each model. Two sentences are no pattern."""
_MOST_R = 0.98
"""Where Fisher's z ends. Beyond it one unlike prompt of many moves z more than all that the bounds are about."""
_AT_ONCE = 2_000_000  # units x features


@dataclass(frozen=True, slots=True)
class Likeness:
    """One measure of likeness per feature, [d_sae], with limits on its own scale.

    value: the measure. below, above: where limits start from on the scale, its value there or the jackknife's
    correction for bias, whichever lies further out. error: the jackknife's, on the scale. freedom: of Student's t.
    n: units on which the feature fires, in the model that has fewer. has_limits False: the value is its own limit
    (these prompts only).
    """

    value: Floats
    below: Floats
    above: Floats
    error: Floats
    freedom: Floats
    n: NDArray[np.int64]
    scale: Literal["logit", "z"]
    has_limits: bool = True

    def low(self, alpha: float) -> Floats:
        """The one-sided lower limit at 1 - alpha; -infinity under FEWEST_FIRING units."""
        return self._limit(self.below, -1, alpha)

    def high(self, alpha: float) -> Floats:
        """The one-sided upper limit at 1 - alpha; infinity under FEWEST_FIRING units."""
        return self._limit(self.above, 1, alpha)

    def on_scale(self, value: Floats | float) -> Floats:
        """A value of the measure on the scale of its limits."""
        from scipy.special import logit

        return np.asarray(np.arctanh(np.clip(value, -_MOST_R, _MOST_R)) if self.scale == "z" else logit(value))

    def _limit(self, start: Floats, sign: int, alpha: float) -> Floats:
        from scipy.special import expit, stdtrit

        if not self.has_limits:
            return self.value
        moved = start + sign * stdtrit(self.freedom, 1 - alpha) * self.error
        limit = np.tanh(moved) if self.scale == "z" else expit(moved)
        outer = np.minimum(limit, self.value) if sign < 0 else np.maximum(limit, self.value)
        return np.asarray(np.where(self.n >= FEWEST_FIRING, outer, sign * np.inf), np.float64)


@dataclass(frozen=True, slots=True)
class Pattern:
    """How alike two models' activations of each feature are on the same tokens."""

    jaccard: Likeness
    pearson: Likeness


class Jackknife:
    """The limits of Jaccard and Pearson by leaving out one unit at a time, taken in batches of units.

    The sums over all units come first (whole); each batch then adds how far both measures move without each of its
    units. So two passes over the batches give what holding all units at once would give, in the memory of one batch.

    Pearson's limits have as many degrees of freedom as the sums of squares have effective units (Kish: the square of
    their sum over the sum of their squares, in the model that has fewer), less one: r is decided by the units in which
    the feature is strong.
    """

    def __init__(self, whole: PairSums, n_units: int) -> None:
        self._sums, self._units = whole, max(n_units, 1)
        self._whole = np.array([_logit(whole), _fisher(whole)])
        d_sae = len(whole.sx)
        self._firing = np.zeros((2, d_sae), np.int64)
        self._fourth, self._moved, self._squares = (np.zeros((2, d_sae)) for _ in range(3))

    def add(self, base: Condition, adapted: Condition, pairs: Pairs) -> None:
        """Take the units of one batch."""
        d_sae = self._firing.shape[1]
        step = max(1, _AT_ONCE // max(base.n_units, 1))
        for first in range(0, d_sae, step):
            part = slice(first, min(first + step, d_sae))
            own = sums_of_units(base, adapted, pairs, part)
            left = self._sums.of(part) - own
            for model, (fires, squares) in enumerate(((own.kx, own.sxx), (own.ky, own.syy))):
                self._firing[model, part] += (fires > 0).sum(axis=0)
                self._fourth[model, part] += (squares**2).sum(axis=0)
            for row, without in enumerate((_logit(left), _fisher(left))):
                moved = without - self._whole[row, part]
                self._moved[row, part] += moved.sum(axis=0)
                self._squares[row, part] += (moved**2).sum(axis=0)

    def pattern(self) -> Pattern:
        """Both measures with their limits, once every batch was added."""
        mean = self._moved / self._units
        variance = np.maximum(self._squares / self._units - mean**2, 0)
        error = np.sqrt((self._units - 1) * variance)
        unbiased = self._whole - (self._units - 1) * mean
        below, above = np.minimum(self._whole, unbiased), np.maximum(self._whole, unbiased)
        n = self._firing.min(axis=0)
        firing = np.maximum(n - 1.0, 1)
        totals = np.array([self._sums.sxx, self._sums.syy])
        effective = np.divide(totals**2, self._fourth, out=np.ones_like(totals), where=self._fourth > 0).min(axis=0)
        strong = np.clip(effective - 1, 1, firing)
        jaccard, pearson = self._sums.jaccard(), self._sums.pearson()
        return Pattern(
            Likeness(jaccard, self._whole[0], self._whole[0], error[0], firing, n, "logit"),
            Likeness(pearson, below[1], above[1], error[1], strong, n, "z"),
        )


def without_limits(whole: PairSums) -> Pattern:
    """Both measures as their own limits: these prompts only."""
    d_sae = len(whole.sx)
    nothing = np.zeros(d_sae), np.ones(d_sae), np.zeros(d_sae, np.int64)
    jaccard, pearson = _logit(whole), _fisher(whole)
    return Pattern(
        Likeness(whole.jaccard(), jaccard, jaccard, *nothing, "logit", False),
        Likeness(whole.pearson(), pearson, pearson, *nothing, "z", False),
    )


def _logit(sums: PairSums) -> Floats:
    """The empirical logit of Jaccard (Anscombe's halves keep 0 and 1 finite): log of tokens shared over tokens not."""
    return np.asarray(np.log((sums.kxy + 0.5) / (sums.kx + sums.ky - 2 * sums.kxy + 0.5)), np.float64)


def _fisher(sums: PairSums) -> Floats:
    """z = artanh r."""
    return np.asarray(np.arctanh(np.clip(sums.pearson(), -_MOST_R, _MOST_R)), np.float64)
