"""Benjamini and Hochberg, twice: q by its definition, and the step-up procedure that it stands for."""


def q_values(p):
    """min over p_j >= p_i of m p_j / (how many are at most p_j), at most 1."""
    m = len(p)
    return [min(1.0, *(m * other / sum(each <= other for each in p) for other in p if other >= own)) for own in p]


def rejected(p, level):
    """Which p the step-up procedure reports: those up to the largest p_(k) that is at most k / m * level."""
    ordered, m = sorted(p), len(p)
    passing = [ordered[k - 1] for k in range(1, m + 1) if ordered[k - 1] * m <= k * level]
    return [bool(passing) and each <= max(passing) for each in p]
