"""Power: how often a claim would be met if prompts like these were drawn again and again.

Exact for rates (binomial); for the AUROC of two sets by seeded draws, with replacement, from the observed units
(a bootstrap). It answers how many prompts a claim needs if the effect is what it looks like here; it never decides one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.stats.permutation import MOST_WORK, RankSum, normal_tail, null_distribution, rank_sum, stratified_p

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Sides = tuple[Floats, Floats]

DRAWS = 300
"""Standard error of a power of .8: .023."""
ENOUGH = 0.8
SURE = 100
_ROUNDING = 1e-12


@lru_cache(maxsize=65536)
def rate_power(rate: float, n: int, low: float, high: float, alpha: float) -> float:
    """The chance that k of n has its one-sided Clopper-Pearson limits inside [low, high], if `rate` is the true one.

    A side of the bound at -inf or inf is open. k decides as in intervals.rate_limits, so no limits are computed:
    the lower limit of k is at least `low` where P(Binomial(n, low) >= k) <= alpha, and its mirror.
    """
    from scipy.special import bdtr, bdtrc

    if n < 1:
        return 0.0
    k = np.arange(n + 1)
    inside = np.ones(n + 1, bool)
    if low > 0:
        inside &= np.where(k > 0, bdtrc(np.maximum(k - 1, 0), n, low), 1.0) <= alpha
    if high < 1:
        inside &= np.where(k < n, bdtr(np.minimum(k, n - 1), n, high), 1.0) <= alpha
    return float(_binomial(n, rate)[inside].sum())


def _binomial(n: int, rate: float) -> Floats:
    """P(k of n), k = 0 ... n."""
    from scipy.special import gammaln

    k = np.arange(n + 1)
    if rate <= 0 or rate >= 1:
        return np.asarray(k == (n if rate >= 1 else 0), np.float64)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(ways + k * np.log(rate) + (n - k) * np.log1p(-rate)), np.float64)


def auroc_power(
    positive: Floats, negative: Floats, n_positive: int, n_negative: int, low: float, alpha: float, draws: int = DRAWS
) -> float:
    """The share of draws of n_positive against n_negative units whose AUROC is at least `low`, with p <= alpha.

    positive, negative: the observed units' values, finite. The effect is looked at first, since p costs more.
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
    reached = auroc >= low - _ROUNDING
    counted = _work(ranks, both, n_positive) <= MOST_WORK
    normal = [_normally_significant(total, ranks, both, n_positive, level) for level in (alpha / SURE, alpha)]
    met = np.where(counted, normal[0], normal[1])
    close = [
        stratified_p([_rank_sum(int(total[i]), np.repeat(ranks[i], both[i]), n_positive)]).value <= alpha
        for i in np.flatnonzero(reached & ~met & counted)
    ]
    return (int((reached & met).sum()) + sum(close)) / draws


def within_power(strata: Sequence[Sides], n: int, low: float, alpha: float, draws: int = DRAWS) -> float:
    """The same for a mean of AUROCs inside strata (templates, prompts): n of the observed strata are drawn."""
    ranked = [rank_sum(a, b) for a, b in strata]
    auroc = np.array([(np.sign(a[:, None] - b[None, :]) + 1).mean() / 2 for a, b in strata])
    drawn = np.random.default_rng(0).integers(0, len(strata), (draws, n))
    reached = drawn[auroc[drawn].mean(1) >= low - _ROUNDING]
    return sum(_verdicts(ranked, reached, alpha)) / draws


def _verdicts(ranked: Sequence[RankSum], drawn: Ints, alpha: float) -> Iterator[bool]:
    """Of every draw of strata, [draws, n], whether its p is at most alpha; the clear ones by the normal shortcut."""
    tail = _tails(ranked, drawn.shape[1])
    moments = np.array([(s.observed, s.mean, s.variance) for s in ranked])
    work = np.array([s.work for s in ranked])
    for one in drawn:
        if normal_tail(*moments[one].sum(0)) <= alpha / SURE:
            yield True
        elif tail is None or work[one].sum() > MOST_WORK:
            yield stratified_p([ranked[i] for i in one]).value <= alpha
        else:
            yield tail(one) <= alpha


def _tails(ranked: Sequence[RankSum], n: int) -> Callable[[Ints], float] | None:
    """stratified_p of n drawn strata from the transforms of their null distributions, to about 1e-13.

    100 marked prompts of 60 tokens took 23 ms a draw by convolution, 1 ms so. None where the transforms would take
    more than 64 MB. The p of a verdict is never computed so: far out in the tail 1e-13 is too coarse.
    """
    nulls = [null_distribution(s.ranks, s.n_positive) for s in ranked] if _countable(ranked) else []
    longest = max(map(len, nulls), default=0)
    length = 1 << (n * longest).bit_length()
    if not nulls or len(nulls) * length * 8 > 2**26:
        return None
    spectra = np.array([np.fft.rfft(null, length) for null in nulls])

    def tail(one: Ints) -> float:
        product = np.ones(length // 2 + 1, np.complex128)
        for stratum in one:
            product *= spectra[stratum]
        return float(np.fft.irfft(product, length)[sum(ranked[i].observed for i in one) :].sum())

    return tail


def _countable(ranked: Sequence[RankSum]) -> bool:
    return all(s.work <= MOST_WORK for s in ranked)


def _rank_sum(total: int, ranks: Ints, n_positive: int) -> RankSum:
    """ranks: sorted doubled midranks of both sides; `total`: the positives' sum of them."""
    lowest = int(ranks[0])
    return RankSum(total - n_positive * lowest, tuple((ranks - lowest).tolist()), n_positive)


def _work(ranks: Ints, both: Ints, n_positive: int) -> Ints:
    """RankSum.work of every draw, [draws]: both[i, j] units of rank ranks[i, j], ascending in j."""
    lowest = np.argmax(both > 0, axis=1)[:, None]
    firing, shifted = both.copy(), ranks - np.take_along_axis(ranks, lowest, axis=1)
    firing[shifted <= 0] = 0
    n = firing.sum(1)
    chosen = np.minimum(n, n_positive)
    above = n[:, None] - np.cumsum(firing, axis=1)  # how many are stronger than those of each rank
    taken = np.clip(chosen[:, None] - above, 0, firing)
    return np.asarray(n * chosen * (taken * shifted).sum(1), np.int64)


def _normally_significant(total: Ints, ranks: Ints, both: Ints, n_positive: int, level: float) -> NDArray[np.bool_]:
    """Where the normal approximation says that p is at most `level`, [draws]; False where a draw has no spread.

    Where it says alpha / SURE, counting changes nothing and costs most: 24 v 24 took 260 ms a power with counting only
    (interp_tests/test_stats_power.py counts such draws both ways). Beyond MOST_WORK it is what decides a verdict.
    """
    from scipy.special import ndtri

    n = int(both[0].sum())
    mean = (both * ranks).sum(1) / n
    spread = (both * (ranks - mean[:, None]) ** 2).sum(1) / n
    error = np.sqrt(n_positive * (n - n_positive) * spread / (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (total - n_positive * mean - 1) / error  # half a rank's continuity correction, as in permutation.py
    return np.asarray((spread > 0) & (z >= -float(ndtri(level))))
