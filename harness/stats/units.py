"""Units: the prompt, or the template that several prompts share. A population claim counts these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Mask, Pooled

Units = NDArray[np.int64]
LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class Design:
    """How two sets are compared: which unit each prompt belongs to, -1 for a prompt that is left out.

    within: both sets share all their templates, so labels are permuted inside each template and a
    unit number means the same template on both sides; otherwise units are numbered per side.
    """

    positive: Units
    negative: Units
    within: bool

    @property
    def n_positive(self) -> int:
        return count_units(self.positive)

    @property
    def n_negative(self) -> int:
        return count_units(self.negative)

    @property
    def n(self) -> int:
        """Independent units in all: the templates where they are shared, else both sides' units."""
        return self.n_positive if self.within else self.n_positive + self.n_negative

    @property
    def grouped(self) -> bool:
        """True where some unit is a template of several prompts."""
        return len(kept(self.positive)) > self.n_positive or len(kept(self.negative)) > self.n_negative


def count_units(unit: Units) -> int:
    """The number of units among prompts that are not left out."""
    return len(np.unique(kept(unit)))


def kept(unit: Units) -> Units:
    """The unit numbers of the prompts that are not left out."""
    return np.asarray(unit[unit != LEFT_OUT], np.int64)


def units_of(groups: Sequence[str | None], use: Mask | None = None) -> Units:
    """The unit of each prompt, numbered from 0 in order of appearance, [n_prompts]; -1 where `use` is False.

    groups: the template of each prompt; None is a unit of its own.
    """
    if all(group is None for group in groups):  # the usual case, in one step
        each = np.arange(len(groups), dtype=np.int64) if use is None else np.cumsum(use, dtype=np.int64) - 1
        return each if use is None else np.where(use, each, LEFT_OUT)
    numbers: dict[object, int] = {}
    used = [True] * len(groups) if use is None else list(use)
    labels = [("own", i) if group is None else ("shared", group) for i, group in enumerate(groups)]
    return np.array(
        [numbers.setdefault(label, len(numbers)) if u else LEFT_OUT for label, u in zip(labels, used, strict=True)],
        np.int64,
    )


def design_of(
    positive: Sequence[str | None],
    negative: Sequence[str | None],
    use_positive: Mask | None = None,
    use_negative: Mask | None = None,
) -> Design:
    """Compare within templates where both sides have exactly the same ones, else by template."""
    a, b = units_of(positive, use_positive), units_of(negative, use_negative)
    in_a = {g for g, u in zip(positive, a, strict=True) if u != LEFT_OUT}
    in_b = {g for g, u in zip(negative, b, strict=True) if u != LEFT_OUT}
    if not in_a or in_a != in_b or None in in_a:
        return Design(a, b, within=False)
    joined = units_of([*positive, *negative], np.r_[a, b] != LEFT_OUT)
    return Design(joined[: len(a)], joined[len(a) :], within=True)


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
