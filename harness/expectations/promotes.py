"""promotes: the tokens whose logits its decoder direction raises most are these."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.codes import Mask
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim, KindExample, Side
from harness.expectations.bounds import ShareBound
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.expectations.rates import side_of, within_bound
from harness.expectations.results import Part, bound_text, by_value, limits_text, only, verdict_of
from harness.expectations.telling import Told
from harness.expectations.wanted import WantedTokens, plain
from harness.promotion import Promotions
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

LISTED = 10
FEWEST_LISTED = 5


class Promotes(WantedTokens):
    """The tokens that the feature's decoder direction raises most are these words, or match this pattern.

    Read from the weights alone: its decoder direction times the gain of the final norm times the unembedding, which
    leaves out all that later layers make of it. The share of its 10 most raised distinct tokens that match is held
    against the bound, and against the same share of 512 features drawn by a seed.
    """

    kind: ClassVar[str] = "promotes"
    reads_decoder: ClassVar[bool] = True
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "shuffled_decoder", "random_sae"})

    share: ShareBound = Field(
        ShareBound(at_least=0.6), description="Bound on the share of its 10 most raised distinct tokens."
    )

    def in_words(self, told: Told) -> str:
        listed = f"the {LISTED} tokens that the decoder direction of {told.who} raises most"
        return told.sentence(f"of {listed}, a share of {limits_text(self.share)} {self.wanted_words()}")

    def side(self) -> Side:
        return side_of(self.share)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' lists are inside the bound, [d_sae]; False for those without a list."""
        found = _promotions(evidence)
        mask = np.zeros(found.d_sae, bool)
        features = list(found.lists)
        mask[features] = within_bound(self.share, np.array([self._share(found, f) for f in features]))
        return mask

    def compared(self, evidence: Evidence) -> tuple[Mask, str]:
        """The features of the seeded sample."""
        found = _promotions(evidence)
        mask = np.zeros(found.d_sae, bool)
        mask[list(found.sampled)] = True
        return mask, "features drawn by a seed"

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        found = _promotions(evidence)
        feature = feature_of(claim, found.d_sae)
        listed = distinct(found, feature)
        undecidable = _undecidable(found, feature, len(listed))
        if undecidable is not None:
            return undecidable
        share, usual = self._share(found, feature), [self._share(found, f) for f in sorted(found.sampled)]
        n = len(listed)
        outcome = by_value(self.share, share)
        shown = ", ".join(repr(text) for text, _ in listed)
        return verdict_of(
            [Part("share of the most raised tokens", only(share), self.share, outcome, n)],
            f"feature {feature}: {round(share * n)} of the {n} tokens that its decoder direction raises most match, "
            f"{bound_text(self.share)}. They are {shown}",
            also=(Measurement("mean share of features drawn by a seed", float(np.mean(usual)), len(usual)),),
            details={"promoted": [[text, effect] for text, effect in listed]},
        )

    def _share(self, found: Promotions, feature: int) -> float:
        texts = [text for text, _ in distinct(found, feature)]
        return float(self.matches(texts).mean()) if texts else 0.0


def _undecidable(found: Promotions, feature: int, n: int) -> Verdict | None:
    effects = np.array([effect for _, effect in found.lists[feature]])
    if not np.isfinite(effects).all():
        text = f"what feature {feature} adds to the logits is NaN or infinite: a checkpoint is broken."
        return inconclusive(Reason.NOT_FINITE, text)
    if not effects.any():
        return inconclusive(Reason.DEAD, f"feature {feature} has no decoder direction: it adds 0 to every logit.")
    if n < FEWEST_LISTED:
        text = f"feature {feature} raises {n} tokens that differ in more than case and spaces; a list needs"
        return inconclusive(Reason.TOO_SPARSE, f"{text} {FEWEST_LISTED}.")
    return None


def distinct(found: Promotions, feature: int) -> Sequence[tuple[str, float]]:
    """The 10 most raised tokens of a feature that differ in more than case and spaces; blank ones left out."""
    return _distinct(found.lists[feature])


@lru_cache(maxsize=4096)
def _distinct(listed: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Remembered: every claim goes through the lists of the whole sample."""
    best: dict[str, float] = {}
    for token, effect in listed:
        best.setdefault(plain(token), effect)
    return tuple((text, effect) for text, effect in best.items() if text)[:LISTED]


def _promotions(evidence: Evidence) -> Promotions:
    if evidence.promotions is None:
        raise EnvironmentFault("no_decoder", "this evidence holds nothing about decoder directions.")
    return evidence.promotions


_COLORS = (" red", " Red", " blue", " green", " pink", " gray", " white", " black", " sky", " tone", " hue", " dye")
Promotes.examples = (
    KindExample("it raises colors", Outcome.MET, {"tokens": ["red", "blue", "green", "pink", "gray", "white", "black"]},
                {}, promoted=_COLORS),
    KindExample("it raises others", Outcome.UNMET, {"pattern": "[a-z]*ing"}, {}, promoted=_COLORS),
    KindExample("its list is one word", Outcome.INCONCLUSIVE, {"tokens": ["red"]}, {}, promoted=(" red", "Red", "RED")),
)  # fmt: skip
