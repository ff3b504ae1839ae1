"""Co-firing and cosines, token by token and row by row."""

import math


def jaccard(rows, feature, other):
    """rows: per counted token the set of features that fire on it."""
    both = sum(feature in row and other in row for row in rows)
    either = sum(feature in row or other in row for row in rows)
    return both / either if either else 0.0


def cosine(a, b):
    """Of two lists of numbers; 0 where one has no length."""
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0
