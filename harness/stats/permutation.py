"""Exact permutation p of a rank sum, with ties, without random numbers.

Midranks are doubled, so that they are whole numbers; how many of the equally likely choices of positives
reach each rank sum is counted by dynamic programming. scipy's mannwhitneyu is not exact with ties, and
the normal approximation rejects 7-9 % of true nulls at 5 against 20 prompts where 5 % were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# The work of 50 against 50 distinct values, about .1 s: items x chosen x reachable rank sum. Above it, the normal.
MOST_WORK = 100 * 50 * 50 * 150


@dataclass(frozen=True, slots=True)
class P:
    """A one-sided p value; `exact` is False where it is the tie-corrected normal approximation."""

    value: float
    exact: bool = True


@dataclass(frozen=True, slots=True)
class RankSum:
    """The positives' sum of shifted doubled midranks in one stratum, with what its null distribution needs.

    ranks: sorted, the lowest is 0. The shift by the lowest rank changes every choice by the same amount.
    """

    observed: int
    ranks: tuple[int, ...]
    n_positive: int

    @property
    def mean(self) -> float:
        return self.n_positive * sum(self.ranks) / len(self.ranks)

    @property
    def variance(self) -> float:
        """Of the sum of n_positive ranks drawn without replacement; ties are in the ranks themselves."""
        n = len(self.ranks)
        spread = float(np.var(np.array(self.ranks, float)))
        return self.n_positive * (n - self.n_positive) * spread / (n - 1) if n > 1 else 0.0

    @property
    def work(self) -> int:
        """Additions that counting takes."""
        firing = [r for r in self.ranks if r]
        chosen = min(len(firing), self.n_positive)
        return len(firing) * chosen * sum(firing[len(firing) - chosen :])


def doubled_midranks(values: Floats) -> NDArray[np.int64]:
    """Twice the rank of each value, ties sharing their mean rank; 2 for a lowest value without ties."""
    if not np.isfinite(values).all():
        raise ValueError("ranks need finite values")
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((2 * np.cumsum(count) - count + 1)[inverse], np.int64)


def rank_sum(positive: Floats, negative: Floats) -> RankSum:
    """The rank sum of `positive` among both; ValueError where a value is not finite or a side is empty."""
    if not len(positive) or not len(negative):
        raise ValueError("a rank sum needs values on both sides")
    ranks = doubled_midranks(np.concatenate([positive, negative]))
    shifted = ranks - ranks.min()
    return RankSum(int(shifted[: len(positive)].sum()), tuple(sorted(shifted.tolist())), len(positive))


def midrank_p(positive: Floats, negative: Floats) -> P:
    """One-sided p that `positive` ranks higher than `negative`: exact up to the work of 50 against 50."""
    return stratified_p([rank_sum(positive, negative)])


def stratified_p(strata: Sequence[RankSum]) -> P:
    """One-sided p of the rank sums' total when labels are permuted inside each stratum (exact convolution)."""
    observed = sum(s.observed for s in strata)
    if sum(s.work for s in strata) > MOST_WORK:
        return P(normal_p(strata), exact=False)
    null = np.ones(1)
    for s in strata:
        null = np.convolve(null, null_distribution(s.ranks, s.n_positive))
    return P(min(1.0, float(null[observed:].sum())))


def normal_p(strata: Sequence[RankSum]) -> float:
    """Tie-corrected normal p, with half a rank's continuity correction (a whole rank is 2 doubled ones)."""
    return normal_tail(sum(s.observed for s in strata), sum(s.mean for s in strata), sum(s.variance for s in strata))


def normal_tail(observed: float, mean: float, variance: float) -> float:
    """normal_p from the sums over strata."""
    if variance <= 0:
        return 1.0
    z = (observed - mean - 1) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))


@lru_cache(maxsize=512)
def null_distribution(ranks: tuple[int, ...], n_positive: int) -> Floats:
    """The probability of each rank sum, index = sum, when any n_positive of the ranks are equally likely.

    Memoised: it depends only on the tie pattern, which is (n, silent count) while firing values are distinct.
    The ranks of 0 (the lowest tie, mostly the silent prompts) enter as a binomial, not one by one.
    """
    firing = [r for r in ranks if r]
    silent = len(ranks) - len(firing)
    chosen = min(len(firing), n_positive)
    top = sum(firing[len(firing) - chosen :])
    counts = np.zeros((chosen + 1, top + 1))
    counts[0, 0] = 1
    for r in firing:
        counts[1:, r:] += counts[:-1, : top + 1 - r]
    ways = np.array([_choose(silent, n_positive - k) for k in range(chosen + 1)])
    result: Floats = ways @ counts / _choose(len(ranks), n_positive)
    result.flags.writeable = False
    return result


def _choose(n: int, k: int) -> float:
    return float(math.comb(n, k)) if 0 <= k <= n else 0.0


def smallest_p(n_positive: int, n_negative: int) -> float:
    """The smallest p that this many can reach, 1 / C(n, n_positive): 3 v 3 .05, 5 v 5 .004."""
    return 1 / math.comb(n_positive + n_negative, n_positive)
