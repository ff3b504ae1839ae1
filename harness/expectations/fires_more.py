"""fires_more: on one set of prompts more than on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound, ShareBound, claims_more, more_than
from harness.expectations.checks import broken, dead, feature_of, left_out, no_units
from harness.expectations.comparing import (
    Comparison,
    auroc_outlook,
    auroc_to_show,
    compared,
    inexact_warning,
    set_design,
    smallest_p_of,
    too_few_to_compare,
    too_sparse,
)
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.noise import Measure
from harness.expectations.outlook import Outlook
from harness.expectations.results import (
    Part,
    bound_text,
    limits_text,
    measured,
    part,
    short,
    spread,
    verdict_of,
    worst,
)
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.tails import HEAVY
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.intervals import rate_limits, skewness
from harness.stats.permutation import P
from harness.verdict import Example, Measurement, Outcome, Verdict

ROLES = ("prompts", "than")
"""Skewness of a side from which Welch's limits are said to be too narrow (docs/statistics.md)."""


class FiresMore(Expectation):
    """The feature fires more on `prompts` than on `than`.

    AUROC: the chance that a prompt of the first set has a higher activation than one of the second, ties half.
    Met if its one-sided limit (Newcombe's) reaches the bound, unmet if the other limit is under it, else underpowered.
    The exact permutation p against .5 is reported with it, and is what families correct.
    """

    kind: ClassVar[str] = "fires_more"
    gives_p: ClassVar[bool] = True
    p_decides: ClassVar[bool] = True
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="Where the feature should fire.")
    than: SetRef = Field(description="Where it should fire less; near misses make the claim worth more.")
    auroc: ShareBound = Field(
        ShareBound(at_least=0.7),
        json_schema_extra=more_than(0.5),
        description="Bound on the AUROC of the pooled activation: .5 is chance, 1 is perfect.",
    )
    mean_difference: Bound | None = Field(
        None, description="Bound on mean activation on `prompts` minus that on `than`; both bounds must hold."
    )

    def in_words(self, told: Told) -> str:
        bounds = [f"AUROC {limits_text(self.auroc)}"]
        if self.mean_difference is not None:
            bounds.append(f"mean activation minus that on the others {limits_text(self.mean_difference)}")
        claimed = f"{told.who} fires more on {told.on('prompts')} than on {told.on('than')}"
        return told.sentence(f"{claimed}: {' and '.join(bounds)}", told.level(), told.pooled())

    def side(self) -> Side:
        return "high"

    @field_validator("auroc")
    @classmethod
    def _claims_more(cls, bound: Bound) -> Bound:
        return claims_more(bound, "fires_more", 0.5, "; for less, use silent_on")

    def contrast(self) -> tuple[str, str, float]:
        return "prompts", "than", self.auroc.low

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        if claim.scope == "sample":
            return None
        found = set_design(sets, "prompts", "than", claim.over)
        return too_few_to_compare(found, claim.alpha, sets, "prompts", "than", self.auroc, claim.over)

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        return smallest_p_of(sets, "prompts", "than", claim.over) if claim.scope == "population" else None

    def to_be_met(self, sets: Mapping[str, PromptSet], claim: Claim) -> str | None:
        if claim.scope == "sample":
            return None
        return auroc_to_show(set_design(sets, "prompts", "than", claim.over), self.auroc, claim.alpha)

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        """Of the AUROC's bound."""
        if claim.scope == "sample":
            return None
        found = compared(evidence, claim, "prompts", "than")
        names = evidence.prompts("prompts").name, evidence.prompts("than").name
        return auroc_outlook(found, feature_of(claim, len(found.auroc)), self.auroc, claim.alpha, names)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features reach the bound on these sets, [d_sae] (the effect alone, without its limits)."""
        auroc = compared(evidence, claim, "prompts", "than").auroc
        return (auroc >= self.auroc.low) & (auroc <= self.auroc.high)

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self._undecidable(evidence, claim)
        if undecidable is not None:
            return undecidable
        found = compared(evidence, claim, "prompts", "than")
        feature = feature_of(claim, len(found.auroc))
        p = found.p(feature) if claim.scope == "population" else None
        parts = self._parts(found, feature, claim, p)
        return verdict_of(
            parts,
            self._finding(evidence, claim, found, parts, p),
            p=p.value if p else None,
            also=_also(evidence, claim, found, feature, self.mean_difference is None),
            examples=_examples(evidence, claim),
            warnings=(*self._warnings(evidence, claim, p), *self._heavy_tails(evidence, claim, found, feature)),
            details={"p_exact": p.exact} if p else {},
        )

    def _undecidable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        roles = ("prompts", "than")
        bad = broken(evidence, claim, roles)
        if bad is not None:
            return bad
        found = compared(evidence, claim, *roles)
        few = no_units(evidence, claim, roles)
        if claim.scope == "population":
            few = few or too_few_to_compare(found.design, claim.alpha, evidence.sets, *roles, self.auroc, claim.over)
        return few or dead(evidence, claim, roles) or self._unfit(evidence, claim, found)

    def _unfit(self, evidence: Evidence, claim: Claim, found: Comparison) -> Verdict | None:
        """Too sparse, or of unlike lengths in the direction that helps the claim."""
        sparse = too_sparse(found, feature_of(claim, len(found.auroc)), claim)
        if sparse is not None:
            return sparse.with_(examples=_examples(evidence, claim))
        return length_confound(evidence, claim, "prompts", "than", self.auroc.low)

    def _parts(self, found: Comparison, feature: int, claim: Claim, p: P | None) -> list[Part]:
        n, limits = found.design.n, found.auroc_limits(feature, claim.alpha)
        area = part("auroc", limits, self.auroc, claim, n, measure=Measure.AUROC)
        if p is not None and p.value > claim.alpha and area.outcome is Outcome.MET:
            # For a bound near .5 the limit is an approximation of what p counts exactly.
            area = replace(area, outcome=Outcome.INCONCLUSIVE)
        parts = [area]
        if self.mean_difference is not None:
            difference = found.difference(feature, claim.alpha)
            means = sum(float(np.abs(side).mean()) for side in found.rows(feature))
            parts.append(
                part(
                    "mean difference",
                    difference,
                    self.mean_difference,
                    claim,
                    n,
                    measure=Measure.MEAN_ACTIVATION,
                    scale=means,
                )
            )
        return parts

    def _finding(self, evidence: Evidence, claim: Claim, found: Comparison, parts: list[Part], p: P | None) -> str:
        first = parts[0]
        sets = f"{evidence.prompts('prompts').name} than on {evidence.prompts('than').name}"
        shown = f"AUROC {spread(first.limits)} ({found.n_text}{_p_text(p)}), {bound_text(self.auroc)}"
        for other in parts[1:]:
            shown += f"; {other.name} {spread(other.limits)}, {bound_text(other.bound)}"
        return f"feature {claim.feature} {_verb(worst(parts).outcome, claim, p)} {sets}: {shown}"

    def _warnings(self, evidence: Evidence, claim: Claim, p: P | None) -> tuple[str, ...]:
        return (
            *left_out(evidence, claim, ("prompts", "than")),
            *length_warning(evidence, claim, "prompts", "than"),
            *inexact_warning(p),
        )

    def _heavy_tails(self, evidence: Evidence, claim: Claim, found: Comparison, feature: int) -> tuple[str, ...]:
        """A line where t limits of the mean difference are too narrow on the side that the bound is on."""
        bound = self.mean_difference
        if bound is None or claim.scope == "sample":
            return ()
        sides = zip(ROLES, found.rows(feature), (bound.high, bound.low), strict=True)
        heavy = [(role, skewness(side)) for role, side, limit in sides if np.isfinite(limit)]
        return tuple(
            f"activations on {evidence.prompts(role).name} have a heavy tail (skewness {short(skew)}): the limits of "
            "the mean difference are too narrow, and its bound is met more often than alpha"
            for role, skew in heavy
            if skew > HEAVY
        )


def _verb(outcome: Outcome, claim: Claim, p: P | None) -> str:
    """What can be said in a word: a significant effect under the bound is still an effect."""
    differs = p is not None and p.value <= claim.alpha
    return {
        Outcome.MET: "fires more on",
        Outcome.UNMET: "fires more, but less than claimed, on" if differs else "does not fire more, as claimed, on",
    }.get(outcome, "fires more, perhaps less than claimed, on" if differs else "cannot be told to fire more on")


def _also(
    evidence: Evidence, claim: Claim, found: Comparison, feature: int, with_difference: bool
) -> tuple[Measurement, ...]:
    """Both firing rates, both means, their difference and ratio, and how many prompts fire."""
    a, b = found.rows(feature)
    names = evidence.prompts("prompts").name, evidence.prompts("than").name
    rates = [_rate(side, name, claim.alpha) for side, name in zip((a, b), names, strict=True)]
    means = [
        Measurement(f"mean on {name}", float(side.mean()), len(side)) for side, name in zip((a, b), names, strict=True)
    ]
    ratio = float(a.mean() / b.mean()) if b.mean() else float("inf") if a.mean() else float("nan")
    found_difference = found.difference(feature, claim.alpha)
    difference = (measured("mean difference", found_difference, found.design.n),) if with_difference else ()
    n = len(a) + len(b)
    return (
        *rates,
        *means,
        *difference,
        *((Measurement("ratio of means", ratio, n),) if np.isfinite(ratio) else ()),
        Measurement("firing prompts", found.n_firing(feature), n),
    )


def _rate(side: Floats, name: str, alpha: float) -> Measurement:
    fires = int(np.count_nonzero(side))
    return measured(f"firing rate on {name}", rate_limits(fires, len(side), alpha), len(side))


def _examples(evidence: Evidence, claim: Claim) -> tuple[Example, ...]:
    """What speaks against the claim: prompts that stay silent, and the strongest of the other set."""
    shown = *silent_prompts(evidence, claim, "prompts"), *firing_prompts(evidence, claim, "than")
    return shown[:MOST_SHOWN]


def _p_text(p: P | None) -> str:
    return f", p{'=' if p.exact else '~'}{short(p.value)}" if p is not None else ", these prompts only"


_COLOR = "the red ball rolled"
_PLAIN = "the old ball rolled"
FiresMore.examples = (
    KindExample(
        "fires on all color prompts and on no other",
        Outcome.MET,
        {"auroc": {"at_least": 0.9}},
        {"prompts": rows(20, _COLOR, red=3), "than": rows(20, _PLAIN)},
    ),
    KindExample(
        "fires on most of them, which ten a side cannot show",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": [*rows(8, _COLOR, red=3), *rows(2, _COLOR)], "than": [*rows(9, _PLAIN), *rows(1, _PLAIN, ball=1)]},
    ),
    KindExample(
        "fires on both sets alike",
        Outcome.UNMET,
        {"auroc": {"at_least": 0.9}},
        {"prompts": rows(20, _COLOR, ball=3), "than": rows(20, _PLAIN, ball=3)},
    ),
    KindExample(
        "three prompts cannot show it for prompts in general",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(3, _COLOR, red=3), "than": rows(3, _PLAIN)},
    ),
    KindExample(
        "the same three, claimed of themselves only",
        Outcome.MET,
        {"mean_difference": {"at_least": 2}},
        {"prompts": rows(3, _COLOR, red=3), "than": rows(3, _PLAIN)},
        {"scope": "sample"},
    ),
)
