"""Two sets compared, for all features at once; a claim reads off one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.codes import Floats, Pooled
from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.checks import signed_codes_fault
from harness.expectations.evidence import Evidence
from harness.expectations.outlook import Outlook, outlook_of
from harness.expectations.results import fewest, limits_text, only, reachable, short, too_few
from harness.heldout import Prompts, by_identity
from harness.inputs import PromptSet
from harness.stats.auroc import SignedCodes, auroc_of_all, auroc_within_all, stacked
from harness.stats.intervals import (
    Limits,
    auroc_limits,
    auroc_needed,
    mean_limits,
    newcombe_auroc,
    rate_limits,
    welch_limits,
)
from harness.stats.permutation import P, rank_sum, smallest_p, strata_missing, stratified_p
from harness.stats.power import auroc_power, mean_power
from harness.stats.units import LEFT_OUT, Design, by_unit, count_units, design_of, units_of
from harness.verdict import Measurement, Reason, Verdict, inconclusive

Which = Literal["positive", "negative"]
FEWEST = 5
FEW, RECOMMENDED = 10, 20
_ADVICE = "; a strong feature needs 10 to 20 on each side, more for a bound near its effect"
_MOST, _MOST_TEMPLATES = 2000, 400


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


def auroc_outlook(found: Comparison, feature: int, bound: Bound, alpha: float, names: tuple[str, str]) -> Outlook:
    """The power of an AUROC with its limits inside the bound, and what would raise it. names: of the two sets."""
    design, effect = found.design, f"an AUROC of {short(float(found.auroc[feature]))}"
    unit = "templates" if design.grouped or design.within else "prompts"
    if design.within:
        inside = np.array([(np.sign(a[:, None] - b[None, :]) + 1).mean() / 2 for a, b in found.strata(feature)])

        def of_templates(more: Sequence[int]) -> float:
            return mean_power(inside, design.n + more[0], bound.low, bound.high, alpha)

        return outlook_of(of_templates, [" and ".join(names)], effect, design.n, unit)
    a, b = found.rows(feature)

    def power(more: Sequence[int]) -> float:
        return auroc_power(a, b, len(a) + more[0], len(b) + more[1], bound.low, bound.high, alpha)

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
    design: Design,
    alpha: float,
    sets: Mapping[str, PromptSet],
    positive: str,
    negative: str,
    bound: Bound | None = None,
) -> Verdict | None:
    """Inconclusive where no outcome could reach alpha, a side is under 5 units (a floor of alpha / 10 excuses a small
    `than`), or no AUROC could have its limits inside `bound`, with the number that would do."""
    a, b = design.n_positive, design.n_negative
    names = sets[positive].name, sets[negative].name
    if design.within:
        return _too_few_templates(design, alpha, " and to ".join(names), bound)
    if _enough(a, b, alpha, bound):
        return None
    unit = "templates" if design.grouped else "prompts"
    more = _fewest_more(a, b, alpha, bound)
    because = _why_too_few(a, b, alpha, bound) + (_ADVICE if bound is not None and min(a, b) < FEW else "")
    if more is None:
        return too_few(min(a, b), None, names[0], because, unit)
    if not more[0]:
        return too_few(b, more[1], names[1], because, unit)
    return too_few(a, more[0], names[0], because, unit, besides=(more[1], names[1]) if more[1] else None)


def _why_too_few(a: int, b: int, alpha: float, bound: Bound | None) -> str:
    """What is not reached, in words: the fewest, the smallest p, or the bound."""
    few = [f"{FEWEST} are the fewest, on the side that should fire"] if a < FEWEST else []
    most = max(a, FEWEST)
    if not _enough(most, b, alpha):
        return "; ".join([*few, _floor_text(most, b, alpha)])
    if bound is None or _shows(most, b, alpha, bound):
        return "; ".join(few)
    text = f"no AUROC from {most} against {b} has its limits {limits_text(bound)}"
    if bound.at_least is not None:
        limit = short(newcombe_auroc(1.0, most, b, alpha)[0])
        text = f"even an AUROC of 1 from {most} against {b} shows only {limit} or more, and the bound is {bound.low:g}"
    return "; ".join([*few, text])


def _fewest_more(a: int, b: int, alpha: float, bound: Bound | None) -> tuple[int, int] | None:
    """How many more of each set would do, the fewest in all; ties go to the second set, whose prompts are cheaper.

    Two ways are tried: more of the second set alone, beyond the fewest of the first; and more of both alike, less what
    one of them turns out not to need.
    """
    found = []
    least_a = max(a, FEWEST)
    alone = fewest(lambda n: _enough(least_a, n, alpha, bound), b, _MOST)
    if alone is not None:
        found.append((least_a - a, alone - b))
    both = fewest(lambda m: _enough(max(a, m), max(b, m), alpha, bound), min(a, b), _MOST)
    if both is not None:
        most_a = max(a, both)
        least_b = fewest(lambda n: _enough(most_a, n, alpha, bound), b, _MOST) or both
        enough_a = fewest(lambda n: _enough(n, least_b, alpha, bound), a, _MOST) or most_a
        found.append((enough_a - a, least_b - b))
    return min(found, key=sum, default=None)


def _shows(a: int, b: int, alpha: float, bound: Bound | None) -> bool:
    """Whether some AUROC of a against b units has its limits inside the bound: 10 v 10 need .9 to show .7."""
    if bound is None:
        return True
    least, most = auroc_needed(bound.low, bound.high, a, b, alpha)
    return least <= most and least <= 1 and most >= 0


def auroc_to_show(design: Design, bound: Bound, alpha: float) -> str | None:
    """What the AUROC must be for the bound to be shown by this many, in words; None where nothing would show it."""
    if design.within or not _shows(design.n_positive, design.n_negative, alpha, bound):
        return None
    a, b = design.n_positive, design.n_negative
    least, most = auroc_needed(bound.low, bound.high, a, b, alpha)
    wanted = f"{short(least)} or more" if bound.at_least is not None else f"{short(least)} to {short(most)}"
    small = f"; {RECOMMENDED} a side are recommended" if min(a, b) < RECOMMENDED else ""
    return f"an AUROC of {wanted} from {a} against {b}{small}"


def _floor_text(a: int, b: int, alpha: float) -> str:
    reached = smallest_p(a, b) if b else 1.0
    text = f"the smallest p that {a} against {b} can reach is {reached:.2g}"
    return f"{text}, and a set of under {FEWEST} takes a tenth of alpha" if reached <= alpha else text


def _enough(a: int, b: int, alpha: float, bound: Bound | None = None) -> bool:
    floor = smallest_p(a, b)
    enough = a >= FEWEST and b > 0 and floor <= alpha and (b >= FEWEST or floor <= alpha / 10)
    return enough and _shows(a, b, alpha, bound)


def _too_few_templates(design: Design, alpha: float, names: str, bound: Bound | None) -> Verdict | None:
    """More templates are taken to have as many prompts as that one of these which has the fewest ways to be dealt."""
    floors = _within_floors(design)
    missing = max(FEWEST - design.n, strata_missing(floors, alpha))
    shown = design.n if bound is None else fewest(lambda n: reachable(bound, n, alpha), design.n, _MOST_TEMPLATES)
    if bound is not None and (shown is None or shown - design.n > max(0, missing)):
        reached = short(alpha ** (1 / design.n))
        because = f"even an AUROC of 1 in each of {design.n} shared templates shows only {reached} or more"
        add = None if shown is None else shown - design.n
        return too_few(design.n, add, names, f"{because}, and the bound is {limits_text(bound)}", "templates")
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
