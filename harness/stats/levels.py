"""How strong features are, for all of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.codes import Pooled

Floats = NDArray[np.float64]


def median_firing_of_all(pooled: Pooled) -> Floats:
    """The median of each feature's values where it fires, [d_sae]; NaN where it fires nowhere."""
    feature = pooled.features()
    value = pooled.value[np.lexsort((pooled.value, feature))]
    n = np.diff(pooled.ptr)
    out = np.full(pooled.d_sae, np.nan)
    alive = n > 0
    first = pooled.ptr[:-1][alive]
    out[alive] = (value[first + (n[alive] - 1) // 2] + value[first + n[alive] // 2]) / 2
    return out


def max_of_all(pooled: Pooled) -> Floats:
    """The largest value of each feature where it fires, [d_sae]; 0 where it fires nowhere."""
    out = np.zeros(pooled.d_sae)
    alive = np.diff(pooled.ptr) > 0
    if alive.any():
        out[alive] = np.maximum.reduceat(pooled.value, pooled.ptr[:-1][alive])
    return out


def excess_over(pooled: Pooled, ordinary: Floats) -> Pooled:
    """By how much each value exceeds its feature's ordinary one, [d_sae]; nothing where it does not."""
    above = pooled.value - ordinary[pooled.features()]
    keep = above > 0
    ptr = np.r_[0, np.cumsum(keep)][pooled.ptr].astype(np.int64)
    return Pooled(ptr, pooled.prompt[keep], above[keep], pooled.lengths)


def detected(pooled: Pooled, threshold: Floats) -> Pooled:
    """1 where a feature's value exceeds its threshold, nothing elsewhere; threshold >= 0, [d_sae]."""
    keep = pooled.value > threshold[pooled.features()]
    ptr = np.r_[0, np.cumsum(keep)][pooled.ptr].astype(np.int64)
    return Pooled(ptr, pooled.prompt[keep], np.ones(int(keep.sum())), pooled.lengths)
