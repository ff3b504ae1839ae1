"""How near the activations themselves are in two models, before any SAE reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats
from harness.stats.transfer.pairs import Pairs


def residual_cosines(base: NDArray[Any], adapted: NDArray[Any], pairs: Pairs) -> Floats:
    """cos(h, h') of every pair of tokens, [n_pairs] fp64; NaN where a vector is 0.

    base, adapted: [n_tokens, d_in], aligned with the tokens of each subject's codes. ValueError where d_in differs.
    """
    if base.shape[1] != adapted.shape[1]:
        raise ValueError(f"activations of {base.shape[1]} and {adapted.shape[1]} dimensions have no cosine")
    h, other = base[pairs.base].astype(np.float64), adapted[pairs.adapted].astype(np.float64)
    norms = np.sqrt((h * h).sum(1) * (other * other).sum(1))
    dots = (h * other).sum(1)
    cosines: Floats = np.divide(dots, norms, out=np.full(len(dots), np.nan), where=norms > 0)
    return cosines
