"""Streaming sums over a corpus: what density and fidelity over many tokens need, in flat memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over counted tokens (text, no specials, no padding), by block of contexts, in reading order.

    Shapes: [n_blocks] for n (tokens), hh, rr, hr, ee, cosine (sum of cos(h, r)), norm_ratio (sum of
    |r|/|h|), l0 (sum of non-zero features); sum_h [n_blocks, d_in]; fired [n_blocks, d_sae] int32 or int64,
    the tokens on which each feature fires. All sums fp64. A block is the jackknife's unit.
    """

    n: NDArray[np.int64]
    hh: Floats
    rr: Floats
    hr: Floats
    ee: Floats
    cosine: Floats
    norm_ratio: Floats
    l0: Floats
    sum_h: Floats
    fired: NDArray[np.signedinteger]

    @property
    def n_blocks(self) -> int:
        return len(self.n)

    @property
    def n_tokens(self) -> int:
        return int(self.n.sum())

    @property
    def d_in(self) -> int:
        return int(self.sum_h.shape[1])

    @property
    def d_sae(self) -> int:
        return int(self.fired.shape[1])


def concat_sums(parts: Sequence[Sums]) -> Sums:
    """The blocks of several reads, in order."""
    names = ("n", "hh", "rr", "hr", "ee", "cosine", "norm_ratio", "l0", "sum_h", "fired")
    return Sums(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})
