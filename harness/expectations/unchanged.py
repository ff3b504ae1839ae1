"""unchanged: a number is what it was when somebody accepted it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.expectations.base import Accepted, Claim, KindExample, OptionalSetRef
from harness.expectations.checks import broken, dead, feature_of
from harness.expectations.comparing import compared
from harness.expectations.evidence import Evidence
from harness.expectations.noise import NOISES, Measure, noise_of
from harness.expectations.rates import firing_rates, units_used
from harness.expectations.results import short
from harness.expectations.telling import Told
from harness.expectations.tokenwise import Tokenwise
from harness.expectations.toy import rows
from harness.stats.fidelity import METRICS, value_of
from harness.stats.levels import median_firing_of_all
from harness.stats.units import by_unit, count_units
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

Kept = Literal["firing_rate", "median_activation", "auroc", "density", "fvu", "mse", "l0"]
_OF_FEATURE = ("firing_rate", "median_activation", "auroc", "density")
_ON_PROMPTS = ("firing_rate", "median_activation", "auroc")
_ALSO_CHANGED_BY = {
    "density": ("random_sae",),
    "fvu": ("shuffled_decoder", "random_sae"),
    "mse": ("shuffled_decoder", "random_sae"),
    "l0": (),
}
SHARES = ("firing_rate", "auroc", "density")
_UNITS = {"firing_rate": "prompts", "median_activation": "firing prompts", "auroc": "prompts"}


class Absolute(BaseModel):
    """A tolerance in the number's own unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    absolute: float = Field(ge=0, description="The number may differ by this much, in its own unit.")


@dataclass(frozen=True, slots=True)
class _Found:
    """What was measured. n counts `of`; variance is that of the activations, 1 where it does not matter."""

    value: float
    n: int
    of: str
    variance: float = 1.0


class Unchanged(Tokenwise):
    """A number is what it was when it was accepted as a baseline, within noise or the tolerance given.

    Of a feature: firing_rate, median_activation or auroc (`prompts` against `than`) on prompts, density on prompts or
    a corpus. Of the subject: fvu, mse or l0 on prompts or a corpus. `interp accept` sets baselines, nothing else does;
    without one, and with one of an edited claim or of other weights, the claim is inconclusive. The number describes
    these prompts, so scope and alpha change nothing. For floats of 32 bits noise is nearly nothing: any change shows.
    """

    kind: ClassVar[str] = "unchanged"
    reads_feature: ClassVar[bool | None] = None
    takes_baseline: ClassVar[bool] = True
    loosens: ClassVar[frozenset[str]] = frozenset({"within"})
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "shuffled_decoder", "random_sae", "one_layer_off"}
    )

    measure: Kept = Field(description="The number that should stay as it is.")
    than: OptionalSetRef = Field(None, description="For auroc: the prompts that it is measured against.")
    within: Annotated[float, Field(ge=0)] | Absolute | None = Field(
        None,
        description="How far it may be from the baseline: a share of the baseline (.05 is 5 %), or {absolute: x}. "
        "Three times the noise of the model's precision where it is left out.",
    )

    @model_validator(mode="after")
    def _fits_its_measure(self) -> Unchanged:
        if (self.than is not None) != (self.measure == "auroc"):
            need = "needs `than`" if self.than is None else "takes no `than`; auroc does"
            raise ValueError(f"unchanged with `measure: {self.measure}` {need}")
        if self.measure in _ON_PROMPTS and self.corpus is not None:
            raise ValueError(f"{self.measure} is measured on `prompts`; of a corpus, density is")
        return self

    def excludes_nothing(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.within, float) and self.within >= 1:
            instead = f" Did you mean {self.within / 100:g}?" if self.within > 1 else " Lower it below 1"
            why = "a number that fell to 0 would be unchanged."
            yield "within", f"`within` {self.within:g} excludes nothing: {why}{instead}"
        elif isinstance(self.within, Absolute) and self.measure in SHARES and self.within.absolute >= 1:
            yield "within", f"`within` {self.within.absolute:g} excludes nothing: {self.measure} is 0 to 1. Lower it"

    def about_feature(self) -> bool:
        return self.measure in _OF_FEATURE

    def changed_by(self) -> frozenset[str]:
        """Labels are those of an auroc; the decoder is read by errors only. A wrong feature is matched in density, and
        a random SAE in L0, so that neither changes that very number."""
        if self.measure == "auroc":
            return self.mutants - {"shuffled_decoder"}
        return frozenset({"one_layer_off", *_ALSO_CHANGED_BY.get(self.measure, ("wrong_feature", "random_sae"))})

    def in_words(self, told: Told) -> str:
        of = f" of {told.who}" if self.about_feature() else f" of the SAE of {told.subject}"
        against = f" against {told.on('than')}" if self.than is not None else ""
        claimed = f"the {self.measure.replace('_', ' ')}{of} on {told.on(self.role())}{against} is what it was"
        accepted = told.claim.accepted
        when = f" on {accepted.date}, {short(accepted.value)}" if accepted is not None else " when it was accepted"
        pooled = told.pooled() if self.measure in _ON_PROMPTS else told.counted()
        return told.sentence(f"{claimed}{when}", self._within_words(), pooled)

    def _within_words(self) -> str:
        if self.within is None:
            return f"within {NOISES:g} times the noise of its precision"
        if isinstance(self.within, Absolute):
            return f"within {short(self.within.absolute)}"
        return f"within {short(100 * self.within)} % of that"

    def beforehand(self, sets: object, claim: Claim) -> Verdict | None:
        """Nothing: a number of these prompts needs no least n. Only the L0 of a TopK SAE cannot but stay."""
        if self.measure != "l0" or not claim.sae_is_topk:
            return None
        text = "this SAE keeps a fixed number of features a token (TopK): its L0 is unchanged by construction."
        return inconclusive(Reason.VACUOUS, text)

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self.beforehand(evidence.sets, claim) or self._undecidable(evidence, claim)
        if undecidable is not None:
            return undecidable
        found = self._found(evidence, claim)
        measured = Measurement(self.measure.replace("_", " "), found.value, found.n)
        if not math.isfinite(found.value):
            text = f"{self._named(evidence, claim)} cannot be computed from {found.n} {found.of}."
            return inconclusive(Reason.NOT_FINITE, text, measurement=measured)
        shown = f"{self._named(evidence, claim)} is {found.value:.6g} (n={found.n:,} {found.of})"
        if claim.accepted is None or claim.accepted.stale:
            return inconclusive(Reason.NO_BASELINE, f"{shown}: {_missing(claim.accepted)}", measurement=measured)
        return self._held(claim, claim.accepted, found, shown).with_(measurement=measured)

    def _held(self, claim: Claim, accepted: Accepted, found: _Found, shown: str) -> Verdict:
        """Held against the baseline; what else has moved since then is said where they differ."""
        allowed, why = self._tolerance(claim, accepted, found)
        off = found.value - accepted.value
        another = self.about_feature() and accepted.feature != claim.feature
        same = abs(off) <= allowed and not another
        text = f"{shown}, baseline {accepted.value:.6g} of {accepted.date}, {_off(off, accepted.value)}; {why}"
        if not same:
            text = f"{text}. {_since(accepted, another)}"
        bound = f"{accepted.value:.6g} +- {allowed:.3g}"
        return Verdict(Outcome.MET if same else Outcome.UNMET, text, bound=bound)

    def _tolerance(self, claim: Claim, accepted: Accepted, found: _Found) -> tuple[float, str]:
        """The largest difference that counts as none, and where it comes from."""
        if isinstance(self.within, Absolute):
            return self.within.absolute, f"within {short(self.within.absolute)} is allowed"
        if self.within is not None:
            return self.within * abs(accepted.value), f"within {short(100 * self.within)} % is allowed"
        allowed = NOISES * noise_of(Measure(self.measure), accepted.value, claim.noise, found.variance)
        return allowed, f"within {short(allowed)}, {NOISES:g} times {claim.noise_in_words}, is allowed"

    def _undecidable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        if self.corpus is not None:
            return self._not_finite(evidence, claim, None) or self._dead_in_corpus(evidence, claim)
        roles = ("prompts", "than") if self.than is not None else ("prompts",)
        bad = broken(evidence, claim, roles)
        return bad or (dead(evidence, claim, roles) if self.about_feature() else None)

    def _dead_in_corpus(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        """A feature that never fires has a density of 0 whatever happens to it, and so has an SAE that never does."""
        if not self.about_feature():
            return self.silent(evidence, claim)
        fired, n = self.fired_by_block(evidence, claim, feature_of(claim, evidence.sums("corpus", claim).d_sae))
        if fired.any():
            return None
        tokens = int(n.sum())
        text = f"feature {claim.feature} never fires on the {tokens:,} tokens of {self.corpus}: dead, or mistyped."
        return inconclusive(Reason.DEAD, text, measurement=Measurement("tokens that fire", 0, tokens))

    def _found(self, evidence: Evidence, claim: Claim) -> _Found:
        if self.measure == "density":
            fired, tokens = self.fired_by_block(evidence, claim, feature_of(claim, self._d_sae(evidence)))
            return _Found(float(fired.sum() / tokens.sum()), int(tokens.sum()), "tokens")
        if not self.about_feature():
            blocks = self.blocks(evidence, claim)
            mse, fvu = (value_of(METRICS[name], blocks) for name in ("mse", "fvu"))
            variance = mse / fvu if fvu > 0 else 0.0
            return _Found(value_of(METRICS[self.measure], blocks), int(blocks.n.sum()), "tokens", variance)
        value, n = self._of_feature(evidence, claim)
        return _Found(value, n, _UNITS[self.measure])

    def _of_feature(self, evidence: Evidence, claim: Claim) -> tuple[float, int]:
        """The feature's number on prompts, and its n; templates count once, as in the kinds that bound it."""
        feature = feature_of(claim, self._d_sae(evidence))
        if self.measure == "auroc":
            found = compared(evidence, claim, "prompts", "than")
            return float(found.auroc[feature]), found.design.n
        units = units_used(evidence, claim, "prompts")
        if self.measure == "firing_rate":
            return float(firing_rates(evidence, claim, "prompts")[feature]), count_units(units)
        pooled = by_unit(evidence.pooled("prompts", claim), units)
        return float(median_firing_of_all(pooled)[feature]), int((pooled.column(feature) != 0).sum())

    def _d_sae(self, evidence: Evidence) -> int:
        return evidence.sums_of["corpus", None].d_sae if self.corpus is not None else evidence.codes("prompts").d_sae

    def _named(self, evidence: Evidence, claim: Claim) -> str:
        """`the auroc of feature 12 on color against plain`."""
        of = f" of feature {claim.feature}" if self.about_feature() else ""
        against = f" against {evidence.prompts('than').name}" if self.than is not None else ""
        return f"the {self.measure.replace('_', ' ')}{of} on {self.source_name(evidence)}{against}"


def _missing(accepted: Accepted | None) -> str:
    how = "If this is as it should be, `interp accept latest` makes it the baseline"
    if accepted is None:
        return f"there is no baseline to hold it against. {how}."
    old = f"the baseline of {accepted.date}, {accepted.value:.6g},"
    return f"{old} is not used, because {accepted.stale}. {how}."


def _off(off: float, value: float) -> str:
    if off == 0:
        return "no difference"
    return f"{off:+.3g}" + (f" ({off / abs(value):+.2%})" if value else "")


def _since(accepted: Accepted, another_feature: bool) -> str:
    """What is known to have moved since the baseline was accepted."""
    if another_feature:
        return f"The baseline is of feature {accepted.feature}, which does not rank first any more"
    if accepted.moved:
        return f"Since then: {', '.join(accepted.moved)}"
    return "Weights and library versions are those of the baseline"


_COLOR = "the red ball rolled"
_PLAIN = "the old ball rolled"
_TEXT = " ".join(f"w{i}" for i in range(24))
_NEAR = {f"w{i}": 1 + i % 3 for i in range(24)}
_HALF = [*rows(10, _COLOR, red=3), *rows(10, _COLOR)]
Unchanged.examples = (
    KindExample(
        "fires on half of the prompts, as it did",
        Outcome.MET,
        {"measure": "firing_rate"},
        {"prompts": _HALF},
        {"accepted": Accepted(0.5, "2026-11-01", feature=0)},
    ),
    KindExample(
        "its median fell from 3.5 to 3.05",
        Outcome.UNMET,
        {"measure": "median_activation", "within": 0.05},
        {"prompts": _HALF},
        {"accepted": Accepted(3.5, "2026-11-01", feature=0, moved=("torch 2.12.0 is now 2.13.0",))},
    ),
    KindExample(
        "nobody has accepted a number yet",
        Outcome.INCONCLUSIVE,
        {"measure": "auroc"},
        {"prompts": rows(10, _COLOR, red=3), "than": rows(10, _PLAIN)},
    ),
    KindExample(
        "tells the same prompts apart as well as it did",
        Outcome.MET,
        {"measure": "auroc", "within": {"absolute": 0.05}},
        {"prompts": rows(10, _COLOR, red=3), "than": rows(10, _PLAIN)},
        {"accepted": Accepted(1.0, "2026-11-01", feature=0)},
    ),
    KindExample(
        "the reconstruction is as good as it was, give or take .01",
        Outcome.MET,
        {"measure": "fvu", "within": {"absolute": 0.01}},
        {"prompts": rows(10, _TEXT, **_NEAR)},
        {"accepted": Accepted(0.05, "2026-11-01")},
    ),
)
