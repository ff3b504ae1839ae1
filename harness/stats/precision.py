"""The precision of a detector on as many of each, TPR / (TPR + FPR), with score limits of the ratio itself."""

from __future__ import annotations

import math

from harness.stats.intervals import Limits

_STEPS = 60
_ROUNDING = 1e-9


def precision_limits(tpr: float, n_pos: int, fpr: float, n_neg: int, alpha: float) -> Limits:
    """TPR / (TPR + FPR) with Miettinen and Nurminen's score limits. NaN where nothing is detected.

    precision >= pi says the same as TPR / FPR >= pi / (1 - pi), so the limits are those of a ratio of two rates
    (Statistics in Medicine 1985;4:213). tpr, fpr: of n_pos and n_neg units; both may be fractional counts over n.
    A truth on the bound .8 is met in .00-.06 of claims at alpha .05, from 10 a side on (benchmarks/limits.py).
    """
    if not tpr and not fpr:
        return Limits(math.nan, 0.0, 1.0, 0.0, 1.0)
    one, two = (_limits(tpr, n_pos, fpr, n_neg, tail) for tail in (alpha, 0.025))
    return Limits(tpr / (tpr + fpr), *one, *two)


def precision_shown(tpr: float, n_pos: int, fpr: float, n_neg: int, least: float, tail: float) -> bool:
    """Whether the lower limit reaches `least`: the score statistic at `least` is z or more. No limits are computed."""
    return least <= 0 or (least < 1 and score_statistic(tpr, n_pos, fpr, n_neg, least) >= _quantile(tail) - _ROUNDING)


def score_statistic(tpr: float, n_pos: int, fpr: float, n_neg: int, precision: float) -> float:
    """How many standard errors TPR lies above what FPR and this precision make of it, with the errors at the truth.

    r = precision / (1 - precision); z = (TPR - r FPR) / sqrt(N / (N - 1) (t (1 - t) / n_pos + r^2 f (1 - f) / n_neg)),
    where t = r f are the likeliest rates in that ratio: f is the smaller root of a f^2 - b f + c, a = N r,
    b = n_pos r + k_pos + n_neg + k_neg r, c = k_pos + k_neg.
    """
    r, n = precision / (1 - precision), n_pos + n_neg
    k_pos, k_neg = tpr * n_pos, fpr * n_neg
    a, b, c = n * r, n_pos * r + k_pos + n_neg + k_neg * r, k_pos + k_neg
    f = min(1.0, max(0.0, (b - math.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)))
    t = min(1.0, r * f)
    variance = n / (n - 1) * (t * (1 - t) / n_pos + r * r * f * (1 - f) / n_neg)
    above = tpr - r * fpr
    if variance <= 0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def _limits(tpr: float, n_pos: int, fpr: float, n_neg: int, tail: float) -> tuple[float, float]:
    """The precisions at which the statistic, which falls as they rise, is z and -z."""
    z = _quantile(tail)
    low = 0.0 if not tpr else _crossing(tpr, n_pos, fpr, n_neg, z)
    high = 1.0 if not fpr else _crossing(tpr, n_pos, fpr, n_neg, -z)
    return low, high


def _crossing(tpr: float, n_pos: int, fpr: float, n_neg: int, z: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        above = score_statistic(tpr, n_pos, fpr, n_neg, middle) > z
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


def _quantile(tail: float) -> float:
    from scipy.special import ndtri

    return -float(ndtri(tail))
