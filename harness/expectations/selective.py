"""selective: its true and false positive rate as a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import broken, dead, feature_of, left_out, no_units
from harness.expectations.comparing import sets_key, units_in
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.noise import Measure
from harness.expectations.rates import (
    best_text,
    bound_words,
    out_of,
    side_of,
    unit_shares,
    units_used,
    within_bound,
)
from harness.expectations.results import Part, against, fewest, limits_text, part, reachable, short, too_few, verdict_of
from harness.expectations.shortcuts import KEPT
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.intervals import rate_limits
from harness.stats.levels import detected, max_of_all
from harness.stats.precision import precision_limits, precision_shown
from harness.stats.units import count_units
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

LEVELS = (0.25, 0.5, 0.75)
_MOST, _MOST_FOR_A_RANGE = 10_000, 400  # how far the units that would do are sought; a range costs n^2


@dataclass(frozen=True, slots=True)
class _Rates:
    """True and false positive rates of every feature, [d_sae], on so many units."""

    tpr: Floats
    fpr: Floats
    n_pos: int
    n_neg: int


class Selective(Expectation):
    """The feature detects `prompts` and not `than`: it is a precise detector, at firing or at an activation level.

    precision = TPR / (TPR + FPR), which does not follow the sizes of the sets as raw counts do; recall = TPR. Its
    limits are score limits of the ratio itself (Miettinen and Nurminen).
    """

    kind: ClassVar[str] = "selective"
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="What the feature should detect.")
    than: SetRef = Field(description="What it should let pass.")
    precision: ShareBound = Field(
        ShareBound(at_least=0.8), description="Bound on TPR / (TPR + FPR): the precision on as many of each."
    )
    recall: ShareBound | None = Field(None, description="Bound on the share of `prompts` that it detects (TPR).")
    false_positives: ShareBound | None = Field(None, description="Bound on the share of `than` that it detects (FPR).")
    threshold: float | None = Field(
        None, ge=0, description="The activation above which it detects; left out, any firing is a detection."
    )
    level: float | None = Field(
        None, gt=0, lt=1, description="The threshold as a share of its largest activation on these prompts."
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> Selective:
        if self.threshold is not None and self.level is not None:
            raise ValueError("`threshold` and `level` both set the activation that counts; keep one")
        return self

    def in_words(self, told: Told) -> str:
        rates = {
            "precision on as many of each": self.precision,
            "share of the first that it detects": self.recall,
            "share of the second that it detects": self.false_positives,
        }
        limits = [f"{name} {limits_text(bound)}" for name, bound in rates.items() if bound is not None]
        claimed = f"{told.who} detects {told.on('prompts')} and not {told.on('than')}: {', '.join(limits)}"
        return told.sentence(claimed, self._detects(), told.level(), told.pooled())

    def _detects(self) -> str:
        if self.threshold is not None:
            return f"an activation over {short(self.threshold)} is a detection"
        if self.level is not None:
            return f"an activation over {short(self.level)} of its largest on these prompts is a detection"
        return "any firing is a detection"

    def side(self) -> Side:
        return side_of(self.precision, self.recall, self.false_positives)

    @property
    def _longer_shorter(self) -> tuple[str, str]:
        """The set whose length helps the claim, first: that of `than` helps a precision to be low."""
        return ("than", "prompts") if side_of(self.precision) == "low" else ("prompts", "than")

    def contrast(self) -> tuple[str, str, float] | None:
        return ("prompts", "than", KEPT) if self.side() == "high" else None

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return self._too_few(sets, claim, units_in(sets, "prompts", claim.over), units_in(sets, "than", claim.over))

    def _too_few(self, sets: Mapping[str, PromptSet], claim: Claim, a: int, b: int) -> Verdict | None:
        """Inconclusive where no outcome on a and b units proves all bounds, with the fewest of both that could."""
        because = None if claim.scope == "sample" else self._unproven(a, b, claim.alpha)
        if because is None:
            return None
        prompts, than = sets["prompts"].name, sets["than"].name
        need = self._needed(a, b, claim.alpha)
        if need is None:
            return too_few(min(a, b), None, "", because)
        more = need[0] - a, need[1] - b
        if not more[0]:
            return too_few(b, more[1], than, because)
        return too_few(a, more[0], prompts, because, besides=(more[1], than) if more[1] else None)

    def _unproven(self, a: int, b: int, alpha: float) -> str | None:
        """The first bound that not even a detector without an error would prove on a and b units, in words."""
        low = self.precision.low
        if self.precision.at_least is not None and not (a and b and precision_shown(1.0, a, 0.0, b, low, alpha)):
            return f"even {a} of {a} and 0 of {b} would not prove a precision of {short(low)}"
        for name, bound, n in (("recall", self.recall, a), ("false positive rate", self.false_positives, b)):
            if bound is not None and not reachable(bound, n, alpha):
                return f"even {best_text(bound, n)} would not prove a {name} {bound_words(bound)}"
        return None

    def _needed(self, a: int, b: int, alpha: float) -> tuple[int, int] | None:
        """The fewest units of both sides, at least a and b, that could prove all bounds; None where none would."""
        ranges = any(bound is not None and bound.between is not None for bound in (self.recall, self.false_positives))
        most = _MOST_FOR_A_RANGE if ranges else _MOST
        both = fewest(lambda m: self._unproven(max(a, m), max(b, m), alpha) is None, min(a, b) + 1, most)
        if both is None:
            return None
        enough_a = fewest(lambda m: self._unproven(m, max(b, both), alpha) is None, a)
        enough_b = fewest(lambda m: self._unproven(enough_a or both, m, alpha) is None, b)
        return enough_a or both, enough_b or both

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' rates are inside all bounds, [d_sae]."""
        rates = self._rates(evidence, claim, self.level)
        bounds = [(self.precision, _precision(rates)), (self.recall, rates.tpr), (self.false_positives, rates.fpr)]
        inside = [within_bound(bound, values) for bound, values in bounds if bound is not None]
        return np.asarray(np.logical_and.reduce(inside))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        roles = ("prompts", "than")
        rates = self._rates(evidence, claim, self.level)
        undecidable = (
            broken(evidence, claim, roles)
            or no_units(evidence, claim, roles)
            or self._too_few(evidence.sets, claim, rates.n_pos, rates.n_neg)
            or dead(evidence, claim, roles)
            or length_confound(evidence, claim, *self._longer_shorter)
        )
        if undecidable is not None:
            return undecidable
        feature = feature_of(claim, len(rates.tpr))
        tpr, fpr = float(rates.tpr[feature]), float(rates.fpr[feature])
        if tpr + fpr == 0:
            return _detects_nothing(claim, rates)
        parts = self._parts(tpr, fpr, rates, claim)
        return verdict_of(
            parts,
            f"feature {claim.feature} detects {out_of(tpr, rates.n_pos)} of {evidence.prompts('prompts').name} and "
            f"{out_of(fpr, rates.n_neg)} of {evidence.prompts('than').name}: "
            + "; ".join(against(found, claim) for found in parts),
            also=self._also(evidence, claim, feature),
            examples=(*silent_prompts(evidence, claim, "prompts"), *firing_prompts(evidence, claim, "than"))[
                :MOST_SHOWN
            ],
            warnings=(*left_out(evidence, claim, roles), *length_warning(evidence, claim, *self._longer_shorter)),
        )

    def _parts(self, tpr: float, fpr: float, rates: _Rates, claim: Claim) -> list[Part]:
        precision = precision_limits(tpr, rates.n_pos, fpr, rates.n_neg, claim.alpha)
        parts = [
            part("precision", precision, self.precision, claim, rates.n_pos + rates.n_neg, measure=Measure.FIRING_RATE)
        ]
        rest = [
            ("recall", tpr, rates.n_pos, self.recall),
            ("false positive rate", fpr, rates.n_neg, self.false_positives),
        ]
        return parts + [
            part(name, rate_limits(rate * n, n, claim.alpha), bound, claim, n, measure=Measure.FIRING_RATE)
            for name, rate, n, bound in rest
            if bound is not None
        ]

    def _rates(self, evidence: Evidence, claim: Claim, level: float | None) -> _Rates:
        roles = ("prompts", "than")
        kept = [(evidence.codes(role), evidence.prompts(role).prompts) for role in roles]
        policy = (claim.tokens, claim.special_tokens, claim.pool, self.threshold, level)
        key = ("selective", *sets_key(evidence, claim, *roles), policy)
        return evidence.memo(key, lambda: self._rates_of_all(evidence, claim, level), keep=kept)

    def _rates_of_all(self, evidence: Evidence, claim: Claim, level: float | None) -> _Rates:
        sides = [evidence.pooled(role, claim) for role in ("prompts", "than")]
        units = [units_used(evidence, claim, role) for role in ("prompts", "than")]
        if level is not None:
            threshold = level * np.maximum(max_of_all(sides[0]), max_of_all(sides[1]))
        else:
            threshold = np.full(sides[0].d_sae, self.threshold or 0.0)
        tpr, fpr = (unit_shares(detected(p, threshold), u) for p, u in zip(sides, units, strict=True))
        return _Rates(tpr, fpr, count_units(units[0]), count_units(units[1]))

    def _also(self, evidence: Evidence, claim: Claim, feature: int) -> tuple[Measurement, ...]:
        """Precision and recall at a quarter, half and three quarters of its largest activation."""
        found = []
        for level in LEVELS:
            rates = self._rates(evidence, claim, level)
            tpr, precision = float(rates.tpr[feature]), float(_precision(rates)[feature])
            if np.isfinite(precision):
                found.append(Measurement(f"precision at level {level:g}", precision, rates.n_pos + rates.n_neg))
            found.append(Measurement(f"recall at level {level:g}", tpr, rates.n_pos))
        return tuple(found)


def _precision(rates: _Rates) -> Floats:
    """NaN where nothing is detected."""
    both = rates.tpr + rates.fpr
    return np.asarray(rates.tpr / np.where(both > 0, both, np.nan))


def _detects_nothing(claim: Claim, rates: _Rates) -> Verdict:
    return inconclusive(
        Reason.TOO_SPARSE,
        f"feature {claim.feature} detects nothing on either set at this threshold, so it has no precision.",
        measurement=Measurement("prompts detected", 0, rates.n_pos + rates.n_neg),
    )


_COLOR, _PLAIN = "the red ball rolled", "the old ball rolled"
Selective.examples = (
    KindExample(
        "detects 20 of 20 and 0 of 20",
        Outcome.MET,
        {"recall": {"at_least": 0.8}},
        {"prompts": rows(20, _COLOR, red=3), "than": rows(20, _PLAIN)},
    ),
    KindExample(
        "detects both alike",
        Outcome.UNMET,
        {},
        {"prompts": rows(20, _COLOR, ball=3), "than": rows(20, _PLAIN, ball=3)},
    ),
    KindExample(
        "fires weakly on the others: no precision as it stands",
        Outcome.UNMET,
        {"precision": {"at_least": 0.9}},
        {"prompts": rows(40, _COLOR, red=3), "than": [*rows(30, _PLAIN, ball=0.5), *rows(10, _PLAIN)]},
    ),
    KindExample(
        "and precise at half of its largest activation",
        Outcome.MET,
        {"precision": {"at_least": 0.9}, "level": 0.5},
        {"prompts": rows(40, _COLOR, red=3), "than": [*rows(30, _PLAIN, ball=0.5), *rows(10, _PLAIN)]},
    ),
    KindExample(
        "five of each cannot show a precision of .8",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(5, _COLOR, red=3), "than": rows(5, _PLAIN)},
    ),
)
