"""How many prompts and pictures would decide the features that a census leaves undecided.

Each undecided feature is taken at its own numbers, as if more prompts showed the same rates, patterns and scale. Their
limits then close in: those of a rate exactly (Clopper-Pearson), those of Jaccard, Pearson and the scale with the square
root of n, each where it is nearer to normal. What its own numbers leave outside of every class (it fires on a share of
prompts between silence and firing) no number of such prompts decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.codes import Floats, Mask
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, AlignedTransfer
from harness.stats.transfer.conditions import Rates, clopper_pearson_of_all
from harness.stats.transfer.pattern import FEWEST_FIRING, Likeness
from harness.stats.transfer.reach import fewest_silent

MOST_OF_THEM = 0.7
"""The share of a class's undecided features that the printed n would decide."""
RARE = "too_rare"
_MOST = 10_000_000
_TURNS = 6
_STEPS = 2.0 ** np.arange(0, 24, 0.25)


@dataclass(frozen=True, slots=True)
class Deciding:
    """Undecided features that look like a class, and the prompts and pictures that would decide MOST_OF_THEM.

    None: no number would. Pictures are None where the class asks for none, or where there are none.
    """

    features: int
    prompts: int | None
    pictures: int | None = None


def deciding(found: AlignedTransfer, rule: AlignedRule) -> dict[str, Deciding]:
    """Per class, what its undecided features want; `too_rare` for those that fit none at their own numbers.

    Empty where nothing is undecided, or where limits play no part.
    """
    undecided = found.classes == ALIGNED_CLASSES.index("indeterminate")
    if not rule.limits or not undecided.any():
        return {}
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = _wanted(found, rule)
    answer, left = {}, undecided.copy()
    for name, (looks, prompts, pictures) in wanted.items():
        of_class = left & looks
        left &= ~looks
        if of_class.any():
            seen = None if pictures is None else _most(pictures[of_class])
            answer[name] = Deciding(int(of_class.sum()), _most(prompts[of_class]), seen)
    if left.any():
        answer[RARE] = Deciding(int(left.sum()), None)
    return answer


def _most(n: Floats) -> int | None:
    """The n that is enough for MOST_OF_THEM."""
    enough = np.sort(n)[math.ceil(MOST_OF_THEM * len(n)) - 1]
    return math.ceil(enough) if enough <= _MOST else None


def _wanted(found: AlignedTransfer, rule: AlignedRule) -> dict[str, tuple[Mask, Floats, Floats | None]]:
    """Per class: which features look like it, the prompts that each wants, and the pictures."""
    here, there, seen = found.base.rates, found.adapted.rates, found.images
    alike, unlike, kept = _looks(found, rule)
    fires_here, fires_there = (_to_fire(one, rule.fires_above, rule.alpha) for one in (here, there))
    both = (here.share > rule.fires_above) & (there.share > rule.fires_above)
    fire_both = np.maximum(fires_here, fires_there)
    n, d_sae = found.base.rates.n, len(here.share)
    silent = np.full(d_sae, float(fewest_silent(rule)))
    many = n * FEWEST_FIRING / np.maximum(found.pattern.jaccard.n, 1e-9)  # prompts until ten fire
    to_alike = np.maximum.reduce([fire_both, many, *_over(found, rule.alike, rule.alpha, n)])
    to_unlike = np.maximum.reduce([fire_both, many, np.minimum(*_under(found, rule.unlike, rule.alpha / 2, n))])
    not_alike = np.minimum(*_under(found, rule.alike, rule.alpha / 2, n))
    to_between = np.maximum.reduce([fire_both, many, not_alike, *_over(found, rule.unlike, rule.alpha, n)])
    to_scale = np.maximum(to_alike, _to_scale(found, rule, n))
    quiet_here, quiet_there = here.share == 0, there.share == 0
    wanted: dict[str, tuple[Mask, Floats, Floats | None]] = {
        "stable": (both & alike & kept, to_scale, None),
        "rescaled": (both & alike & ~kept, to_scale, None),
        "shifted": (both & unlike, to_unlike, None),
        "between": (both & ~alike & ~unlike, to_between, None),
        "lost": ((here.share > rule.fires_above) & quiet_there, np.maximum(fires_here, silent), None),
        "new_text": ((there.share > rule.fires_above) & quiet_here, np.maximum(fires_there, silent), None),
    }
    if seen is not None:
        looks = (seen.rates.share > rule.seen_above) & quiet_here & quiet_there
        wanted["new_vision"] = looks, silent, _to_fire(seen.rates, rule.seen_above, rule.alpha)
    return wanted


def _looks(found: AlignedTransfer, rule: AlignedRule) -> tuple[Mask, Mask, Mask]:
    """(alike, unlike, scale inside the range) by the numbers themselves."""
    jaccard, pearson, mean = found.jaccard, found.pearson, found.scale.mean
    alike = (jaccard >= rule.alike[0]) & (pearson >= rule.alike[1])
    unlike = (jaccard < rule.unlike[0]) | (pearson < rule.unlike[1])
    return alike, unlike, (mean >= math.log(rule.scale[0])) & (mean <= math.log(rule.scale[1]))


def _to_fire(rates: Rates, above: float, alpha: float) -> Floats:
    """The n from which the exact lower limit of each share reaches `above`, to the next quarter of a doubling."""
    shares, where = np.unique(rates.share, return_inverse=True)
    least = np.full(len(shares), np.inf)
    for n in _STEPS[::-1]:
        low = clopper_pearson_of_all(shares * n, np.full(len(shares), n), alpha)[0]
        least[low >= above] = n
    return np.asarray(least[where], np.float64)


def _over(found: AlignedTransfer, bounds: tuple[float, float], alpha: float, n: int) -> list[Floats]:
    """The n from which each measure's lower limit reaches its bound; infinite for one under it."""
    return [_closes(one, bound, 1, alpha, n) for one, bound in zip(_measures(found), bounds, strict=True)]


def _under(found: AlignedTransfer, bounds: tuple[float, float], alpha: float, n: int) -> list[Floats]:
    """The n from which each measure's upper limit is under its bound; infinite for one over it."""
    return [_closes(one, bound, -1, alpha, n) for one, bound in zip(_measures(found), bounds, strict=True)]


def _measures(found: AlignedTransfer) -> tuple[Likeness, Likeness]:
    return found.pattern.jaccard, found.pattern.pearson


def _closes(one: Likeness, bound: float, side: int, alpha: float, n: int) -> Floats:
    """The n at which the limit on this side of the bound (1: over it) reaches it, on the scale of the limits.

    At m times as many prompts the error is 1 / sqrt(m) of today's, the bias 1 / m, and Student's t has m times the
    degrees of freedom: b u^2 + t e u = room for u = 1 / sqrt(m), a few times over, as t follows m.
    """
    from scipy.special import stdtrit

    value = one.on_scale(one.value)
    room = side * (value - one.on_scale(bound))
    bias = np.maximum(side * (value - (one.below if side > 0 else one.above)), 0)
    bias = np.where(one.scale == "logit", 0, bias)
    inside = room > 0
    room, times = np.where(inside, room, 1), np.ones(len(room))
    for _ in range(_TURNS):
        reach = stdtrit(one.freedom * times, 1 - alpha) * one.error
        u = 2 * room / (reach + np.sqrt(reach**2 + 4 * bias * room))
        times = np.clip(u**-2, 1 / n, _MOST)
    return np.where(inside, n * times, np.inf)


def _to_scale(found: AlignedTransfer, rule: AlignedRule, n: int) -> Floats:
    """The n at which the scale's limits lie inside the range, or outside, whichever the mean does."""
    low, high = (math.log(limit) for limit in rule.scale)
    mean, reach = found.scale.mean, found.scale.high - found.scale.mean
    room = np.minimum(np.abs(mean - low), np.abs(high - mean))
    return np.where(room > 0, n * (reach / np.where(room > 0, room, 1)) ** 2, np.inf)
