"""Units: what a population claim counts as one independent piece of evidence. Which prompts these are is in
harness/independence.py; here they are numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Mask, Pooled

Units = NDArray[np.int64]
LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which prompts of a set are one unit.

    unit: [n] the unit of each prompt, -1 for none. rank: [n] a prompt stands for its unit where its rank is the lowest
    of those that can be used. whole: [n] True where all prompts of the unit count instead, as those of a template do.
    """

    unit: Units
    rank: Units
    whole: Mask

    @property
    def n(self) -> int:
        """The number of units."""
        return count_units(self.unit)

    def units(self, use: Mask | None = None) -> Units:
        """The unit of each prompt that counts, numbered from 0 in order of appearance, [n]; -1 for those that do not:
        near copies that another one stands for, and prompts that `use` leaves out."""
        usable = self.unit != LEFT_OUT if use is None else (self.unit != LEFT_OUT) & use
        stands = usable & (self.whole | _lowest_of_each(self.unit, self.rank, usable))
        return in_order_of_appearance(np.where(stands, self.unit, LEFT_OUT))


@dataclass(frozen=True, slots=True)
class Design:
    """How two sets are compared: which unit each prompt belongs to, -1 for a prompt that does not count.

    Units are numbered per side. frames: where both sides fill the same templates, the units are words, and these are
    the frames of the prompts of either side, [n_positive prompts] and [n_negative prompts], -1 where unit is -1; then
    there is one prompt for each word in each frame.
    """

    positive: Units
    negative: Units
    frames: tuple[Units, Units] | None = None

    @property
    def n_positive(self) -> int:
        return count_units(self.positive)

    @property
    def n_negative(self) -> int:
        return count_units(self.negative)

    @property
    def n(self) -> int:
        """Independent units in all, of both sides."""
        return self.n_positive + self.n_negative

    @property
    def unit(self) -> Units:
        """The unit of every prompt of both sides, those of `negative` numbered after the others; -1 stays."""
        after = np.where(self.negative == LEFT_OUT, LEFT_OUT, self.negative + self.n_positive)
        return np.concatenate([self.positive, after]).astype(np.int64)

    @property
    def n_frames(self) -> int:
        """The frames that all words fill; 0 where the units are not words in frames."""
        return 0 if self.frames is None else count_units(self.frames[0])

    @property
    def grouped(self) -> bool:
        """True where some unit has several prompts that count."""
        return len(kept(self.positive)) > self.n_positive or len(kept(self.negative)) > self.n_negative


def count_units(unit: Units) -> int:
    """The number of units among prompts that are not left out."""
    return len(np.unique(kept(unit)))


def kept(unit: Units) -> Units:
    """The unit numbers of the prompts that are not left out."""
    return np.asarray(unit[unit != LEFT_OUT], np.int64)


def in_order_of_appearance(unit: Units) -> Units:
    """The same units, numbered from 0 in order of appearance; -1 stays."""
    found, first, inverse = np.unique(unit, return_index=True, return_inverse=True)
    out = found == LEFT_OUT
    order = np.argsort(np.argsort(np.where(out, len(unit), first)))
    return np.asarray(np.where(out, LEFT_OUT, order)[inverse], np.int64)


def _lowest_of_each(unit: Units, rank: Units, usable: Mask) -> Mask:
    """True for the usable prompt with the lowest rank of each unit."""
    order = np.lexsort((rank, unit, ~usable))
    first = np.r_[True, unit[order][1:] != unit[order][:-1]] if len(order) else np.zeros(0, bool)
    lowest = np.zeros(len(unit), bool)
    lowest[order[first]] = True
    return np.asarray(lowest & usable)


def alone(n: int) -> Grouping:
    """Every one of n prompts a unit of its own."""
    each = np.arange(n, dtype=np.int64)
    return Grouping(each, each, np.zeros(n, bool))


def design_of(
    positive: Grouping, negative: Grouping, use_positive: Mask | None = None, use_negative: Mask | None = None
) -> Design:
    """Compare by unit, each side numbered for itself."""
    return Design(positive.units(use_positive), negative.units(use_negative))


@dataclass(frozen=True, slots=True)
class Filling:
    """How the prompts of one side fill templates that both sides share. word, frame, rank: [n]; -1 for no word."""

    word: Units
    frame: Units
    rank: Units


def design_of_words(
    positive: Filling, negative: Filling, use_positive: Mask | None = None, use_negative: Mask | None = None
) -> Design:
    """Compare by word: a prompt stands for each word in each frame; a word that lacks a frame is left out."""
    cells = [(side, _cells(side, use)) for side, use in ((positive, use_positive), (negative, use_negative))]
    frames = np.unique(np.concatenate([side.frame[cell] for side, cell in cells]))
    words, where = [], []
    for side, cell in cells:
        found, count = np.unique(side.word[cell], return_counts=True)
        full = cell & np.isin(side.word, found[count == len(frames)])
        words.append(in_order_of_appearance(np.where(full, side.word, LEFT_OUT)))
        where.append(np.where(full, np.searchsorted(frames, side.frame), LEFT_OUT).astype(np.int64))
    return Design(words[0], words[1], (where[0], where[1]))


def _cells(side: Filling, use: Mask | None) -> Mask:
    """One prompt for each word in each frame: the usable one of the lowest rank."""
    usable = side.word != LEFT_OUT if use is None else (side.word != LEFT_OUT) & use
    cell = side.word * (int(side.frame.max(initial=0)) + 1) + side.frame
    return _lowest_of_each(cell, side.rank, usable)


def by_unit(pooled: Pooled, unit: Units) -> Pooled:
    """One value per unit and feature: the mean of its prompts' values, silent prompts counting as 0.

    `lengths` become the units' mean counted lengths. Prompts with unit -1 are left out.
    """
    n = count_units(unit)
    if n == pooled.n_prompts and np.array_equal(unit, np.arange(n)):
        return pooled
    size = np.bincount(kept(unit), minlength=n)
    keep = unit[pooled.prompt] != LEFT_OUT
    key = pooled.features()[keep] * max(n, 1) + unit[pooled.prompt[keep]]
    found, inverse = np.unique(key, return_inverse=True)
    total = np.bincount(inverse, weights=pooled.value[keep], minlength=len(found))
    feature, row = np.divmod(found, max(n, 1))
    ptr = np.zeros(pooled.d_sae + 1, np.int64)
    np.cumsum(np.bincount(feature, minlength=pooled.d_sae), out=ptr[1:])
    lengths = np.bincount(kept(unit), weights=pooled.lengths[unit != LEFT_OUT], minlength=n) / np.maximum(size, 1)
    return Pooled(ptr, row.astype(np.int32), total / size[row], np.round(lengths).astype(np.int64))
