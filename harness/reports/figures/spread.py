"""Per-feature numbers of a census that several figures draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.census import NOTHING, Census
from harness.codes import Floats, Mask
from harness.stats.transfer.conditions import rates_of_all
from harness.stats.transfer.pairs import Misaligned, aligned_tokens, pair_sums


@dataclass(frozen=True, slots=True)
class Spread:
    """category: [d_sae] names; names: those of the method, in its order. mean, share: per condition, [d_sae]: mean over
    tokens, share of prompts fired on. jaccard, pearson: [d_sae] on aligned tokens, NaN where they cannot be said."""

    category: NDArray[np.str_]
    names: tuple[str, ...]
    mean: dict[str, Floats]
    share: dict[str, Floats]
    jaccard: Floats
    pearson: Floats
    prompts: dict[str, int]
    tokens: dict[str, int]

    @property
    def pictures(self) -> bool:
        """Whether pictures were read."""
        return "adapted_pictures" in self.mean

    @property
    def live(self) -> Mask:
        """Which features fire in some condition, [d_sae]."""
        fires: Mask = np.any([mean > 0 for mean in self.mean.values()], axis=0)
        return fires

    @property
    def live_in_text(self) -> Mask:
        """Which features fire on the text of either model, [d_sae]."""
        fires: Mask = (self.mean["base_text"] > 0) | (self.mean["adapted_text"] > 0)
        return fires

    def over(self, condition: str, of: str) -> Floats:
        """Mean in one condition over that in another, [d_sae], as the source notebook divides: nothing is 1e-6."""
        ratio: Floats = self.mean[condition] / (self.mean[of] + NOTHING)
        return ratio

    def by_category(self, values: Floats) -> dict[str, Floats]:
        """Finite values by category, categories without one left out."""
        kept = {name: values[(self.category == name) & np.isfinite(values)] for name in self.names}
        return {name: some for name, some in kept.items() if len(some)}


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
        names=tuple(census.categories),
        mean={name: strength.mean for name, strength in census.strength.items()},
        share={name: rates_of_all(side, 0.05, limits=False).share for name, side in census.sides.items()},
        jaccard=jaccard,
        pearson=pearson,
        prompts={name: one.prompts for name, one in census.conditions.items()},
        tokens={name: one.tokens for name, one in census.conditions.items()},
    )
