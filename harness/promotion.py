"""What decoder directions promote: the tokens whose logits each raises most, read from the weights alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

# Every feature of a 16k SAE against 256k tokens would be 10 TFLOP; a share over 512 is known to 4 points.
SAMPLED = 512
SAMPLE = "sample"  # the row of the features that others are held against
KEPT = 40  # the most raised token ids of a feature: spaces and capitals make several of one word


@dataclass(frozen=True, slots=True)
class Promotions:
    """lists: feature -> its most raised tokens with what a unit of activation adds to their logits, strongest first.

    sampled: the features that were drawn for comparison, whatever they promote; d_sae: how many there are.
    """

    lists: Mapping[int, tuple[tuple[str, float], ...]]
    sampled: frozenset[int]
    d_sae: int


def sampled_features(d_sae: int) -> tuple[int, ...]:
    """The features of the sample: the same ones for every SAE of a width."""
    drawn = np.random.default_rng(0).permutation(d_sae)[:SAMPLED]
    return tuple(sorted(int(feature) for feature in drawn))


def joined(parts: Iterable[Promotions]) -> Promotions:
    """The lists of several rows of one SAE."""
    rows = list(parts)
    return Promotions(
        {feature: found for row in rows for feature, found in row.lists.items()},
        frozenset().union(*(row.sampled for row in rows)),
        rows[0].d_sae,
    )
