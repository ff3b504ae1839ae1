"""What can be said of codes before any statistic: are they finite, is anything alive, what fires where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Mask


def token_of_entry(codes: Codes) -> NDArray[np.int64]:
    """The token of each kept value, [nnz]."""
    return np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr))


def not_finite_tokens(codes: Codes, counted: Mask) -> NDArray[np.int64]:
    """The counted tokens with a NaN or infinite code or activation norm, ascending.

    The norms are looked at too: a jumprelu turns a NaN activation into plain silence (NaN > threshold is False).
    """
    bad = ~(np.isfinite(codes.hh) & np.isfinite(codes.rr) & np.isfinite(codes.ee))
    bad[token_of_entry(codes)[~np.isfinite(codes.value)]] = True
    return np.flatnonzero(bad & counted)


def live_of_all(codes: Codes, counted: Mask) -> Mask:
    """Which features fire (value != 0) on at least one counted token, [d_sae] bool."""
    fires = counted[token_of_entry(codes)] & (codes.value != 0)
    return np.bincount(codes.index[fires], minlength=codes.d_sae) > 0


def tokens_firing_of_all(codes: Codes, counted: Mask) -> NDArray[np.int64]:
    """On how many counted tokens each feature fires, [d_sae]."""
    fires = counted[token_of_entry(codes)] & (codes.value != 0)
    return np.bincount(codes.index[fires], minlength=codes.d_sae)
