"""What claims about features in two models share: who reads what, how it is classified, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import EnvironmentFault
from harness.expectations.base import Claim, Expectation, PicturesRef, SetRef, Shared, SubjectRef
from harness.expectations.checks import broken, not_finite
from harness.expectations.comparing import units_in
from harness.expectations.evidence import Evidence
from harness.expectations.results import short, too_few
from harness.expectations.telling import Told
from harness.independence import grouping
from harness.inputs import PromptSet
from harness.stats.auroc import SignedCodes
from harness.stats.fidelity import blocks_of_codes, fvu, value_of
from harness.stats.transfer.aligned import CORPUS_RULE, AlignedRule, AlignedTransfer, aligned
from harness.stats.transfer.conditions import Condition, condition
from harness.stats.transfer.pairs import Misaligned, aligned_tokens
from harness.stats.transfer.ratio import RatioRule, RatioTransfer, ratio_of_means
from harness.stats.transfer.reach import fewest_pictures, fewest_prompts, reachable_classes
from harness.stats.transfer.residuals import residual_cosines
from harness.stats.units import Grouping
from harness.verdict import Measurement, Reason, Verdict, inconclusive

Method = Literal["aligned", "ratio_of_means"]
TransferClass = Literal["stable", "rescaled", "shifted", "lost", "new_text", "new_vision"]
BY_RATIO = ("stable", "shifted", "new_text", "new_vision")


class RatioThresholds(BaseModel):
    """The five thresholds of ratio_of_means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stability: float = Field(0.7, description="A ratio of means above this is stable.")
    shift: float = Field(0.3, description="A ratio above this, and not stable, is shifted.")
    activation: float = Field(0.1, description="A token's activation above this is active.")
    active_share: float = Field(0.01, description="A feature is active where more than this share of tokens is.")
    factor: float = Field(3.0, description="A new feature's mean is more than this many times the base's.")


class Transferring(Expectation):
    """A claim about features of one SAE on two models: the spec's subject is the base, `to` the adapted model."""

    shares: ClassVar[Shared] = "sae"

    to: SubjectRef = Field(description="The adapted model, read through the same SAE; a name from specs/subjects.yaml.")
    prompts: SetRef = Field(description="Text prompts that both models read.")
    images: PicturesRef = Field(None, description="Pictures, with their captions, that only the adapted model reads.")
    method: Method = Field(
        "aligned", description="aligned: the same tokens in both; ratio_of_means: means over tokens, for parity."
    )
    fires_above: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="aligned: firing means on more than this share of prompts: .2, or .01 of a corpus's sentences.",
    )
    silent_below: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="aligned: silent means no firing prompt, and surely under this share: .05, or .0025 of a corpus's "
        "sentences.",
    )
    ratio: RatioThresholds | None = Field(None, description="ratio_of_means: its five thresholds, where not default.")

    @model_validator(mode="after")
    def _one_method(self) -> Transferring:
        if self.ratio is not None and self.method != "ratio_of_means":
            raise ValueError(
                "`ratio` holds the thresholds of ratio_of_means: add `method: ratio_of_means` or remove it"
            )
        return self

    @property
    def text(self) -> str:
        """The role of the text that both models read."""
        return "prompts"

    def read_by(self, role: str) -> tuple[str | None, ...]:
        """Pictures are read by the adapted model only: the base cannot see."""
        return (self.to,) if role == "images" else (None, self.to)

    def counted_as(self, role: str, claim: Claim) -> Claim:
        """Pictures by their image tokens; by all of them, captions too, where the ratio pools as its source does."""
        if role != "images":
            return claim
        if self.method == "ratio_of_means":
            return replace(claim, tokens="all")
        return replace(claim, tokens="image", special_tokens="ignored")

    def places(self, told: Told) -> str:
        """The prompts, and the pictures where there are some."""
        return told.on(self.text) + (f" and {told.on('images')}" if self.images is not None else "")

    def method_words(self) -> str:
        """How features are put into classes, with every threshold that is not default."""
        if self.method == "ratio_of_means":
            given = self.ratio or RatioThresholds()
            changed = {n: v for n, v in given if v != RatioThresholds.model_fields[n].default}
            return "by the ratio of means" + "".join(f", {n.replace('_', ' ')} {short(v)}" for n, v in changed.items())
        limits = {"firing means on over": self.fires_above, "silence means surely under": self.silent_below}
        units = "prompts" if self.text == "prompts" else "sentences"
        return ", ".join(f"{n} {short(v)} of the {units}" for n, v in limits.items() if v is not None)

    def rule(self, claim: Claim) -> AlignedRule:
        usual = AlignedRule() if self.text == "prompts" else CORPUS_RULE
        return replace(
            usual,
            fires_above=self.fires_above or usual.fires_above,
            silent_below=self.silent_below or usual.silent_below,
            seen_above=self.fires_above or usual.seen_above,
            alpha=claim.alpha,
            limits=claim.scope == "population",
        )

    def conditions(self, evidence: Evidence, claim: Claim) -> tuple[Condition, Condition, Condition | None]:
        """(base, adapted, pictures). The ratio pools all tokens of pictures, as its source does; else image tokens."""
        units = self._units(evidence, claim, "prompts")
        here, there = (
            condition(evidence.codes("prompts", name), evidence.counted("prompts", claim, name), units)
            for name in (None, self.to)
        )
        return here, there, self.pictures(evidence, claim)

    def pictures(self, evidence: Evidence, claim: Claim) -> Condition | None:
        """The adapted model on the pictures; None where there are none."""
        if self.images is None:
            return None
        counted = evidence.counted("images", self.counted_as("images", claim), self.to)
        return condition(evidence.codes("images", self.to), counted, self._units(evidence, claim, "images"))

    def _units(self, evidence: Evidence, claim: Claim, role: str) -> Grouping | None:
        """Which prompts are one unit; every one for the ratio, which pools all tokens as its source does."""
        return grouping(evidence.prompts(role).prompts, claim.over) if self.method == "aligned" else None

    def transfer(self, evidence: Evidence, claim: Claim) -> AlignedTransfer | RatioTransfer:
        """The classes of all features, computed once for all claims that ask alike."""
        sides = self.conditions(evidence, claim)
        codes = tuple(one.codes for one in sides if one is not None)
        prompts = tuple(found.prompts for found in evidence.sets.values())
        rule = (
            self.rule(claim)
            if self.method == "aligned"
            else RatioRule(**(self.ratio or RatioThresholds()).model_dump())
        )
        key = (
            "transfer",
            tuple(map(id, codes)),
            rule,
            claim.tokens,
            claim.special_tokens,
            claim.over,
            *map(id, prompts),
        )
        return evidence.memo(key, lambda: self._classified(evidence, sides, rule), keep=(codes, prompts))

    def _classified(
        self, evidence: Evidence, sides: tuple[Condition, Condition, Condition | None], rule: AlignedRule | RatioRule
    ) -> AlignedTransfer | RatioTransfer:
        check_widths(sides[0], sides[1], self.to)
        if isinstance(rule, RatioRule):
            return ratio_of_means(*sides, rule)
        with self.comparable(evidence):
            return aligned(*sides, rule)

    @contextmanager
    def comparable(self, evidence: Evidence) -> Iterator[None]:
        """Faults where the two models' codes cannot be compared."""
        try:
            yield
        except Misaligned as found:
            raise different_tokens(evidence, found, self.to, self.text) from None
        except SignedCodes as signed:
            raise EnvironmentFault("signed_codes", f"{signed}.", "Use `method: ratio_of_means`.") from None

    def unreadable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        """Broken numbers, or an SAE in which nothing fires."""
        found = broken(evidence, claim, ("prompts",)) or broken(evidence, claim, ("prompts",), self.to)
        return found if found is not None or self.images is None else self.unreadable_pictures(evidence, claim)

    def unreadable_pictures(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        """Broken numbers on image tokens."""
        return not_finite(evidence, replace(claim, tokens="image"), "images", self.to)

    def reachable(self, sets: Mapping[str, PromptSet], claim: Claim) -> frozenset[str]:
        """The classes that this many prompts and pictures can show at all."""
        if self.method == "ratio_of_means":
            return frozenset(BY_RATIO)
        return reachable_classes(units_in(sets, self.text, claim.over), pictures_in(sets), self.rule(claim))

    def too_few(self, wanted: str, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        """Inconclusive where these sets cannot show a class whatever their codes."""
        if wanted in self.reachable(sets, claim):
            return None
        rule, n, shown = self.rule(claim), units_in(sets, self.text, claim.over), pictures_in(sets)
        least, pictures = fewest_prompts(wanted, rule), fewest_pictures(rule) if wanted == "new_vision" else 0
        if least is not None and n >= least:
            because = "too few to show firing on images"
            return too_few(shown, None if pictures is None else pictures - shown, "the images", because, "pictures")
        because = f"{wanted} asks for {_asks(wanted, rule)}"
        units = "prompts" if self.text == "prompts" else "sentences"
        if least is None or pictures is None:
            return too_few(n, None, sets[self.text].name, because, units)
        besides = (pictures - shown, "the images") if shown < pictures else None
        return too_few(n, least - n, sets[self.text].name, because, units, besides=besides)


def _asks(wanted: str, rule: AlignedRule) -> str:
    if wanted in ("lost", "new_text", "new_vision"):
        return f"silence under {rule.silent_below:g} at alpha {rule.alpha:g}"
    return f"a firing rate over {rule.fires_above:g} at alpha {rule.alpha:g}"


def pictures_in(sets: Mapping[str, PromptSet]) -> int:
    return units_in(sets, "images") if "images" in sets else 0


def check_widths(base: Condition, adapted: Condition, to: str) -> None:
    """A fault where the two SAEs differ in width, so that their features are not the same ones."""
    widths = base.codes.d_sae, adapted.codes.d_sae
    if widths[0] != widths[1]:
        raise EnvironmentFault(
            "different_sae",
            f"the base is read through {widths[0]:,} features, {to} through {widths[1]:,}: they are not the same ones.",
            "Read both models through one SAE.",
        )


def different_tokens(evidence: Evidence, found: Misaligned, to: str, role: str = "prompts") -> EnvironmentFault:
    """Models with other tokenizers have no tokens in common to compare."""
    here, there = ("no token" if token is None else repr(token) for token in found.tokens)
    text = evidence.prompts(role).prompts[found.prompt].shown
    return EnvironmentFault(
        "different_tokens",
        f"the two models read {text[:80]!r} as different tokens: token {found.place + 1} is {here} here, {there} in "
        f"{to}.",
        "Compare models that share a tokenizer.",
    )


def image_fvu(evidence: Evidence, to: str) -> Measurement:
    """How much of the image tokens the SAE misses; what it finds there is worth no more than that."""
    codes = evidence.codes("images", to)
    seen = condition(codes, codes.counted("image"))
    found = evidence.memo(("image_fvu", id(codes)), lambda: fvu_of(seen), keep=codes)
    return Measurement("fvu on image tokens", found, seen.n_tokens)


def fvu_of(one: Condition) -> float:
    return value_of(fvu, blocks_of_codes(one.codes, one.counted, one.unit))


def residual_cosine(evidence: Evidence, here: Condition, there: Condition, to: str) -> Measurement:
    """The mean over aligned tokens of the cosine of both models' activations: how far the models themselves moved."""
    try:
        pairs = aligned_tokens(here, there)
        cosines = residual_cosines(evidence.residuals("prompts"), evidence.residuals("prompts", to), pairs)
    except Misaligned as found:
        raise different_tokens(evidence, found, to) from None
    return Measurement("residual cosine", float(np.mean(cosines)), len(cosines))


def undecidable_dead(feature: int | None, n: int, n_pictures: int) -> Verdict:
    pictures = f" and {n_pictures} pictures" if n_pictures else ""
    return inconclusive(
        Reason.DEAD,
        f"feature {feature} fires nowhere on these {n} prompts{pictures}: silence cannot tell a dead or mistyped "
        "feature from a quiet one.",
        measurement=Measurement("firing prompts", 0, n + n_pictures),
    )
