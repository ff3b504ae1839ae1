"""reconstruction: how well the SAE gives back what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from harness.expectations.base import Claim, KindExample
from harness.expectations.bounds import Bound, RelativeBound
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.results import Part, against, limits_text, only, part, short, verdict_of
from harness.expectations.tails import heavy_tail
from harness.expectations.telling import Told
from harness.expectations.tokenwise import Tokenwise
from harness.expectations.toy import rows
from harness.stats.fidelity import METRICS, Blocks, jackknife, mse_of_mean, tail_of, value_of
from harness.stats.intervals import Limits
from harness.verdict import Measurement, Outcome, Reason, Verdict

_NAMES = ("mse", "fvu", "cosine", "norm_ratio")
_IN_WORDS = {
    "mse": "mean squared error",
    "fvu": "fraction of variance unexplained",
    "cosine": "mean cosine of the two",
    "norm_ratio": "mean ratio of their norms",
}


class Reconstruction(Tokenwise):
    """The SAE reconstructs the activations of `prompts` (or a corpus) within a bound, alone or over another subject's.

    Limits by jackknife over prompts. Attention sinks are left out, and the numbers with them are reported. Across
    models hold fvu against a bound, never bare mse, which follows the scale of the activations.
    """

    kind: ClassVar[str] = "reconstruction"
    reads_feature: ClassVar[bool] = False
    mutants: ClassVar[frozenset[str]] = frozenset({"shuffled_decoder", "random_sae", "one_layer_off"})
    rivals: ClassVar[frozenset[str]] = frozenset({"random_sae"})

    mse: RelativeBound | None = Field(
        None,
        description="Bound on the mean squared error over tokens and dimensions, alone or over another subject's.",
    )
    fvu: RelativeBound | None = Field(
        None, description="Bound on the fraction of variance unexplained, alone or over another subject's."
    )
    cosine: Bound | None = Field(None, description="Bound on the mean cosine of activation and reconstruction.")
    norm_ratio: Bound | None = Field(None, description="Bound on the mean ratio of their norms; under 1 is shrinkage.")

    @model_validator(mode="after")
    def _some_bound(self) -> Reconstruction:
        if not self._bounds():
            raise ValueError("reconstruction needs a bound: mse, fvu, cosine or norm_ratio")
        return self

    def _bounds(self) -> dict[str, Bound]:
        return {name: bound for name in _NAMES if (bound := getattr(self, name)) is not None}

    def other_subjects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s for bound in self._bounds().values() if (s := _over(bound)) is not None))

    def in_words(self, told: Told) -> str:
        limits = [f"{_IN_WORDS[name]} {limits_text(bound)}" for name, bound in self._bounds().items()]
        claimed = f"the SAE of {told.subject} reconstructs the activations of {told.on(self.role())}"
        return told.sentence(f"{claimed}: {', '.join(limits)}", told.level(), told.counted())

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        for subject in (None, *self.other_subjects()):
            bad = self.unmeasurable(evidence, claim, subject) or self.silent(evidence, claim, subject)
            if bad is not None:
                return bad
        blocks = self.blocks(evidence, claim)
        parts = [self._part(name, bound, evidence, claim) for name, bound in self._bounds().items()]
        n, other = int(blocks.n.sum()), self.otherwise(evidence, claim)
        here, there = self._numbers(blocks), self._numbers(other.blocks) if other is not None else {}
        return verdict_of(
            parts,
            f"reconstruction on {n:,} tokens of {self.source_name(evidence)}: "
            + "; ".join(against(found, claim) for found in parts)
            + (other.said(here, there) if other is not None else ""),
            _reason(parts),
            also=(
                *(
                    Measurement(name, value_of(METRICS[name], blocks), n)
                    for name in _NAMES
                    if name not in self._bounds()
                ),
                *(other.measured(there) if other is not None else ()),
            ),
            warnings=(*self._scale_warning(), *self._tails(evidence, claim)),
        )

    def _numbers(self, blocks: Blocks) -> dict[str, float]:
        """Each number that is bounded by itself; one over another subject's has no limit of its own to hold."""
        alone = [name for name, bound in self._bounds().items() if _over(bound) is None]
        return {name: value_of(METRICS[name], blocks) for name in alone}

    def weaknesses(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        """The mean activation as a rival, where every bound is on a number that is known of it."""
        known = {"mse": value_of(mse_of_mean, self.blocks(evidence, claim)), "fvu": 1.0}
        bounds = self._bounds()
        if not bounds.keys() <= known.keys() or self.other_subjects():
            return
        if all(bound.holds(known[name]) for name, bound in bounds.items()):
            reached = " and ".join(f"{name} {short(known[name])}" for name in bounds)
            yield f"the mean activation alone, without an SAE, has {reached}: lower the bound under that"

    def _tails(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        for name, bound in self._bounds().items():
            other, by = _over(bound), _by(bound)
            beside = self.blocks(evidence, claim, other) if other is not None else None
            skew = tail_of(METRICS[name], self.blocks(evidence, claim), beside, by)
            yield from heavy_tail(name, skew, bound, claim)

    def _part(self, name: str, bound: Bound, evidence: Evidence, claim: Claim) -> Part:
        other, by = _over(bound), _by(bound)
        blocks = self.blocks(evidence, claim)
        beside = self.blocks(evidence, claim, other) if other is not None else None
        limits = jackknife(METRICS[name], blocks, claim.alpha, beside, by)
        shown = f"{name} {'over' if by == 'difference' else 'divided by'} {other}'s" if other is not None else name
        measure = Measure.FVU if name == "fvu" and by == "difference" else None
        return part(shown, _known(limits), bound, claim, int(blocks.n.sum()), measure=measure)

    def _scale_warning(self) -> tuple[str, ...]:
        if self.mse is None or self.mse.over is None:
            return ()
        return ("mse follows the scale of the activations, which differs between models: compare fvu",)


def _known(limits: Limits) -> Limits:
    """A number that cannot be computed has no limits either."""
    return limits if limits.value == limits.value else only(limits.value)


def _reason(parts: list[Part]) -> Reason:
    unknown = any(p.limits.value != p.limits.value for p in parts)
    return Reason.NOT_FINITE if unknown else Reason.UNDERPOWERED


def _over(bound: Bound) -> str | None:
    """The subject that a relative bound is measured over."""
    return bound.over.subject if isinstance(bound, RelativeBound) and bound.over is not None else None


def _by(bound: Bound) -> Literal["difference", "ratio"]:
    return bound.over.by if isinstance(bound, RelativeBound) and bound.over is not None else "difference"


_TEXT = " ".join(f"w{i}" for i in range(24))
_NEAR = {f"w{i}": 1 + i % 3 for i in range(24)}
_FAR = {f"w{i}": 9 + i % 3 for i in range(24)}
Reconstruction.examples = (
    KindExample(
        "misses activations of variance 1 by .1 to .3 in every dimension",
        Outcome.MET,
        {"mse": {"at_most": 0.1}, "fvu": {"at_most": 0.12}, "cosine": {"at_least": 0.9}},
        {"prompts": rows(10, _TEXT, **_NEAR)},
    ),
    KindExample(
        "misses them by about 1", Outcome.UNMET, {"fvu": {"at_most": 0.12}}, {"prompts": rows(10, _TEXT, **_FAR)}
    ),
    KindExample(
        "nine prompts are too few to leave one out",
        Outcome.INCONCLUSIVE,
        {"fvu": {"at_most": 0.12}},
        {"prompts": rows(9, _TEXT, **_NEAR)},
    ),
    KindExample(
        "the same over a corpus",
        Outcome.MET,
        {"fvu": {"at_most": 0.12}, "norm_ratio": {"between": [0.9, 1.2]}},
        {"corpus": rows(10, _TEXT, **_NEAR)},
    ),
)
