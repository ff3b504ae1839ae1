"""The share of prompts for which something holds, against a bound: Clopper-Pearson on units."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from harness.codes import Floats, Mask, Pooled
from harness.expectations.base import Claim, Side
from harness.expectations.bounds import Bound
from harness.expectations.checks import feature_of
from harness.expectations.comparing import sets_key, units_in
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.outlook import Outlook, rate_outlook
from harness.expectations.results import Part, fewest, part, reachable, short, too_few
from harness.independence import grouping, unit_name, why_few
from harness.inputs import PromptSet
from harness.stats.contrast import mean_of_all
from harness.stats.intervals import rate_limits
from harness.stats.ranking import firing_as_one
from harness.stats.units import Units, by_unit, count_units
from harness.verdict import Verdict


def side_of(*bounds: Bound | None) -> Side:
    """Of bounds that must all hold: low where a number of 0, silence, is inside each of them, else high."""
    return "low" if all(bound is None or _lets_silence(bound) for bound in bounds) else "high"


def _lets_silence(bound: Bound) -> bool:
    return bound.at_least is None and (bound.at_most is not None or bound.holds(0.0))


def units_used(evidence: Evidence, claim: Claim, role: str) -> Units:
    """The unit of each prompt of a role; -1 for prompts without a counted token, and for near copies of another one."""
    return grouping(evidence.prompts(role).prompts, claim.over).units(evidence.pooled(role, claim).lengths > 0)


def unit_word(evidence: Evidence, claim: Claim, role: str) -> str:
    """`prompts`, `independent prompts` where near copies are left out, `templates`, `groups`, or `words`."""
    prompts = evidence.prompts(role).prompts
    name = unit_name(prompts, claim.over)
    return name if name != "prompts" or grouping(prompts).n == len(prompts) else "independent prompts"


def firing_rates(evidence: Evidence, claim: Claim, role: str) -> Floats:
    """The share of units on which each feature fires, [d_sae]; a template counts with its share of prompts."""
    key = ("rates", *sets_key(evidence, claim, role), claim.tokens, claim.special_tokens, claim.pool)
    pooled = evidence.pooled(role, claim)
    units = units_used(evidence, claim, role)
    kept = evidence.codes(role), evidence.prompts(role).prompts
    return evidence.memo(key, lambda: unit_shares(firing_as_one(pooled), units), keep=kept)


def unit_shares(ones: Pooled, units: Units) -> Floats:
    """The mean over units of the share of their prompts that hold a 1, for every feature, [d_sae]."""
    return mean_of_all(by_unit(ones, units))


def share_part(name: str, share: float, n: int, bound: Bound, claim: Claim) -> Part:
    """A share of n units held against a bound."""
    limits = rate_limits(share * n, n, claim.alpha)
    return part(name, limits, bound, claim, n, measure=Measure.FIRING_RATE)


def within_bound(bound: Bound, values: Floats) -> Mask:
    """Which features' numbers are inside the bound; NaN is outside."""
    with np.errstate(invalid="ignore"):
        return np.asarray((values >= bound.low) & (values <= bound.high))


def too_few_for_rate(
    sets: Mapping[str, PromptSet], role: str, bound: Bound, claim: Claim, n: int | None = None
) -> Verdict | None:
    """Inconclusive where no outcome on this many units could meet the bound, with the n that would do."""
    if claim.scope == "sample":
        return None
    n = units_in(sets, role, claim.over) if n is None else n
    if reachable(bound, n, claim.alpha):
        return None
    least = fewest(lambda m: reachable(bound, m, claim.alpha), n + 1, most=_most(bound))
    prompts, name = sets[role].prompts, sets[role].name
    because = f"even {best_text(bound, n)} would not prove a rate {bound_words(bound)} at alpha {claim.alpha_in_words}"
    missing, also = None if least is None else least - n, why_few(name, prompts)
    return too_few(n, missing, name, because, unit_name(prompts, claim.over), also=also)


def smallest_p_of_rate(sets: Mapping[str, PromptSet], role: str, bound: Bound, claim: Claim) -> float | None:
    """The binomial p of the best count, n of n or 0 of n, against the bound; None for a range."""
    if claim.scope == "sample" or bound.between is not None:
        return None
    n = units_in(sets, role, claim.over)
    return float(bound.low**n if bound.at_least is not None else (1 - bound.high) ** n)


def outlook_of_share(evidence: Evidence, claim: Claim, role: str, shares: Floats, bound: Bound) -> Outlook | None:
    """Of a share of a role's units, read off those of all features."""
    if claim.scope == "sample":
        return None
    n = count_units(units_used(evidence, claim, role))
    share = float(shares[feature_of(claim, len(shares))])
    return rate_outlook(share, n, bound, claim.alpha, evidence.prompts(role).name, unit_word(evidence, claim, role))


def _most(bound: Bound) -> int:
    """How far to search for the n that would do: a range costs n^2."""
    return 400 if bound.between is not None else 10_000


def best_text(bound: Bound, n: int) -> str:
    if bound.between is not None:
        return f"the best count of {n}"
    return f"{n} of {n}" if bound.at_least is not None else f"0 of {n}"


def bound_words(bound: Bound) -> str:
    if bound.between is not None:
        return f"between {short(bound.low)} and {short(bound.high)}"
    return f">= {short(bound.low)}" if bound.at_least is not None else f"<= {short(bound.high)}"


def out_of(share: float, n: int) -> str:
    """`18 of 20`; a template that fires in part counts in part."""
    k = share * n
    shown = str(round(k)) if math.isclose(k, round(k), abs_tol=1e-9) else f"{k:.3g}"
    return f"{shown} of {n}"
