"""AUROC, permutation p and ranks by counting, one feature at a time."""

from fractions import Fraction
from itertools import combinations, product


def auroc(positive, negative):
    """The share of pairs in which the positive is higher, ties half."""
    score = Fraction(0)
    for a in positive:
        for b in negative:
            score += 1 if a > b else Fraction(1, 2) if a == b else 0
    return float(score / (len(positive) * len(negative)))


def weighted_auroc(positive, negative, w_pos, w_neg):
    """The same after writing each value down as often as its weight says."""
    repeated = [
        [v for v, w in zip(side, weights, strict=True) for _ in range(w)]
        for side, weights in ((positive, w_pos), (negative, w_neg))
    ]
    return auroc(*repeated)


def u_statistic(positive, negative):
    return sum(1 if a > b else Fraction(1, 2) if a == b else 0 for a in positive for b in negative)


def permutation_p(positive, negative):
    """Every choice of positives from all values, each equally likely: the share with U as large as observed."""
    values = [*positive, *negative]
    observed = u_statistic(positive, negative)
    as_large = total = 0
    for chosen in combinations(range(len(values)), len(positive)):
        rest = [v for i, v in enumerate(values) if i not in chosen]
        as_large += u_statistic([values[i] for i in chosen], rest) >= observed
        total += 1
    return as_large / total


def midrank(values, value):
    return sum(v < value for v in values) + Fraction(sum(v == value for v in values) + 1, 2)


def stratified_permutation_p(strata):
    """Labels permuted inside each stratum, all combinations of all strata; total of the positives' midranks."""
    observed = Fraction(0)
    sums = []
    for positive, negative in strata:
        values = [*positive, *negative]
        ranks = [midrank(values, v) for v in values]
        observed += sum(ranks[: len(positive)])
        sums.append([sum(ranks[i] for i in chosen) for chosen in combinations(range(len(values)), len(positive))])
    totals = [sum(one) for one in product(*sums)]
    return sum(t >= observed for t in totals) / len(totals)


def mean_auroc_within(strata):
    return sum(auroc(p, n) for p, n in strata) / len(strata)


def words_p(frames):
    """One deal of labels to words, the same in every frame: the share of all deals whose mean AUROC is as large."""
    n, m = len(frames[0][0]), len(frames[0][1])
    values = [[*positive, *negative] for positive, negative in frames]
    observed, as_large, total = sum(u_statistic(p, q) for p, q in frames), 0, 0
    for chosen in combinations(range(n + m), n):
        rest = [i for i in range(n + m) if i not in chosen]
        as_large += sum(u_statistic([v[i] for i in chosen], [v[i] for i in rest]) for v in values) >= observed
        total += 1
    return as_large / total


def groups_p(positive, negative):
    """Lists of groups of values: the share of all deals of groups with as large a mean of U over pairs of groups."""
    groups = [*positive, *negative]

    def between(a, b):
        return u_statistic(a, b) / Fraction(len(a) * len(b))

    def statistic(chosen):
        return sum(between(groups[i], groups[j]) for i in chosen for j in range(len(groups)) if j not in chosen)

    deals = [statistic(chosen) for chosen in combinations(range(len(groups)), len(positive))]
    return sum(d >= statistic(range(len(positive))) for d in deals) / len(deals)


def paired_difference(first, second, is_positive):
    """AUROC of two scores of the same prompts, turned into midranks, subtracted."""
    a, b = ([midrank(scores, s) for s in scores] for scores in (first, second))
    return _difference(a, b, is_positive)


def _difference(a, b, is_positive):
    def of(scores):
        return auroc(
            [s for s, p in zip(scores, is_positive, strict=True) if p],
            [s for s, p in zip(scores, is_positive, strict=True) if not p],
        )

    return of(a) - of(b)


def exchange_p(first, second, is_positive):
    """All 2^n exchanges of the two midranks of a prompt: the share with a difference as large as observed."""
    a, b = ([midrank(scores, s) for s in scores] for scores in (first, second))
    observed = _difference(a, b, is_positive)
    as_large = 0
    for exchanged in product([False, True], repeat=len(a)):
        x = [q if e else p for p, q, e in zip(a, b, exchanged, strict=True)]
        y = [p if e else q for p, q, e in zip(a, b, exchanged, strict=True)]
        as_large += _difference(x, y, is_positive) >= observed - 1e-12
    return as_large / 2 ** len(a)


def rank_among(scores, index):
    """1 for the highest score; ties share their mean rank."""
    own = scores[index]
    return sum(s > own for s in scores) + (sum(s == own for s in scores) + 1) / 2


def median(values):
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
