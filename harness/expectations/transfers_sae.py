"""transfers_sae: how an SAE carries over to another model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harness.expectations.base import Claim, KindExample, Shared, SubjectRef
from harness.expectations.bounds import Bound
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.results import Part, by_value, limits_text, only, short, spread, verdict_of
from harness.expectations.telling import Told
from harness.expectations.tokenwise import Tokenwise
from harness.expectations.toy import Row, rows
from harness.expectations.transferring import residual_cosine
from harness.independence import grouping
from harness.stats.fidelity import METRICS, jackknife, l0, value_of
from harness.stats.intervals import Limits
from harness.stats.transfer.bands import BANDS, MOST_DROP, MOST_L0_RATIO, SUGGESTIONS, Band, band_of
from harness.stats.transfer.conditions import condition
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive


class TransfersSae(Tokenwise):
    """The SAE reconstructs another model's activations in this band of lost explained variance, or a better one.

    Native is the spec's subject, transferred is `to`; they share the SAE (what does it lose on the other model?) or
    the model (what would an SAE of its own gain?). Explained variance is 1 - fvu. A drop up to .05 is excellent, up
    to .2 works, up to .5 is degraded; a negative explained variance, or an L0 over twice the native one, does not
    transfer. The band describes these tokens; the limits beside it are by jackknife over prompts.
    """

    kind: ClassVar[str] = "transfers_sae"
    reads_feature: ClassVar[bool] = False
    shares: ClassVar[Shared] = "sae or model"
    mutants: ClassVar[frozenset[str]] = frozenset({"shuffled_decoder", "random_sae", "one_layer_off"})

    to: SubjectRef = Field(description="The subject that the SAE is carried over to; a name from specs/subjects.yaml.")
    band: Literal["excellent", "works", "degraded"] = Field("works", description="The band that is claimed, or better.")
    drop: Bound | None = Field(None, description="Bound on explained variance lost, native minus transferred.")
    l0_ratio: Bound | None = Field(None, description="Bound on the transferred L0 over the native one.")
    residual_cosine: Bound | None = Field(
        None, description="Bound on the mean cosine of both models' activations on the same tokens of `prompts`."
    )

    def in_words(self, told: Told) -> str:
        numbers = {
            "explained variance lost": self.drop,
            "L0 there over L0 here": self.l0_ratio,
            "cosine of both models' activations": self.residual_cosine,
        }
        limits = [f"{name} {limits_text(bound)}" for name, bound in numbers.items() if bound is not None]
        band = self.band if self.band == "excellent" else f"{self.band} or better"
        claimed = f"the SAE carries over from {told.subject} to {self.to} on {told.on(self.role())}: {band}"
        return told.sentence(", ".join([claimed, *limits]), told.counted())

    def needs_residuals(self, role: str = "prompts") -> bool:
        return self.prompts is not None

    @model_validator(mode="after")
    def _cosine_of_prompts(self) -> TransfersSae:
        if self.residual_cosine is not None and self.prompts is None:
            raise ValueError("residual_cosine compares the tokens of `prompts`; over a corpus no activations are kept")
        return self

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        for subject in (None, self.to):
            bad = self.unmeasurable(evidence, claim, subject) or self.silent(evidence, claim, subject)
            if bad is not None:
                return bad
        native, moved = self.blocks(evidence, claim), self.blocks(evidence, claim, self.to)
        explained = tuple(1 - value_of(METRICS["fvu"], blocks) for blocks in (native, moved))
        sparse = tuple(value_of(l0, blocks) for blocks in (native, moved))
        if not np.isfinite(explained).all():
            text = f"the activations on {self.source_name(evidence)} do not vary, so there is nothing to lose."
            return inconclusive(Reason.NOT_FINITE, text)
        numbers = {
            "drop": jackknife(METRICS["fvu"], moved, claim.alpha, native),  # fvu gained is explained variance lost
            "l0_ratio": only(sparse[1] / sparse[0]),
            **self._cosine(evidence, claim),
        }
        ratio = None if claim.sae_is_topk else numbers["l0_ratio"].value
        band, n = band_of(explained[0], explained[1], ratio), int(native.n.sum())
        told = ", ".join(f"{name.replace('_', ' ')} {spread(limits)}" for name, limits in numbers.items())
        return verdict_of(
            [self._band_part(band, numbers, n), *self._bounded(numbers, n)],
            f"{band.replace('_', ' ')}: explained variance {short(explained[0])} -> {short(explained[1])} in {self.to} "
            f"on {n:,} tokens of {self.source_name(evidence)}; {told}: {SUGGESTIONS[band]}",
            also=_also(explained, sparse, numbers, n),
            warnings=_warnings(band, numbers["drop"], claim),
            details={"band": band, "suggests": SUGGESTIONS[band]},
        )

    def _cosine(self, evidence: Evidence, claim: Claim) -> dict[str, Limits]:
        """The models' own likeness on the same tokens; a corpus keeps no activations."""
        if self.prompts is None:
            return {}
        units = grouping(evidence.prompts("prompts").prompts, claim.over)
        here, there = (
            condition(evidence.codes("prompts", name), evidence.counted("prompts", claim, name), units)
            for name in (None, self.to)
        )
        return {"residual_cosine": only(residual_cosine(evidence, here, there, self.to).value)}

    def _band_part(self, band: Band, numbers: Mapping[str, Limits], n: int) -> Part:
        """The band as the number that decides it: the drop, or the L0 that grew too much."""
        outcome = Outcome.MET if BANDS.index(band) <= BANDS.index(self.band) else Outcome.UNMET
        most = Bound(at_most=MOST_DROP[self.band])
        if outcome is Outcome.UNMET and most.holds(numbers["drop"].value) and numbers["l0_ratio"].value > MOST_L0_RATIO:
            return Part("l0 ratio", numbers["l0_ratio"], Bound(at_most=MOST_L0_RATIO), outcome, n, measure=Measure.L0)
        return Part("drop", numbers["drop"], most, outcome, n)

    def _bounded(self, numbers: Mapping[str, Limits], n: int) -> list[Part]:
        asked = {name: getattr(self, name) for name in ("drop", "l0_ratio", "residual_cosine")}
        return [
            Part(
                name.replace("_", " "),
                numbers[name],
                bound,
                by_value(bound, numbers[name].value),
                n,
                measure=Measure.L0 if name == "l0_ratio" else None,
            )
            for name, bound in asked.items()
            if bound is not None
        ]


def _also(
    explained: tuple[float, ...], sparse: tuple[float, ...], numbers: Mapping[str, Limits], n: int
) -> tuple[Measurement, ...]:
    sides = ("native", "transferred")
    return (
        *(Measurement(f"explained variance, {side}", v, n) for side, v in zip(sides, explained, strict=True)),
        *(Measurement(f"l0, {side}", v, n) for side, v in zip(sides, sparse, strict=True)),
        *(Measurement(k.replace("_", " "), v.value, n) for k, v in numbers.items() if k != "drop"),
    )


def _warnings(band: Band, drop: Limits, claim: Claim) -> tuple[str, ...]:
    """Limits that reach into another band; an L0 that is fixed by construction."""
    reach = {band_of(1.0, 1.0 - limit, None) for limit in (drop.low, drop.high)} if np.isfinite(drop.low) else {band}
    others = sorted(reach - {band}, key=BANDS.index)
    doubt = (f"the limits of the drop reach into {' and '.join(b.replace('_', ' ') for b in others)}",)
    fixed = ("the L0 of a TopK SAE is fixed: its ratio says nothing, and the band is by explained variance only",)
    return (*(doubt if others and band != "does_not_transfer" else ()), *(fixed if claim.sae_is_topk else ()))


_TEXT = " ".join(f"w{i}" for i in range(24))


def _missed_by(value: float) -> list[Row]:
    return rows(10, _TEXT, **{f"w{i}": value + i % 2 for i in range(24)})


TransfersSae.examples = (
    KindExample(
        "a little worse on the other model",
        Outcome.MET,
        {"to": "adapted", "drop": {"at_most": 0.2}},
        {"prompts": _missed_by(1), "prompts@adapted": _missed_by(2.5)},
    ),
    KindExample(
        "much worse",
        Outcome.UNMET,
        {"to": "adapted"},
        {"prompts": _missed_by(1), "prompts@adapted": _missed_by(6)},
    ),
    KindExample(
        "worse than the mean: it does not transfer",
        Outcome.UNMET,
        {"to": "adapted", "band": "degraded"},
        {"prompts": _missed_by(1), "prompts@adapted": _missed_by(11)},
    ),
    KindExample(
        "nine prompts are too few to leave one out",
        Outcome.INCONCLUSIVE,
        {"to": "adapted"},
        {"prompts": _missed_by(1)[:9], "prompts@adapted": _missed_by(1)[:9]},
    ),
)
