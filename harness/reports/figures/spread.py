"""Per-feature numbers of a census that several figures draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.census import Census
from harness.codes import Floats
from harness.stats.transfer.conditions import rates_of_all
from harness.stats.transfer.pairs import Misaligned, aligned_tokens, pair_sums


@dataclass(frozen=True, slots=True)
class Spread:
    """category: [d_sae] names. mean, share: per condition, [d_sae]: mean over tokens, share of prompts fired on.
    jaccard, pearson: [d_sae] on aligned tokens, NaN where they cannot be said."""

    category: NDArray[np.str_]
    mean: dict[str, Floats]
    share: dict[str, Floats]
    jaccard: Floats
    pearson: Floats
    prompts: dict[str, int]
    tokens: dict[str, int]

    @property
    def in_one(self) -> int:
        """How many features fire on the text of one model and not of the other."""
        return int(((self.mean["base_text"] > 0) != (self.mean["adapted_text"] > 0)).sum())

    @property
    def log_ratio(self) -> Floats:
        """log2 of the mean on adapted text over that on the base's, NaN where one is silent."""
        a, b = self.mean["base_text"], self.mean["adapted_text"]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((a > 0) & (b > 0), np.log2(b / a), np.nan)


def spread_of(census: Census) -> Spread:
    """The numbers behind the figures, by either method."""
    d_sae = len(census.strength["base_text"].mean)
    category = np.full(d_sae, "", dtype="<U16")
    for name, features in census.categories.items():
        category[list(features)] = name
    base, adapted = census.sides["base_text"], census.sides["adapted_text"]
    unknown = np.full(d_sae, np.nan)
    try:
        sums = pair_sums(base, adapted, aligned_tokens(base, adapted))
        jaccard, pearson = sums.jaccard(), sums.pearson()
    except Misaligned:  # the method of means compares models that read other tokens, too
        jaccard, pearson = unknown, unknown
    return Spread(
        category=category,
        mean={name: strength.mean for name, strength in census.strength.items()},
        share={name: rates_of_all(side, 0.05, limits=False).share for name, side in census.sides.items()},
        jaccard=jaccard,
        pearson=pearson,
        prompts={name: one.prompts for name, one in census.conditions.items()},
        tokens={name: one.tokens for name, one in census.conditions.items()},
    )
