"""What two readings differ by, token by token and feature by feature."""

import numpy as np


def flips(one, other):
    """Of dense [n_tokens, d_sae] arrays: firings in one only, over the mean number of firings."""
    only, n = 0, 0
    for a, b in zip(one.ravel(), other.ravel(), strict=True):
        only += bool(a) != bool(b)
        n += bool(a) + bool(b)
    return only / (n / 2) if n else 0.0


def median_move_of_means(one, other, enough):
    """Per feature over the tokens on which both fire, if there are enough; the median feature."""
    moves = []
    for feature in range(one.shape[1]):
        both = [(a, b) for a, b in zip(one[:, feature], other[:, feature], strict=True) if a != 0 and b != 0]
        if len(both) >= enough:
            first, second = (sum(side) / len(both) for side in zip(*both, strict=True))
            moves.append(abs(first - second) / abs(first))
    return float(np.median(moves)) if moves else 0.0


def l0_move(one, other):
    first, second = (np.count_nonzero(dense) / len(dense) for dense in (one, other))
    return abs(first - second) / first if first else 0.0
