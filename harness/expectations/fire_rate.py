"""fire_rate: fires on a share of prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from harness.codes import Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import broken, dead_at_rest, feature_of, left_out, outcompeted
from harness.expectations.evidence import Evidence
from harness.expectations.outlook import Outlook
from harness.expectations.rates import (
    firing_rates,
    out_of,
    outlook_of_share,
    share_part,
    side_of,
    smallest_p_of_rate,
    too_few_for_rate,
    unit_word,
    units_used,
    within_bound,
)
from harness.expectations.results import against, limits_text, verdict_of
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.units import count_units
from harness.verdict import Example, Outcome, Verdict

_USE_SILENT_ON = " Use silent_on, which takes a set on which it does fire."


class FireRate(Expectation):
    """The feature fires on a share of `prompts` within a bound.

    Met if the exact one-sided limits of the share (Clopper-Pearson) lie inside the bound.
    """

    kind: ClassVar[str] = "fire_rate"
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="The prompts on which firing is counted.")
    rate: ShareBound = Field(
        ShareBound(at_least=0.8),
        description="Bound on the share of prompts on which the feature fires (14 can show .8).",
    )

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} fires on a share of {limits_text(self.rate)} of {told.on('prompts')}"
        return told.sentence(claimed, told.level(), told.pooled())

    def side(self) -> Side:
        return side_of(self.rate)

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return too_few_for_rate(sets, "prompts", self.rate, claim)

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        return smallest_p_of_rate(sets, "prompts", self.rate, claim)

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        return outlook_of_share(evidence, claim, "prompts", firing_rates(evidence, claim, "prompts"), self.rate)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' shares are inside the bound, [d_sae]."""
        return within_bound(self.rate, firing_rates(evidence, claim, "prompts"))

    def weaknesses(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        if self.side() == "low":
            yield "nothing shows that the feature would fire where its concept is." + _USE_SILENT_ON

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        n = count_units(units_used(evidence, claim, "prompts"))
        undecidable = (
            broken(evidence, claim, ("prompts",))
            or too_few_for_rate(evidence.sets, "prompts", self.rate, claim, n)
            or dead_at_rest(evidence, claim, ("prompts",), self.rate, _USE_SILENT_ON)
        )
        if undecidable is not None:
            return undecidable
        rates = firing_rates(evidence, claim, "prompts")
        share = float(rates[feature_of(claim, len(rates))])
        found = share_part("firing rate", share, n, self.rate, claim)
        return verdict_of(
            [found],
            f"feature {claim.feature} fires on {out_of(share, n)} {unit_word(evidence, claim, 'prompts')} of "
            f"{evidence.prompts('prompts').name}: {against(found, claim)}",
            examples=self._examples(evidence, claim),
            warnings=(*left_out(evidence, claim, ("prompts",)), *self._outcompeted(claim)),
        )

    def _outcompeted(self, claim: Claim) -> tuple[str, ...]:
        return outcompeted(claim) if self.rate.at_least is None else ()

    def _examples(self, evidence: Evidence, claim: Claim) -> tuple[Example, ...]:
        if self.side() == "low":
            return firing_prompts(evidence, claim, "prompts", MOST_SHOWN)
        return silent_prompts(evidence, claim, "prompts", MOST_SHOWN)


_COLOR = "the red ball rolled"
FireRate.examples = (
    KindExample("fires on 20 of 20", Outcome.MET, {}, {"prompts": rows(20, _COLOR, red=3)}),
    KindExample(
        "fires on 4 of 20",
        Outcome.UNMET,
        {"rate": {"at_least": 0.8}},
        {"prompts": [*rows(4, _COLOR, red=3), *rows(16, _COLOR)]},
    ),
    KindExample(
        "16 of 20 may or may not mean 80 % of prompts like these",
        Outcome.INCONCLUSIVE,
        {"rate": {"at_least": 0.8}},
        {"prompts": [*rows(16, _COLOR, red=3), *rows(4, _COLOR)]},
    ),
    KindExample(
        "16 of 20 is 80 % of these",
        Outcome.MET,
        {"rate": {"at_least": 0.8}},
        {"prompts": [*rows(16, _COLOR, red=3), *rows(4, _COLOR)]},
        {"scope": "sample"},
    ),
)
