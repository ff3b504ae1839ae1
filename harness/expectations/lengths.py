"""Unlike lengths: a maximum grows with the number of tokens, a mean shrinks with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.codes import Floats
from harness.expectations.base import Claim
from harness.expectations.comparing import FEWEST
from harness.expectations.evidence import Evidence
from harness.expectations.rates import units_used
from harness.expectations.results import short
from harness.stats.intervals import auroc_limits
from harness.stats.strata import InStrata, auroc_in_strata, auroc_of, length_strata
from harness.stats.units import by_unit
from harness.verdict import Measurement, Reason, Verdict, inconclusive

WARN_LENGTHS = 0.65
"""AUROC of the counted lengths, in the direction that helps the claim, from which a reader is warned."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Counted tokens of the units of two roles. auroc: the chance that lengths alone rank the first role higher."""

    first: Floats
    second: Floats
    auroc: float
    helps: str

    @property
    def is_unlike(self) -> bool:
        return self.auroc > WARN_LENGTHS


def length_warning(evidence: Evidence, claim: Claim, first: str, second: str) -> tuple[str, ...]:
    """A line where lengths tell the roles apart in the direction that lets `first` fire more."""
    found = _lengths(evidence, claim, first, second)
    if found is None or not found.is_unlike:
        return ()
    return (
        f"prompts of {evidence.prompts(first).name} are {found.helps} than those of {evidence.prompts(second).name} "
        f"(AUROC of counted tokens {short(found.auroc)}), which helps pool {claim.pool}",
    )


def length_confound(
    evidence: Evidence, claim: Claim, first: str, second: str, at_least: float | None = None
) -> Verdict | None:
    """Inconclusive where lengths could make the claim true: they help `first` to fire more, and among units of like
    length the claim does not hold.

    at_least: the AUROC that is claimed, whose lower limit is taken in strata of length; without one, FEWEST units a
    side must be of like length. `scope: sample` is warned only. A claim that is refuted all the same stays so.
    """
    found = _lengths(evidence, claim, first, second)
    if found is None or not found.is_unlike or claim.scope == "sample":
        return None
    a, b = _values(evidence, claim, first), _values(evidence, claim, second)
    inside = auroc_in_strata(a, b, (length_strata(found.first), length_strata(found.second)))
    if at_least is None:
        return None if inside.enough(FEWEST) else _confounded(evidence, claim, (first, second), found, inside)
    refuted = auroc_limits(auroc_of(a, b), len(a), len(b), claim.alpha).high1 < at_least
    if refuted or inside.lower(claim.alpha) >= at_least:
        return None
    return _confounded(evidence, claim, (first, second), found, inside)


def _confounded(evidence: Evidence, claim: Claim, roles: tuple[str, str], found: Lengths, inside: InStrata) -> Verdict:
    n = f"{inside.n_positive} v {inside.n_negative}"
    seen = f"{n} prompts are of like length"
    if inside.n_positive:
        low = short(inside.lower(claim.alpha))
        seen += f", and among these the AUROC is {short(inside.auroc)}, surely only {low} or more"
    first, second = (evidence.prompts(role).name for role in roles)
    return inconclusive(
        Reason.LENGTH_CONFOUND,
        f"prompts of {first} are {found.helps} than those of {second} (AUROC of counted tokens {short(found.auroc)}), "
        f"which helps pool {claim.pool}; {seen}: give both sets prompts of the same lengths.",
        measurement=Measurement("auroc of lengths", found.auroc, len(found.first) + len(found.second)),
    )


def _lengths(evidence: Evidence, claim: Claim, first: str, second: str) -> Lengths | None:
    """None for pool last, which reads one token, and where a role has no counted token."""
    if claim.pool == "last":
        return None
    a, b = _units(evidence, claim, first), _units(evidence, claim, second)
    if not len(a) or not len(b):
        return None
    longer = auroc_of(a, b)
    shrinks = claim.pool == "mean"
    return Lengths(a, b, 1 - longer if shrinks else longer, "shorter" if shrinks else "longer")


def _units(evidence: Evidence, claim: Claim, role: str) -> Floats:
    pooled = by_unit(evidence.pooled(role, claim), units_used(evidence, claim, role))
    return np.asarray(pooled.lengths, np.float64)


def _values(evidence: Evidence, claim: Claim, role: str) -> Floats:
    pooled = by_unit(evidence.pooled(role, claim), units_used(evidence, claim, role))
    return pooled.column(claim.feature) if claim.feature is not None else np.zeros(pooled.n_prompts)
