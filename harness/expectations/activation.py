"""activation: how strong it is when it fires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound
from harness.expectations.checks import broken, dead, feature_of, left_out
from harness.expectations.comparing import FEWEST, sets_key, units_in
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.rates import side_of, units_used, within_bound
from harness.expectations.results import Part, against, fewest, limits_text, only, part, too_few, verdict_of
from harness.expectations.showing import MOST_SHOWN, examples_at, in_order_of
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.independence import unit_name, why_few
from harness.inputs import PromptSet
from harness.stats.contrast import mean_of_all
from harness.stats.intervals import median_limits
from harness.stats.levels import max_of_all, median_firing_of_all
from harness.stats.units import by_unit, count_units
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive

_STATISTICS = ("median", "mean", "max")
_IN_WORDS = {
    "median": "median of the prompts on which it fires",
    "mean": "mean, silent prompts as 0,",
    "max": "largest",
}


class Activation(Expectation):
    """The feature's activation on `prompts` is within a bound.

    For prompts in general: the median over the prompts on which it fires, by order statistics. Mean and maximum
    have no limits that hold at small n without assuming a distribution, so they are claims about these prompts only.
    """

    kind: ClassVar[str] = "activation"
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="The prompts on which the activation is read.")
    median: Bound | None = Field(None, description="Bound on the median pooled activation of the prompts that fire.")
    mean: Bound | None = Field(
        None, description="Bound on the mean over all prompts, silent ones as 0; needs `scope: sample`."
    )
    max: Bound | None = Field(None, description="Bound on the largest pooled activation; needs `scope: sample`.")

    @model_validator(mode="after")
    def _some_bound(self) -> Activation:
        if not self._bounds():
            raise ValueError("activation needs a bound: median, mean or max")
        return self

    def _bounds(self) -> dict[str, Bound]:
        return {name: bound for name in _STATISTICS if (bound := getattr(self, name)) is not None}

    def in_words(self, told: Told) -> str:
        limits = [f"{_IN_WORDS[name]} {limits_text(bound)}" for name, bound in self._bounds().items()]
        return told.sentence(
            f"the activation of {told.who} on {told.on('prompts')}: {', '.join(limits)}", told.level(), told.pooled()
        )

    def side(self) -> Side:
        return side_of(*self._bounds().values())

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        return self._needs_sample(claim) or self._too_few(sets, claim, units_in(sets, "prompts", claim.over))

    def _needs_sample(self, claim: Claim) -> Verdict | None:
        named = [name for name in ("mean", "max") if name in self._bounds()]
        if claim.scope == "sample" or not named:
            return None
        return inconclusive(
            Reason.UNDERPOWERED,
            f"the {' and '.join(named)} of activations has no limits that hold for prompts in general: bound the "
            "median, or write `scope: sample` to claim it of these prompts only.",
        )

    def _too_few(self, sets: Mapping[str, PromptSet], claim: Claim, n: int) -> Verdict | None:
        if claim.scope == "sample" or 0.5**n <= claim.alpha:
            return None
        least = fewest(lambda m: 0.5**m <= claim.alpha, n + 1)
        because = f"a median of {n} has no limit at alpha {claim.alpha_in_words}"
        prompts, name = sets["prompts"].prompts, sets["prompts"].name
        missing, unit = None if least is None else least - n, unit_name(prompts, claim.over)
        return too_few(n, missing, name, because, unit, also=why_few(name, prompts))

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' numbers are inside all bounds, [d_sae]."""
        numbers = self._numbers_of_all(evidence, claim)
        inside = [within_bound(bound, numbers[name]) for name, bound in self._bounds().items()]
        return np.asarray(np.logical_and.reduce(inside))

    def _numbers_of_all(self, evidence: Evidence, claim: Claim) -> dict[str, Floats]:
        kept = evidence.codes("prompts"), evidence.prompts("prompts").prompts
        key = ("activation", *sets_key(evidence, claim, "prompts"), claim.tokens, claim.special_tokens, claim.pool)
        pooled = by_unit(evidence.pooled("prompts", claim), units_used(evidence, claim, "prompts"))
        of_all = {"median": median_firing_of_all, "mean": mean_of_all, "max": max_of_all}
        return evidence.memo(key, lambda: {name: f(pooled) for name, f in of_all.items()}, keep=kept)

    def weaknesses(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        if self.side() == "low":
            yield (
                "nothing shows that the feature is stronger where its concept is: claim the contrast (fires_more), or "
                "silence (silent_on, which takes a set on which it does fire)"
            )

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        units = units_used(evidence, claim, "prompts")
        undecidable = (
            self._needs_sample(claim)
            or broken(evidence, claim, ("prompts",))
            or self._too_few(evidence.sets, claim, count_units(units))
            or dead(evidence, claim, ("prompts",))
        )
        if undecidable is not None:
            return undecidable
        pooled = by_unit(evidence.pooled("prompts", claim), units)
        value = pooled.column(feature_of(claim, pooled.d_sae))
        firing = value[value != 0]
        few = self._too_sparse(claim, len(firing), len(value))
        if few is not None:
            return few
        parts = self._parts(evidence, claim, firing, len(value))
        return verdict_of(
            parts,
            f"feature {claim.feature} on {evidence.prompts('prompts').name}: "
            + "; ".join(against(found, claim) for found in parts)
            + f" ({len(firing)} of {len(value)} prompts fire)",
            also=(Measurement("firing prompts", len(firing), len(value)),),
            examples=self._examples(evidence, claim),
            warnings=left_out(evidence, claim, ("prompts",)),
        )

    def _too_sparse(self, claim: Claim, firing: int, n: int) -> Verdict | None:
        enough = firing > 0 if claim.scope == "sample" else 0.5**firing <= claim.alpha
        if enough:
            return None
        return inconclusive(
            Reason.TOO_SPARSE,
            f"feature {claim.feature} fires on {firing} of {n} prompts; a median for prompts in general needs "
            f"{FEWEST} that fire at alpha .05.",
            measurement=Measurement("firing prompts", firing, n),
        )

    def _parts(self, evidence: Evidence, claim: Claim, firing: Floats, n: int) -> list[Part]:
        numbers = self._numbers_of_all(evidence, claim)
        feature = feature_of(claim, len(numbers["mean"]))
        return [
            part(
                "median activation",
                median_limits(firing, claim.alpha),
                bound,
                claim,
                len(firing),
                measure=Measure.MEDIAN_ACTIVATION,
            )
            if name == "median"
            else part(
                f"{name} activation",
                only(float(numbers[name][feature])),
                bound,
                claim,
                n,
                measure=Measure(f"{name}_activation"),
            )
            for name, bound in self._bounds().items()
        ]

    def _examples(self, evidence: Evidence, claim: Claim) -> tuple[Example, ...]:
        first: Literal["highest", "lowest"] = "highest" if self.side() == "low" else "lowest"
        order = in_order_of(evidence, claim, "prompts", first)
        value = evidence.pooled("prompts", claim).column(feature_of(claim, evidence.codes("prompts").d_sae))
        rows = [row for row in order if value[row] != 0][:MOST_SHOWN]
        return examples_at(evidence, claim, "prompts", rows, f"the {first} that fire")


_COLOR = "the red ball rolled"
Activation.examples = (
    KindExample(
        "the median is over 2.5",
        Outcome.MET,
        {"median": {"at_least": 2.5}},
        {"prompts": rows(8, _COLOR, red=3)},
    ),
    KindExample(
        "the median is under 5",
        Outcome.UNMET,
        {"median": {"at_least": 5}},
        {"prompts": rows(8, _COLOR, red=3)},
    ),
    KindExample(
        "four prompts that fire give a median no limit",
        Outcome.INCONCLUSIVE,
        {"median": {"at_least": 2.5}},
        {"prompts": [*rows(4, _COLOR, red=3), *rows(6, _COLOR)]},
    ),
    KindExample(
        "the mean of these prompts, silent ones as 0",
        Outcome.UNMET,
        {"mean": {"at_least": 2.5}},
        {"prompts": [*rows(4, _COLOR, red=3), *rows(6, _COLOR)]},
        {"scope": "sample"},
    ),
)
