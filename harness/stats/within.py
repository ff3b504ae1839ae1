"""Marked against unmarked tokens inside each prompt. A marked span is one unit: its strongest token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Mask, Pooled
from harness.stats.auroc import auroc_within_all
from harness.stats.permutation import P, rank_sum, stratified_p
from harness.stats.units import LEFT_OUT, Units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Marks = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Marked:
    """Units of prompts that have both marked and unmarked counted tokens.

    value: one row per unit. marked: [n_units]. stratum: [n_units] the prompt's number among the usable ones, -1
    for units of other prompts. prompt: [n_strata] the row of each usable prompt. unit: [n_tokens], -1 uncounted.
    after: [n_spans] the token that follows each marked span of a usable prompt, where it is counted and unmarked.
    template: [n_strata] the template of each usable prompt, numbered from 0.
    """

    value: Pooled
    marked: Mask
    stratum: Ints
    prompt: Ints
    unit: Ints
    after: Ints
    template: Ints

    @property
    def n(self) -> int:
        """Independent units: prompts, or templates where prompts share them."""
        return len(np.unique(self.template))

    def auroc_of_all(self) -> Floats:
        """Mean over prompts (inside a template first) of the AUROC of marked against unmarked units, [d_sae]."""
        share = 1 / (np.bincount(self.template)[self.template] * max(self.n, 1)) if self.n else None
        return auroc_within_all(self.value, self.marked, self.stratum, len(self.prompt), share)

    def p(self, feature: int) -> P:
        """Exact one-sided p, labels permuted inside each prompt.

        Prompts of one template fire at the same places, so one of them stands for all: that of the lowest AUROC.
        """
        return stratified_p([rank_sum(*sides) for sides in self.standing_for_templates(feature)])

    def standing_for_templates(self, feature: int) -> list[tuple[Floats, Floats]]:
        """Values on the marked and the unmarked units of one prompt of each template: that of the lowest AUROC."""
        auroc, sides = self.auroc_by_prompt(feature), self._sides(feature)
        worst = [min(np.flatnonzero(self.template == t), key=lambda s: auroc[s]) for t in range(self.n)]
        return [sides[s] for s in worst]

    def auroc_by_prompt(self, feature: int) -> Floats:
        """One feature's AUROC inside each usable prompt, [n_strata]."""
        return np.array([(np.sign(a[:, None] - b[None, :]) + 1).mean() / 2 for a, b in self._sides(feature)])

    def auroc_by_template(self, feature: int) -> Floats:
        """One feature's mean AUROC inside the prompts of each template, [n]; what is claimed is their mean."""
        return np.bincount(self.template, self.auroc_by_prompt(feature)) / np.bincount(self.template)

    def _sides(self, feature: int) -> list[tuple[Floats, Floats]]:
        """The feature's values on the marked and the unmarked units of each usable prompt."""
        value = self.value.column(feature)
        inside = [self.stratum == s for s in range(len(self.prompt))]
        return [(value[i & self.marked], value[i & ~self.marked]) for i in inside]

    def firing_after(self, feature: int) -> tuple[int, int]:
        """(tokens right after a marked span on which the feature fires, such tokens)."""
        value = self.value.column(feature)[self.unit[self.after]]
        return int(np.count_nonzero(value)), len(self.after)

    def firing(self, feature: int, marked: bool) -> tuple[int, int]:
        """(units on which the feature fires, units), marked or unmarked, of the usable prompts."""
        these = (self.stratum >= 0) & (self.marked == marked)
        return int(np.count_nonzero(self.value.column(feature)[these])), int(these.sum())


def marked_tokens(codes: Codes, marks: Sequence[Marks]) -> Ints:
    """The number of the marked span that each token overlaps, over all prompts, [n_tokens]; -1 for none.

    marks: per prompt, (start, end) character offsets. Tokens without offsets (start -1) are unmarked.
    """
    span = np.full(codes.n_tokens, -1, np.int64)
    number = 0
    for prompt, spans in enumerate(marks):
        tokens = np.flatnonzero((codes.prompt == prompt) & (codes.start >= 0))
        for start, end in spans:
            span[tokens[(codes.start[tokens] < end) & (codes.end[tokens] > start)]] = number
            number += 1
    return span


def marked_units(codes: Codes, counted: Mask, marks: Sequence[Marks], template: Units | None = None) -> Marked:
    """Every counted token a unit, but one for all tokens of a marked span. template: [n_prompts], each its own
    unless given, -1 for a prompt that does not count."""
    span = np.where(counted, marked_tokens(codes, marks), -1)
    label = np.where(span >= 0, span, codes.n_tokens + np.arange(codes.n_tokens))
    _, first, inverse = np.unique(label[counted], return_index=True, return_inverse=True)
    unit = np.full(codes.n_tokens, -1, np.int64)
    unit[counted] = inverse
    marked = span[counted][first] >= 0
    prompt_of_unit = codes.prompt[counted][first]
    both = [np.bincount(prompt_of_unit[side], minlength=codes.n_prompts) > 0 for side in (marked, ~marked)]
    stands = True if template is None else template != LEFT_OUT
    usable = np.flatnonzero(both[0] & both[1] & stands)
    stratum_of_prompt = np.full(codes.n_prompts, -1, np.int64)
    stratum_of_prompt[usable] = np.arange(len(usable))
    stratum = stratum_of_prompt[prompt_of_unit]
    value = _strongest(codes, counted, unit, len(marked))
    after = _following(codes, span, counted, stratum_of_prompt)
    shared = usable if template is None else template[usable]
    return Marked(value, marked, stratum, usable, unit, after, np.unique(shared, return_inverse=True)[1])


def _strongest(codes: Codes, counted: Mask, unit: Ints, n_units: int) -> Pooled:
    """Max over each unit's tokens: the pooling of prompts, with units in their place."""
    as_prompts = replace(codes, prompt=unit.astype(np.int32), sum_h=np.zeros((n_units, 1, 1)))
    return as_prompts.pooled(counted, "max")


def _following(codes: Codes, span: Ints, counted: Mask, stratum_of_prompt: Ints) -> Ints:
    last = np.flatnonzero((span >= 0) & np.r_[span[1:] != span[:-1], True])
    after = last[last + 1 < codes.n_tokens] + 1
    same = codes.prompt[after] == codes.prompt[after - 1]
    usable = stratum_of_prompt[codes.prompt[after]] >= 0
    return np.asarray(after[same & usable & counted[after] & (span[after] < 0)], np.int64)
