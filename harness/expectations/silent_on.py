"""silent_on: does not fire on one set, though it does on another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from harness.codes import Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound, ShareBound
from harness.expectations.checks import (
    broken,
    feature_of,
    left_out,
    no_units,
    outcompeted,
)
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.outlook import Outlook
from harness.expectations.rates import (
    firing_rates,
    out_of,
    outlook_of_share,
    share_part,
    smallest_p_of_rate,
    too_few_for_rate,
    unit_word,
    units_used,
    within_bound,
)
from harness.expectations.results import against, limits_text, measured, short, verdict_of
from harness.expectations.shortcuts import end_tokens
from harness.expectations.showing import MOST_SHOWN, firing_prompts
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import PromptSet
from harness.stats.intervals import rate_limits
from harness.stats.units import LEFT_OUT, count_units
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

_MOST_ALIKE = 0.5  # share of prompts that end with one token
_LONGER_SHORTER = ("but_fires_on", "prompts")  # one-word prompts leave a feature little to fire on


class SilentOn(Expectation):
    """The feature does not fire on `prompts`, though it does on `but_fires_on`.

    Met if the exact upper limit of the firing rate is under the bound; the second set shows that the feature lives.
    """

    kind: ClassVar[str] = "silent_on"
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="Where the feature should stay silent.")
    but_fires_on: SetRef = Field(
        description="Where it should fire at least once: a dead or mistyped feature is silent everywhere."
    )
    rate: ShareBound = Field(
        ShareBound(at_most=0.2),
        json_schema_extra={
            "allOf": [
                {"not": {"required": ["at_least"]}},
                {"properties": {"between": {"prefixItems": [{"maximum": 0}]}}},
            ],
        },
        description="Bound on the share of prompts on which it fires (0 of 14 shows .2, 0 of 59 .05).",
    )

    @field_validator("rate")
    @classmethod
    def _claims_silence(cls, bound: Bound) -> Bound:
        if bound.at_least is not None or bound.low > 0:
            raise ValueError(
                "silent_on claims silence, so it takes at_most (or between, from 0); for firing, use fire_rate"
            )
        return bound

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} does not fire on {told.on('prompts')}, though it does on {told.on('but_fires_on')}"
        return told.sentence(
            f"{claimed}: share of the first on which it fires {limits_text(self.rate)}", told.level(), told.pooled()
        )

    def side(self) -> Side:
        return "low"

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return too_few_for_rate(sets, "prompts", self.rate, claim)

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        return smallest_p_of_rate(sets, "prompts", self.rate, claim)

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        return outlook_of_share(evidence, claim, "prompts", firing_rates(evidence, claim, "prompts"), self.rate)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features fire on the second set and within the bound on the first, [d_sae]."""
        alive = firing_rates(evidence, claim, "but_fires_on") > 0
        return alive & within_bound(self.rate, firing_rates(evidence, claim, "prompts"))

    def weaknesses(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        """The rate on `but_fires_on` must be shown to lie over the bound: else what is silent here is silent there."""
        n = count_units(units_used(evidence, claim, "but_fires_on"))
        rates = firing_rates(evidence, claim, "but_fires_on")
        share = float(rates[feature_of(claim, len(rates))])
        least = share if claim.scope == "sample" else rate_limits(share * n, n, claim.alpha).low1
        if least <= self.rate.high:
            yield (
                f"it fires on {out_of(share, n)} of {evidence.prompts('but_fires_on').name}, which shows a rate of "
                f"{short(least)}, and the bound lets it fire on {short(self.rate.high)} of "
                f"{evidence.prompts('prompts').name}: lower the bound under that, or add prompts on which it fires"
            )
        if claim.pool == "last":
            yield from _one_last_token(evidence, claim)

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        roles = ("prompts", "but_fires_on")
        n = count_units(units_used(evidence, claim, "prompts"))
        undecidable = (
            broken(evidence, claim, roles)
            or no_units(evidence, claim, roles)
            or too_few_for_rate(evidence.sets, "prompts", self.rate, claim, n)
        )
        if undecidable is not None:
            return undecidable
        rates = firing_rates(evidence, claim, "prompts")
        share = float(rates[feature_of(claim, len(rates))])
        found = share_part("firing rate", share, n, self.rate, claim)
        # What fires on `prompts` is not dead, and refuted whatever it does elsewhere.
        not_alive = None if found.outcome is Outcome.UNMET else _not_alive(evidence, claim)
        undecidable = not_alive or length_confound(evidence, claim, *_LONGER_SHORTER)
        if undecidable is not None:
            return undecidable
        return verdict_of(
            [found],
            f"feature {claim.feature} fires on {out_of(share, n)} {unit_word(evidence, claim, 'prompts')} of "
            f"{evidence.prompts('prompts').name}: {against(found, claim)} (alive: {_alive_text(evidence, claim)})",
            also=(_alive_rate(evidence, claim),),
            examples=firing_prompts(evidence, claim, "prompts", MOST_SHOWN),
            warnings=(
                *left_out(evidence, claim, roles),
                *length_warning(evidence, claim, *_LONGER_SHORTER),
                *outcompeted(claim),
            ),
        )


def _alive_rate(evidence: Evidence, claim: Claim) -> Measurement:
    column = evidence.pooled("but_fires_on", claim).column(feature_of(claim, evidence.codes("but_fires_on").d_sae))
    counted = evidence.pooled("but_fires_on", claim).lengths > 0
    n, k = int(counted.sum()), int(np.count_nonzero(column[counted]))
    return measured(f"firing rate on {evidence.prompts('but_fires_on').name}", rate_limits(k, n, claim.alpha), n)


def _alive_text(evidence: Evidence, claim: Claim) -> str:
    rate = _alive_rate(evidence, claim)
    return f"fires on {out_of(rate.value, rate.n)} of {evidence.prompts('but_fires_on').name}"


def _not_alive(evidence: Evidence, claim: Claim) -> Verdict | None:
    rate = _alive_rate(evidence, claim)
    if rate.value > 0:
        return None
    return inconclusive(
        Reason.DEAD,
        f"feature {claim.feature} fires on 0 of {rate.n} prompts of {evidence.prompts('but_fires_on').name}, where it "
        "should: silence cannot tell a dead or mistyped feature from a quiet one.",
        measurement=rate,
    )


_CODE, _COLOR = "for i in range", "the red ball rolled"


def _one_last_token(evidence: Evidence, claim: Claim) -> Iterator[str]:
    """Under `pool: last` only last tokens are read: a line where most prompts have one that ends none of the others."""
    (here, shown), (there, _) = (end_tokens(evidence, claim, role, "last") for role in ("prompts", "but_fires_on"))
    ended = here[here != LEFT_OUT].tolist()
    token, n = Counter(ended).most_common(1)[0]
    if n > _MOST_ALIKE * len(ended) and token not in there:
        yield (
            f"{n} of {len(ended)} prompts of {evidence.prompts('prompts').name} end with {shown[token]!r}, and none of "
            f"{evidence.prompts('but_fires_on').name} does: under `pool: last` nothing else of them is read. Let both "
            "sets end alike, or use `pool: max`"
        )


_FIRES = rows(3, _COLOR, red=3)
SilentOn.examples = (
    KindExample(
        "silent on 14 code prompts, alive on color",
        Outcome.MET,
        {},
        {"prompts": rows(14, _CODE), "but_fires_on": _FIRES},
    ),
    KindExample(
        "fires on 10 of 14 code prompts",
        Outcome.UNMET,
        {},
        {"prompts": [*rows(10, _CODE, i=2), *rows(4, _CODE)], "but_fires_on": _FIRES},
    ),
    KindExample(
        "fires nowhere: dead, not silent",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(14, _CODE), "but_fires_on": rows(3, _COLOR)},
    ),
    KindExample(
        "0 of 13 cannot show a rate under .2",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(13, _CODE), "but_fires_on": _FIRES},
    ),
)
