"""The tokens on which features are strongest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Mask
from harness.stats.firing import token_of_entry


@dataclass(frozen=True, slots=True)
class StrongestTokens:
    """Per feature its strongest distinct tokens: entries ptr[f]:ptr[f+1] of `type` and `value`, strongest first."""

    ptr: NDArray[np.int64]
    type: NDArray[np.int64]
    value: NDArray[np.float64]

    def of(self, feature: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        part = slice(self.ptr[feature], self.ptr[feature + 1])
        return self.type[part], self.value[part]


def strongest_tokens_of_all(codes: Codes, used: Mask, type_of_token: NDArray[np.int64], n: int) -> StrongestTokens:
    """The n distinct tokens with the highest maximum activation, for every feature; ties by the lower type.

    type_of_token: [n_tokens] a number for each distinct token text. Only values > 0 count.
    """
    token = token_of_entry(codes)
    keep = used[token] & (codes.value > 0)
    feature, kind = codes.index[keep].astype(np.int64), type_of_token[token[keep]]
    value = codes.value[keep].astype(np.float64)
    order = np.lexsort((-value, kind, feature))
    feature, kind, value = feature[order], kind[order], value[order]
    strongest = np.r_[True, (np.diff(feature) != 0) | (np.diff(kind) != 0)][: len(feature)]
    feature, kind, value = feature[strongest], kind[strongest], value[strongest]
    order = np.lexsort((kind, -value, feature))
    feature, kind, value = feature[order], kind[order], value[order]
    counts = np.bincount(feature, minlength=codes.d_sae)
    place = np.arange(len(feature)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < n
    ptr = np.r_[0, np.cumsum(np.minimum(counts, n))].astype(np.int64)
    return StrongestTokens(ptr, kind[kept], value[kept])


def share_of_all(strongest: StrongestTokens, matches: Mask) -> NDArray[np.float64]:
    """The share of each feature's strongest tokens that match, [d_sae]; NaN where none fires. matches: [n_types]."""
    hits = np.r_[0, np.cumsum(matches[strongest.type])]
    n = np.diff(strongest.ptr)
    with np.errstate(invalid="ignore"):
        return np.asarray((hits[strongest.ptr[1:]] - hits[strongest.ptr[:-1]]) / np.where(n, n, np.nan), np.float64)
