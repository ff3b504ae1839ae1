"""How well an SAE gives back what it reads: mse, fvu, cosine, norm ratio, L0; sums pooled over tokens, fp64.

h is an activation, r its reconstruction, both in R^d_in, over N counted tokens. Explained variance is 1 - fvu by
this formula only; other tools use four formulas under that name, and some of their mse scale with the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Kind, Mask
from harness.stats.firing import token_of_entry
from harness.stats.intervals import Limits, skewness, unlimited
from harness.stats.units import Units, count_units
from harness.sums import Sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Sums over the counted tokens of each block (a prompt, a template, a stretch of a corpus), [n_blocks].

    cosine: sum of h.r / |h||r|; norm_ratio: sum of |r| / |h|; l0: sum of non-zero features; sum_h: [n_blocks, d_in].
    """

    n: Floats
    hh: Floats
    ee: Floats
    cosine: Floats
    norm_ratio: Floats
    l0: Floats
    sum_h: Floats

    @property
    def d_in(self) -> int:
        return int(self.sum_h.shape[1])

    @property
    def n_blocks(self) -> int:
        return len(self.n)

    def total(self) -> Blocks:
        """All blocks as one."""
        return Blocks(*(getattr(self, name).sum(0, keepdims=True) for name in _FIELDS))

    def without_each(self) -> Blocks:
        """The sums with one block left out, for each block: the jackknife's samples."""
        return Blocks(*(getattr(self, name).sum(0, keepdims=True) - getattr(self, name) for name in _FIELDS))


_FIELDS = ("n", "hh", "ee", "cosine", "norm_ratio", "l0", "sum_h")
Metric = Callable[[Blocks], Floats]
Over = Literal["difference", "ratio"]


def mse(blocks: Blocks) -> Floats:
    """Mean over tokens and dimensions of (h - r)^2."""
    return blocks.ee / (blocks.n * blocks.d_in)


def fvu(blocks: Blocks) -> Floats:
    """sum |h - r|^2 / sum |h - mean h|^2, the mean per dimension over all counted tokens.

    The denominator is sum h.h - |sum h|^2 / N: exact sums, no second pass. NaN where all activations are equal.
    """
    around_mean = blocks.hh - (blocks.sum_h**2).sum(1) / blocks.n
    return blocks.ee / np.where(around_mean > 1e-12 * blocks.hh, around_mean, np.nan)


def cosine(blocks: Blocks) -> Floats:
    """Mean over tokens of cos(h, r)."""
    return blocks.cosine / blocks.n


def norm_ratio(blocks: Blocks) -> Floats:
    """Mean over tokens of |r| / |h|."""
    return blocks.norm_ratio / blocks.n


def l0(blocks: Blocks) -> Floats:
    """Mean over tokens of the number of non-zero features."""
    return blocks.l0 / blocks.n


def mse_of_mean(blocks: Blocks) -> Floats:
    """The mse of the rival that gives the mean activation for every token: the variance, mean over dimensions.

    Its fvu is 1. It has no SAE, so a bound that it meets says nothing about one.
    """
    around_mean: Floats = blocks.hh - (blocks.sum_h**2).sum(1) / blocks.n
    return around_mean / (blocks.n * blocks.d_in)


METRICS: dict[str, Metric] = {"mse": mse, "fvu": fvu, "cosine": cosine, "norm_ratio": norm_ratio, "l0": l0}
_POSITIVE = (mse, fvu, norm_ratio, l0)  # their limits are taken of the logarithm


def blocks_of_codes(codes: Codes, counted: Mask, unit: Units) -> Blocks:
    """The sums of each unit of prompts. A token whose reconstruction is 0 has cosine 0.

    counted: a choice of token kinds, with their sinks or without, as Codes.counted gives it: the sum of h is kept per
    prompt and kind, and for each sink.
    """
    n = count_units(unit)
    use = counted & (unit[codes.prompt] >= 0)
    block = unit[codes.prompt[use]]

    def total(values: Floats) -> Floats:
        return np.bincount(block, weights=values[use], minlength=n).astype(np.float64)

    kinds = np.isin(np.arange(len(Kind)), np.unique(codes.kind[counted & ~codes.sink]))
    sum_h = np.zeros((n, codes.d_in))
    np.add.at(sum_h, unit[unit >= 0], codes.sum_h[unit >= 0][:, kinds].sum(1))
    sinks = use[codes.sink]
    np.add.at(sum_h, unit[codes.prompt[codes.sink & use]], codes.sink_h[sinks])
    active = np.bincount(token_of_entry(codes), weights=codes.value != 0, minlength=codes.n_tokens).astype(np.float64)
    norm = np.sqrt(codes.hh * codes.rr)
    with np.errstate(divide="ignore", invalid="ignore"):
        cos = np.where((norm == 0) & (codes.hh > 0), 0.0, codes.hr / norm)
        ratio = np.sqrt(codes.rr / codes.hh)
    ones = np.ones(codes.n_tokens)
    return Blocks(total(ones), total(codes.hh), total(codes.ee), total(cos), total(ratio), total(active), sum_h)


def blocks_of_sums(sums: Sums) -> Blocks:
    """Streaming sums as blocks; blocks without a token are left out."""
    use = sums.n > 0
    n = sums.n[use].astype(np.float64)
    return Blocks(n, sums.hh[use], sums.ee[use], sums.cosine[use], sums.norm_ratio[use], sums.l0[use], sums.sum_h[use])


def value_of(metric: Metric, blocks: Blocks) -> float:
    """The metric over all blocks."""
    with np.errstate(invalid="ignore"):
        return float(metric(blocks.total())[0]) if blocks.n_blocks else math.nan


def jackknife(
    metric: Metric, blocks: Blocks, alpha: float, other: Blocks | None = None, by: Over = "difference"
) -> Limits:
    """The metric with limits from leaving out one block at a time; minus that of `other` or over it, block by block.

    `other`: the same blocks read through another subject. Fewer than 2 blocks give no limits (+-inf).
    """
    value, left_out = _with_left_out(metric, blocks, other, by)
    if blocks.n_blocks < 2:
        return unlimited(value)
    return jackknife_limits(value, left_out, alpha, metric in _POSITIVE and (other is None or by == "ratio"))


def tail_of(metric: Metric, blocks: Blocks, other: Blocks | None = None, by: Over = "difference") -> float:
    """The skewness of the jackknife's pseudo-values: over 1 a few blocks are far above the others, under -1 below."""
    value, left_out = _with_left_out(metric, blocks, other, by)
    return skewness(pseudo_values(value, left_out)) if blocks.n_blocks > 1 else 0.0


def _with_left_out(metric: Metric, blocks: Blocks, other: Blocks | None, by: Over) -> tuple[float, Floats]:
    """The number over all blocks, and without each, [n_blocks]."""
    value = value_of(metric, blocks)
    with np.errstate(invalid="ignore", divide="ignore"):  # without the only block that has tokens: 0 over 0
        left_out = metric(blocks.without_each())
        if other is not None:
            if other.n_blocks != blocks.n_blocks:
                raise ValueError(f"the two subjects have {blocks.n_blocks} and {other.n_blocks} blocks: not paired")
            value = float(_over(np.float64(value), np.float64(value_of(metric, other)), by))
            left_out = np.asarray(_over(left_out, metric(other.without_each()), by))
    return value, left_out


def _over(value: Any, other: Any, by: Over) -> Any:
    """A difference, or a ratio: NaN over 0."""
    if by not in get_args(Over):
        raise ValueError(f"by={by!r} is none of {', '.join(get_args(Over))}.")
    return value - other if by == "difference" else value / np.where(other == 0, np.nan, other)


def jackknife_limits(value: float, left_out: Floats, alpha: float, positive: bool = False) -> Limits:
    """t limits with n - 1 degrees of freedom, wider on the side of a heavy tail.

    se^2 = (n - 1) / n x sum (left_out - their mean)^2. On the side to which the pseudo-values are skewed by g the limit
    lies se (t + g (1 + 2 t^2) / (6 sqrt n)) away (Hall, Journal of the Royal Statistical Society B 1992;54:221), on the
    other se t.
    positive: distances are those of the logarithm, value x exp(-+ distance / value).
    """
    from scipy.special import stdtrit

    n = len(left_out)
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    skew = skewness(pseudo_values(value, left_out))

    def limit(sign: int, tail: float) -> float:
        t = float(stdtrit(n - 1, 1 - tail))
        away = sign * error * (t + max(sign * skew, 0.0) * (1 + 2 * t * t) / (6 * math.sqrt(n)))
        return value * math.exp(min(away / value, _MOST_LOG)) if positive and value > 0 else value + away

    return Limits(value, limit(-1, alpha), limit(1, alpha), limit(-1, 0.025), limit(1, 0.025))


_MOST_LOG = 700.0  # exp of more is no double


def pseudo_values(value: float, left_out: Floats) -> Floats:
    """What each block says of the number by itself: n x value - (n - 1) x left_out, [n_blocks]."""
    n = len(left_out)
    return np.asarray(n * value - (n - 1) * left_out, np.float64)


def ratio_limits(part: Floats, whole: Floats, alpha: float) -> Limits:
    """sum(part) / sum(whole) with jackknife limits over blocks (density: firing tokens over tokens)."""
    value = float(part.sum() / whole.sum()) if whole.sum() else math.nan
    if len(part) < 2:
        return unlimited(value)
    return jackknife_limits(value, _ratio_left_out(part, whole), alpha, positive=True)


def tail_of_ratio(part: Floats, whole: Floats) -> float:
    """tail_of for sum(part) / sum(whole)."""
    if len(part) < 2 or not whole.sum():
        return 0.0
    return skewness(pseudo_values(float(part.sum() / whole.sum()), _ratio_left_out(part, whole)))


def _ratio_left_out(part: Floats, whole: Floats) -> Floats:
    return np.asarray((part.sum() - part) / (whole.sum() - whole), np.float64)
