"""Marks put elsewhere in their prompt: as many, each over as many tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Mask

Marks = tuple[tuple[int, int], ...]


def moved_marks(codes: Codes, counted: Mask, marks: Sequence[Marks], rng: np.random.Generator) -> list[Marks]:
    """New marks of each prompt (character offsets), every arrangement of its marked runs among its tokens as likely."""
    return [_moved(codes, np.flatnonzero(counted & (codes.prompt == row)), m, rng) for row, m in enumerate(marks)]


def _moved(codes: Codes, tokens: NDArray[np.int64], marks: Marks, rng: np.random.Generator) -> Marks:
    tokens = tokens[codes.start[tokens] >= 0]
    runs = [_run(codes, tokens, mark) for mark in marks]
    lengths = [len(run) for run in runs if len(run)]
    rest = len(tokens) - sum(lengths)
    blocks = rng.permutation(np.array([*lengths, *[0] * rest], np.int64))  # 0: an unmarked token
    first = np.cumsum(np.maximum(blocks, 1)) - np.maximum(blocks, 1)
    places = [(int(at), int(n)) for at, n in zip(first, blocks, strict=True) if n]
    return tuple((int(codes.start[tokens[at]]), int(codes.end[tokens[at + n - 1]])) for at, n in places)


def _run(codes: Codes, tokens: NDArray[np.int64], mark: tuple[int, int]) -> NDArray[np.int64]:
    """The tokens that a mark's characters overlap."""
    return tokens[(codes.start[tokens] < mark[1]) & (codes.end[tokens] > mark[0])]
