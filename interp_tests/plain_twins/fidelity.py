"""Reconstruction metrics token by token from the vectors themselves."""

import math


def _mean(vectors):
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def _square(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def mse(h, r):
    return sum(_square(a, b) for a, b in zip(h, r, strict=True)) / (len(h) * len(h[0]))


def fvu(h, r):
    middle = _mean(h)
    around = sum(_square(a, middle) for a in h)
    return sum(_square(a, b) for a, b in zip(h, r, strict=True)) / around if around else math.nan


def cosine(h, r):
    def one(a, b):
        norms = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / norms if norms else 0.0

    return sum(one(a, b) for a, b in zip(h, r, strict=True)) / len(h)


def norm_ratio(h, r):
    def norm(a):
        return math.sqrt(sum(x * x for x in a))

    return sum(norm(b) / norm(a) for a, b in zip(h, r, strict=True)) / len(h)


def l0(codes):
    return sum(sum(v != 0 for v in row) for row in codes) / len(codes)
