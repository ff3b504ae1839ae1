"""What a verdict on one feature's transfer says: what rules a class out, the facts in words, the numbers."""

from __future__ import annotations

import math

import numpy as np

from harness.expectations.base import Claim
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.expectations.rates import out_of
from harness.expectations.results import measured, short
from harness.expectations.showing import examples_at
from harness.stats.intervals import rate_limits
from harness.stats.transfer.aligned import AlignedTransfer, Firing
from harness.stats.transfer.pattern import FEWEST_FIRING, Likeness
from harness.verdict import Example, Measurement, Reason

_TAIL = 0.025  # of each of the limits that are shown, which are two-sided at 95 %
_WORDS = {"between": "in between (neither alike nor shifted)", "new_text": "new on text", "new_vision": "new on images"}


def word(name: str) -> str:
    """A class as a sentence says it."""
    return _WORDS.get(name, name)


def refuted(found: AlignedTransfer, feature: int, wanted: str, name: str) -> bool:
    """Surely of another class; or the pattern, or firing where silence is claimed, rules the class out."""
    if name != "indeterminate":
        return True
    both = found.base.fires[feature] and found.adapted.fires[feature]
    if wanted in ("stable", "rescaled"):
        return bool(both and found.not_alike[feature])
    if wanted == "shifted":
        return bool(both and found.not_unlike[feature])
    quiet = {"lost": (found.adapted,), "new_text": (found.base,), "new_vision": (found.base, found.adapted)}[wanted]
    return any(one.fires[feature] for one in quiet)


def undecided(found: AlignedTransfer, feature: int, wanted: str) -> tuple[Reason, str]:
    """Why nothing can be said: it fires too rarely where it should, or limits lie on both sides."""
    loud = {"new_text": (found.adapted,), "lost": (found.base,), "new_vision": (found.images,)}
    asked = loud.get(wanted, (found.base, found.adapted))
    if any(one is not None and not one.fires[feature] for one in asked):
        return Reason.TOO_SPARSE, "it does not surely fire where it should"
    n = int(found.pattern.jaccard.n[feature])
    if wanted not in loud and found.pattern.jaccard.has_limits and n < FEWEST_FIRING:
        return Reason.TOO_SPARSE, f"it fires on {n} prompts of one model, and a pattern takes {FEWEST_FIRING}"
    if wanted in ("stable", "rescaled") and found.alike[feature]:
        return Reason.UNDERPOWERED, "the limits of its scale lie on both sides"
    if wanted in loud:
        return Reason.UNDERPOWERED, "it is not surely silent where it should be"
    return Reason.UNDERPOWERED, "the limits of its pattern lie on both sides"


def facts(found: AlignedTransfer, feature: int) -> str:
    """Where the feature fires, and how alike its activations are on the same tokens."""

    def fires(one: Firing) -> str:
        return out_of(float(one.rates.share[feature]), one.rates.n)

    told = [f"fires on {fires(found.base)} prompts here, {fires(found.adapted)} there"]
    if found.images is not None:
        told.append(f"on {fires(found.images)} pictures")
    if math.isfinite(found.jaccard[feature]):
        alike = (("Jaccard", found.pattern.jaccard), ("Pearson", found.pattern.pearson))
        told.append(", ".join(f"{name} {_with_limits(one, feature)}" for name, one in alike))
    if found.scale.n[feature]:
        mean, low, high = (_times(v[feature]) for v in (found.scale.mean, found.scale.low, found.scale.high))
        told.append(f"scale {mean} [{low}, {high}]" if found.scale.n[feature] > 1 else f"scale {mean}")
    return "; ".join(told)


def _with_limits(one: Likeness, feature: int) -> str:
    """`.81 [.7, .92]`, without brackets where there are no limits."""
    value, low, high = (float(v[feature]) for v in (one.value, one.low(_TAIL), one.high(_TAIL)))
    bare = not (one.has_limits and math.isfinite(low) and math.isfinite(high))
    return short(value) if bare else f"{short(value)} [{short(low)}, {short(high)}]"


def _times(log: float) -> str:
    return short(math.exp(log)) if math.isfinite(log) else ("0" if log < 0 else "inf")


def numbers(found: AlignedTransfer, feature: int, claim: Claim, to: str) -> tuple[Measurement, ...]:
    """Firing rates, overlap of places, likeness of pattern and scale, where each is a number."""
    sides = [("firing rate here", found.base), (f"firing rate in {to}", found.adapted)]
    if found.images is not None:
        sides.append(("firing rate on pictures", found.images))
    rates = [
        measured(
            name, rate_limits(float(one.rates.share[feature]) * one.rates.n, one.rates.n, claim.alpha), one.rates.n
        )
        for name, one in sides
    ]
    patterns = [("jaccard", found.pattern.jaccard), ("pearson", found.pattern.pearson)]
    alike = [_likeness(name, one, feature, found.n_pairs) for name, one in patterns]
    alike.append(Measurement("overlap of activations", float(found.overlap[feature]), found.n_pairs))
    alike = [one for one in alike if math.isfinite(one.value)]
    n = int(found.scale.n[feature])
    limits = [math.exp(v[feature]) for v in (found.scale.low, found.scale.high)] if n > 1 else [None, None]
    scale = [Measurement("scale", math.exp(found.scale.mean[feature]), n, low=limits[0], high=limits[1])] if n else []
    return (*rates, *alike, *scale)


def _likeness(name: str, one: Likeness, feature: int, n_pairs: int) -> Measurement:
    low, high = (float(v[feature]) for v in (one.low(_TAIL), one.high(_TAIL)))
    known = one.has_limits and math.isfinite(low) and math.isfinite(high)
    return Measurement(name, float(one.value[feature]), n_pairs, "", *((low, high) if known else (None, None)))


def telling(numbers: tuple[Measurement, ...], wanted: str) -> Measurement:
    """The number that the class turns on, or the first."""
    names = {
        "stable": "pearson",
        "shifted": "pearson",
        "rescaled": "scale",
        "new_vision": "firing rate on pictures",
        "lost": numbers[1].name,
    }
    return next((m for m in numbers if m.name == names.get(wanted)), numbers[0])


def changed_prompts(evidence: Evidence, claim: Claim, to: str, most: int = 3) -> tuple[Example, ...]:
    """The prompts on which the pooled activation changed most."""
    feature = feature_of(claim, evidence.codes("prompts").d_sae)
    here, there = (evidence.pooled("prompts", claim, name).column(feature) for name in (None, to))
    order = [int(i) for i in np.argsort(-np.abs(here - there), kind="stable") if here[i] != there[i]][:most]
    return tuple(
        example
        for i in order
        for example in examples_at(evidence, claim, "prompts", [i], f"here {short(here[i])}, there {short(there[i])}")
    )
