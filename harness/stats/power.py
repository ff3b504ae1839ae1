"""Power: how often a claim would be met if prompts like these were drawn again and again.

Exact for rates (binomial); for the AUROC of two sets by seeded draws, with replacement, from the observed units
(a bootstrap). It answers how many prompts a claim needs if the effect is what it looks like here; it never decides one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.stats.intervals import auroc_needed, rate_inside

Floats = NDArray[np.float64]

DRAWS = 300
"""Standard error of a power of .8: .023."""
ENOUGH = 0.8
_ROUNDING = 1e-12


@lru_cache(maxsize=65536)
def rate_power(rate: float, n: int, low: float, high: float, alpha: float) -> float:
    """The chance that k of n has its one-sided Clopper-Pearson limits inside [low, high], if `rate` is the true one.

    A side of the bound at -inf or inf is open.
    """
    if n < 1:
        return 0.0
    return float(_binomial(n, rate)[rate_inside(np.arange(n + 1.0), n, low, high, alpha)].sum())


def _binomial(n: int, rate: float) -> Floats:
    """P(k of n), k = 0 ... n."""
    from scipy.special import gammaln

    k = np.arange(n + 1)
    if rate <= 0 or rate >= 1:
        return np.asarray(k == (n if rate >= 1 else 0), np.float64)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(ways + k * np.log(rate) + (n - k) * np.log1p(-rate)), np.float64)


def auroc_power(
    positive: Floats,
    negative: Floats,
    n_positive: int,
    n_negative: int,
    low: float,
    high: float,
    alpha: float,
    draws: int = DRAWS,
) -> float:
    """The share of draws of n_positive against n_negative units whose one-sided Newcombe limits lie in [low, high].

    positive, negative: the observed units' values, finite. A side of the bound at -inf or inf is open.
    """
    values = np.unique(np.concatenate([positive, negative]))
    rng = np.random.default_rng(0)
    a, b = (
        rng.multinomial(n, np.bincount(np.searchsorted(values, side), minlength=len(values)) / len(side), draws)
        for side, n in ((positive, n_positive), (negative, n_negative))
    )
    both = a + b
    ranks = 2 * np.cumsum(both, axis=1) - both + 1  # doubled midranks, as in permutation.py
    total = (a * ranks).sum(1)
    auroc = (total / 2 - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    least, most = auroc_needed(low, high, n_positive, n_negative, alpha)
    return float(np.mean((auroc >= least - _ROUNDING) & (auroc <= most + _ROUNDING)))


def mean_power(values: Floats, n: int, low: float, high: float, alpha: float, draws: int = DRAWS) -> float:
    """The same for the mean of numbers in [0, 1] (the AUROC inside each template, or prompt): n of those observed are
    drawn, and the limits of their mean must lie in [low, high]."""
    drawn = np.random.default_rng(0).integers(0, len(values), (draws, n))
    return float(np.mean(rate_inside(np.minimum(values[drawn].sum(1), n), n, low, high, alpha)))
