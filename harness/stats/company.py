"""What keeps a feature company: features that fire on its tokens, and features whose decoder direction is near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Floats, Mask
from harness.stats.firing import token_of_entry


def jaccard_with(codes: Codes, counted: Mask, feature: int) -> Floats:
    """Of the counted tokens on which `feature` or another fires, the share on which both do, [d_sae]; 0 for silence.

    Jaccard's index rather than the share of the feature's own tokens, which every dense feature would lead.
    """
    token = token_of_entry(codes)
    kept = counted[token] & (codes.value != 0)
    mine = np.zeros(codes.n_tokens, bool)
    mine[token[kept & (codes.index == feature)]] = True
    fires = np.bincount(codes.index[kept], minlength=codes.d_sae)
    both = np.bincount(codes.index[kept & mine[token]], minlength=codes.d_sae)
    either = fires + int(mine.sum()) - both
    found: Floats = np.divide(both, either, out=np.zeros(codes.d_sae), where=either > 0)
    return found


def cosines_with(decoder: NDArray[np.float32], features: Sequence[int]) -> Floats:
    """Cosines of some rows of a decoder, [d_sae, d_in], with all, [n_features, d_sae]; 0 with a row of zeros."""
    length = np.linalg.norm(decoder, axis=1)
    unit = np.divide(decoder, length[:, None], out=np.zeros_like(decoder), where=length[:, None] > 0)
    found: Floats = (unit[list(features)] @ unit.T).astype(np.float64)
    return found
