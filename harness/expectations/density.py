"""density: on which share of tokens a feature fires."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, KindExample, Side
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.rates import side_of, within_bound
from harness.expectations.results import against, limits_text, part, verdict_of
from harness.expectations.tails import heavy_tail
from harness.expectations.telling import Told
from harness.expectations.tokenwise import Tokenwise
from harness.expectations.toy import rows
from harness.stats.fidelity import ratio_limits, tail_of_ratio
from harness.stats.firing import tokens_firing_of_all
from harness.sums import Part
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

FEWEST_FOR_DENSITY = 10_000


class Density(Tokenwise):
    """The feature fires on a share of the tokens of a corpus (or of `prompts`) within a bound.

    Limits by jackknife over blocks of the corpus: tokens that stand together are not independent. 10,000 tokens
    are the fewest.
    """

    kind: ClassVar[str] = "density"
    mutants: ClassVar[frozenset[str]] = frozenset({"random_sae", "one_layer_off"})

    rate: ShareBound = Field(description="Bound on the share of counted tokens on which the feature fires.")

    def fewest_tokens(self) -> int:
        return FEWEST_FOR_DENSITY

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} fires on a share of {limits_text(self.rate)} of the tokens of {told.on(self.role())}"
        return told.sentence(claimed, told.level(), told.counted())

    def side(self) -> Side:
        return side_of(self.rate)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' densities are inside the bound, [d_sae]."""
        return within_bound(self.rate, self._densities(evidence, claim))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self.unmeasurable(evidence, claim)
        if undecidable is not None:
            return undecidable
        density = self._densities(evidence, claim)
        feature = feature_of(claim, len(density))
        fired, n = self.fired_by_block(evidence, claim, feature)
        total, hits = int(n.sum()), int(fired.sum())
        dead = self._dead(evidence, claim, total, hits, bool(density.any()))
        if dead is not None:
            return dead
        found = part("density", ratio_limits(fired, n, claim.alpha), self.rate, claim, total, measure=Measure.DENSITY)
        beside, said = self._with_sinks(evidence, claim, feature, hits / max(total, 1))
        return verdict_of(
            [found],
            f"feature {claim.feature} fires on {hits:,} of {total:,} tokens of {self.source_name(evidence)}: "
            f"{against(found, claim)}{said}",
            also=beside,
            warnings=tuple(heavy_tail("density", tail_of_ratio(fired, n), self.rate, claim)),
        )

    def _with_sinks(
        self, evidence: Evidence, claim: Claim, feature: int, here: float
    ) -> tuple[tuple[Measurement, ...], str]:
        """The density under the other policy about sinks, and what the finding adds; nothing where no sink is there."""
        other = self.otherwise(evidence, claim)
        if other is None:
            return (), ""
        fired, n = self._fired_otherwise(evidence, claim, feature)
        there = {"density": fired / max(n, 1)}
        return other.measured(there), other.said({"density": here}, there)

    def _fired_otherwise(self, evidence: Evidence, claim: Claim, feature: int) -> tuple[float, float]:
        counts = claim.special_tokens == "counted"
        if counts:
            fired, n = self.fired_by_block(evidence, replace(claim, special_tokens="ignored"), feature)
            return float(fired.sum()), float(n.sum())
        if self.corpus is not None:
            sums = evidence.sums_of["corpus", None].counting(Part.SINK)
            return float(sums.fired[:, feature].sum()), float(sums.n.sum())
        codes = evidence.codes("prompts")
        counted = evidence.counted("prompts", claim) | codes.left_out_sinks(claim.tokens)
        return float(np.count_nonzero(codes.token_column(feature)[counted])), float(counted.sum())

    def _densities(self, evidence: Evidence, claim: Claim) -> Floats:
        """The share of counted tokens on which each feature fires, [d_sae]."""
        if self.corpus is not None:
            sums = evidence.sums("corpus", claim)
            return evidence.memo(("density", id(sums)), lambda: sums.fired.sum(0) / max(sums.n_tokens, 1), keep=sums)
        codes, counted = evidence.codes("prompts"), evidence.counted("prompts", claim)
        key = ("density", id(codes), claim.tokens, claim.special_tokens)
        n = max(int(counted.sum()), 1)
        return evidence.memo(key, lambda: tokens_firing_of_all(codes, counted) / n, keep=codes)

    def _dead(self, evidence: Evidence, claim: Claim, n: int, hits: int, any_alive: bool) -> Verdict | None:
        """A density of 0 refutes at_least; it never proves at_most, which a mistyped number would meet too."""
        if hits or (any_alive and not self.rate.holds(0.0)):
            return None
        what = f"feature {claim.feature}" if any_alive else "no feature at all"
        return inconclusive(
            Reason.DEAD,
            f"{what} {'never fires' if any_alive else 'fires'} on the {n:,} tokens of {self.source_name(evidence)}: "
            "silence cannot tell a dead or mistyped feature from a rare one.",
            measurement=Measurement("tokens that fire", 0, n),
        )


_TEXT = " ".join(f"w{i}" for i in range(1000))
Density.examples = (
    KindExample(
        "2 of 1,001 tokens",
        Outcome.MET,
        {"rate": {"at_most": 0.01}},
        {"corpus": rows(10, _TEXT, w0=1, w7=2)},
    ),
    KindExample(
        "2 of 1,001 tokens are not 1 %",
        Outcome.UNMET,
        {"rate": {"at_least": 0.01}},
        {"corpus": rows(10, _TEXT, w0=1, w7=2)},
    ),
    KindExample(
        "never fires: dead, not rare",
        Outcome.INCONCLUSIVE,
        {"rate": {"at_most": 0.01}},
        {"corpus": rows(10, _TEXT)},
    ),
)
