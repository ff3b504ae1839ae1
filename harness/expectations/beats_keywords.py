"""beats_keywords: better than a bag of the prompts' own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from harness.codes import Floats, Mask, concat
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound, claims_more, more_than
from harness.expectations.checks import broken, dead, feature_of, left_out, no_units
from harness.expectations.comparing import (
    FEWEST,
    compared,
    set_design,
    sets_key,
    too_few_to_compare,
    too_sparse,
)
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.noise import Measure
from harness.expectations.rates import within_bound
from harness.expectations.results import Part, bound_text, limits_text, part, short, too_few, verdict_of
from harness.expectations.shortcuts import KEPT
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.telling import Told
from harness.expectations.toy import row, rows
from harness.inputs import PromptSet
from harness.stats.auroc import auroc_of_all
from harness.stats.detectors import (
    FOLDS,
    diffmean_scores,
    folds_of,
    paired_auroc,
    paired_limits,
    ridge_scores,
    token_bags,
)
from harness.stats.intervals import Limits
from harness.stats.permutation import P
from harness.stats.units import LEFT_OUT, Design
from harness.verdict import Measurement, Outcome, Verdict

_ROLES = ("prompts", "than")
_ROUNDING = 1e-9  # of two AUROCs that are one: better than a rival is more than as good


@dataclass(frozen=True, slots=True)
class _Rival:
    """A baseline's score of every unit, positives first, and its AUROC."""

    name: str
    score: Floats
    auroc: float


class BeatsKeywords(Expectation):
    """The feature tells `prompts` from `than` better than a bag of their own tokens does.

    The bag (and DiffMean) are fitted with the tested prompts left out; the feature is not fitted at all. Difference
    of AUROC on the same prompts, with an exact permutation p that exchanges the two scores of each prompt.
    """

    kind: ClassVar[str] = "beats_keywords"
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="What the feature should tell apart.")
    than: SetRef = Field(description="What from; the baseline's other class.")
    margin: Bound = Field(
        Bound(at_least=0.0),
        json_schema_extra=more_than(0.0),
        description="Bound on the AUROC of the feature minus that of the baseline.",
    )
    and_diffmean: bool = Field(
        False, description="Beat DiffMean too: the difference of mean activations, for which activations are kept."
    )

    @field_validator("margin")
    @classmethod
    def _claims_more(cls, bound: Bound) -> Bound:
        return claims_more(bound, "beats_keywords", 0.0)

    def in_words(self, told: Told) -> str:
        rivals = "a bag of the prompts' own tokens" + (" and DiffMean" if self.and_diffmean else "")
        claimed = f"{told.who} tells {told.on('prompts')} from {told.on('than')} better than {rivals}"
        return told.sentence(
            f"{claimed}: its AUROC minus theirs {limits_text(self.margin)}", told.level(), told.pooled()
        )

    def side(self) -> Side:
        return "high"

    def needs_residuals(self, role: str = "prompts") -> bool:
        return self.and_diffmean

    def contrast(self) -> tuple[str, str, float]:
        return "prompts", "than", KEPT

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        design = set_design(sets, *_ROLES, over=claim.over)
        return _cannot_fit(design, sets) or (
            None if claim.scope == "sample" else too_few_to_compare(design, claim.alpha, sets, *_ROLES, over=claim.over)
        )

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' margin over the best baseline is inside the bound, [d_sae] (without its p)."""
        units = compared(evidence, claim, *_ROLES)
        a, b = units.positive, units.negative
        best = max(rival.auroc for rival in self._rivals(evidence, claim))
        margin = auroc_of_all(a, b) - best
        return np.asarray(within_bound(self.margin, margin) & (margin > self.margin.low + _ROUNDING))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self._undecidable(evidence, claim)
        if undecidable is not None:
            return undecidable
        units = compared(evidence, claim, *_ROLES)
        a, b = units.positive, units.negative
        feature = feature_of(claim, a.d_sae)
        value, side = np.r_[a.column(feature), b.column(feature)], np.arange(a.n_prompts + b.n_prompts) < a.n_prompts
        rivals = self._rivals(evidence, claim)
        found = [
            (rival, paired_limits(value, rival.score, side, claim.alpha), paired_auroc(value, rival.score, side)[1])
            for rival in rivals
        ]
        own = found[0][1].value + rivals[0].auroc
        parts = [self._part(rival, margin, p, claim, len(side)) for rival, margin, p in found]
        p_max = max(p.value for *_, p in found)
        return verdict_of(
            parts,
            f"feature {claim.feature}, AUROC {short(own)} on {evidence.prompts('prompts').name} against "
            f"{evidence.prompts('than').name}: "
            + "; ".join(_against(*one, claim) for one in found)
            + f" (n={a.n_prompts} v {b.n_prompts}), {bound_text(self.margin)}",
            p=p_max if claim.scope == "population" else None,
            also=(
                Measurement("auroc of the feature", own, len(side)),
                *(Measurement(f"auroc of {r.name}", r.auroc, len(side)) for r in rivals),
            ),
            examples=(*silent_prompts(evidence, claim, "prompts"), *firing_prompts(evidence, claim, "than"))[
                :MOST_SHOWN
            ],
            warnings=(*left_out(evidence, claim, _ROLES), *length_warning(evidence, claim, *_ROLES)),
        )

    def _undecidable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        bad = broken(evidence, claim, _ROLES)
        if bad is not None:
            return bad
        found = compared(evidence, claim, *_ROLES)
        few = no_units(evidence, claim, _ROLES) or _cannot_fit(found.design, evidence.sets)
        if claim.scope == "population":
            few = few or too_few_to_compare(found.design, claim.alpha, evidence.sets, *_ROLES, over=claim.over)
        sparse = too_sparse(found, feature_of(claim, len(found.auroc)), claim)
        return few or dead(evidence, claim, _ROLES) or sparse or length_confound(evidence, claim, *_ROLES)

    def _part(self, rival: _Rival, margin: Limits, p: P, claim: Claim, n: int) -> Part:
        """Met where the lower limit is over the bound, and the exact p, which holds at 5 a side too, agrees."""
        found = part(f"margin over {rival.name}", margin, self.margin, claim, n, measure=Measure.AUROC)
        number = margin.value if claim.scope == "sample" else margin.low1
        agrees = number > self.margin.low + _ROUNDING and (claim.scope == "sample" or p.value <= claim.alpha)
        if found.outcome is not Outcome.MET or agrees:
            return found
        return replace(found, outcome=Outcome.UNMET if claim.scope == "sample" else Outcome.INCONCLUSIVE)

    def _rivals(self, evidence: Evidence, claim: Claim) -> list[_Rival]:
        codes = evidence.codes("prompts"), evidence.codes("than")
        kept = codes, [evidence.prompts(role).prompts for role in _ROLES]
        policy = (claim.tokens, claim.special_tokens, claim.pool, self.and_diffmean)
        key = ("rivals", *sets_key(evidence, claim, *_ROLES), policy)
        return evidence.memo(key, lambda: self._fit(evidence, claim), keep=kept)

    def _fit(self, evidence: Evidence, claim: Claim) -> list[_Rival]:
        """The baselines' scores of each prompt, then of each unit."""
        design = compared(evidence, claim, *_ROLES).design
        codes = concat([evidence.codes(role) for role in _ROLES])
        counted = np.concatenate([evidence.counted(role, claim) for role in _ROLES])
        side = np.arange(codes.n_prompts) < len(design.positive)
        used = np.r_[design.positive, design.negative] != LEFT_OUT
        template = design.unit
        fold = np.full(codes.n_prompts, LEFT_OUT, np.int64)
        fold[used] = folds_of(side[used], template[used])
        bags = token_bags(codes, counted, np.unique(codes.token_id[counted]).tolist())
        scores = {"a bag of tokens": np.zeros(codes.n_prompts)}
        scores["a bag of tokens"][used] = ridge_scores(bags[used], side[used], fold[used])
        if self.and_diffmean:
            h = np.concatenate([evidence.residuals(role) for role in _ROLES]).astype(np.float64)
            kept = counted & used[codes.prompt]
            scores["DiffMean"] = diffmean_scores(h, codes, kept, side, fold, claim.pool)
        return [_rival(name, score, side, used, template) for name, score in scores.items()]


def _rival(name: str, score: Floats, side: Mask, used: Mask, template: NDArray[np.int64]) -> _Rival:
    """Mean score of each unit, in the order of the comparison: positives by number, then negatives.

    A baseline below chance (noise, left-out fits lean that way) is held to be a coin: to beat it is no feat.
    """
    parts = []
    for these in (used & side, used & ~side):
        numbers, inverse = np.unique(template[these], return_inverse=True)
        parts.append(np.bincount(inverse, weights=score[these]) / np.bincount(inverse, minlength=len(numbers)))
    auroc = float((np.sign(parts[0][:, None] - parts[1][None, :]) + 1).mean() / 2)
    scores = np.concatenate(parts)
    return _Rival(name, scores, auroc) if auroc >= 0.5 else _Rival(f"{name} (at chance)", np.zeros(len(scores)), 0.5)


def _against(rival: _Rival, margin: Limits, p: P, claim: Claim) -> str:
    shown = "these prompts only"
    if claim.scope == "population":
        shown = f"[{short(margin.low)}, {short(margin.high)}], p={short(p.value)}"
    sign = "+" if margin.value >= 0 else "-"
    return f"{sign}{short(abs(margin.value))} over {rival.name} at {short(rival.auroc)} ({shown})"


def _cannot_fit(design: Design, sets: Mapping[str, PromptSet]) -> Verdict | None:
    """A baseline needs prompts of both sets in every fit, whatever the scope."""
    for role, n in (("prompts", design.n_positive), ("than", design.n_negative)):
        if n < FEWEST:
            because = f"a baseline fitted on other prompts, in {FOLDS} parts, needs {FEWEST} of each"
            return too_few(n, FEWEST - n, sets[role].name, because, sample_helps=False)
    return None


_SYNONYMS = [row(f"s{i} paints x{i} q{i}", **{f"x{i}": 3 + i / 10}) for i in range(20)]
_OTHERS = [row(f"s{i} carries y{i} q{i}") for i in range(20, 40)]
_APART = [row(f"s{i} w{i} x{i} q{i}", **{f"x{i}": 3 + i / 10}) for i in range(20)]
_APART_OTHERS = [row(f"s{i} w{i} y{i} q{i}") for i in range(20, 40)]
BeatsKeywords.examples = (
    KindExample(
        "tells prompts apart that share no telling word",
        Outcome.MET,
        {},
        {"prompts": _APART, "than": _APART_OTHERS},
    ),
    KindExample(
        "a word in all prompts of the set does it better",
        Outcome.UNMET,
        {"margin": {"at_least": 0.2}},
        {"prompts": [*_SYNONYMS[:18], row("s18 paints x18 q18"), row("s19 paints x19 q19")], "than": _OTHERS},
    ),
    KindExample(
        "four prompts cannot fit a baseline",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(4, "the red ball", red=3), "than": rows(4, "the old ball")},
    ),
)
