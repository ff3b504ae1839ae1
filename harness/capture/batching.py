"""In which shape a prompt is computed: always the same one on a device, whatever else was selected.

Matrix products of another shape may sum in another order, and near a threshold that flips a firing.
So lengths come from a fixed table, a batch of one length always has the same rows, and a short batch is
filled with repeats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# Tokens in one batch. Small on a CPU, where one edited prompt costs a whole batch and matrix products of this size
# keep the cores busy (Gemma 3 270M to layer 9, 2 cores, 16 rows of 16 tokens: .19 s).
CPU_TOKENS = 256
GPU_TOKENS_BY_GIB = ((60, 16_384), (30, 8_192), (0, 2_048))
SHORTEST = 16  # the shortest power of two


@dataclass(slots=True)
class Shapes:
    """The table of one device. `halve` is what running out of memory does to it; `halvings` records how often."""

    tokens: int
    halvings: int = 0
    _used: dict[int, int] = field(default_factory=dict)

    @classmethod
    def for_memory(cls, gpu_gib: float | None) -> Shapes:
        """By the device's whole memory, not by what is free at the moment; None for a CPU."""
        if gpu_gib is None:
            return cls(CPU_TOKENS)
        return cls(next(tokens for gib, tokens in GPU_TOKENS_BY_GIB if gpu_gib >= gib))

    def length(self, n_tokens: int) -> int:
        """The bucket of a prompt: 12, 16, 24, 32, 48, 64, ...: beyond 12 tokens less than a third is padding."""
        longer = max(SHORTEST, 1 << (n_tokens - 1).bit_length())
        between = longer * 3 // 4
        return between if n_tokens <= between else longer

    def rows(self, length: int) -> int:
        """How many prompts of a bucket make a batch."""
        self._used[length] = max(1, self.tokens // length)
        return self._used[length]

    def halve(self) -> None:
        self.tokens = max(SHORTEST, self.tokens // 2)
        self.halvings += 1

    def table(self) -> dict[str, int]:
        """length -> rows of the buckets used so far, for the record."""
        return {str(length): self.rows(length) for length in sorted(self._used)}


def by_length(
    lengths: Sequence[int], shapes: Shapes, longest: int | None = None, switch: int | None = None
) -> dict[int, list[int]]:
    """bucket -> indices of the prompts in it, in order, shortest bucket first.

    longest: the model's positions, at which the last bucket ends: padding beyond them is an index out of range.
    switch: the length at which the model changes its rotary frequencies (longrope): a text that fits is not padded
    beyond it, or it would be read with those of long texts.
    """
    buckets: dict[int, list[int]] = defaultdict(list)
    for i, n in enumerate(lengths):
        length = shapes.length(n)
        if switch is not None and n <= switch < length:
            length = switch
        buckets[length if longest is None else max(n, min(length, longest))].append(i)
    return dict(sorted(buckets.items()))


def filled(indices: Sequence[int], rows: int) -> list[int]:
    """Exactly `rows` indices: a short batch goes on with its own first ones."""
    return [indices[i % len(indices)] for i in range(rows)]


def cut(indices: Sequence[int], rows: int) -> Iterator[Sequence[int]]:
    """Parts of at most `rows` indices."""
    for at in range(0, len(indices), rows):
        yield indices[at : at + rows]
