"""transfers: what becomes of a feature from one model to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from harness.codes import Mask
from harness.expectations.base import Claim, KindExample, Side
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.expectations.results import short
from harness.expectations.telling import Told
from harness.expectations.toy import row, rows
from harness.expectations.transferred import changed_prompts, facts, numbers, refuted, telling, undecided, word
from harness.expectations.transferring import (
    BY_RATIO,
    TransferClass,
    Transferring,
    image_fvu,
    residual_cosine,
    undecidable_dead,
)
from harness.inputs import PromptSet
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, AlignedTransfer
from harness.stats.transfer.ratio import RATIO_CLASSES, RatioTransfer
from harness.verdict import Measurement, Outcome, Verdict

# What the validators below ask for, as an editor can check it.
_BY_RATIO_ONLY: dict[str, Any] = {"properties": {"method": {"const": "ratio_of_means"}}, "required": ["method"]}
_RULES: list[Any] = [
    {"if": {"properties": {"as": {"const": "new_vision"}}, "required": ["as"]}, "then": {"required": ["images"]}},
    {"if": _BY_RATIO_ONLY, "then": {"properties": {"as": {"enum": list(BY_RATIO)}}}},
    {"if": {"required": ["ratio"]}, "then": _BY_RATIO_ONLY},
]
_NEW = ("new_text", "new_vision")


class Transfers(Transferring):
    """The feature is stable, rescaled, shifted, lost, new_text or new_vision from this subject to another.

    By `aligned`, on the same tokens in both models: stable fires in both, at the same places (Jaccard, Pearson) and as
    strongly; rescaled only at the same places; shifted elsewhere; lost and new_text in one model only; new_vision on
    image tokens only. By `ratio_of_means`, as the source notebook classifies.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})
    kind: ClassVar[str] = "transfers"
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    as_: TransferClass = Field(alias="as", description="What becomes of the feature.")
    residual_cosine: bool = Field(
        False, description="Print the mean cosine of both models' activations too, for which these are kept."
    )

    @model_validator(mode="after")
    def _possible(self) -> Transfers:
        if self.method == "ratio_of_means" and self.as_ not in BY_RATIO:
            raise ValueError(f"ratio_of_means has no class {self.as_}; it has {', '.join(BY_RATIO)}")
        if self.as_ == "new_vision" and self.images is None:
            raise ValueError("new_vision is about pictures: add `images`, a set that the adapted model reads")
        return self

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} is {word(self.as_)} from {told.subject} to {self.to} on {self.places(told)}"
        return told.sentence(claimed, self.method_words(), told.level(), told.counted())

    def side(self) -> Side:
        return "high" if self.as_ in _NEW else "low" if self.as_ == "lost" else "none"

    def needs_residuals(self, role: str = "prompts") -> bool:
        return self.residual_cosine and role == "prompts"

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return self.too_few(self.as_, sets, claim)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features are of the claimed class, [d_sae]."""
        found = self.transfer(evidence, claim)
        names = ALIGNED_CLASSES if isinstance(found, AlignedTransfer) else RATIO_CLASSES
        return np.asarray(found.classes == names.index(self.as_))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        early = self.unreadable(evidence, claim) or self.too_few(self.as_, evidence.sets, claim)
        if early is not None:
            return early
        found = self.transfer(evidence, claim)
        feature = feature_of(claim, evidence.codes("prompts").d_sae)
        if isinstance(found, AlignedTransfer):
            verdict = self._aligned(evidence, claim, found, feature)
        else:
            verdict = self._by_ratio(evidence, claim, found, feature)
        beside = self._beside(evidence, claim)
        told = "".join(f"; {m.name} {short(m.value)}" for m in beside)
        return verdict.with_(finding=verdict.finding + told, also=(*verdict.also, *beside))

    def _aligned(self, evidence: Evidence, claim: Claim, found: AlignedTransfer, feature: int) -> Verdict:
        name = ALIGNED_CLASSES[found.classes[feature]]
        n, pictures = found.base.rates.n, found.images.rates.n if found.images is not None else 0
        if name == "dead":
            return undecidable_dead(feature, n, pictures)
        told, shown = facts(found, feature), numbers(found, feature, claim, self.to)
        surely = name == self.as_ or refuted(found, feature, self.as_, name)
        reason, why = (None, "") if surely else undecided(found, feature, self.as_)
        what = f"may or may not be {word(self.as_)} in {self.to} ({why})"
        if surely:
            what = f"is {word(name) if name != 'indeterminate' else f'not {word(self.as_)}'} in {self.to}"
        return Verdict(
            Outcome.INCONCLUSIVE if not surely else Outcome.MET if name == self.as_ else Outcome.UNMET,
            f"feature {feature} {what}: {told}",
            measurement=telling(shown, self.as_),
            bound=self._bound(self.rule(claim)),
            reason=reason,
            also=shown,
            examples=changed_prompts(evidence, claim, self.to),
            details={"class": name},
        )

    def _bound(self, rule: AlignedRule) -> str:
        asked = {
            "stable": "Jaccard at least .6, Pearson at least .8, scale between .8 and 1.25",
            "rescaled": "Jaccard at least .6, Pearson at least .8, scale outside .8 to 1.25",
            "shifted": "Jaccard under .3 or Pearson under .5",
        }
        silent = f"fires in one over {rule.fires_above:g}, silent in the other under {rule.silent_below:g}"
        return f"{self.as_}: {asked.get(self.as_, silent)}"

    def _by_ratio(self, evidence: Evidence, claim: Claim, found: RatioTransfer, feature: int) -> Verdict:
        name = RATIO_CLASSES[found.classes[feature]]
        sides = self.conditions(evidence, claim)
        if name == "dead":
            return undecidable_dead(feature, sides[0].n_units, sides[2].n_units if sides[2] is not None else 0)
        n = sides[0].n_tokens
        ratio = Measurement("ratio of means", float(found.ratio[feature]), n)
        means = [("mean here", found.base_mean, sides[0]), (f"mean in {self.to}", found.adapted_mean, sides[1])]
        if sides[2] is not None:
            means.append(("mean on pictures and captions", found.images_mean, sides[2]))
        also = tuple(Measurement(what, float(mean[feature]), side.n_tokens) for what, mean, side in means)
        told = ", ".join(f"{m.name} {short(m.value)} (n={m.n} tokens)" for m in also)
        return Verdict(
            Outcome.MET if name == self.as_ else Outcome.UNMET,
            f"feature {feature} is {word(name)} in {self.to} by ratio of means {short(ratio.value)}: {told}",
            measurement=ratio,
            bound=self.as_,
            also=also,
            examples=changed_prompts(evidence, claim, self.to),
            warnings=("ratio_of_means cannot see where a feature fires, only how much: `method: aligned` can",),
            details={"class": name},
        )

    def _beside(self, evidence: Evidence, claim: Claim) -> tuple[Measurement, ...]:
        """The image tokens' FVU, without which new_vision says little, and the models' own likeness where asked."""
        here, there, pictures = self.conditions(evidence, claim)
        image = (image_fvu(evidence, self.to),) if pictures is not None else ()
        return (*image, *((residual_cosine(evidence, here, there, self.to),) if self.residual_cosine else ()))


_TEXT = "the red ball rolled away from the old green house"
_SEEN = [row("<image> <image> a photo"), row("<image> <image> a picture")]
_SHOWN = [tuple((t, 4.0 + i if t == "<image>" else 0.0) for t, _ in _SEEN[i % 2]) for i in range(12)]
_ELSEWHERE = rows(60, _TEXT, house=3)
Transfers.examples = (
    KindExample(
        "fires on the same word in both models",
        Outcome.MET,
        {"to": "adapted", "as": "stable"},
        {"prompts": rows(20, _TEXT, red=3), "prompts@adapted": rows(20, _TEXT, red=3.1)},
    ),
    KindExample(
        "fires on another word in the adapted model",
        Outcome.UNMET,
        {"to": "adapted", "as": "stable"},
        {"prompts": rows(20, _TEXT, red=3), "prompts@adapted": rows(20, _TEXT, house=3)},
    ),
    KindExample(
        "the ratio of means cannot see that",
        Outcome.MET,
        {"to": "adapted", "as": "stable", "method": "ratio_of_means"},
        {"prompts": rows(20, _TEXT, red=3), "prompts@adapted": rows(20, _TEXT, house=3)},
    ),
    KindExample(
        "twice as strong",
        Outcome.MET,
        {"to": "adapted", "as": "rescaled"},
        {"prompts": rows(20, _TEXT, red=3), "prompts@adapted": rows(20, _TEXT, red=6)},
    ),
    KindExample(
        "silent on the text of both, fires on image tokens",
        Outcome.MET,
        {"to": "adapted", "as": "new_vision"},
        {"prompts": rows(60, _TEXT), "prompts@adapted": rows(60, _TEXT), "images@adapted": _SHOWN},
    ),
    KindExample(
        "silence on 24 prompts does not show that a feature is lost",
        Outcome.INCONCLUSIVE,
        {"to": "adapted", "as": "lost"},
        {"prompts": rows(24, _TEXT, red=3), "prompts@adapted": rows(24, _TEXT)},
    ),
)
