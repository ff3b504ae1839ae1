"""Heavy tails: where a few prompts are so far from the rest that limits of a mean are too narrow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.results import short

HEAVY = 1.0
"""The skewness from which a tail is heavy: that of .84 or more of sets of 20 lognormal values of sigma 1."""


def heavy_tail(name: str, skew: float, bound: Bound, claim: Claim) -> Iterator[str]:
    """Yield a line where what each prompt says of a number is skewed to the side that its bound is on.

    The limits are widened by the skewness (stats/fidelity.py), which is not enough where the tail is long and the
    prompts are few (docs/statistics.md).
    """
    if claim.scope == "sample":
        return
    if (skew > HEAVY and np.isfinite(bound.high)) or (skew < -HEAVY and np.isfinite(bound.low)):
        yield (
            f"{name} has a heavy tail over the prompts (skewness {short(skew)}): a few of them decide it, and its "
            "bound may be met more often than alpha; more prompts help"
        )
