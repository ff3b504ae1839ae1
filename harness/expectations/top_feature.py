"""top_feature: among the strongest features of a prompt, for most prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import broken, dead_at_rest, feature_of, left_out
from harness.expectations.comparing import sets_key
from harness.expectations.evidence import Evidence
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
from harness.expectations.showing import MOST_SHOWN, examples_at, in_order_of
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.ranking import among_strongest, share_among_strongest
from harness.stats.units import by_unit, count_units
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive

RESAMPLES = 200


class TopFeature(Expectation):
    """The feature is among the `among` strongest features of a prompt, for most of `prompts`."""

    kind: ClassVar[str] = "top_feature"
    loosens: ClassVar[frozenset[str]] = frozenset({"among"})
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="The prompts whose features are ranked by pooled activation.")
    among: int = Field(10, ge=1, description="The rank that still counts; features that tie share their mean rank.")
    rate: ShareBound = Field(
        ShareBound(at_least=0.8), description="Bound on the share of prompts with that rank (14 can show .8)."
    )

    def in_words(self, told: Told) -> str:
        rank = "the strongest feature" if self.among == 1 else f"among the {self.among} strongest features"
        claimed = f"{told.who} is {rank} of a prompt"
        share = f"for a share of {limits_text(self.rate)} of {told.on('prompts')}"
        return told.sentence(f"{claimed}, {share}", told.level(), told.pooled())

    def side(self) -> Side:
        return side_of(self.rate)

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
        pooled = evidence.pooled("prompts", claim)
        key = self._key(evidence, claim, "share")
        return evidence.memo(
            key, lambda: unit_shares(among_strongest(pooled, self.among), units), keep=_kept(evidence, claim)
        )

    def _stability(self, evidence: Evidence, claim: Claim) -> Floats:
        """In which share of resamples of the units each feature's mean is among the strongest, [d_sae]."""
        pooled = evidence.pooled("prompts", claim)
        rows = by_unit(pooled, units_used(evidence, claim, "prompts"))
        key = self._key(evidence, claim, "stable")
        return evidence.memo(
            key, lambda: share_among_strongest(rows, self.among, RESAMPLES), keep=_kept(evidence, claim)
        )

    def _key(self, evidence: Evidence, claim: Claim, what: str) -> tuple[object, ...]:
        """Of what is the same for all specs about these prompts; what its ids are of is kept alive with it."""
        return (
            "top_feature",
            what,
            id(evidence.pooled("prompts", claim)),
            *sets_key(evidence, claim, "prompts"),
            self.among,
        )

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        n = count_units(units_used(evidence, claim, "prompts"))
        undecidable = (
            _all_tie(claim)
            or broken(evidence, claim, ("prompts",))
            or too_few_for_rate(evidence.sets, "prompts", self.rate, claim, n)
            or dead_at_rest(evidence, claim, ("prompts",), self.rate)
        )
        if undecidable is not None:
            return undecidable
        shares = self._shares(evidence, claim)
        share = float(shares[feature_of(claim, len(shares))])
        found = share_part("share among the strongest", share, n, self.rate, claim)
        return verdict_of(
            [found],
            f"feature {claim.feature} is among the {self.among} strongest on {out_of(share, n)} "
            f"{unit_word(evidence, claim, 'prompts')} of {evidence.prompts('prompts').name}: {against(found, claim)}",
            also=self._also(evidence, claim),
            examples=self._examples(evidence, claim),
            warnings=left_out(evidence, claim, ("prompts",)),
        )

    def _also(self, evidence: Evidence, claim: Claim) -> tuple[Measurement, ...]:
        """Whether the rank would last on other prompts like these."""
        stable = self._stability(evidence, claim)
        name = f"share of resamples in which its mean is among the {self.among} strongest"
        return (Measurement(name, float(stable[feature_of(claim, len(stable))]), RESAMPLES),)

    def _examples(self, evidence: Evidence, claim: Claim) -> tuple[Example, ...]:
        """The prompts that speak against it: those where it does not rank, or for a low claim where it does."""
        pooled = evidence.pooled("prompts", claim)
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


_COLOR = "the red ball rolled"
TopFeature.examples = (
    KindExample(
        "the strongest feature on 14 of 14",
        Outcome.MET,
        {"among": 1},
        {"prompts": rows(14, _COLOR, red=9)},
    ),
    KindExample(
        "outranked on all",
        Outcome.UNMET,
        {"among": 1},
        {"prompts": rows(14, _COLOR, red=0.4)},
    ),
    KindExample(
        "strongest on 13 of 16",
        Outcome.INCONCLUSIVE,
        {"among": 1},
        {"prompts": [*rows(13, _COLOR, red=9), *rows(3, _COLOR, red=0.4)]},
    ),
)
