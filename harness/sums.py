"""Streaming sums over a corpus: what density and fidelity over many tokens need, in flat memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Part(IntEnum):
    """Which tokens of a block a row sums up: ordinary text, attention sinks among the text, special tokens."""

    ORDINARY = 0
    SINK = 1
    SPECIAL = 2


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over a corpus, in rows: each block's ordinary tokens, then its sinks and its special tokens if it has some.

    A block is a run of contexts in reading order, and the jackknife's unit. Padding is in no row. Rows are additive, so
    a counting policy is a choice of rows (`counting`), made when judging.

    Shapes: [n_rows] for part (Part), n (tokens), hh, rr, hr, ee, cosine (sum of cos(h, r)), norm_ratio (sum of
    |r|/|h|), l0 (sum of non-zero features); sum_h [n_rows, d_in]; fired [n_rows, d_sae] int32 or int64, the tokens on
    which each feature fires. All sums fp64.
    """

    part: NDArray[np.uint8]
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
        return int(np.count_nonzero(self.part == Part.ORDINARY))

    @property
    def n_tokens(self) -> int:
        """Ordinary tokens."""
        return int(self.n[self.part == Part.ORDINARY].sum())

    @property
    def n_sinks(self) -> int:
        return int(self.n[self.part == Part.SINK].sum())

    @property
    def d_in(self) -> int:
        return int(self.sum_h.shape[1])

    @property
    def d_sae(self) -> int:
        return int(self.fired.shape[1])

    def counting(self, *others: Part) -> Sums:
        """One row a block: its ordinary tokens, and those of these other parts."""
        rows = self._rows(np.isin(self.part, [Part.ORDINARY, *others]))
        if rows.n_blocks == len(rows.n):
            return rows
        first = np.flatnonzero(rows.part == Part.ORDINARY)
        merged = {name: np.add.reduceat(getattr(rows, name), first, axis=0) for name in _ADDITIVE}
        return Sums(part=rows.part[first], **merged)

    def without_empty_parts(self) -> Sums:
        """The rows that hold something; a block without ordinary tokens keeps its row."""
        return self._rows((self.part == Part.ORDINARY) | (self.n > 0))

    def _rows(self, kept: NDArray[np.bool_]) -> Sums:
        return self if kept.all() else replace(self, **{name: getattr(self, name)[kept] for name in _FIELDS})


_FIELDS = tuple(Sums.__dataclass_fields__)
_ADDITIVE = _FIELDS[1:]


def concat_sums(parts: Sequence[Sums]) -> Sums:
    """The blocks of several reads, in order."""
    return Sums(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in _FIELDS})
