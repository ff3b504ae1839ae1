"""AUROC of all features at once: the chance that a positive's activation exceeds a negative's, ties half.

Only firing values are sorted; all silent prompts of a feature tie at 0, below every firing value. This
needs activations >= 0, so signed codes are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Pooled
from harness.stats.units import LEFT_OUT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class SignedCodes(ValueError):
    """Codes with values below 0 (abstopk, raw top-k): silence is then not the lowest value."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The firing values of two sides in order of key, then value; a key is a feature, or a feature in a stratum.

    row: [K] which unit a value is from, positives first. tie: [T] where each run of equal values starts.
    first: [F] where each key starts, as an index into `tie`. keys: [F] the keys that fire at all.
    """

    row: Ints
    tie: Ints
    first: Ints
    keys: Ints


def in_order(key: Ints, value: Floats, row: Ints) -> Ordered:
    """Sort firing values; raises SignedCodes below 0."""
    if len(value) and value.min() < 0:
        raise SignedCodes("AUROC from sparse codes needs activations of 0 or more; these codes are signed")
    order = np.lexsort((value, key))
    key, value, row = key[order], value[order], row[order]
    new_key = np.r_[True, key[1:] != key[:-1]] if len(key) else np.zeros(0, bool)
    new_tie = new_key | np.r_[True, value[1:] != value[:-1]] if len(key) else new_key
    tie = np.flatnonzero(new_tie)
    return Ordered(row, tie, np.flatnonzero(new_key[tie]), key[new_key])


def u_of_keys(ordered: Ordered, w_pos: Floats, w_neg: Floats, n_pos: Floats, n_neg: Floats) -> Floats:
    """Mann-Whitney's U of every key, ties half, [R, F] for R weightings.

    w_pos, w_neg: [R, rows] how often each row counts on each side; n_pos, n_neg: [R, F] or broadcastable,
    the total weight of each side per key, silent rows included.
    """
    if not len(ordered.tie):
        return np.zeros((len(w_pos), 0))
    pos = np.add.reduceat(w_pos[:, ordered.row], ordered.tie, axis=1)
    neg = np.add.reduceat(w_neg[:, ordered.row], ordered.tie, axis=1)
    lower = np.cumsum(neg, axis=1) - neg
    spread = np.diff(np.r_[ordered.first, len(ordered.tie)])
    silent_neg = n_neg - np.add.reduceat(neg, ordered.first, axis=1)
    silent_pos = n_pos - np.add.reduceat(pos, ordered.first, axis=1)
    below = lower - np.repeat(lower[:, ordered.first], spread, axis=1) + np.repeat(silent_neg, spread, axis=1)
    firing = np.add.reduceat(pos * (below + 0.5 * neg), ordered.first, axis=1)
    result: Floats = firing + 0.5 * silent_pos * silent_neg
    return result


def auroc_of_all(positive: Pooled, negative: Pooled) -> Floats:
    """AUROC of every feature, [d_sae]; .5 where it fires on neither side, NaN where a side is empty."""
    ones = np.ones((1, positive.n_prompts)), np.ones((1, negative.n_prompts))
    return np.asarray(weighted_auroc_of_all(positive, negative, *ones)[0])


def weighted_auroc_of_all(
    positive: Pooled, negative: Pooled, w_pos: Floats, w_neg: Floats, ordered: Ordered | None = None
) -> Floats:
    """AUROC of every feature under R weightings of the rows (bootstrap counts), [R, d_sae].

    ordered: what `joined` gives for these sides, where a caller weighs them again and again.
    """
    n_pos, n_neg = w_pos.sum(1, keepdims=True), w_neg.sum(1, keepdims=True)
    if not positive.n_prompts or not negative.n_prompts:
        return np.full((len(w_pos), positive.d_sae), np.nan)
    ordered = ordered or joined(positive, negative)
    out = np.full((len(w_pos), positive.d_sae), 0.5)
    pad_pos, pad_neg = np.zeros_like(w_neg), np.zeros_like(w_pos)
    u = u_of_keys(ordered, np.hstack([w_pos, pad_pos]), np.hstack([pad_neg, w_neg]), n_pos, n_neg)
    out[:, ordered.keys] = u / (n_pos * n_neg)
    return out


def joined(positive: Pooled, negative: Pooled) -> Ordered:
    """Both sides' firing values in order, keyed by feature; rows of `negative` follow those of `positive`."""
    if positive.d_sae != negative.d_sae:
        raise ValueError(f"codes of different widths: {positive.d_sae} and {negative.d_sae} features")
    key = np.concatenate([positive.features(), negative.features()])
    row = np.concatenate([positive.prompt, negative.prompt + positive.n_prompts]).astype(np.int64)
    return in_order(key, np.concatenate([positive.value, negative.value]), row)


def auroc_within_all(
    pooled: Pooled, is_positive: NDArray[np.bool_], stratum: Ints, n_strata: int, share: Floats | None = None
) -> Floats:
    """Mean over strata of the AUROC inside each, for every feature, [d_sae]; silence in a stratum gives .5.

    pooled: rows of both sides together; is_positive, stratum: [rows], stratum -1 for rows left out. Every
    stratum must hold both sides. share: [n_strata] what each adds to the mean, sum 1; equal unless given.
    """
    if not n_strata:
        return np.full(pooled.d_sae, np.nan)
    side = np.stack([is_positive, ~is_positive]) & (stratum != LEFT_OUT)
    n_pos, n_neg = (np.bincount(stratum[s], minlength=n_strata).astype(float) for s in side)
    if (n_pos == 0).any() or (n_neg == 0).any():
        raise ValueError("every stratum needs rows of both sides")
    keep = stratum[pooled.prompt] != LEFT_OUT
    key = pooled.features()[keep] * n_strata + stratum[pooled.prompt[keep]]
    ordered = in_order(key, pooled.value[keep], pooled.prompt[keep].astype(np.int64))
    feature, where = np.divmod(ordered.keys, n_strata)
    weights = side.astype(float)[:, None, :]
    u = u_of_keys(ordered, weights[0], weights[1], n_pos[where], n_neg[where])[0]
    shares = np.full(n_strata, 1 / n_strata) if share is None else share
    gain = (u / (n_pos[where] * n_neg[where]) - 0.5) * shares[where]
    return np.asarray(0.5 + np.bincount(feature, weights=gain, minlength=pooled.d_sae), np.float64)


def stacked(first: Pooled, second: Pooled) -> Pooled:
    """The rows of two sets as one, those of `second` after those of `first`."""
    feature = np.concatenate([first.features(), second.features()])
    row = np.concatenate([first.prompt, second.prompt + first.n_prompts]).astype(np.int32)
    value = np.concatenate([first.value, second.value])
    order = np.lexsort((row, feature))
    ptr = first.ptr + second.ptr
    return Pooled(ptr, row[order], value[order], np.concatenate([first.lengths, second.lengths]))
