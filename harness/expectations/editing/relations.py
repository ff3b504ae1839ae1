"""What an edit is claimed to do to a feature, held against two activations and their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats, Mask
from harness.expectations.noise import FLOAT32_RELATIVE, NOISES

Relation = Literal["keeps_firing", "stops_firing", "weaker", "stronger"]

# Half precision: 2.3 % of firings flip, all near the threshold; a feature's activation moves by up to 29 % (p99).
HALF_FLIPS = 0.023
_HALF_SINGLE = 0.29

WORDS: dict[Relation, tuple[str, str]] = {
    "keeps_firing": ("keeps firing", "does not keep firing"),
    "stops_firing": ("stops firing", "does not always stop firing"),
    "weaker": ("gets weaker", "does not always get weaker"),
    "stronger": ("gets stronger", "does not always get stronger"),
}


@dataclass(frozen=True, slots=True)
class Held:
    """How each example came out, one bool each, [n] or [n, d_sae].

    usable: the feature fires where the relation wants it to begin with. holds, violates: by more than the noise; what
    is usable and neither is too close to call.
    """

    usable: Mask
    holds: Mask
    violates: Mask


def held(relation: Relation, before: Floats, after: Floats, dtype: str) -> Held:
    """Activations of originals and of their edits, pooled, [n] or [n, d_sae]. NaN (no counted token) is not usable.

    keeps_firing and stops_firing ask whether the edit fires at all. In half precision the weakest NOISES * 2.3 % of a
    feature's firings may be flips, so only an activation above those shows that something fired. weaker and stronger
    compare: a difference counts over NOISES * 2e-7 of the larger one in float32, over 29 % of it in half precision.
    """
    before, after = np.abs(before), np.abs(after)  # a signed code that leaves 0 fires, and is weaker nearer to it
    known = np.isfinite(before) & np.isfinite(after)
    fires, still = known & (before != 0), known & (after != 0)
    if relation in ("keeps_firing", "stops_firing"):
        least = _least_sure(before, after, dtype)
        sure, surely_still = fires & (before > least), still & (after > least)
        if relation == "keeps_firing":
            return Held(fires, fires & still, sure & ~still)
        return Held(fires, fires & ~still, fires & surely_still)
    usable = fires if relation == "weaker" else fires | still
    change = np.where(known, after - before, 0.0) * (-1 if relation == "weaker" else 1)
    noise = _noise_of_one(np.fmax(before, after), dtype)
    return Held(usable, usable & (change > noise), usable & (change < -noise))


def most_too_close(dtype: str) -> float:
    """The share of examples that may be too close to call: as many as noise flips, none in float32."""
    return 0.0 if dtype == "float32" else NOISES * HALF_FLIPS


def _least_sure(before: Floats, after: Floats, dtype: str) -> Any:
    """The activation up to which a firing may be a flip, per feature; 0 in float32, where none flip."""
    if dtype == "float32":
        return 0.0
    both: NDArray[np.float64] = np.concatenate([before, after])
    ordered = np.sort(np.where(np.isfinite(both) & (both != 0), both, np.inf), axis=0)
    weak = np.floor(NOISES * HALF_FLIPS * np.isfinite(ordered).sum(axis=0)).astype(np.int64)
    found = np.take_along_axis(ordered, weak[None], axis=0)[0]
    return np.where(np.isfinite(found), found, 0.0)


def _noise_of_one(value: Floats, dtype: str) -> Floats:
    return value * (NOISES * FLOAT32_RELATIVE if dtype == "float32" else _HALF_SINGLE)
