"""A feature compared with other detectors of its concept: a bag of tokens, its own list of words, and DiffMean.

The baselines are fitted with the tested prompts left out (stratified folds, a template never split). The bag
of tokens is a ridge regression in its dual form: it has a closed form, so no seed, no iterations and no
stopping rule; it shrinks instead of choosing words, and with fewer prompts than words it separates any
training set, which makes it a harder rival than a centroid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Floats, Mask, Pool
from harness.stats.intervals import Limits, newcombe_auroc
from harness.stats.permutation import P, doubled_midranks

Ints = NDArray[np.int64]
FOLDS = 5
RIDGE = 0.1


def token_bags(codes: Codes, counted: Mask, vocabulary: Sequence[int]) -> Floats:
    """Which token ids each prompt holds, rows of unit length, [n_prompts, len(vocabulary)]; other ids are left out."""
    column = {token: i for i, token in enumerate(vocabulary)}
    bags = np.zeros((codes.n_prompts, len(vocabulary)))
    for prompt, token in zip(codes.prompt[counted], codes.token_id[counted], strict=True):
        if int(token) in column:
            bags[prompt, column[int(token)]] = 1
    size = np.linalg.norm(bags, axis=1, keepdims=True)
    return bags / np.where(size, size, 1)


def folds_of(is_positive: Mask, unit: Ints, folds: int = FOLDS) -> Ints:
    """The fold of each prompt: units dealt out in turn, positives and negatives each for themselves, [n].

    A unit that stands on both sides (a shared template) keeps the fold of its first prompt.
    """
    fold: dict[int, int] = {}
    dealt = [0, 0]
    for positive, one in zip(is_positive, unit, strict=True):
        if int(one) not in fold:
            fold[int(one)] = dealt[int(positive)] % folds
            dealt[int(positive)] += 1
    return np.array([fold[int(one)] for one in unit], np.int64)


def ridge_scores(X: Floats, is_positive: Mask, fold: Ints) -> Floats:
    """Each prompt's score from a class-balanced ridge fitted on the other folds, [n]; standardised per fold.

    Dual form: a = (K + lambda W^-1)^-1 y with K = X X', W the class-balancing weights, lambda = RIDGE x mean
    diagonal of K. Scores are centred and scaled by the training scores, so that folds compare.
    """
    scores = np.zeros(len(X))
    for k in np.unique(fold):
        scores[fold == k] = ridge_scores_of(X[fold != k], is_positive[fold != k], X[fold == k])
    return scores


def ridge_scores_of(X: Floats, is_positive: Mask, asked: Floats) -> Floats:
    """The scores of other rows, [len(asked)], from a class-balanced ridge fitted on X and its sides."""
    y, weight = _balanced(is_positive)
    centre = (X * weight[:, None]).sum(0) / weight.sum()
    A, B = X - centre, asked - centre
    K = A @ A.T
    ridge = RIDGE * max(float(np.mean(np.diag(K))), 1e-12)
    a = np.linalg.solve(K + ridge * np.diag(1 / weight), y)
    return np.asarray((B @ A.T @ a) / max(float(np.std(K @ a)), 1e-12), np.float64)


def own_word_scores(value: Floats, codes: Codes, counted: Mask, unit: Ints, pool: Pool = "max") -> tuple[Floats, Mask]:
    """Each prompt's score by a list of the feature's own words, [n_prompts], pooled as the feature is.

    The list gives a token the mean activation of its token id in the other units, and that of its own unit where no
    other unit holds it: a word that is seen once cannot be told from its context. value: [n_tokens] the feature.
    Second, [n_prompts]: whether the token of the highest score is such a word. Prompts without a counted token are NaN.
    """
    _, token = np.unique(codes.token_id[counted], return_inverse=True)
    n_tokens = int(token.max(initial=0)) + 1
    pairs, pair = np.unique(unit[codes.prompt[counted]] * n_tokens + token, return_inverse=True)
    total, n = np.bincount(token, weights=value[counted]), np.bincount(token)
    own, n_own = np.bincount(pair, weights=value[counted]), np.bincount(pair)
    of = pairs % n_tokens
    elsewhere = n[of] - n_own
    mean = np.where(elsewhere > 0, (total[of] - own) / np.maximum(elsewhere, 1), own / n_own)
    along, once = np.zeros(len(codes.prompt)), np.zeros(len(codes.prompt))
    along[counted] = np.round(mean, 9)[pair]  # sums less a part of theirs: 1e-16 would break ties at 0
    once[counted] = (elsewhere == 0)[pair]
    strongest = [_strongest(along, once, counted & (codes.prompt == i)) for i in range(codes.n_prompts)]
    return _pool(along, codes, counted, pool), np.array(strongest, bool)


def _strongest(along: Floats, once: Floats, of: Mask) -> bool:
    return bool(of.any() and once[of][np.argmax(along[of])])


def diffmean_scores(
    residuals: Floats, codes: Codes, counted: Mask, is_positive: Mask, fold: Ints, pool: Pool = "max"
) -> Floats:
    """Each prompt's score along the difference of mean activations (tokens of positives minus tokens of
    negatives), fitted on the other folds; pooled over the counted tokens as the feature is, [n_prompts].

    residuals: [n_tokens, d_in] of all prompts, aligned with `codes`. `any` pools by max.
    """
    scores = np.zeros(codes.n_prompts)
    for k in np.unique(fold):
        used = counted & (fold[codes.prompt] != k)
        side = is_positive[codes.prompt]
        direction = residuals[used & side].mean(0) - residuals[used & ~side].mean(0)
        middle = (residuals[used & side].mean(0) + residuals[used & ~side].mean(0)) @ direction / 2
        along = (residuals @ direction - middle) / max(float(np.std(residuals[used] @ direction)), 1e-12)
        pooled = _pool(along, codes, counted, pool)
        scores[fold == k] = pooled[fold == k]
    return scores


def _pool(along: Floats, codes: Codes, counted: Mask, pool: Pool) -> Floats:
    """One number per prompt from one per token; these may be negative, so silence is not zero here."""
    rows = [along[counted & (codes.prompt == i)] for i in range(codes.n_prompts)]
    return np.array([_one_of(row, pool) if len(row) else np.nan for row in rows])


def _one_of(row: Floats, pool: Pool) -> float:
    if pool == "mean":
        return float(row.mean())
    return float(row[-1] if pool == "last" else row.max())


def _balanced(is_positive: Mask) -> tuple[Floats, Floats]:
    """Targets +1 and -1, and weights that give both classes the same total, mean 1."""
    n, share = len(is_positive), is_positive.mean()
    y = np.where(is_positive, 1.0, -1.0)
    weight = np.where(is_positive, 0.5 / max(share, 1 / n), 0.5 / max(1 - share, 1 / n))
    return y, weight


def paired_auroc(first: Floats, second: Floats, is_positive: Mask) -> tuple[float, P]:
    """AUROC of `first` minus that of `second` on the same units, with its exact one-sided permutation p.

    Null: the two scores of a unit, each turned into midranks over all units, may be exchanged (Bandos, Rockette
    and Gur, Statistics in Medicine 2005;24:2873). The difference is then a sum over units of a constant times
    the sign of its exchange, so all 2^n exchanges are counted by convolution: exact, without random numbers.
    """
    if len(first) != len(second) or not (is_positive.any() and (~is_positive).any()):
        raise ValueError("two scores per unit and units of both sides are needed")
    a, b = doubled_midranks(first), doubled_midranks(second)
    terms = exchange_terms(a, b, is_positive)
    observed = int(terms.sum())
    reach = int(np.abs(terms).sum())
    null = np.zeros(2 * reach + 1)
    null[reach] = 1
    for term in np.abs(terms):
        null = 0.5 * (np.roll(null, int(term)) + np.roll(null, -int(term)))
    pairs = int(is_positive.sum()) * int((~is_positive).sum())
    return observed / (4 * pairs), P(min(1.0, float(null[reach + observed :].sum())))


def paired_limits(first: Floats, second: Floats, is_positive: Mask, alpha: float) -> Limits:
    """AUROC of `first` minus that of `second` on the same units, with limits from those of both (MOVER).

    Each AUROC has Newcombe's limits; that of their difference is the difference less sqrt(p^2 - 2 r p q + q^2), where p
    is how far the first lies above its lower limit, q how far the second lies below its upper one, and r the
    correlation of the two AUROCs by DeLong's placements (0 where one of them does not vary). Source: Zou, Psychological
    Methods 2007;12:399. Under equal AUROCs at alpha .05 the lower limit is over 0 in at most .08 of draws at 10
    and 20 a side (interp_tests/test_stats_within.py draws them), so a verdict wants the exact p as well.
    """
    one, two = (_placements(score, is_positive) for score in (first, second))
    a, b = float(one[0].mean()), float(two[0].mean())
    n_pos, n_neg = int(is_positive.sum()), int((~is_positive).sum())
    r = _correlation(one, two)
    low1, high1 = _apart(a, b, n_pos, n_neg, r, alpha)
    low, high = _apart(a, b, n_pos, n_neg, r, 0.025)
    return Limits(a - b, low1, high1, low, high)


def _placements(score: Floats, is_positive: Mask) -> tuple[Floats, Floats]:
    """Per positive the share of negatives under it, per negative the share of positives over it, ties half."""
    over = (np.sign(score[is_positive][:, None] - score[~is_positive][None, :]) + 1) / 2
    return over.mean(1), over.mean(0)


def _correlation(one: tuple[Floats, Floats], two: tuple[Floats, Floats]) -> float:
    """Of two AUROCs of the same units, from the covariances of their placements; 0 where one does not vary."""

    def shared(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
        return sum(float(np.cov(x, y)[0, 1]) / len(x) for x, y in zip(a, b, strict=True) if len(x) > 1)

    spread = math.sqrt(max(0.0, shared(one, one) * shared(two, two)))
    return min(1.0, max(-1.0, shared(one, two) / spread)) if spread > 1e-12 else 0.0


def _apart(a: float, b: float, n_pos: int, n_neg: int, r: float, tail: float) -> tuple[float, float]:
    """The limits of a - b, each from one limit of either."""
    (a_low, a_high), (b_low, b_high) = (newcombe_auroc(x, n_pos, n_neg, tail) for x in (a, b))

    def reach(p: float, q: float) -> float:
        return math.sqrt(max(0.0, p * p - 2 * r * p * q + q * q))

    return a - b - reach(a - a_low, b_high - b), a - b + reach(a_high - a, b - b_low)


def exchange_terms(a: Ints, b: Ints, is_positive: Mask) -> Ints:
    """What each unit adds to 4 x the difference of U statistics; an exchange of its two scores turns the sign.

    With k(x, y) = 1 for x > y, 1/2 for a tie: a pair's difference under signs s, t is
    (s + t) / 2 [k(a, a') - k(b, b')] + (s - t) / 2 [k(a, b') - k(b, a')], linear in s and t.
    """
    pos, neg = is_positive, ~is_positive
    same = _twice(a[pos], a[neg]) - _twice(b[pos], b[neg])
    cross = _twice(a[pos], b[neg]) - _twice(b[pos], a[neg])
    terms = np.zeros(len(a), np.int64)
    terms[pos] = (same + cross).sum(1)
    terms[neg] = (same - cross).sum(0)
    return terms


def _twice(x: Ints, y: Ints) -> Ints:
    """2 k(x_i, y_j), [len(x), len(y)]."""
    return np.asarray(np.sign(x[:, None] - y[None, :]) + 1, np.int64)
