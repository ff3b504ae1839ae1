"""Units of several prompts in a comparison: each enters with one score, and its exact p is counted over the units.

A score never mixes values: a group enters by the mean of its placements (the mean of its values rejects 25-42 % of true
nulls of fires_more, docs/statistics.md), a word by its midranks summed over frames. Whatever the scores are, dealing
them to the two sides in all ways is an exact test of whether the labels matter.
"""

from __future__ import annotations

import numpy as np

from harness.codes import Floats, Pooled
from harness.stats.auroc import auroc_within_all, stacked, weighted_auroc_of_all
from harness.stats.permutation import MOST_WORK, P, RankSum, doubled_midranks, stratified_p
from harness.stats.units import LEFT_OUT, Design, Units, kept

_FINEST = 16  # steps of a placement of one unit


def auroc_of_units(positive: Pooled, negative: Pooled, design: Design) -> Floats:
    """AUROC of every feature over units of several prompts, [d_sae].

    Words in frames: the mean over frames of the AUROC inside each. Groups: the mean over pairs of units of the share
    of their prompts' pairs that are in order.
    """
    if design.frames is not None:
        side = np.arange(positive.n_prompts + negative.n_prompts) < positive.n_prompts
        return auroc_within_all(stacked(positive, negative), side, np.concatenate(design.frames), design.n_frames)
    mine, others = weights_of(design.positive)[None, :], weights_of(design.negative)[None, :]
    return np.asarray(weighted_auroc_of_all(positive, negative, mine, others)[0])


def weights_of(unit: Units) -> Floats:
    """What each prompt adds to its unit, [n]: 1 over the unit's prompts, 0 for a prompt that is left out."""
    size = np.bincount(kept(unit), minlength=1)
    return np.where(unit == LEFT_OUT, 0.0, 1 / np.maximum(size, 1)[np.maximum(unit, 0)])


def scores_of(positive: Floats, negative: Floats, design: Design) -> tuple[Floats, Floats]:
    """Each unit's score on both sides, [n_positive] and [n_negative], from one feature's value on every prompt.

    Words in frames: their doubled midranks among all words of a frame, summed over frames. Groups: the mean over their
    prompts of the weight of all prompts that lie under, ties half, doubled.
    """
    value, unit = np.r_[positive, negative], design.unit
    score = np.zeros(design.n)
    if design.frames is not None:
        frame = np.concatenate(design.frames)
        for one in range(design.n_frames):
            inside = frame == one
            score[unit[inside]] += doubled_midranks(value[inside])
    else:
        weight = np.r_[weights_of(design.positive), weights_of(design.negative)]
        placed = _doubled_placements(value, weight)[unit != LEFT_OUT]
        np.add.at(score, kept(unit), placed)
    return score[: design.n_positive], score[design.n_positive :]


def _doubled_placements(value: Floats, weight: Floats) -> Floats:
    """Twice each prompt's weight times the weight of all that lies under it, what ties with it counted half."""
    _, inverse = np.unique(value, return_inverse=True)
    tied = np.bincount(inverse, weights=weight)
    return np.asarray(weight * (2 * np.cumsum(tied) - tied)[inverse], np.float64)


def score_sum(positive: Floats, negative: Floats) -> RankSum:
    """Scores of units as a rank sum: whole numbers, as fine as their exact distribution can be counted.

    Rounding changes the statistic a little and never its validity: the null is that of the rounded scores.
    """
    both = np.r_[positive, negative]
    if not len(positive) or not len(negative):
        raise ValueError("a score sum needs units on both sides")
    if np.array_equal(both, np.rint(both)):
        return _rank_sum(both, 1, len(positive))
    steps = _FINEST
    while steps > 1 and _rank_sum(both, steps, len(positive)).work > MOST_WORK:
        steps //= 2
    return _rank_sum(both, steps, len(positive))


def _rank_sum(scores: Floats, steps: int, n_positive: int) -> RankSum:
    whole = np.rint((scores - scores.min()) * steps).astype(np.int64)
    return RankSum(int(whole[:n_positive].sum()), tuple(sorted(whole.tolist())), n_positive)


def units_p(positive: Floats, negative: Floats) -> P:
    """Exact one-sided p that the units of `positive` score higher, labels dealt anew to all units."""
    return stratified_p([score_sum(positive, negative)])
