"""Power by writing out every sample, and by drawing one at a time."""

from itertools import product
from math import comb

from interp_tests.plain_twins.ranks import auroc


def all_draws(positive, negative, n_pos, n_neg, is_met):
    """The share of all equally likely samples with replacement whose AUROC `is_met` says would do."""
    samples = product(product(positive, repeat=n_pos), product(negative, repeat=n_neg))
    met = [is_met(auroc(a, b)) for a, b in samples]
    return sum(met) / len(met)


def all_means(values, n, is_met):
    """The same for the mean of n numbers drawn with replacement."""
    met = [is_met(sum(sample) / n) for sample in product(values, repeat=n)]
    return sum(met) / len(met)


def rate_power(rate, n, met):
    """The probability of the counts that `met` says would do."""
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1) if met(k))
