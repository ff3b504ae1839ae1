"""Two sets compared, for all features at once; a claim reads off one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.codes import Floats, Pooled
from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.checks import signed_codes_fault
from harness.expectations.evidence import Evidence
from harness.expectations.outlook import Outlook, outlook_of
from harness.expectations.results import fewest, limits_text, only, short, too_few
from harness.heldout import Prompts
from harness.independence import (
    Over,
    design,
    frames_in_words,
    grouping,
    shared_frames,
    unit_name,
    why_few,
    words_of_slots,
)
from harness.inputs import PromptSet
from harness.stats.auroc import SignedCodes, auroc_of_all
from harness.stats.intervals import Limits, auroc_limits, auroc_needed, newcombe_auroc, welch_limits
from harness.stats.permutation import P, rank_sum, smallest_p, stratified_p
from harness.stats.power import auroc_power
from harness.stats.scores import auroc_of_units, scores_of, units_p
from harness.stats.units import Design, by_unit
from harness.verdict import Measurement, Reason, Verdict, inconclusive

FEWEST = 5
FEW, RECOMMENDED, WORDS_RECOMMENDED = 10, 20, 10
_ADVICE = "; a strong feature needs 10 to 20 on each side, more for a bound near its effect"
_MOST = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets, one row per unit, and the AUROC of every feature.

    positive, negative: the mean of each unit's prompts that count. prompts: one row per prompt of both sides, of which
    units of several prompts (groups, words in frames) are scored; None where every unit is one prompt. unit: what the
    units are called.
    """

    design: Design
    positive: Pooled
    negative: Pooled
    auroc: Floats
    prompts: tuple[Pooled, Pooled] | None = None
    unit: str = "prompts"

    def rows(self, feature: int) -> tuple[Floats, Floats]:
        """The feature's values on both sides, one per unit."""
        return self.positive.column(feature), self.negative.column(feature)

    def scores(self, feature: int) -> tuple[Floats, Floats]:
        """What the units of both sides are ranked by: their value, or their score (stats/scores.py)."""
        if self.prompts is None:
            return self.rows(feature)
        positive, negative = self.prompts
        return scores_of(positive.column(feature), negative.column(feature), self.design)

    def n_firing(self, feature: int) -> int:
        """Units, of both sides, on which the feature fires."""
        return int(sum(np.count_nonzero(side) for side in self.rows(feature)))

    def p(self, feature: int) -> P:
        """Exact one-sided p that positives rank higher, labels dealt anew to all units."""
        if self.prompts is None:
            return stratified_p([rank_sum(*self.rows(feature))])
        return units_p(*self.scores(feature))

    def auroc_limits(self, feature: int, alpha: float) -> Limits:
        """Newcombe's limits, with as many units as there are on each side."""
        return auroc_limits(float(self.auroc[feature]), self.design.n_positive, self.design.n_negative, alpha)

    def difference(self, feature: int, alpha: float) -> Limits:
        """Difference of means over units, with Welch's t limits."""
        a, b = self.rows(feature)
        return welch_limits(a, b, alpha) if min(len(a), len(b)) > 1 else only(float(a.mean() - b.mean()))

    @property
    def n_text(self) -> str:
        """`n=24 v 24`, `n=24 v 144, of 168 prompts`, `n=6 v 6 templates`, or `n=10 v 10 words in 2 frames`."""
        design = self.design
        n = f"n={design.n_positive} v {design.n_negative}"
        if design.n_frames:
            return f"{n} words in {frames_in_words(design.n_frames)}"
        if self.unit != "prompts":
            return f"{n} {self.unit}"
        given = len(design.positive), len(design.negative)
        return n if sum(given) == design.n else f"{n}, of {given[0]} v {given[1]} prompts"


def compared(evidence: Evidence, claim: Claim, positive: str, negative: str) -> Comparison:
    """The comparison of two roles; computed once per pair of sets and policy. Signed codes are a fault."""
    codes = evidence.codes(positive), evidence.codes(negative)
    prompts = evidence.prompts(positive).prompts, evidence.prompts(negative).prompts
    pooled = evidence.pooled(positive, claim), evidence.pooled(negative, claim)
    key = ("compared", *sets_key(evidence, claim, positive, negative), claim.tokens, claim.special_tokens, claim.pool)
    try:
        return evidence.memo(key, lambda: _compare(*pooled, *prompts, claim.over), keep=(codes, prompts))
    except SignedCodes:
        raise signed_codes_fault() from None


def sets_key(evidence: Evidence, claim: Claim, *roles: str) -> tuple[object, ...]:
    """What tells the units of some roles from those of other claims, for memo; its ids stay true while codes and
    prompts are kept."""
    ids = [(id(evidence.codes(role)), id(evidence.prompts(role).prompts)) for role in roles]
    return (*ids, claim.over)


def _compare(positive: Pooled, negative: Pooled, prompts_a: Prompts, prompts_b: Prompts, over: Over) -> Comparison:
    found = design(prompts_a, prompts_b, over, positive.lengths > 0, negative.lengths > 0)
    a, b = by_unit(positive, found.positive), by_unit(negative, found.negative)
    unit = _unit_of(prompts_a, prompts_b, over)
    if not found.grouped:
        return Comparison(found, a, b, auroc_of_all(a, b), unit=unit)
    return Comparison(found, a, b, auroc_of_units(positive, negative, found), (positive, negative), unit)


def _unit_of(positive: Prompts, negative: Prompts, over: Over) -> str:
    """What the units of both sides are called: words, templates, groups, or prompts."""
    if shared_frames(positive, negative) is not None:
        return "words"
    names = {unit_name(side, over) for side in (positive, negative)}
    return next((name for name in ("words", "groups", "templates") if name in names), "prompts")


def auroc_outlook(found: Comparison, feature: int, bound: Bound, alpha: float, names: tuple[str, str]) -> Outlook:
    """The power of an AUROC with its limits inside the bound, and what would raise it. names: of the two sets."""
    effect = f"an AUROC of {short(float(found.auroc[feature]))}"
    a, b = found.scores(feature)

    def power(more: Sequence[int]) -> float:
        return auroc_power(a, b, len(a) + more[0], len(b) + more[1], bound.low, bound.high, alpha)

    return outlook_of(power, names, effect, found.design.n, found.unit)


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


def smallest_p_of(
    sets: Mapping[str, PromptSet], positive: str, negative: str, over: Over = "templates"
) -> float | None:
    """The smallest p that the sets could reach, labels dealt to all units."""
    found = set_design(sets, positive, negative, over)
    return smallest_p(found.n_positive, found.n_negative) if found.n_positive and found.n_negative else None


def set_design(sets: Mapping[str, PromptSet], positive: str, negative: str, over: Over = "templates") -> Design:
    """The design as the sets alone show it, before anything has run."""
    return design(sets[positive].prompts, sets[negative].prompts, over)


def too_few_to_compare(
    found: Design,
    alpha: float,
    sets: Mapping[str, PromptSet],
    positive: str,
    negative: str,
    bound: Bound | None = None,
    over: Over = "templates",
) -> Verdict | None:
    """Inconclusive where no outcome could reach alpha, a side is under 5 units (a floor of alpha / 10 excuses a small
    `than`, though not few words), or no AUROC could have its limits inside `bound`, with the number that would do."""
    a, b, asked = found.n_positive, found.n_negative, _Asked(alpha, bound, words=found.n_frames > 0)
    sides = sets[positive], sets[negative]
    names, unit = (sides[0].name, sides[1].name), _unit_of(sides[0].prompts, sides[1].prompts, over)
    if asked.enough(a, b):
        return None
    also = " ".join(filter(None, [_why_words(sides, found), *(why_few(one.name, one.prompts) for one in sides)]))
    more = _fewest_more(a, b, asked)
    because = _why_too_few(a, b, asked) + (_ADVICE if bound is not None and min(a, b) < FEW else "")
    if more is None:
        return too_few(min(a, b), None, names[0], because, unit, also=also)
    if not more[0]:
        return too_few(b, more[1], names[1], because, unit, also=also)
    return too_few(a, more[0], names[0], because, unit, besides=(more[1], names[1]) if more[1] else None, also=also)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a comparison must be able to show. words: the units are words, of which each side needs FEWEST."""

    alpha: float
    bound: Bound | None
    words: bool

    def enough(self, a: int, b: int) -> bool:
        """Whether some outcome of a against b units shows it."""
        return self.reaches(a, b) and self.shows(a, b)

    def reaches(self, a: int, b: int) -> bool:
        """Whether there are the fewest of each, and some p is alpha or less."""
        floor = smallest_p(a, b)
        excused = not self.words and floor <= self.alpha / 10
        return a >= FEWEST and b > 0 and floor <= self.alpha and (b >= FEWEST or excused)

    def shows(self, a: int, b: int) -> bool:
        """Whether some AUROC has its limits inside the bound: 10 v 10 need .9 to show .7."""
        if self.bound is None:
            return True
        least, most = auroc_needed(self.bound.low, self.bound.high, a, b, self.alpha)
        return least <= most and least <= 1 and most >= 0


def _why_too_few(a: int, b: int, asked: _Asked) -> str:
    """What is not reached, in words: the fewest, the smallest p, or the bound."""
    few = [f"{FEWEST} are the fewest, on the side that should fire"] if a < FEWEST else []
    if asked.words and min(a, b) < FEWEST:
        return f"{FEWEST} a side are the fewest"
    most = max(a, FEWEST)
    if not asked.reaches(most, b):
        return "; ".join([*few, _floor_text(most, b, asked.alpha)])
    bound = asked.bound
    if bound is None or asked.shows(most, b):
        return "; ".join(few)
    text = f"no AUROC from {most} against {b} has its limits {limits_text(bound)}"
    if bound.at_least is not None:
        limit = short(newcombe_auroc(1.0, most, b, asked.alpha)[0])
        text = f"even an AUROC of 1 from {most} against {b} shows only {limit} or more, and the bound is {bound.low:g}"
    return "; ".join([*few, text])


def _fewest_more(a: int, b: int, asked: _Asked) -> tuple[int, int] | None:
    """How many more of each set would do, the fewest in all; ties go to the second set, whose prompts are cheaper.

    Two ways are tried: more of the second set alone, beyond the fewest of the first; and more of both alike, less what
    one of them turns out not to need.
    """
    found = []
    least_a = max(a, FEWEST)
    alone = fewest(lambda n: asked.enough(least_a, n), b, _MOST)
    if alone is not None:
        found.append((least_a - a, alone - b))
    both = fewest(lambda m: asked.enough(max(a, m), max(b, m)), min(a, b), _MOST)
    if both is not None:
        most_a = max(a, both)
        least_b = fewest(lambda n: asked.enough(most_a, n), b, _MOST) or both
        enough_a = fewest(lambda n: asked.enough(n, least_b), a, _MOST) or most_a
        found.append((enough_a - a, least_b - b))
    return min(found, key=sum, default=None)


def auroc_to_show(design: Design, bound: Bound, alpha: float) -> str | None:
    """What the AUROC must be for the bound to be shown by this many, in words; None where nothing would show it."""
    a, b = design.n_positive, design.n_negative
    if not _Asked(alpha, bound, words=False).shows(a, b):
        return None
    least, most = auroc_needed(bound.low, bound.high, a, b, alpha)
    wanted = f"{short(least)} or more" if bound.at_least is not None else f"{short(least)} to {short(most)}"
    recommended = WORDS_RECOMMENDED if design.n_frames else RECOMMENDED
    small = f"; {recommended} a side are recommended" if min(a, b) < recommended else ""
    words = " words" if design.n_frames else ""
    return f"an AUROC of {wanted} from {a} against {b}{words}{small}"


def _floor_text(a: int, b: int, alpha: float) -> str:
    reached = smallest_p(a, b) if b else 1.0
    text = f"the smallest p that {a} against {b} can reach is {reached:.2g}"
    return f"{text}, and a set of under {FEWEST} takes a tenth of alpha" if reached <= alpha else text


def _why_words(sides: tuple[PromptSet, PromptSet], found: Design) -> str:
    """A sentence on sets that are made from templates; empty for others."""
    if found.n_frames:
        both = "Both sides fill the same templates, so the words are the units, however many frames there are"
        return f"{both}: {FEWEST} a side are the fewest, {WORDS_RECOMMENDED} are recommended."
    slots = [words_of_slots(side.prompts) for side in sides]
    if slots[0] and slots[0] == slots[1]:
        return (
            "The same words fill the templates of both sides, so it is the templates that are compared: add templates, "
            "or fill the same ones with other words."
        )
    return ""


def units_in(sets: Mapping[str, PromptSet], role: str, over: Over = "templates") -> int:
    """Independent prompts; templates or groups where prompts share them; words where the claim counts these."""
    return grouping(sets[role].prompts, over).n
