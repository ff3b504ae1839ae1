"""Power by writing out every sample, and by drawing one at a time."""

from itertools import product
from math import comb

from interp_tests.plain_twins.ranks import auroc, mean_auroc_within, permutation_p, stratified_permutation_p


def all_draws(positive, negative, n_pos, n_neg, low, alpha):
    """The share of all equally likely samples with replacement that have AUROC >= low and p <= alpha."""
    met = total = 0
    known = {}
    for a in product(positive, repeat=n_pos):
        for b in product(negative, repeat=n_neg):
            key = tuple(sorted(a)), tuple(sorted(b))
            if key not in known:
                known[key] = auroc(a, b) >= low and permutation_p(a, b) <= alpha
            met += known[key]
            total += 1
    return met / total


def all_draws_within(strata, n, low, alpha):
    """The same for whole strata drawn with replacement."""
    samples = list(product(strata, repeat=n))
    met = [mean_auroc_within(s) >= low - 1e-12 and stratified_permutation_p(s) <= alpha for s in samples]
    return sum(met) / len(samples)


def rate_power(rate, n, met):
    """The probability of the counts that `met` says would do."""
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1) if met(k))
