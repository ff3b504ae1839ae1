"""Intervals that keep their promise at n <= 20. Bootstrap and DeLong limits miss 25-65 % there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limits:
    """A number with its limits. low1, high1: one-sided at 1 - alpha, these decide; low, high: two-sided 95 %."""

    value: float
    low1: float
    high1: float
    low: float
    high: float


def clopper_pearson(k: float, n: int, tail: float) -> tuple[float, float]:
    """Exact limits of a rate at k of n, `tail` probability outside on each side; (0, 1) at n = 0.

    k may be fractional: the sum of n shares in [0, 1], each of which varies at most as a yes or no does.
    """
    from scipy.special import betaincinv

    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def rate_inside(k: Floats, n: int, low: float, high: float, tail: float) -> NDArray[np.bool_]:
    """Where Clopper-Pearson's limits of k / n lie inside [low, high]; no limits are computed. k may be fractional.

    The lower limit of k is at least `low` where P(Binomial(n, low) >= k) <= tail, which the incomplete beta function
    extends to fractional k; the upper one is its mirror. A side at 0 or 1 (or beyond) is open.
    """
    from scipy.special import betainc

    inside = np.ones(np.shape(k), bool)
    if low > 0:
        inside &= np.where(k > 0, betainc(np.maximum(k, 1e-300), n - k + 1, min(low, 1.0)), 1.0) <= tail
    if high < 1:
        inside &= np.where(k < n, betainc(np.maximum(n - k, 1e-300), k + 1, 1 - max(high, 0.0)), 1.0) <= tail
    return inside


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial X with n trials of rate p, exact."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def rate_limits(k: float, n: int, alpha: float) -> Limits:
    """Clopper-Pearson's limits of k / n; NaN for the rate itself at n = 0."""
    k = min(max(k, 0.0), float(n))  # a sum of shares may miss n by rounding
    low1, high1 = clopper_pearson(k, n, alpha)
    low, high = clopper_pearson(k, n, 0.025)
    return Limits(k / n if n else math.nan, low1, high1, low, high)


@lru_cache(maxsize=4096)
def newcombe_auroc(auroc: float, n_pos: int, n_neg: int, tail: float) -> tuple[float, float]:
    """Newcombe's method 5 (Statistics in Medicine 2006;25:559): limits of an AUROC, `tail` outside on each side.

    The limits are the theta with |theta - auroc| = z * se(theta), where Hanley and McNeil's variance is
    taken at theta, with the mean sample size N for either one in its last two terms:
    se^2 = theta (1 - theta) (2N - 1 - (3N - 3) / ((2 - theta) (1 + theta))) / (n_pos n_neg).
    """
    z = _quantile(tail)

    def excess(theta: float) -> float:
        return abs(theta - auroc) - z * _hanley_mcneil_error(theta, n_pos, n_neg)

    return _boundary(excess, 0.0, auroc), _boundary(excess, 1.0, auroc)


def auroc_needed(low: float, high: float, n_pos: int, n_neg: int, tail: float) -> tuple[float, float]:
    """The range of observed AUROCs whose Newcombe limits lie inside [low, high]; above 1 or empty where none do.

    Newcombe's lower limit solves auroc - theta = z * se(theta), so it reaches `low` exactly where
    auroc >= low + z * se(low); the upper one is its mirror. An open side is 0 or 1 (or beyond).
    """
    z = _quantile(tail)
    least = low + z * _hanley_mcneil_error(low, n_pos, n_neg) if low > 0 else 0.0
    most = high - z * _hanley_mcneil_error(high, n_pos, n_neg) if high < 1 else 1.0
    return least, most


def skewness(values: Floats) -> float:
    """The third central moment over the third power of the standard deviation; 0 where nothing varies."""
    apart = values - values.mean() if len(values) else values
    spread = float(np.sqrt(np.mean(apart**2))) if len(values) else 0.0
    return float(np.mean(apart**3)) / spread**3 if spread > 0 else 0.0


def _quantile(tail: float) -> float:
    """The standard normal value with `tail` above it."""
    from scipy.special import ndtri

    return -float(ndtri(tail))


def _hanley_mcneil_error(theta: float, n_pos: int, n_neg: int) -> float:
    """The standard error of an AUROC of theta, with the mean sample size for either one."""
    mean_n = (n_pos + n_neg) / 2
    terms = 2 * mean_n - 1 - (3 * mean_n - 3) / ((2 - theta) * (1 + theta))
    return math.sqrt(max(0.0, theta * (1 - theta) * terms / (n_pos * n_neg)))


def _boundary(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Where `excess` changes sign between a value outside the limits and one inside, by bisection."""
    if outside == inside:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if excess(middle) > 0 else (outside, middle)
    return inside


def auroc_limits(auroc: float, n_pos: int, n_neg: int, alpha: float) -> Limits:
    """Newcombe's limits of an AUROC from n_pos and n_neg units."""
    one, two = (newcombe_auroc(auroc, n_pos, n_neg, tail) for tail in (alpha, 0.025))
    return Limits(auroc, *one, *two)


def t_limits(value: float, standard_error: float, freedom: float, alpha: float) -> Limits:
    """value -+ t * standard error, with Student's t at `freedom` degrees (which may be fractional)."""
    from scipy.special import stdtrit

    one = float(stdtrit(freedom, 1 - alpha)) * standard_error
    two = float(stdtrit(freedom, 0.975)) * standard_error
    return Limits(value, value - one, value + one, value - two, value + two)


def unlimited(value: float) -> Limits:
    """A number of which these values cannot say how far off it may be."""
    return Limits(value, -math.inf, math.inf, -math.inf, math.inf)


def welch_limits(positive: Floats, negative: Floats, alpha: float) -> Limits:
    """mean(positive) - mean(negative) with Welch's t limits: unequal variances, 2 or more values a side.

    Infinite where neither side varies: ties (`pool: any`) say nothing of how much other prompts would.
    """
    parts = [float(np.var(x, ddof=1)) / len(x) for x in (positive, negative)]
    difference = float(np.mean(positive) - np.mean(negative))
    if sum(parts) == 0 or np.ptp(positive) == np.ptp(negative) == 0:
        return unlimited(difference)
    spread = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (positive, negative), strict=True))
    return t_limits(difference, math.sqrt(sum(parts)), sum(parts) ** 2 / spread, alpha)


def mean_limits(values: Floats, alpha: float) -> Limits:
    """The mean of 2 or more values with Student's t limits; infinite where all are equal."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return t_limits(mean, error, len(values) - 1, alpha) if error and np.ptp(values) else unlimited(mean)


def median_limits(values: Floats, alpha: float) -> Limits:
    """The median with limits by order statistics: exact for any distribution; +-inf where n cannot give one.

    The k-th smallest of n values lies above the median with probability P(Binomial(n, 1/2) < k).
    """
    ordered = np.sort(values)
    one, two = (_order_limits(ordered, tail) for tail in (alpha, 0.025))
    return Limits(float(np.median(ordered)) if len(ordered) else math.nan, *one, *two)


def _order_limits(ordered: Floats, tail: float) -> tuple[float, float]:
    """The innermost order statistics that leave at most `tail` outside on each side."""
    n, k, outside = len(ordered), 0, 0.0
    while k < n and (outside := outside + math.comb(n, k) / 2**n) <= tail:
        k += 1
    return (float(ordered[k - 1]), float(ordered[n - k])) if k else (-math.inf, math.inf)
