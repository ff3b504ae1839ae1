"""What sets one group of prompts off from another, for all features at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Pooled
from harness.stats.auroc import auroc_of_all

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Per feature, [d_sae]: mean activation (silence is 0) and firing rate of both sides, and AUROC."""

    pos_mean: Floats
    neg_mean: Floats
    pos_rate: Floats
    neg_rate: Floats
    auroc: Floats

    @property
    def mean_difference(self) -> Floats:
        """mean(positive) - mean(negative), what the source utilities rank by."""
        return self.pos_mean - self.neg_mean

    @property
    def rate_difference(self) -> Floats:
        return rate_gap(self.pos_rate, self.neg_rate)


def check_widths(positive: Pooled, negative: Pooled) -> None:
    """ValueError with both shapes where two codes come from SAEs of different widths."""
    if positive.d_sae != negative.d_sae:
        found = f"({positive.n_prompts}, {positive.d_sae}) and ({negative.n_prompts}, {negative.d_sae})"
        raise ValueError(f"the two codes differ in their number of features: {found}")


def contrast(positive: Pooled, negative: Pooled) -> Contrast:
    """Both sides' means and rates and the AUROC of every feature. Signed codes raise SignedCodes."""
    check_widths(positive, negative)
    return Contrast(
        pos_mean=mean_of_all(positive),
        neg_mean=mean_of_all(negative),
        pos_rate=rate_of_all(positive),
        neg_rate=rate_of_all(negative),
        auroc=auroc_of_all(positive, negative),
    )


def rate_gap(positive: Floats, negative: Floats) -> Floats:
    """positive - negative without the rounding noise that would break ties: 4/6 - 1/6 is 5/6 - 2/6."""
    return np.asarray(np.round(positive - negative, 12), np.float64)


def firing_of_all(pooled: Pooled) -> NDArray[np.int64]:
    """On how many prompts each feature fires (value != 0), [d_sae]."""
    return np.diff(pooled.ptr)


def rate_of_all(pooled: Pooled) -> Floats:
    """The share of prompts on which each feature fires, [d_sae]; NaN without prompts, never 0."""
    return firing_of_all(pooled) / pooled.n_prompts if pooled.n_prompts else np.full(pooled.d_sae, np.nan)


def mean_of_all(pooled: Pooled) -> Floats:
    """The mean over prompts of each feature's value, silent prompts as 0, [d_sae]; NaN without prompts."""
    total = np.bincount(pooled.features(), weights=pooled.value, minlength=pooled.d_sae)
    return total / pooled.n_prompts if pooled.n_prompts else np.full(pooled.d_sae, np.nan)
