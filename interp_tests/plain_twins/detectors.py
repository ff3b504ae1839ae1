"""Baselines fitted the long way: primal ridge by normal equations, DiffMean with loops."""

import math

import numpy as np


def ridge(X, positive, fold, strength):
    """Class-balanced ridge in the primal: minimise sum w (y - x.b)^2 + lambda |b|^2 on the other folds."""
    scores = np.zeros(len(X))
    for k in sorted(set(fold.tolist())):
        train, test = [i for i in range(len(X)) if fold[i] != k], [i for i in range(len(X)) if fold[i] == k]
        share = sum(positive[i] for i in train) / len(train)
        w = np.array([0.5 / share if positive[i] else 0.5 / (1 - share) for i in train])
        y = np.array([1.0 if positive[i] else -1.0 for i in train])
        centre = sum(w[j] * X[i] for j, i in enumerate(train)) / w.sum()
        A = np.array([X[i] - centre for i in train])
        penalty = strength * np.mean([a @ a for a in A])
        beta = np.linalg.solve(A.T @ np.diag(w) @ A + penalty * np.eye(X.shape[1]), A.T @ (w * y))
        spread = np.std([a @ beta for a in A])
        for i in test:
            scores[i] = (X[i] - centre) @ beta / spread
    return scores


def diffmean(h, prompt, counted, positive, fold, pool):
    """For each prompt: the direction from the other folds' tokens, then the pooled projection of its own."""
    scores = []
    for p in range(len(positive)):
        up = [h[t] for t in range(len(h)) if counted[t] and fold[prompt[t]] != fold[p] and positive[prompt[t]]]
        down = [h[t] for t in range(len(h)) if counted[t] and fold[prompt[t]] != fold[p] and not positive[prompt[t]]]
        direction = sum(up) / len(up) - sum(down) / len(down)
        middle = (sum(up) / len(up) + sum(down) / len(down)) / 2
        spread = np.std([x @ direction for x in [*up, *down]])
        own = [(h[t] - middle) @ direction / spread for t in range(len(h)) if counted[t] and prompt[t] == p]
        scores.append({"max": max, "mean": lambda x: sum(x) / len(x), "last": lambda x: x[-1]}[pool](own))
    return np.array(scores)


def own_words(value, token, prompt, counted, unit, pool):
    """For each prompt: each token has the mean of the feature on that token in other units, or else in its own."""
    scores = []
    for p in range(len(unit)):
        row = []
        for t in range(len(token)):
            if prompt[t] == p and counted[t]:
                same = [s for s in range(len(token)) if counted[s] and token[s] == token[t]]
                others = [value[s] for s in same if unit[prompt[s]] != unit[p]]
                here = [value[s] for s in same if unit[prompt[s]] == unit[p]]
                row.append(sum(others) / len(others) if others else sum(here) / len(here))
        scores.append({"max": max, "mean": lambda x: sum(x) / len(x), "last": lambda x: x[-1]}[pool](row))
    return np.array(scores)


def paired_limits(first, second, positive, limits_of):
    """(difference, low, high) by Zou's method, DeLong's covariance by loops; limits_of(auroc): those of one AUROC."""
    pos, neg = [i for i, p in enumerate(positive) if p], [i for i, p in enumerate(positive) if not p]

    def over(x, i, j):
        return 1.0 if x[i] > x[j] else 0.5 if x[i] == x[j] else 0.0

    def aurocs(x):
        by_pos = [sum(over(x, i, j) for j in neg) / len(neg) for i in pos]
        return by_pos, [sum(over(x, i, j) for i in pos) / len(pos) for j in neg]

    def covariance(x, y):
        total = 0.0
        for u, v in zip(aurocs(x), aurocs(y), strict=True):
            a, b = sum(u) / len(u), sum(v) / len(v)
            total += sum((p - a) * (q - b) for p, q in zip(u, v, strict=True)) / (len(u) - 1) / len(u)
        return total

    a, b = (sum(aurocs(x)[0]) / len(pos) for x in (first, second))
    spread = math.sqrt(max(covariance(first, first), 0) * max(covariance(second, second), 0))
    r = covariance(first, second) / spread if spread > 1e-12 else 0.0
    (la, ua), (lb, ub) = limits_of(a), limits_of(b)
    low = a - b - math.sqrt(max(0, (a - la) ** 2 - 2 * r * (a - la) * (ub - b) + (ub - b) ** 2))
    high = a - b + math.sqrt(max(0, (ua - a) ** 2 - 2 * r * (ua - a) * (b - lb) + (b - lb) ** 2))
    return a - b, low, high
