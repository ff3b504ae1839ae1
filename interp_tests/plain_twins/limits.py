"""Intervals straight from their definitions, by bisection on probabilities."""

import math


def binomial_at_least(k, n, p):
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def bisect(f, low, high):
    """Where an increasing f crosses 0."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return (low + high) / 2


def clopper_pearson(k, n, tail):
    """The rates at which k or more, and k or fewer, have probability `tail`."""
    low = 0.0 if k == 0 else bisect(lambda p: binomial_at_least(k, n, p) - tail, 0, 1)
    high = 1.0 if k == n else bisect(lambda p: tail - (1 - binomial_at_least(k + 1, n, p)), 0, 1)
    return low, high


def hanley_mcneil_variance(theta, m, n):
    """Newcombe's method 5, term by term: q1 = theta / (2 - theta), q2 = 2 theta^2 / (1 + theta), both with the
    mean sample size less one in place of m - 1 and n - 1."""
    shared = (m + n) / 2 - 1
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    return (theta * (1 - theta) + shared * (q1 - theta**2) + shared * (q2 - theta**2)) / (m * n)


def newcombe(auroc, m, n, z):
    """The lowest and highest theta on a fine grid whose z-score against the observed AUROC is within z."""
    inside = [
        t / 20000
        for t in range(20001)
        if abs(t / 20000 - auroc) <= z * math.sqrt(max(0.0, hanley_mcneil_variance(t / 20000, m, n)))
    ]
    return min(inside, default=auroc), max(inside, default=auroc)


def auroc_needed(low, high, m, n, z):
    """The lowest and highest AUROC on a fine grid whose `newcombe` limits lie inside [low, high]."""
    grid = [a / 200 for a in range(201)]
    inside = []
    for a in grid:
        least, most = newcombe(a, m, n, z)
        if least >= low - 1e-4 and most <= high + 1e-4:
            inside.append(a)
    return min(inside, default=math.inf), max(inside, default=-math.inf)


def jackknife_error(statistic, blocks):
    """The standard error from leaving out one block at a time, recomputing from the raw data."""
    n = len(blocks)
    left_out = [statistic(blocks[:i] + blocks[i + 1 :]) for i in range(n)]
    mean = sum(left_out) / n
    return math.sqrt((n - 1) / n * sum((x - mean) ** 2 for x in left_out))


def jackknife_limit(statistic, blocks, sign, t, positive):
    """The limit on one side: t errors away, and further by Hall's term where the pseudo-values are skewed that way."""
    n, value = len(blocks), statistic(blocks)
    pseudo = [n * value - (n - 1) * statistic(blocks[:i] + blocks[i + 1 :]) for i in range(n)]
    mean = sum(pseudo) / n
    second, third = (sum((x - mean) ** k for x in pseudo) / n for k in (2, 3))
    skew = third / second**1.5 if second else 0
    further = max(sign * skew, 0) * (1 + 2 * t**2) / (6 * math.sqrt(n))
    away = sign * jackknife_error(statistic, blocks) * (t + further)
    return value * math.exp(away / value) if positive else value + away


def median_lower_limit(values, tail):
    """The largest order statistic that lies above the median with probability at most `tail`."""
    ordered, best = sorted(values), -math.inf
    for k in range(1, len(ordered) + 1):
        above = sum(math.comb(len(ordered), i) for i in range(k)) / 2 ** len(ordered)
        if above <= tail:
            best = ordered[k - 1]
    return best


def welch(a, b, tail, quantile):
    """(difference, low, high) of two means, from Welch's and Satterthwaite's formulas; quantile(probability, freedom)
    is Student's. Where neither side varies, nothing is known of other values: no limit is finite."""
    means = [sum(x) / len(x) for x in (a, b)]
    difference = means[0] - means[1]
    if len(set(a)) == len(set(b)) == 1:
        return difference, -math.inf, math.inf
    errors = [
        sum((value - mean) ** 2 for value in x) / (len(x) - 1) / len(x) for x, mean in zip((a, b), means, strict=True)
    ]
    freedom = sum(errors) ** 2 / sum(e**2 / (len(x) - 1) for e, x in zip(errors, (a, b), strict=True))
    half = quantile(1 - tail, freedom) * math.sqrt(sum(errors))
    return difference, difference - half, difference + half


def precision_score_limit(k_pos, n_pos, k_neg, n_neg, z):
    """The lowest precision on a grid that the counts are within z score errors of; the likeliest pair of rates in that
    ratio is found by trying each, not by its formula."""
    fine = [i / 2000 for i in range(1, 2000)]

    def statistic(precision):
        ratio = precision / (1 - precision)
        likely = max((f for f in fine if ratio * f < 1), key=lambda f: log_likelihood(ratio * f, f), default=None)
        t, f = ratio * likely, likely
        spread = (n_pos + n_neg) / (n_pos + n_neg - 1) * (t * (1 - t) / n_pos + ratio**2 * f * (1 - f) / n_neg)
        return (k_pos / n_pos - ratio * k_neg / n_neg) / math.sqrt(spread)

    def log_likelihood(t, f):
        terms = [(k_pos, t), (n_pos - k_pos, 1 - t), (k_neg, f), (n_neg - k_neg, 1 - f)]
        return sum(k * math.log(p) for k, p in terms if k)

    return min((i / 100 for i in range(1, 100) if statistic(i / 100) <= z), default=1.0)
