"""Many claims tested at once: Benjamini and Hochberg's q."""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """q of each p, in order: the smallest false discovery rate at which the step-up procedure still reports it.

    q_i = min(1, min over p_j >= p_i of m p_j / rank_j), rank_j the number of p that are at most p_j (Benjamini and
    Hochberg, JRSS B 1995;57:289). Valid for independent and positively dependent p. q >= p, and equal for one p.
    Raises ValueError for anything outside [0, 1], NaN included.
    """
    if any(not 0 <= each <= 1 for each in p):
        raise ValueError(f"p is a probability; got {[each for each in p if not 0 <= each <= 1]}")
    q, least = [0.0] * len(p), 1.0
    ranked = sorted(range(len(p)), key=lambda i: p[i])
    for rank in range(len(p), 0, -1):
        i = ranked[rank - 1]
        least = min(least, p[i] * (len(p) / rank))  # the quotient is at least 1, so that rounding leaves q >= p
        q[i] = least
    return q
