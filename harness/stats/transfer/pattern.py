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


def pattern_of_all(base: Condition, adapted: Condition, pairs: Pairs, sums: PairSums, limits: bool = True) -> Pattern:
    """The pattern of every feature, with limits from leaving out one unit at a time.

    Pearson's limits have as many degrees of freedom as the sums of squares have effective units (Kish: the square of
    their sum over the sum of their squares, in the model that has fewer), less one: r is decided by the units in which
    the feature is strong.
    """
    d_sae, units = len(sums.sx), max(base.n_units, 1)
    n, effective = np.zeros(d_sae, np.int64), np.ones(d_sae)
    error, mean = np.zeros((2, d_sae)), np.zeros((2, d_sae))
    whole = np.array([_logit(sums), _fisher(sums)])
    step = max(1, _AT_ONCE // units)
    for first in range(0, d_sae if limits else 0, step):
        part = slice(first, min(first + step, d_sae))
        own = sums_of_units(base, adapted, pairs, part)
        n[part] = np.minimum((own.kx > 0).sum(axis=0), (own.ky > 0).sum(axis=0))
        effective[part] = np.minimum(_effective(own.sxx), _effective(own.syy))
        left = sums.of(part) - own
        for row, left_out in enumerate((_logit(left), _fisher(left))):
            mean[row, part] = left_out.mean(axis=0)
            error[row, part] = np.sqrt((units - 1) * left_out.var(axis=0))
    unbiased = units * whole - (units - 1) * mean if limits else whole
    below, above = np.minimum(whole, unbiased), np.maximum(whole, unbiased)
    firing = np.maximum(n - 1.0, 1)
    strong = np.clip(effective - 1, 1, firing)
    return Pattern(
        Likeness(sums.jaccard(), whole[0], whole[0], error[0], firing, n, "logit", limits),
        Likeness(sums.pearson(), below[1], above[1], error[1], strong, n, "z", limits),
    )


def _logit(sums: PairSums) -> Floats:
    """The empirical logit of Jaccard (Anscombe's halves keep 0 and 1 finite): log of tokens shared over tokens not."""
    return np.asarray(np.log((sums.kxy + 0.5) / (sums.kx + sums.ky - 2 * sums.kxy + 0.5)), np.float64)


def _fisher(sums: PairSums) -> Floats:
    """z = artanh r."""
    return np.asarray(np.arctanh(np.clip(sums.pearson(), -_MOST_R, _MOST_R)), np.float64)


def _effective(squares: Floats) -> Floats:
    """How many units share the sum of squares, [features]; 1 where there is none."""
    total, spread = squares.sum(axis=0), (squares**2).sum(axis=0)
    return np.asarray(np.divide(total**2, spread, out=np.ones(len(total)), where=spread > 0), np.float64)
