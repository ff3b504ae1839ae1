"""Which classes a number of prompts can show at all: known before any model runs."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.stats.transfer.aligned import AlignedRule
from harness.stats.transfer.pattern import FEWEST_FIRING

_MOST = 10_000


def can_fire(n: int, rule: AlignedRule) -> bool:
    """Whether firing on all n units would show a rate of fires_above: the exact lower limit there is alpha^(1/n)."""
    if not rule.limits:
        return n > 0
    return n > 0 and rule.alpha ** (1 / n) >= rule.fires_above


def can_be_silent(n: int, rule: AlignedRule) -> bool:
    """Whether silence on all n units would show a rate under silent_below: 0 of 59 for .05, 0 of 29 for .1."""
    if not rule.limits:
        return n > 0
    return n > 0 and 1 - rule.alpha ** (1 / n) <= rule.silent_below


def reachable_classes(n_text: int, n_images: int, rule: AlignedRule | None = None) -> frozenset[str]:
    """The classes that a feature can come out as on n_text prompts (or templates) and n_images pictures."""
    rule = rule or AlignedRule()
    fires, silent = can_fire(n_text, rule), can_be_silent(n_text, rule)
    pattern = fires and (n_text >= FEWEST_FIRING or not rule.limits)
    found = {
        "stable": pattern,
        "rescaled": pattern,
        "shifted": pattern,
        "between": pattern,
        "lost": fires and silent,
        "new_text": fires and silent,
        "new_vision": silent and can_fire(n_images, replace(rule, fires_above=rule.seen_above)),
    }
    return frozenset(name for name, can in found.items() if can)


def fewest_prompts(wanted: str, rule: AlignedRule | None = None) -> int | None:
    """The fewest text prompts that can show a class, given pictures enough; None where no number can."""
    return next((n for n in range(1, _MOST) if wanted in reachable_classes(n, _MOST, rule)), None)


def fewest_pictures(rule: AlignedRule | None = None) -> int | None:
    """The fewest pictures that can show firing on images."""
    asked = rule or AlignedRule()
    asked = replace(asked, fires_above=asked.seen_above)
    return next((n for n in range(1, _MOST) if can_fire(n, asked)), None)


def fewest_silent(rule: AlignedRule) -> int:
    """The fewest prompts that show silence where none of them fires: log alpha / log(1 - silent_below)."""
    least = max(1, math.floor(math.log(rule.alpha) / math.log1p(-rule.silent_below)))
    return next(n for n in range(least, least + 3) if can_be_silent(n, rule))
