"""Features classified on the same tokens in both models: where each fires, in what pattern, and how strongly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats, Mask
from harness.stats.transfer.conditions import Condition, Rates, rates_of_all
from harness.stats.transfer.pairs import Scale
from harness.stats.transfer.pattern import Pattern
from harness.stats.transfer.sametexts import Batches, check_signs, compare_texts

ALIGNED_CLASSES = (
    "stable",
    "rescaled",
    "shifted",
    "between",
    "lost",
    "new_text",
    "new_vision",
    "indeterminate",
    "dead",
)


@dataclass(frozen=True, slots=True)
class AlignedRule:
    """What the classes ask for. limits False: shares and ratios stand for themselves (these prompts only).

    fires_above, silent_below: prompt firing rates on text. seen_above: the rate from which a feature fires on pictures.
    alike, unlike: (Jaccard, Pearson) from which two patterns are the same, and under which either makes them
    different. scale: the range of ratios that counts as no change.
    """

    fires_above: float = 0.2
    silent_below: float = 0.05
    seen_above: float = 0.2
    alike: tuple[float, float] = (0.6, 0.8)
    unlike: tuple[float, float] = (0.3, 0.5)
    scale: tuple[float, float] = (0.8, 1.25)
    alpha: float = 0.05
    limits: bool = True


CORPUS_RULE = AlignedRule(fires_above=0.01, silent_below=0.0025)
"""Of the sentences of a corpus. Nobody chose it for a feature, and in published SAEs most features fire on under one
token in a hundred, so that .2 of all sentences would leave out most. The two are as far apart as .2 and .05 are."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One condition's firing, per feature, [d_sae]: fires (surely), silent (surely), and the rates behind."""

    rates: Rates
    fires: Mask
    silent: Mask


@dataclass(frozen=True, slots=True)
class AlignedTransfer:
    """Per feature, [d_sae]: its class (index into ALIGNED_CLASSES) and what it rests on; n_pairs: tokens compared.

    alike, unlike: the pattern is surely the same, surely different. not_alike, not_unlike: surely not so; none of these
    where its limits lie on both sides. kept, moved: the scale is surely inside the range, surely outside.
    """

    classes: NDArray[np.int8]
    base: Firing
    adapted: Firing
    images: Firing | None
    pattern: Pattern
    overlap: Floats
    scale: Scale
    alike: Mask
    unlike: Mask
    not_alike: Mask
    not_unlike: Mask
    kept: Mask
    moved: Mask
    n_pairs: int

    @property
    def jaccard(self) -> Floats:
        return self.pattern.jaccard.value

    @property
    def pearson(self) -> Floats:
        return self.pattern.pearson.value


def aligned(
    base: Condition, adapted: Condition, images: Condition | None = None, rule: AlignedRule | None = None
) -> AlignedTransfer:
    """Class of every feature. `images`: the image tokens of the adapted model on pictures.

    stable: fires in both, alike, scale kept. rescaled: the same, scale moved. shifted: fires in both, unlike. between:
    fires in both, surely neither alike nor unlike. lost, new_text: fires in one, silent in the other. new_vision: fires
    on images, silent on the text of both. dead: fires nowhere here. Else indeterminate. Raises Misaligned where the
    tokens differ, SignedCodes for values under 0.
    """
    return aligned_in_batches(lambda: [(base, adapted)], images, rule)


def aligned_in_batches(
    batches: Batches, images: Condition | None = None, rule: AlignedRule | None = None
) -> AlignedTransfer:
    """The same of a text that is too long to hold: what `aligned` gives for all batches at once."""
    rule = rule or AlignedRule()
    check_signs(images)
    text = compare_texts(batches, rule.alpha, rule.limits)
    here, there = (_firing(rates, rule.fires_above, rule) for rates in (text.base, text.adapted))
    seen = None
    if images is not None:
        seen = _firing(rates_of_all(images, rule.alpha, rule.limits), rule.seen_above, rule)
    pattern, scale = text.pattern, text.scale
    with np.errstate(invalid="ignore"):
        alike, not_unlike = (_both_over(pattern, bounds, rule.alpha) for bounds in (rule.alike, rule.unlike))
        not_alike, unlike = (_either_under(pattern, bounds, rule.alpha) for bounds in (rule.alike, rule.unlike))
        low, high = (math.log(limit) for limit in rule.scale)
        kept = (scale.low >= low) & (scale.high <= high)
        moved = (scale.low > high) | (scale.high < low)
    return AlignedTransfer(
        classes=_classes(here, there, seen, (alike, unlike, not_alike & not_unlike), (kept, moved)),
        base=here,
        adapted=there,
        images=seen,
        pattern=pattern,
        overlap=text.overlap,
        scale=scale,
        alike=alike,
        unlike=unlike,
        not_alike=not_alike,
        not_unlike=not_unlike,
        kept=kept,
        moved=moved,
        n_pairs=text.n_pairs,
    )


def _both_over(pattern: Pattern, bounds: tuple[float, float], alpha: float) -> Mask:
    """Both measures surely reach their bounds: each at alpha, as both must (intersection-union)."""
    return np.asarray((pattern.jaccard.low(alpha) >= bounds[0]) & (pattern.pearson.low(alpha) >= bounds[1]))


def _either_under(pattern: Pattern, bounds: tuple[float, float], alpha: float) -> Mask:
    """One of the measures is surely under its bound: each at alpha / 2, as either would do (Bonferroni)."""
    return np.asarray((pattern.jaccard.high(alpha / 2) < bounds[0]) | (pattern.pearson.high(alpha / 2) < bounds[1]))


def _classes(
    here: Firing, there: Firing, seen: Firing | None, pattern: tuple[Mask, Mask, Mask], scale: tuple[Mask, Mask]
) -> NDArray[np.int8]:
    """No two of the conditions hold at once, so their order does not matter."""
    both, nowhere = here.fires & there.fires, np.zeros(len(here.fires), bool)
    (alike, unlike, between), (kept, moved) = pattern, scale
    anywhere = [one.rates.share > 0 for one in (here, there, seen) if one is not None]
    conditions = {
        "stable": both & alike & kept,
        "rescaled": both & alike & moved,
        "shifted": both & unlike,
        "between": both & between,
        "lost": here.fires & there.silent,
        "new_text": there.fires & here.silent,
        "new_vision": seen.fires & here.silent & there.silent if seen is not None else nowhere,
        "dead": ~np.any(anywhere, axis=0),
    }
    numbers = [ALIGNED_CLASSES.index(name) for name in conditions]
    rest = ALIGNED_CLASSES.index("indeterminate")
    return np.select(list(conditions.values()), numbers, rest).astype(np.int8)


def _firing(rates: Rates, above: float, rule: AlignedRule) -> Firing:
    with np.errstate(invalid="ignore"):
        return Firing(rates, rates.low >= above, (rates.share == 0) & (rates.high <= rule.silent_below))
