"""What an edit is claimed to do to a feature, held against two activations and their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats, Mask
from harness.expectations.noise import FLOAT32_RELATIVE, NOISES
from harness.stats.noise import Noise

Relation = Literal["keeps_firing", "stops_firing", "weaker", "stronger"]

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


def held(relation: Relation, before: Floats, after: Floats, noise: Noise) -> Held:
    """Activations of originals and of their edits, pooled, [n] or [n, d_sae]. NaN (no counted token) is not usable.

    keeps_firing and stops_firing ask whether the edit fires at all. Where firings flip, the weakest NOISES * flips of a
    feature's may be flips, so only an activation above those shows that something fired. weaker and stronger
    compare: a difference counts over what 99 % of single activations move by, NOISES times it where none flips.
    """
    before, after = np.abs(before), np.abs(after)  # a signed code that leaves 0 fires, and is weaker nearer to it
    known = np.isfinite(before) & np.isfinite(after)
    fires, still = known & (before != 0), known & (after != 0)
    if relation in ("keeps_firing", "stops_firing"):
        least = _least_sure(before, after, noise)
        sure, surely_still = fires & (before > least), still & (after > least)
        if relation == "keeps_firing":
            return Held(fires, fires & still, sure & ~still)
        return Held(fires, fires & ~still, fires & surely_still)
    usable = fires if relation == "weaker" else fires | still
    change = np.where(known, after - before, 0.0) * (-1 if relation == "weaker" else 1)
    share = max(noise.single, FLOAT32_RELATIVE) * (NOISES if noise.flips == 0 else 1)
    least = share * np.fmax(before, after)
    return Held(usable, usable & (change > least), usable & (change < -least))


def most_too_close(noise: Noise) -> float:
    """The share of examples that may be too close to call: as many as noise flips."""
    return NOISES * noise.flips


def _least_sure(before: Floats, after: Floats, noise: Noise) -> Any:
    """The activation up to which a firing may be a flip, per feature; 0 where none flip."""
    if noise.flips == 0:
        return 0.0
    both: NDArray[np.float64] = np.concatenate([before, after])
    ordered = np.sort(np.where(np.isfinite(both) & (both != 0), both, np.inf), axis=0)
    weak = np.floor(NOISES * noise.flips * np.isfinite(ordered).sum(axis=0)).astype(np.int64)
    found = np.take_along_axis(ordered, weak[None], axis=0)[0]
    return np.where(np.isfinite(found), found, 0.0)
