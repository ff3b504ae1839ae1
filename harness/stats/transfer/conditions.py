"""One model on one set of prompts, as transfer compares them: which tokens count, and which prompts are one unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.codes import Codes, Floats, Mask
from harness.stats.firing import token_of_entry
from harness.stats.units import LEFT_OUT, Grouping, Units, alone, by_unit, count_units, in_order_of_appearance


@dataclass(frozen=True, slots=True)
class Condition:
    """codes of one subject on some prompts; counted: [n_tokens]; unit: [n_prompts], -1 for prompts left out."""

    codes: Codes
    counted: Mask
    unit: Units

    @property
    def n_units(self) -> int:
        return count_units(self.unit)

    @property
    def n_tokens(self) -> int:
        return int(self.counted.sum())


def part_of(codes: Codes, counted: Mask, unit: Units) -> Condition:
    """Some prompts of a condition: unit says which of them count, each by itself; -1 for those that do not. One
    without a counted token is left out."""
    has_tokens = np.bincount(codes.prompt[counted], minlength=codes.n_prompts) > 0
    kept = in_order_of_appearance(np.where(has_tokens, unit, LEFT_OUT))
    return Condition(codes, counted & (kept[codes.prompt] != LEFT_OUT), kept)


@dataclass(frozen=True, slots=True)
class Strength:
    """Per feature, [d_sae]: mean and max over counted tokens (silence is 0), and on how many of them it fires."""

    mean: Floats
    max: Floats
    firing: Floats


@dataclass(frozen=True, slots=True)
class Rates:
    """Per feature, [d_sae]: the share of n units on which it fires, with one-sided limits at 1 - alpha."""

    share: Floats
    low: Floats
    high: Floats
    n: int


def condition(codes: Codes, counted: Mask, grouping: Grouping | None = None) -> Condition:
    """A condition whose prompts without a counted token are left out, and near copies of another one. grouping: which
    prompts are one unit; each its own unless given."""
    has_tokens = np.bincount(codes.prompt[counted], minlength=codes.n_prompts) > 0
    return part_of(codes, counted, (alone(codes.n_prompts) if grouping is None else grouping).units(has_tokens))


def strength_of_all(one: Condition) -> Strength:
    """Every feature's mean and max over the counted tokens; NaN without tokens, never 0."""
    use = one.counted[token_of_entry(one.codes)]
    index, value = one.codes.index[use], one.codes.value[use].astype(np.float64)
    d_sae = one.codes.d_sae
    top = np.zeros(d_sae)
    np.maximum.at(top, index, value)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, weights=value, minlength=d_sae) / (one.n_tokens or np.nan)
    return Strength(mean, top, np.bincount(index[value != 0], minlength=d_sae).astype(np.float64))


def rates_of_all(one: Condition, alpha: float, limits: bool = True) -> Rates:
    """On which share of units each feature fires. limits False: the share stands for its own limits."""
    return rates_of_counts(firing_units(one), one.n_units, alpha, limits)


def firing_units(one: Condition) -> Floats:
    """On how many units each feature fires, [d_sae]; a template that fires on part of its prompts counts in part.

    Additive over conditions that share no unit.
    """
    fires = by_unit(one.codes.pooled(one.counted, "any"), one.unit)
    return np.bincount(fires.features(), weights=fires.value, minlength=fires.d_sae).astype(np.float64)


def rates_of_counts(k: Floats, n: int, alpha: float, limits: bool = True) -> Rates:
    """The shares k of n with their limits (Clopper-Pearson); NaN where n is 0."""
    share = k / n if n else np.full(len(k), np.nan)
    if not limits or not n:
        return Rates(share, share, share, n)
    counts, where = np.unique(np.clip(np.round(k, 9), 0, n), return_inverse=True)
    low, high = clopper_pearson_of_all(counts, n, alpha)
    return Rates(share, low[where], high[where], n)


def clopper_pearson_of_all(k: Floats, n: int | Floats, tail: float) -> tuple[Floats, Floats]:
    """stats.intervals.clopper_pearson over an array of counts, which need not be whole."""
    from scipy.special import betaincinv

    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, betaincinv(np.where(k > 0, k, 1), n - k + 1, tail), 0.0)
        high = np.where(k < n, betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - tail), 1.0)
    return np.asarray(low, np.float64), np.asarray(high, np.float64)
