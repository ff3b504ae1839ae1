"""distinguishes: among the top differential features of one set against another, stably."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound
from harness.expectations.checks import broken, dead, feature_of, left_out, no_units
from harness.expectations.comparing import (
    Comparison,
    compared,
    inexact_warning,
    set_design,
    sets_key,
    smallest_p_of,
    too_few_to_compare,
    too_sparse,
)
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.results import Part, only, short, verdict_of
from harness.expectations.shortcuts import KEPT
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.ranking import RankBy, ranks_of, scores_of_all, share_among_top
from harness.verdict import Measurement, Outcome, Verdict

RESAMPLES = 200
STABLE = 0.8
"""Share of resamples in which the rank must hold; 1 - STABLE or less refutes."""


class Distinguishes(Expectation):
    """The feature is among the `top` features that set `prompts` off from `than`, on these prompts and stably.

    Met if its rank is within `top` here and in 80 % of 200 seeded resamples of the prompts; unmet if it is not here,
    and in at most 20 % of them.
    """

    kind: ClassVar[str] = "distinguishes"
    gives_p: ClassVar[bool] = True
    loosens: ClassVar[frozenset[str]] = frozenset({"top"})
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="The set that the feature should set off.")
    than: SetRef = Field(description="What it is set off from.")
    top: int = Field(20, ge=1, description="The rank that still counts; features that tie share their mean rank.")
    by: RankBy = Field(
        "auroc",
        description="What ranks the features: auroc, or the difference of means or of firing rates. "
        "At 5 prompts a side the top 20 by mean are mostly noise.",
    )

    def in_words(self, told: Told) -> str:
        by = {"auroc": "AUROC", "mean": "difference of means", "rate": "difference of firing rates"}[self.by]
        claimed = f"{told.who} is among the {self.top} features that most set {told.on('prompts')} off from "
        stably = f"and in {100 * STABLE:g} % of {RESAMPLES} resamples of these prompts"
        sample = told.claim.scope == "sample"
        held = told.level() if sample else f"here, {stably}"
        return told.sentence(f"{claimed}{told.on('than')}, by {by}", held, told.pooled())

    def side(self) -> Side:
        return "high"

    def contrast(self) -> tuple[str, str, float]:
        return "prompts", "than", KEPT

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        if claim.scope == "sample":
            return None
        found = set_design(sets, "prompts", "than", claim.over)
        return too_few_to_compare(found, claim.alpha, sets, "prompts", "than", over=claim.over)

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        return smallest_p_of(sets, "prompts", "than", claim.over) if claim.scope == "population" else None

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features rank within `top` on these prompts, [d_sae]."""
        return self._ranks(evidence, claim) <= self.top

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self._undecidable(evidence, claim)
        if undecidable is not None:
            return undecidable
        found = compared(evidence, claim, "prompts", "than")
        ranks = self._ranks(evidence, claim)
        feature = feature_of(claim, len(ranks))
        rank, share = float(ranks[feature]), float(self._stability(evidence, claim)[feature])
        outcome = self._outcome(rank, share, claim)
        if outcome is not Outcome.UNMET:  # a rank far off is no matter of few that fire
            sparse = too_sparse(found, feature, claim)
            if sparse is not None:
                return sparse
        p = found.p(feature) if claim.scope == "population" else None
        part = Part("rank", only(rank), Bound(at_most=self.top), outcome, found.design.n)
        return verdict_of(
            [part],
            self._finding(evidence, claim, found, rank, share),
            p=p.value if p else None,
            also=(
                Measurement("share of resamples within the top", share, RESAMPLES),
                Measurement("auroc", float(found.auroc[feature]), found.design.n),
            ),
            examples=(*silent_prompts(evidence, claim, "prompts"), *firing_prompts(evidence, claim, "than"))[
                :MOST_SHOWN
            ],
            warnings=(
                *left_out(evidence, claim, ("prompts", "than")),
                *length_warning(evidence, claim, "prompts", "than"),
                *inexact_warning(p),
            ),
            details={"p_exact": p.exact} if p else {},
        )

    def _undecidable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        roles = ("prompts", "than")
        bad = broken(evidence, claim, roles)
        if bad is not None:
            return bad
        few = no_units(evidence, claim, roles)
        if claim.scope == "population":
            design = compared(evidence, claim, *roles).design
            few = few or too_few_to_compare(design, claim.alpha, evidence.sets, *roles, over=claim.over)
        return few or dead(evidence, claim, roles) or length_confound(evidence, claim, *roles)

    def _outcome(self, rank: float, share: float, claim: Claim) -> Outcome:
        if claim.scope == "sample":
            return Outcome.MET if rank <= self.top else Outcome.UNMET
        if rank <= self.top and share >= STABLE:
            return Outcome.MET
        return Outcome.UNMET if rank > self.top and share <= 1 - STABLE else Outcome.INCONCLUSIVE

    def _finding(self, evidence: Evidence, claim: Claim, found: Comparison, rank: float, share: float) -> str:
        stable = f", and within the top {self.top} in {share:.0%} of {RESAMPLES} resamples ({STABLE:.0%} asked for)"
        return (
            f"feature {claim.feature} ranks {rank:g} of {len(found.auroc):,} by {self.by} for "
            f"{evidence.prompts('prompts').name} against {evidence.prompts('than').name} ({found.n_text}), "
            f"bound {short(self.top)}" + (stable if claim.scope == "population" else " (these prompts only)")
        )

    def _ranks(self, evidence: Evidence, claim: Claim) -> Floats:
        found = compared(evidence, claim, "prompts", "than")
        a, b = found.positive, found.negative
        ones = np.ones((1, a.n_prompts)), np.ones((1, b.n_prompts))
        return evidence.memo(
            self._key(evidence, claim, "ranks"), lambda: ranks_of(scores_of_all(a, b, self.by, *ones)[0])
        )

    def _stability(self, evidence: Evidence, claim: Claim) -> Floats:
        found = compared(evidence, claim, "prompts", "than")
        a, b = found.positive, found.negative
        key = (*self._key(evidence, claim, "stable"), self.top)
        return evidence.memo(key, lambda: share_among_top(a, b, self.by, self.top, RESAMPLES))

    def _key(self, evidence: Evidence, claim: Claim, what: str) -> tuple[object, ...]:
        """Stays true because `compared` keeps both codes and prompts alive under the same ids."""
        return (
            what,
            self.by,
            *sets_key(evidence, claim, "prompts", "than"),
            claim.tokens,
            claim.special_tokens,
            claim.pool,
        )


_COLOR, _PLAIN = "the red ball rolled", "the old ball rolled"
Distinguishes.examples = (
    KindExample(
        "first of eight features",
        Outcome.MET,
        {"top": 1},
        {"prompts": rows(10, _COLOR, red=3), "than": rows(10, _PLAIN)},
    ),
    KindExample(
        "fires less on the set than on the other",
        Outcome.UNMET,
        {"top": 1},
        {"prompts": rows(10, _COLOR, red=1), "than": rows(10, _PLAIN, old=3)},
    ),
    KindExample(
        "first here, in few resamples",
        Outcome.INCONCLUSIVE,
        {"top": 1, "by": "rate"},
        {
            "prompts": [*rows(5, _COLOR, red=3), *rows(5, _COLOR)],
            "than": [*rows(4, _PLAIN, old=3), *rows(6, _PLAIN)],
        },
    ),
)
