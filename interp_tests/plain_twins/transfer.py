"""Classes of features in transfer, one feature at a time, from dense activations and definitions."""

import math
from functools import cache

import torch

from interp_tests.plain_twins.limits import clopper_pearson, jackknife_error

limits = cache(clopper_pearson)


def by_ratio(base, text, pictures, stable_at=0.7, shifted_at=0.3, level=0.1, share=0.01, factor=3.0):
    """The source notebook's classes, told again: lists of features by class, from (tokens, features) tensors.

    Single precision until a number leaves its tensor, as there.
    """
    found = {"stable": [], "shifted": [], "new_vision": [], "new_text": []}
    on = [(codes > level).float().mean(0) for codes in (base, text, pictures)]
    mean = [codes.mean(0) for codes in (base, text, pictures)]
    for feature in range(base.shape[1]):
        active = [share_of[feature].item() > share for share_of in on]
        m = [mean_of[feature].item() for mean_of in mean]
        if not any(active):
            continue
        if active[2] and not active[0] and m[2] > factor * m[0]:
            found["new_vision"].append(feature)
        elif active[1] and not active[0] and m[1] > factor * m[0]:
            found["new_text"].append(feature)
        elif active[0] and active[1]:
            quotient = min(m[:2]) / max(m[:2]) if max(m[:2]) > 0 else 0
            if quotient > stable_at:
                found["stable"].append(feature)
            elif quotient > shifted_at:
                found["shifted"].append(feature)
    return found


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float32)


def pearson(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    sxx, syy = sum((a - mx) ** 2 for a in x), sum((b - my) ** 2 for b in y)
    if sxx < 1e-12 or syy < 1e-12:
        return math.nan
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / math.sqrt(sxx * syy)


def jaccard(x, y):
    either = sum(a != 0 or b != 0 for a, b in zip(x, y, strict=True))
    return sum(a != 0 and b != 0 for a, b in zip(x, y, strict=True)) / either if either else math.nan


def rate(values, prompt, template):
    """The mean over templates of the share of their prompts with a firing token, and the number of templates."""
    shares = {}
    for one in dict.fromkeys(prompt):
        fires = any(v != 0 for v, p in zip(values, prompt, strict=True) if p == one)
        shares.setdefault(template[one], []).append(fires)
    means = [sum(s) / len(s) for s in shares.values()]
    return sum(means) / len(means), len(means)


def log_ratios(x, y, prompt, template):
    """Mean log ratio of each template: tokens inside a prompt first, then prompts."""
    units = {}
    for one in dict.fromkeys(prompt):
        logs = [math.log(b / a) for a, b, p in zip(x, y, prompt, strict=True) if p == one and a != 0 and b != 0]
        if logs:
            units.setdefault(template[one], []).append(sum(logs) / len(logs))
    return [sum(u) / len(u) for u in units.values()]


@cache
def t_quantile(p, freedom):
    """Student's t by bisection on the integral of its density (Simpson, 4,000 steps)."""
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def below(t, steps=4000):
        def density(u):
            return constant * (1 + u * u / freedom) ** (-(freedom + 1) / 2)

        width = t / steps
        inside = sum((4 if i % 2 else 2) * density(i * width) for i in range(1, steps))
        return 0.5 + width / 3 * (density(0) + inside + density(t))

    low, high = 0.0, 2000.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < p else (low, middle)
    return (low + high) / 2


def mean_limits(values, tail, quantile):
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan
    mean = sum(values) / n
    if n == 1:
        return mean, -math.inf, math.inf
    error = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    reach = quantile(1 - tail, n - 1) * error
    return mean, mean - reach, mean + reach


def logit_of_jaccard(x, y):
    shared = sum(a != 0 and b != 0 for a, b in zip(x, y, strict=True))
    apart = sum((a != 0) != (b != 0) for a, b in zip(x, y, strict=True))
    return math.log((shared + 0.5) / (apart + 0.5))


def z_of_pearson(x, y):
    return math.atanh(max(-0.98, min(0.98, pearson(x, y))))


def pattern(x, y, prompt, template, quantile=t_quantile):
    """Limits of Jaccard and of Pearson as functions of (sign, tail), by leaving out one unit at a time; and the units
    that fire, in the model that has fewer."""
    units = {}
    for a, b, p in zip(x, y, prompt, strict=True):
        units.setdefault(template[p], []).append((a, b))
    blocks = list(units.values())
    firing = min(sum(any(pair[side] != 0 for pair in block) for block in blocks) for side in (0, 1))
    squares = [[sum(pair[side] ** 2 for pair in block) for block in blocks] for side in (0, 1)]
    strong = min(sum(s) ** 2 / sum(v * v for v in s) if sum(s) else 1 for s in squares)

    def of(statistic, some):
        return statistic(*zip(*[pair for block in some for pair in block], strict=True))

    def limit_of(statistic, value, back, freedom, corrected):
        whole = of(statistic, blocks)
        error = jackknife_error(lambda some: of(statistic, some), blocks)
        left_out = [of(statistic, blocks[:i] + blocks[i + 1 :]) for i in range(len(blocks))]
        unbiased = len(blocks) * whole - (len(blocks) - 1) * sum(left_out) / len(blocks) if corrected else whole

        def limit(sign, tail):
            if firing < 10:
                return sign * math.inf
            outer = max(sign * whole, sign * unbiased) * sign
            return sign * max(sign * back(outer + sign * quantile(1 - tail, freedom) * error), sign * value)

        return limit

    most = max(firing - 1, 1)
    places = limit_of(logit_of_jaccard, jaccard(x, y), lambda v: 1 / (1 + math.exp(-v)), most, False)
    freedom = min(max(strong - 1, 1), most)
    strengths = limit_of(z_of_pearson, pearson(x, y), math.tanh, freedom, True)
    return places, strengths, firing


def by_alignment(x, y, prompt, template, images=None, alpha=0.05, quantile=t_quantile):
    """The class of one feature from its values on the same tokens of both models.

    images: (values, prompt, template) on the pictures' image tokens.
    """

    def firing(values, rows, templates):
        share, n = rate(values, rows, templates)
        low, high = limits(round(share * n), n, alpha)
        return share > 0, low >= 0.2, share == 0 and high <= 0.05

    (any_x, fires_x, silent_x), (any_y, fires_y, silent_y) = firing(x, prompt, template), firing(y, prompt, template)
    any_i, fires_i, _ = firing(*images) if images else (False, False, False)
    if not (any_x or any_y or any_i):
        return "dead"
    if fires_x and fires_y:
        places, strengths, _ = pattern(x, y, prompt, template, quantile)
        if places(1, alpha / 2) < 0.3 or strengths(1, alpha / 2) < 0.5:
            return "shifted"
        if places(-1, alpha) >= 0.6 and strengths(-1, alpha) >= 0.8:
            _, low, high = mean_limits(log_ratios(x, y, prompt, template), alpha, quantile)
            if math.log(0.8) <= low and high <= math.log(1.25):
                return "stable"
            return "rescaled" if low > math.log(1.25) or high < math.log(0.8) else "indeterminate"
        not_alike = places(1, alpha / 2) < 0.6 or strengths(1, alpha / 2) < 0.8
        not_unlike = places(-1, alpha) >= 0.3 and strengths(-1, alpha) >= 0.5
        return "between" if not_alike and not_unlike else "indeterminate"
    if fires_x and silent_y:
        return "lost"
    if fires_y and silent_x:
        return "new_text"
    return "new_vision" if fires_i and silent_x and silent_y else "indeterminate"
