"""How far two readings of the same prompts through the same weights are apart: another batch, or another precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Mask
from harness.stats.fidelity import blocks_of_codes, fvu, value_of
from harness.stats.firing import token_of_entry

_ENOUGH = 5  # tokens that a feature must fire on in both readings, for its mean to be compared


@dataclass(frozen=True, slots=True)
class Noise:
    """What moves when nothing that a number should depend on does.

    flips: firings that are in one reading only, as a share of the mean number of firings. mean: how far a feature's
    mean activation moves, relative, the median feature. single: how far one token's activation moves where both fire,
    relative, 99th percentile. l0: how far the mean L0 moves, relative. fvu: how far the FVU moves, absolute.
    """

    flips: float
    mean: float
    single: float
    l0: float
    fvu: float

    def at_least(self, other: Noise) -> Noise:
        """The larger of both, figure by figure."""
        return Noise(*(max(getattr(self, name), getattr(other, name)) for name in Noise.__dataclass_fields__))


def noise_between(one: Codes, other: Codes, counted: Mask) -> Noise:
    """Between two readings of the same tokens. counted: [n_tokens] bool. ValueError where the tokens differ."""
    if not np.array_equal(one.token_id, other.token_id) or one.d_sae != other.d_sae:
        raise ValueError("two readings can only be compared token by token, through one SAE")
    a, b = _firings(one, counted), _firings(other, counted)
    both, at_a, at_b = np.intersect1d(a.key, b.key, assume_unique=True, return_indices=True)
    firings = (len(a.key) + len(b.key)) / 2
    x, y = a.value[at_a], b.value[at_b]
    return Noise(
        flips=_share(len(a.key) + len(b.key) - 2 * len(both), firings),
        mean=_of_means(both % one.d_sae, x, y),
        single=float(np.quantile(np.abs(x - y) / np.abs(x), 0.99)) if len(both) else 0.0,
        l0=_share(abs(len(a.key) - len(b.key)), len(a.key)),
        fvu=abs(_fvu(one, counted) - _fvu(other, counted)),
    )


@dataclass(frozen=True, slots=True)
class _Firings:
    """Every firing on a counted token: its key token * d_sae + feature, ascending, and its value."""

    key: NDArray[np.int64]
    value: NDArray[np.float64]


def _firings(codes: Codes, counted: Mask) -> _Firings:
    token = token_of_entry(codes)
    kept = counted[token] & (codes.value != 0)
    key = token[kept].astype(np.int64) * codes.d_sae + codes.index[kept]
    order = np.argsort(key)
    return _Firings(key[order], codes.value[kept][order].astype(np.float64))


def _of_means(feature: NDArray[np.int64], x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Over the tokens on which both readings fire; 0 where no feature fires on enough of them."""
    n = np.bincount(feature)
    first, second = np.bincount(feature, weights=x), np.bincount(feature, weights=y)
    kept = n >= _ENOUGH
    return float(np.median(np.abs(first[kept] - second[kept]) / np.abs(first[kept]))) if kept.any() else 0.0


def _fvu(codes: Codes, counted: Mask) -> float:
    return value_of(fvu, blocks_of_codes(codes, counted, np.arange(codes.n_prompts)))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
