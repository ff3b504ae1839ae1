"""top_feature: among the features that stand out most on a prompt, for most prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from harness.codes import Floats, Mask, Pooled
from harness.expectations.base import Claim, Expectation, KindExample, OptionalSetRef, SetRef, Side, Unfit
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import broken, dead_at_rest, feature_of, left_out
from harness.expectations.comparing import sets_key
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.outlook import Outlook
from harness.expectations.rates import (
    out_of,
    outlook_of_share,
    share_part,
    side_of,
    smallest_p_of_rate,
    too_few_for_rate,
    unit_shares,
    unit_word,
    units_used,
    within_bound,
)
from harness.expectations.results import against, limits_text, verdict_of
from harness.expectations.shortcuts import KEPT
from harness.expectations.showing import MOST_SHOWN, examples_at, in_order_of
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.levels import excess_over, max_of_all
from harness.stats.ranking import among_strongest, share_among_strongest
from harness.stats.units import by_unit, count_units
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive

RESAMPLES = 200
_NEEDS_THAN = (
    "top_feature ranks features by what they exceed their largest activation on ordinary prompts: name these with "
    "`than`. By activation alone features of the frame outrank every other; `scope: sample` may claim that of these"
)


class TopFeature(Expectation):
    """The feature is among the `among` features that stand out most on a prompt, for most of `prompts`.

    Features are ranked by how far they exceed their own largest activation on `than`: by activation alone, features of
    the frame outrank every other on nearly every prompt. `scope: sample` may leave `than` out, and ranks by activation.
    """

    kind: ClassVar[str] = "top_feature"
    loosens: ClassVar[frozenset[str]] = frozenset({"among"})
    population_needs: ClassVar[frozenset[str]] = frozenset({"than"})
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="The prompts whose features are ranked.")
    than: OptionalSetRef = Field(
        None,
        description="Ordinary prompts: a feature stands out by what its pooled activation exceeds its largest one "
        "there. Needed unless `scope: sample`.",
    )
    among: int = Field(10, ge=1, description="The rank that still counts; features that tie share their mean rank.")
    rate: ShareBound = Field(
        ShareBound(at_least=0.5),
        description="Bound on the share of prompts with that rank (5 of 5 show .5, 14 show .8).",
    )

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} is {self._rank_words()} of a prompt"
        if self.than is not None:
            claimed += f", by the excess over each feature's largest activation on {told.on('than')}"
        share = f"for a share of {limits_text(self.rate)} of {told.on('prompts')}"
        return told.sentence(f"{claimed}, {share}", told.level(), told.pooled())

    def _rank_words(self) -> str:
        if self.than is None:
            return "the strongest feature" if self.among == 1 else f"among the {self.among} strongest features"
        return "the one that stands out most" if self.among == 1 else f"among the {self.among} that stand out most"

    def side(self) -> Side:
        return side_of(self.rate)

    def contrast(self) -> tuple[str, str, float] | None:
        """What exceeds its values on `than` tells the sets apart, as a first token may."""
        return ("prompts", "than", KEPT) if self.than is not None and self.side() == "high" else None

    def changed_by(self) -> frozenset[str]:
        """Labels are what `than` has; a rank by activation alone has none."""
        return self.mutants if self.than is not None else self.mutants - {"swapped_sets", "shuffled_labels"}

    def check_fit(self, sets: Mapping[str, PromptSet], claim: Claim) -> None:
        if claim.scope == "population" and self.than is None:
            raise Unfit((), _NEEDS_THAN)

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return _all_tie(claim) or too_few_for_rate(sets, "prompts", self.rate, claim)

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        return smallest_p_of_rate(sets, "prompts", self.rate, claim)

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        return outlook_of_share(evidence, claim, "prompts", self._shares(evidence, claim), self.rate)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' shares are inside the bound, [d_sae]."""
        return within_bound(self.rate, self._shares(evidence, claim))

    def _shares(self, evidence: Evidence, claim: Claim) -> Floats:
        units = units_used(evidence, claim, "prompts")
        pooled = self._standing_out(evidence, claim)
        key = self._key(evidence, claim, "share")
        return evidence.memo(
            key, lambda: unit_shares(among_strongest(pooled, self.among), units), keep=_kept(evidence, claim)
        )

    def _stability(self, evidence: Evidence, claim: Claim) -> Floats:
        """In which share of resamples of the units each feature's mean is among the strongest, [d_sae]."""
        pooled = self._standing_out(evidence, claim)
        rows = by_unit(pooled, units_used(evidence, claim, "prompts"))
        key = self._key(evidence, claim, "stable")
        return evidence.memo(
            key, lambda: share_among_strongest(rows, self.among, RESAMPLES), keep=_kept(evidence, claim)
        )

    def _standing_out(self, evidence: Evidence, claim: Claim) -> Pooled:
        """What is ranked, [n_prompts, d_sae]: the excess over each feature's largest activation on `than`, or without
        that the activation."""
        pooled = evidence.pooled("prompts", claim)
        if self.than is None:
            return pooled
        ordinary = evidence.pooled("than", claim)
        key = ("excess", id(pooled), id(ordinary))
        return evidence.memo(key, lambda: excess_over(pooled, max_of_all(ordinary)), keep=(pooled, ordinary))

    def _key(self, evidence: Evidence, claim: Claim, what: str) -> tuple[object, ...]:
        """Of what is the same for all specs about these prompts; what its ids are of is kept alive with it."""
        return (
            "top_feature",
            what,
            id(self._standing_out(evidence, claim)),
            *sets_key(evidence, claim, "prompts"),
            self.among,
        )

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        n = count_units(units_used(evidence, claim, "prompts"))
        undecidable = (
            _all_tie(claim)
            or broken(evidence, claim, tuple(self.references("prompts")))
            or too_few_for_rate(evidence.sets, "prompts", self.rate, claim, n)
            or dead_at_rest(evidence, claim, ("prompts",), self.rate)
            or self._unlike(evidence, claim)
        )
        if undecidable is not None:
            return undecidable
        shares = self._shares(evidence, claim)
        share = float(shares[feature_of(claim, len(shares))])
        found = share_part("share of prompts with that rank", share, n, self.rate, claim)
        return verdict_of(
            [found],
            f"feature {claim.feature} is {self._rank_words()} on {out_of(share, n)} "
            f"{unit_word(evidence, claim, 'prompts')} of {evidence.prompts('prompts').name}{self._by(evidence)}: "
            f"{against(found, claim)}",
            also=self._also(evidence, claim),
            examples=self._examples(evidence, claim),
            warnings=(*left_out(evidence, claim, ("prompts",)), *self._lengths(evidence, claim)),
        )

    def _by(self, evidence: Evidence) -> str:
        return f", by excess over {evidence.prompts('than').name}" if self.than is not None else ""

    def _unlike(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        return length_confound(evidence, claim, "prompts", "than") if self.than is not None else None

    def _lengths(self, evidence: Evidence, claim: Claim) -> tuple[str, ...]:
        return length_warning(evidence, claim, "prompts", "than") if self.than is not None else ()

    def _also(self, evidence: Evidence, claim: Claim) -> tuple[Measurement, ...]:
        """Whether the rank would last on other prompts like these."""
        stable = self._stability(evidence, claim)
        name = f"share of resamples in which its mean is among the {self.among} strongest"
        return (Measurement(name, float(stable[feature_of(claim, len(stable))]), RESAMPLES),)

    def _examples(self, evidence: Evidence, claim: Claim) -> tuple[Example, ...]:
        """The prompts that speak against it: those where it does not rank, or for a low claim where it does."""
        pooled = self._standing_out(evidence, claim)
        ranks = among_strongest(pooled, self.among).column(feature_of(claim, pooled.d_sae)) > 0
        wanted, note = (ranks, "ranks among the strongest") if self.side() == "low" else (~ranks, "does not rank")
        order = in_order_of(evidence, claim, "prompts", "lowest")
        return examples_at(evidence, claim, "prompts", [r for r in order if wanted[r]][:MOST_SHOWN], note)


def _kept(evidence: Evidence, claim: Claim) -> tuple[object, ...]:
    return evidence.pooled("prompts", claim), evidence.codes("prompts"), evidence.prompts("prompts").prompts


def _all_tie(claim: Claim) -> Verdict | None:
    if claim.pool != "any":
        return None
    return inconclusive(
        Reason.VACUOUS, "with `pool: any` all firing features tie, so a rank says nothing: use max, mean or last."
    )


_COLOR, _PLAIN = "the red ball rolled", "the old ball rolled"
_ORDINARY = rows(14, _PLAIN)
TopFeature.examples = (
    KindExample(
        "stands out most on 14 of 14",
        Outcome.MET,
        {"among": 1, "rate": {"at_least": 0.8}},
        {"prompts": rows(14, _COLOR, red=9), "than": _ORDINARY},
    ),
    KindExample(
        "as strong on ordinary prompts, so it does not stand out",
        Outcome.UNMET,
        {"among": 1},
        {"prompts": rows(14, _COLOR, red=9), "than": rows(14, _PLAIN, old=12)},
    ),
    KindExample(
        "stands out on 9 of 14",
        Outcome.INCONCLUSIVE,
        {"among": 1},
        {"prompts": [*rows(9, _COLOR, red=9), *rows(5, _COLOR)], "than": _ORDINARY},
    ),
    KindExample(
        "the strongest by activation, of these prompts only",
        Outcome.MET,
        {"among": 1},
        {"prompts": rows(5, _COLOR, red=9)},
        {"scope": "sample"},
    ),
)
