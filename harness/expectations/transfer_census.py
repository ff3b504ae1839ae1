"""transfer_census: what becomes of all features from one model to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harness.codes import Codes
from harness.deciding import asks_for, would_decide
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim, CorpusRef, KindExample, OptionalSetRef
from harness.expectations.bounds import Bound, ShareBound
from harness.expectations.evidence import Evidence
from harness.expectations.results import Part, bound_text, by_value, limits_text, only, short, verdict_of
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.expectations.transferred import word
from harness.expectations.transferring import BY_RATIO, Transferring, check_widths, image_fvu
from harness.independence import grouping
from harness.inputs import PromptSet
from harness.stats.firing import not_finite_tokens
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, AlignedTransfer, aligned_in_batches
from harness.stats.transfer.conditions import Condition, part_of
from harness.stats.transfer.deciding import deciding
from harness.stats.transfer.ratio import RATIO_CLASSES, RatioTransfer
from harness.stats.units import Units
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

_BOUNDED = ("stable", "rescaled", "shifted", "between", "lost", "new_text", "new_vision", "undecided")
_UNDECIDED = {"aligned": "indeterminate", "ratio_of_means": "unclassified"}


class TransferCensus(Transferring):
    """So large a share of all features is stable, rescaled, shifted, between, lost, new_text or new_vision.

    It describes these prompts, or the sentences of a corpus, without limits, and prints how many features could not be
    decided and how many prompts and pictures would decide them. More prompts decide more of them, so shares compare
    between models only on the same prompts.
    """

    kind: ClassVar[str] = "transfer_census"
    reads_feature: ClassVar[bool] = False
    reads_sentences: ClassVar[bool] = True
    mutants: ClassVar[frozenset[str]] = frozenset({"random_sae", "one_layer_off"})

    prompts: OptionalSetRef = Field(None, description="Text prompts that both models read.")  # type: ignore[assignment]
    corpus: CorpusRef = Field(
        None, description="Or a corpus from specs/subjects.yaml, sentence by sentence: most features want thousands."
    )
    of: Literal["all", "live"] = Field(
        "all", description="Shares of all features of the SAE, or of those that fire anywhere on these prompts."
    )
    stable: ShareBound | None = Field(None, description="Bound on the share of features that are stable.")
    rescaled: ShareBound | None = Field(None, description="Bound on the share that only change in strength.")
    shifted: ShareBound | None = Field(None, description="Bound on the share that fire elsewhere.")
    between: ShareBound | None = Field(None, description="Bound on the share that change in part: neither of those.")
    lost: ShareBound | None = Field(None, description="Bound on the share that fall silent.")
    new_text: ShareBound | None = Field(None, description="Bound on the share that begin to fire on text.")
    new_vision: ShareBound | None = Field(None, description="Bound on the share that fire on image tokens only.")
    undecided: ShareBound | None = Field(
        None, description="Bound on the share that fire somewhere and could not be put into a class."
    )

    @model_validator(mode="after")
    def _some_bound(self) -> TransferCensus:
        bounds = self.bounds()
        if not bounds:
            raise ValueError(f"transfer_census needs a bound: one of {', '.join(_BOUNDED)}")
        strange = [name for name in bounds if name not in (*BY_RATIO, "undecided")]
        if self.method == "ratio_of_means" and strange:
            raise ValueError(f"ratio_of_means has no class {strange[0]}; it has {', '.join(BY_RATIO)}")
        if (self.prompts is None) == (self.corpus is None):
            raise ValueError("transfer_census needs either `prompts` or `corpus`")
        if self.corpus is not None and self.method == "ratio_of_means":
            raise ValueError("a corpus is compared token by token: remove `method`, or give `prompts`")
        if self.images is None and self.new_vision is not None:
            raise ValueError("new_vision is about pictures: add `images`, a set that the adapted model reads")
        return self

    @property
    def text(self) -> str:
        return "prompts" if self.corpus is None else "corpus"

    def bounds(self) -> dict[str, Bound]:
        return {name: bound for name in _BOUNDED if (bound := getattr(self, name)) is not None}

    def in_words(self, told: Told) -> str:
        shares = ", ".join(f"{word(name)} {limits_text(bound)}" for name, bound in self.bounds().items())
        which = "all features of the SAE" if self.of == "all" else "the features that fire on these prompts"
        between = f"between {told.subject} and {self.to} on {self.places(told)}"
        return told.sentence(f"of {which}, {between}, the share that is {shares}", self.method_words(), told.counted())

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        """A class that these sets cannot show has share 0 whatever the models do: no bound on it means anything."""
        if self.text not in sets:  # a corpus is cut into sentences when it is read
            return None
        asked = [name for name in self.bounds() if name != "undecided"]
        return next((few for name in asked if (few := self.too_few(name, sets, claim)) is not None), None)

    def unreadable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        """Of a corpus, numbers are looked at as they are read."""
        if self.corpus is None:
            return super().unreadable(evidence, claim)
        return None if self.images is None else self.unreadable_pictures(evidence, claim)

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        early = self.unreadable(evidence, claim) or self.beforehand(evidence.sets, claim)
        if early is not None:
            return early
        found, name = self.transfer(evidence, claim), evidence.prompts(self.text).name
        counts = self.counts(found)
        n = sum(counts.values()) - (counts["dead"] if self.of == "live" else 0)
        if n == 0 or not _fires(found):
            return inconclusive(Reason.DEAD, f"no feature fires on {name} in either model.")
        parts = [self._part(name, bound, counts[name], n) for name, bound in self.bounds().items()]
        shares = "; ".join(f"{p.name} {short(p.limits.value)} of {n:,}, {bound_text(p.bound)}" for p in parts)
        listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        wanted = deciding(found, self.rule(claim)) if isinstance(found, AlignedTransfer) else {}
        return verdict_of(
            parts,
            f"of {sum(counts.values()):,} features, between here and {self.to} on {name}{_read(found)}: "
            f"{listed}; {shares}{would_decide(wanted, self.units)}",
            also=(*(Measurement(name, count, n) for name, count in counts.items()), *self._beside(evidence)),
            warnings=tuple(self._warnings(evidence, claim, counts)),
            details={"counts": counts, "would_decide": {name: asdict(one) for name, one in wanted.items()}},
        )

    def transfer(self, evidence: Evidence, claim: Claim) -> AlignedTransfer | RatioTransfer:
        """The classes of all features; those on a corpus in two passes over it, in the memory of one batch."""
        if self.corpus is None:
            return super().transfer(evidence, claim)
        rule, streams = self.rule(claim), (evidence.streams["corpus", None], evidence.streams["corpus", self.to])
        pictures = self.pictures(evidence, claim)
        key = ("census", *map(id, streams), rule, claim.tokens, claim.special_tokens, pictures and id(pictures.codes))
        keep = (streams, pictures)
        return evidence.memo(key, lambda: self._in_batches(evidence, claim, rule, pictures), keep)

    def _in_batches(
        self, evidence: Evidence, claim: Claim, rule: AlignedRule, pictures: Condition | None
    ) -> AlignedTransfer:
        unit = grouping(evidence.prompts("corpus").prompts).units()
        here, there = (evidence.streams["corpus", name] for name in (None, self.to))

        def batches() -> Iterator[tuple[Condition, Condition]]:
            first = 0
            for base, adapted in zip(here.read(), there.read(), strict=True):
                units = unit[first : first + base.n_prompts]
                sides = self._side(base, claim, units), self._side(adapted, claim, units)
                check_widths(*sides, self.to)
                yield sides
                first += base.n_prompts

        with self.comparable(evidence):
            return aligned_in_batches(batches, pictures, rule)

    def _side(self, codes: Codes, claim: Claim, units: Units) -> Condition:
        counted = codes.counted(claim.tokens, claim.special_tokens)
        if len(not_finite_tokens(codes, counted)):
            raise EnvironmentFault(
                "not_finite",
                f"activations are NaN or infinite somewhere in corpus {self.corpus}.",
                "Read the model in float32 or bfloat16.",
            )
        return part_of(codes, counted, units)

    def counts(self, found: AlignedTransfer | RatioTransfer) -> dict[str, int]:
        """How many features are of each class; those that fire and are of none are `undecided`."""
        names = ALIGNED_CLASSES if isinstance(found, AlignedTransfer) else RATIO_CLASSES
        totals = np.bincount(found.classes, minlength=len(names)).tolist()
        rest = _UNDECIDED[self.method]
        return {"undecided" if name == rest else name: n for name, n in zip(names, totals, strict=True)}

    def _part(self, name: str, bound: Bound, count: int, n: int) -> Part:
        share = count / n
        return Part(f"share that is {name}", only(share), bound, by_value(bound, share), n)

    def _beside(self, evidence: Evidence) -> tuple[Measurement, ...]:
        return (image_fvu(evidence, self.to),) if self.images is not None else ()

    @property
    def units(self) -> str:
        return "prompts" if self.corpus is None else "sentences"

    def _warnings(self, evidence: Evidence, claim: Claim, counts: Mapping[str, int]) -> list[str]:
        alive = sum(counts.values()) - counts["dead"]
        found = []
        if counts["undecided"] > alive / 2:
            found.append(
                f"{counts['undecided']:,} of {alive:,} live features are undecided: more {self.units} decide more"
            )
        possible = set(_BOUNDED[:-1]) - (set() if self.images is not None else {"new_vision"})
        if self.method == "ratio_of_means":
            possible &= set(BY_RATIO)
        hidden = sorted(possible - self.reachable(evidence.sets, claim))
        if not hidden:
            return found
        asked = ", ".join(f"{name} ({asks_for(name, self.rule(claim), self.units)})" for name in hidden)
        return [*found, f"so few {self.units} can show no feature as {asked}"]


def _fires(found: AlignedTransfer | RatioTransfer) -> bool:
    """Whether any feature fires on the text of either model."""
    if isinstance(found, RatioTransfer):
        return True
    return bool((found.base.rates.share > 0).any() or (found.adapted.rates.share > 0).any())


def _read(found: AlignedTransfer | RatioTransfer) -> str:
    return f" ({found.n_pairs:,} tokens)" if isinstance(found, AlignedTransfer) else ""


_TEXT = "the red ball rolled away from the old green house"
_SAME = {"prompts": rows(20, _TEXT, red=3), "prompts@adapted": rows(20, _TEXT, red=3.1)}
TransferCensus.examples = (
    KindExample(
        "three of eight features are stable",
        Outcome.MET,
        {"to": "adapted", "stable": {"at_least": 0.3}, "undecided": {"at_most": 0.5}},
        _SAME,
    ),
    KindExample(
        "three of eight fire elsewhere",
        Outcome.UNMET,
        {"to": "adapted", "shifted": {"at_most": 0.1}},
        _SAME,
    ),
    KindExample(
        "20 prompts can show no feature as lost, so its share is 0 whatever the models do",
        Outcome.INCONCLUSIVE,
        {"to": "adapted", "lost": {"at_most": 0.1}},
        _SAME,
    ),
)
