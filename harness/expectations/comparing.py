"""Two sets compared, for all features at once; a claim reads off one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.codes import Floats, Pooled
from harness.expectations.base import Claim
from harness.expectations.checks import signed_codes_fault
from harness.expectations.evidence import Evidence
from harness.expectations.outlook import Outlook, outlook_of
from harness.expectations.results import only, short, too_few
from harness.heldout import Prompts, by_identity
from harness.inputs import PromptSet
from harness.stats.auroc import SignedCodes, auroc_of_all, auroc_within_all, stacked
from harness.stats.intervals import Limits, auroc_limits, mean_limits, rate_limits, welch_limits
from harness.stats.permutation import P, rank_sum, smallest_p, strata_missing, stratified_p
from harness.stats.power import auroc_power, within_power
from harness.stats.units import LEFT_OUT, Design, by_unit, count_units, design_of, units_of
from harness.verdict import Measurement, Reason, Verdict, inconclusive

Which = Literal["positive", "negative"]
FEWEST = 5
ENOUGH_TO_REFUTE = 8
_MOST = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets, one row per unit (per prompt inside shared templates), and the AUROC of every feature."""

    design: Design
    positive: Pooled
    negative: Pooled
    auroc: Floats

    def rows(self, feature: int) -> tuple[Floats, Floats]:
        """The feature's values on both sides, one per row that is not left out."""
        a, b = self.positive.column(feature), self.negative.column(feature)
        if not self.design.within:
            return a, b
        return a[self.design.positive != LEFT_OUT], b[self.design.negative != LEFT_OUT]

    def n_firing(self, feature: int) -> int:
        """Rows, of both sides, on which the feature fires."""
        return int(sum(np.count_nonzero(side) for side in self.rows(feature)))

    def p(self, feature: int) -> P:
        """Exact one-sided p that positives rank higher, labels permuted by unit or inside templates."""
        a, b = self.positive.column(feature), self.negative.column(feature)
        if not self.design.within:
            return stratified_p([rank_sum(a, b)])
        return stratified_p([rank_sum(*sides) for sides in self.strata(feature)])

    def strata(self, feature: int) -> list[tuple[Floats, Floats]]:
        """The feature's values on both sides of each shared template."""
        a, b = self.positive.column(feature), self.negative.column(feature)
        return [(a[self.design.positive == g], b[self.design.negative == g]) for g in range(self.design.n)]

    def auroc_limits(self, feature: int, alpha: float) -> Limits:
        """Newcombe's limits; the mean over shared templates has those of a rate of that many (conservative)."""
        value, design = float(self.auroc[feature]), self.design
        if design.within:
            return rate_limits(value * design.n, design.n, alpha)
        return auroc_limits(value, design.n_positive, design.n_negative, alpha)

    def difference(self, feature: int, alpha: float) -> Limits:
        """Difference of means over units, with Welch's t limits, or paired ones inside shared templates."""
        a, b = self.positive.column(feature), self.negative.column(feature)
        if self.design.within:
            gaps = [
                a[self.design.positive == g].mean() - b[self.design.negative == g].mean() for g in range(self.design.n)
            ]
            return mean_limits(np.array(gaps), alpha) if len(gaps) > 1 else only(float(np.mean(gaps)))
        return welch_limits(a, b, alpha) if min(len(a), len(b)) > 1 else only(float(a.mean() - b.mean()))

    @property
    def n_text(self) -> str:
        """`n=24 v 24`, `n=6 v 6 templates`, or `n=8 shared templates`."""
        if self.design.within:
            return f"n={self.design.n} shared templates"
        unit = " templates" if self.design.grouped else ""
        return f"n={self.design.n_positive} v {self.design.n_negative}{unit}"


def compared(evidence: Evidence, claim: Claim, positive: str, negative: str) -> Comparison:
    """The comparison of two roles; computed once per pair of sets and policy. Signed codes are a fault."""
    codes = evidence.codes(positive), evidence.codes(negative)
    groups = tuple(tuple(p.group for p in evidence.prompts(role).prompts) for role in (positive, negative))
    policy = (claim.tokens, claim.special_tokens, claim.pool)
    key = ("compared", id(codes[0]), id(codes[1]), groups, policy)
    pooled = evidence.pooled(positive, claim), evidence.pooled(negative, claim)
    try:
        return evidence.memo(key, lambda: _compare(*pooled, *groups), keep=codes)
    except SignedCodes:
        raise signed_codes_fault() from None


def unit_rows(evidence: Evidence, claim: Claim, positive: str, negative: str) -> tuple[Pooled, Pooled, bool]:
    """Both sets with one row per unit, and whether rows of the same number are one shared template."""
    found = compared(evidence, claim, positive, negative)
    if not found.design.within:
        return found.positive, found.negative, False
    a, b = by_unit(found.positive, found.design.positive), by_unit(found.negative, found.design.negative)
    return a, b, True


def _compare(
    positive: Pooled, negative: Pooled, groups_a: tuple[str | None, ...], groups_b: tuple[str | None, ...]
) -> Comparison:
    design = design_of(groups_a, groups_b, positive.lengths > 0, negative.lengths > 0)
    if design.within:
        side = np.arange(positive.n_prompts + negative.n_prompts) < positive.n_prompts
        stratum = np.r_[design.positive, design.negative]
        auroc = auroc_within_all(stacked(positive, negative), side, stratum, design.n)
        return Comparison(design, positive, negative, auroc)
    a, b = by_unit(positive, design.positive), by_unit(negative, design.negative)
    return Comparison(design, a, b, auroc_of_all(a, b))


def auroc_outlook(found: Comparison, feature: int, low: float, alpha: float, names: tuple[str, str]) -> Outlook:
    """The power of AUROC >= low with p <= alpha, and what would raise it. names: of the two sets."""
    design, effect = found.design, f"an AUROC of {short(float(found.auroc[feature]))}"
    unit = "templates" if design.grouped or design.within else "prompts"
    if design.within:
        strata, both = found.strata(feature), " and ".join(names)
        return outlook_of(lambda k: within_power(strata, design.n + k[0], low, alpha), [both], effect, design.n, unit)
    a, b = found.rows(feature)

    def power(more: Sequence[int]) -> float:
        return auroc_power(a, b, len(a) + more[0], len(b) + more[1], low, alpha)

    return outlook_of(power, names, effect, design.n, unit)


def too_sparse(found: Comparison, feature: int, claim: Claim) -> Verdict | None:
    """Inconclusive where the feature fires on under 5 units of both sets, or for `scope: sample` on none: ties at 0
    compare nothing."""
    firing, fewest = found.n_firing(feature), FEWEST if claim.scope == "population" else 1
    if firing >= fewest:
        return None
    n = found.positive.n_prompts + found.negative.n_prompts
    needs = f"{fewest} that fire" if fewest > 1 else f"one that is not 0 under `pool: {claim.pool}`"
    sample = ", or write `scope: sample` to claim it of these only" if claim.scope == "population" and firing else ""
    return inconclusive(
        Reason.TOO_SPARSE,
        f"feature {feature} fires on {firing} of {n} prompts; a comparison needs {needs}: add {fewest - firing} on "
        f"which it does{sample}.",
        measurement=Measurement("firing prompts", firing, n),
    )


def inexact_warning(p: P | None) -> tuple[str, ...]:
    """What is said beside a p that was not counted out."""
    if p is None or p.exact:
        return ()
    return ("p is the tie-corrected normal approximation: too many prompts to count exactly",)


def smallest_p_of(sets: Mapping[str, PromptSet], positive: str, negative: str) -> float | None:
    """The smallest p that the sets could reach, labels permuted by unit or inside shared templates."""
    design = set_design(sets, positive, negative)
    if not design.n_positive or not design.n_negative:
        return None
    return math.prod(_within_floors(design)) if design.within else smallest_p(design.n_positive, design.n_negative)


def set_design(sets: Mapping[str, PromptSet], positive: str, negative: str) -> Design:
    """The design as the sets alone show it, before anything has run."""
    return _design_of_prompts(sets[positive].prompts, sets[negative].prompts)


@by_identity
def _design_of_prompts(positive: Prompts, negative: Prompts) -> Design:
    return design_of([p.group for p in positive], [p.group for p in negative])


def too_few_to_compare(
    design: Design, alpha: float, sets: Mapping[str, PromptSet], positive: str, negative: str
) -> Verdict | None:
    """Inconclusive where no outcome could reach alpha, or a side is under 5 units (STATISTICS: floor <= alpha / 10
    excuses a small `than`), with the number that would do."""
    a, b = design.n_positive, design.n_negative
    names = sets[positive].name, sets[negative].name
    if design.within:
        return _too_few_templates(design, alpha, " and to ".join(names))
    if _enough(a, b, alpha):
        return None
    unit = "templates" if design.grouped else "prompts"
    more = max(0, FEWEST - a)
    enough = next((n for n in range(b, _MOST) if _enough(a + more, n, alpha)), None)
    others = None if enough is None else enough - b
    floor = _floor_text(a + more, b, alpha)
    if not more:
        return too_few(b, others, names[1], floor, unit)
    because = f"{FEWEST} are the fewest, on the side that should fire"
    if others == 0:
        return too_few(a, more, names[0], because, unit)
    besides = None if others is None else (others, names[1])
    return too_few(a, None if others is None else more, names[0], f"{because}; {floor}", unit, besides=besides)


def _floor_text(a: int, b: int, alpha: float) -> str:
    reached = smallest_p(a, b) if b else 1.0
    text = f"the smallest p that {a} against {b} can reach is {reached:.2g}"
    return f"{text}, and a set of under {FEWEST} takes a tenth of alpha" if reached <= alpha else text


def _enough(a: int, b: int, alpha: float) -> bool:
    floor = smallest_p(a, b)
    return a >= FEWEST and b > 0 and floor <= alpha and (b >= FEWEST or floor <= alpha / 10)


def _too_few_templates(design: Design, alpha: float, names: str) -> Verdict | None:
    """More templates are taken to have as many prompts as that one of these which has the fewest ways to be dealt."""
    floors = _within_floors(design)
    missing = max(FEWEST - design.n, strata_missing(floors, alpha))
    if missing <= 0:
        return None
    because = f"both sides are made from the same templates, so these are the units, and {FEWEST} are the fewest"
    if design.n >= FEWEST:
        reached = f"the smallest p that {design.n} shared templates can reach is {math.prod(floors):.2g}"
        because = f"{reached}, and one more divides it by {round(1 / max(floors))}"
    return too_few(design.n, missing, names, because, "templates")


def _within_floors(design: Design) -> list[float]:
    """The smallest p of each shared template by itself; their product is that of all."""
    sizes = [(int((design.positive == g).sum()), int((design.negative == g).sum())) for g in range(design.n)]
    return [smallest_p(a, b) for a, b in sizes]


def units_in(sets: Mapping[str, PromptSet], role: str) -> int:
    """Prompts, or templates where prompts share them."""
    return _count_of_prompts(sets[role].prompts)


@by_identity
def _count_of_prompts(prompts: Prompts) -> int:
    return count_units(units_of([p.group for p in prompts]))
