"""AUROC inside strata: whether two sides still differ among units that are alike in something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats
from harness.stats.intervals import newcombe_auroc

Ints = NDArray[np.int64]
_PER_DOUBLING = 8  # strata of lengths: two that share one differ by less than a tenth


@dataclass(frozen=True, slots=True)
class InStrata:
    """auroc: NaN without a common stratum. n_positive, n_negative: the units that are in strata with both sides."""

    auroc: float
    n_positive: int
    n_negative: int

    def lower(self, alpha: float) -> float:
        """The one-sided lower limit at 1 - alpha, by Newcombe's method from the units in common strata; 0 for none."""
        if not self.n_positive:
            return 0.0
        return newcombe_auroc(self.auroc, self.n_positive, self.n_negative, alpha)[0]

    def enough(self, fewest: int) -> bool:
        """Whether so many units of each side are in common strata."""
        return min(self.n_positive, self.n_negative) >= fewest


def auroc_of(positive: Floats, negative: Floats) -> float:
    """The share of pairs in which the positive is higher, ties half; NaN where a side is empty."""
    if not len(positive) or not len(negative):
        return float("nan")
    return float((np.sign(positive[:, None] - negative[None, :]) + 1).mean() / 2)


def auroc_in_strata(positive: Floats, negative: Floats, strata: tuple[Ints, Ints]) -> InStrata:
    """The mean of the AUROC inside each stratum that holds both sides, weighted by n_pos n_neg / (n_pos + n_neg).

    strata: [n_positive] and [n_negative]. Source of the weights: van Elteren (Bulletin of the International
    Statistical Institute 1960;37:351).
    """
    total = weights = 0.0
    used = [0, 0]
    for stratum in np.intersect1d(*strata):
        a, b = positive[strata[0] == stratum], negative[strata[1] == stratum]
        weight = len(a) * len(b) / (len(a) + len(b))
        total, weights = total + weight * auroc_of(a, b), weights + weight
        used = [used[0] + len(a), used[1] + len(b)]
    return InStrata(total / weights if weights else float("nan"), *used)


def length_strata(lengths: Floats) -> Ints:
    """The stratum of each length: equal up to ten tokens, above that within a tenth of one another."""
    return np.asarray(np.floor(_PER_DOUBLING * np.log2(np.maximum(lengths, 1))), np.int64)


def quantile_strata(positive: Floats, negative: Floats, parts: int = 5) -> tuple[Ints, Ints]:
    """Strata of a number by the quantiles of both sides together; few distinct values are a stratum each."""
    both = np.concatenate([positive, negative])
    distinct = np.unique(both)
    edges = distinct[1:] if len(distinct) <= parts else np.unique(np.quantile(both, np.arange(1, parts) / parts))
    sides = (np.searchsorted(edges, side, side="right").astype(np.int64) for side in (positive, negative))
    first, second = sides
    return first, second
