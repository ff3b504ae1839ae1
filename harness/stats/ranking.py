"""Where a feature ranks: among the features of a prompt, and among those that set two sets off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.codes import Pooled
from harness.stats.auroc import Ordered, joined, weighted_auroc_of_all
from harness.stats.contrast import rate_gap

Floats = NDArray[np.float64]
RankBy = Literal["auroc", "mean", "rate"]
AT_ONCE = 10


def firing_as_one(pooled: Pooled) -> Pooled:
    """1 where a feature fires, so that means become firing rates."""
    return Pooled(pooled.ptr, pooled.prompt, np.ones(len(pooled.value)), pooled.lengths)


def ranks_in_prompts(pooled: Pooled) -> Floats:
    """The rank of each kept value among the features of its prompt, [nnz], 1 the strongest; ties share the mean."""
    order = np.lexsort((-pooled.value, pooled.prompt))
    prompt, value = pooled.prompt[order], pooled.value[order]
    new_prompt = np.r_[True, prompt[1:] != prompt[:-1]] if len(order) else np.zeros(0, bool)
    tie = np.flatnonzero(new_prompt | np.r_[True, value[1:] != value[:-1]]) if len(order) else np.zeros(0, np.int64)
    begins = np.maximum.accumulate(np.where(new_prompt, np.arange(len(order)), 0))
    size = np.diff(np.r_[tie, len(order)])
    place = np.repeat(tie + (size + 1) / 2, size) - begins
    ranks = np.empty(len(order))
    ranks[order] = place
    return ranks


def among_strongest(pooled: Pooled, n: int) -> Pooled:
    """1 on the prompts where a feature is among the n strongest, nothing elsewhere."""
    keep = ranks_in_prompts(pooled) <= n
    ptr = np.r_[0, np.cumsum(keep)][pooled.ptr]
    return Pooled(ptr.astype(np.int64), pooled.prompt[keep], np.ones(int(keep.sum())), pooled.lengths)


def ranks_of(score: Floats) -> Floats:
    """The rank of every feature by score, 1 the highest; ties share their mean rank, NaN comes last."""
    clean = np.where(np.isnan(score), -np.inf, score)
    _, inverse, count = np.unique(-clean, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(count) - (count - 1) / 2)[inverse]
    return ranks


def scores_of_all(
    positive: Pooled, negative: Pooled, by: RankBy, w_pos: Floats, w_neg: Floats, ordered: Ordered | None = None
) -> Floats:
    """What ranks the features under R weightings of the rows, [R, d_sae]: AUROC, or the difference of weighted
    means (silence as 0) or of weighted firing rates."""
    if by == "auroc":
        return weighted_auroc_of_all(positive, negative, w_pos, w_neg, ordered)
    if by == "rate":
        ones = firing_as_one(positive), firing_as_one(negative)
        return rate_gap(_weighted_means(ones[0], w_pos), _weighted_means(ones[1], w_neg))
    if by != "mean":
        raise ValueError(f"by={by!r} is none of {', '.join(get_args(RankBy))}.")
    return _weighted_means(positive, w_pos) - _weighted_means(negative, w_neg)


def _weighted_means(pooled: Pooled, weights: Floats) -> Floats:
    """[R, d_sae] from [R, n_prompts] weights."""
    sums = np.add.accumulate(np.c_[np.zeros(len(weights)), weights[:, pooled.prompt] * pooled.value], axis=1)
    means: Floats = (sums[:, pooled.ptr[1:]] - sums[:, pooled.ptr[:-1]]) / weights.sum(1, keepdims=True)
    return means


def share_among_top(positive: Pooled, negative: Pooled, by: RankBy, top: int, resamples: int, seed: int = 0) -> Floats:
    """In which share of seeded resamples of the rows each feature ranks among the `top`, [d_sae].

    Rows are drawn with replacement, as many as there are, on each side for itself.
    """
    seen = np.zeros(positive.d_sae)
    ordered = joined(positive, negative) if by == "auroc" else None  # a third of the time, when each batch sorted anew
    for w_pos, w_neg in _resampled(positive.n_prompts, negative.n_prompts, resamples, seed):
        for score in scores_of_all(positive, negative, by, w_pos, w_neg, ordered):
            seen += ranks_of(score) <= top
    return seen / resamples


def share_among_strongest(pooled: Pooled, top: int, resamples: int, seed: int = 0) -> Floats:
    """In which share of seeded resamples of the rows the mean of each feature ranks among the `top`, [d_sae]."""
    n = pooled.n_prompts
    if not n:
        return np.full(pooled.d_sae, np.nan)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples).astype(np.float64)
    seen = np.zeros(pooled.d_sae)
    for start in range(0, resamples, AT_ONCE):
        means = _weighted_means(pooled, drawn[start : start + AT_ONCE])
        seen += ((means > 0) & _among_highest(means, top)).sum(0)
    return seen / resamples


def _among_highest(score: Floats, top: int) -> NDArray[np.bool_]:
    """ranks_of(row) <= top for each row of [R, d_sae], by the top-th value and its ties instead of a whole sort."""
    k = min(top, score.shape[1])
    last = np.partition(score, -k, axis=1)[:, -k, None]
    above, ties = score > last, score == last
    fits = above.sum(1, keepdims=True) + (ties.sum(1, keepdims=True) + 1) / 2 <= top
    return np.asarray(above | (ties & fits))


def _resampled(n_pos: int, n_neg: int, resamples: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """How often each row is drawn, [<= AT_ONCE, n] for both sides."""
    rng = np.random.default_rng(seed)
    pos = rng.multinomial(n_pos, np.full(n_pos, 1 / n_pos), resamples).astype(np.float64)
    neg = rng.multinomial(n_neg, np.full(n_neg, 1 / n_neg), resamples).astype(np.float64)
    for start in range(0, resamples, AT_ONCE):
        yield pos[start : start + AT_ONCE], neg[start : start + AT_ONCE]
