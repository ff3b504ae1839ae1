"""The same texts in two models, compared batch by batch: what a corpus of any length needs, in the memory of one batch.

Counts and sums over pairs of activations are additive. What needs them first (the jackknife, squared distances from a
mean) is taken in a second pass over the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.codes import Floats
from harness.stats.auroc import SignedCodes
from harness.stats.transfer.conditions import Condition, Rates, firing_units, rates_of_counts
from harness.stats.transfer.pairs import (
    Ints,
    Misaligned,
    Pairs,
    PairSums,
    Scale,
    aligned_tokens,
    log_ratios,
    pair_sums,
    squares_of_values,
    t_limits,
)
from harness.stats.transfer.pattern import Jackknife, Pattern, without_limits

Batches = Callable[[], Iterable[tuple[Condition, Condition]]]
"""Gives the same texts each time, in batches of (base, adapted); a unit lies in one batch whole."""


@dataclass(frozen=True, slots=True)
class SameTexts:
    """What both models do on the same tokens, per feature; n_pairs: tokens compared, n_units: their units."""

    base: Rates
    adapted: Rates
    pattern: Pattern
    overlap: Floats
    scale: Scale
    n_pairs: int
    n_units: int


@dataclass(slots=True)
class _Totals:
    """Sums over the batches so far: firing units of both models, pairs, and log ratios with their number."""

    firing: tuple[Floats, Floats]
    sums: PairSums
    n_logs: Ints
    logs: Floats
    n_units: int = 0

    def add(self, base: Condition, adapted: Condition, pairs: Pairs) -> None:
        d_sae, (feature, value) = len(self.logs), log_ratios(base, adapted, pairs)
        self.firing = self.firing[0] + firing_units(base), self.firing[1] + firing_units(adapted)
        self.sums = self.sums + pair_sums(base, adapted, pairs)
        self.n_logs = self.n_logs + np.bincount(feature, minlength=d_sae)
        self.logs = self.logs + np.bincount(feature, weights=value, minlength=d_sae)
        self.n_units += base.n_units


def compare_texts(batches: Batches, alpha: float, limits: bool = True) -> SameTexts:
    """Compare every feature on the same texts. limits False: shares and measures stand for themselves, in one pass.

    Raises ValueError without a batch, Misaligned where the two models read other tokens, SignedCodes for values
    under 0.
    """
    totals = _summed(batches)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(totals.n_logs > 0, totals.logs / totals.n_logs, np.nan)
    squares = np.zeros(len(mean))
    pattern = without_limits(totals.sums)
    if limits:
        jackknife = Jackknife(totals.sums, totals.n_units)
        for base, adapted, pairs in _paired(batches):
            jackknife.add(base, adapted, pairs)
            squares += squares_of_values(*log_ratios(base, adapted, pairs), mean)
        pattern = jackknife.pattern()
    here, there = (rates_of_counts(k, totals.n_units, alpha, limits) for k in totals.firing)
    return SameTexts(
        base=here,
        adapted=there,
        pattern=pattern,
        overlap=totals.sums.overlap(),
        scale=t_limits(totals.n_logs, mean, squares, alpha, limits),
        n_pairs=int(totals.sums.n),
        n_units=totals.n_units,
    )


def _summed(batches: Batches) -> _Totals:
    totals: _Totals | None = None
    for base, adapted, pairs in _paired(batches):
        if totals is None:
            d_sae = base.codes.d_sae
            nothing = np.zeros(d_sae), np.zeros(d_sae)
            totals = _Totals(nothing, PairSums.zero(d_sae), np.zeros(d_sae, np.int64), np.zeros(d_sae))
        totals.add(base, adapted, pairs)
    if totals is None:
        raise ValueError("no texts to compare two models on")
    return totals


def _paired(batches: Batches) -> Iterator[tuple[Condition, Condition, Pairs]]:
    """Each batch with its aligned tokens; a place that differs is told by its row among all batches."""
    before = 0
    for base, adapted in batches():
        check_signs(base, adapted)
        try:
            pairs = aligned_tokens(base, adapted)
        except Misaligned as found:
            raise Misaligned(before + found.prompt, found.place, found.tokens) from None
        yield base, adapted, pairs
        before += base.codes.n_prompts


def check_signs(*conditions: Condition | None) -> None:
    """Silence must be the lowest value, and a ratio of activations must have a logarithm."""
    for one in conditions:
        if one is not None and len(one.codes.value) and one.codes.value.min() < 0:
            raise SignedCodes("transfer is judged on activations of 0 or more; these codes are signed")
