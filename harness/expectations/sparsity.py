"""sparsity: how many features fire."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from harness.expectations.base import Claim, KindExample
from harness.expectations.bounds import Bound
from harness.expectations.checks import live
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.results import Part, against, bound_text, by_value, limits_text, only, part, verdict_of
from harness.expectations.tails import heavy_tail
from harness.expectations.telling import Told
from harness.expectations.tokenwise import Tokenwise
from harness.expectations.toy import rows
from harness.stats.fidelity import jackknife, l0, tail_of, value_of
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive


class Sparsity(Tokenwise):
    """So many features fire on a token (L0), and so many are alive, on `prompts` or a corpus.

    l0 has jackknife limits over prompts. live_features describes these tokens only: it grows with their number.
    """

    kind: ClassVar[str] = "sparsity"
    reads_feature: ClassVar[bool] = False
    mutants: ClassVar[frozenset[str]] = frozenset({"random_sae", "one_layer_off"})

    l0: Bound | None = Field(None, description="Bound on the mean number of non-zero features of a counted token.")
    live_features: Bound | None = Field(
        None, description="Bound on the number of features that fire on at least one of these tokens."
    )

    @model_validator(mode="after")
    def _some_bound(self) -> Sparsity:
        if self.l0 is None and self.live_features is None:
            raise ValueError("sparsity needs a bound: l0 or live_features")
        return self

    def changed_by(self) -> frozenset[str]:
        """A random SAE has the L0 of the SAE itself by construction; which of its features live, it has not."""
        return self.mutants if self.live_features is not None else self.mutants - {"random_sae"}

    def has_limits(self) -> bool:
        return self.l0 is not None

    def in_words(self, told: Told) -> str:
        numbers = {
            "mean number of features that fire on a token (L0)": self.l0,
            "number of features that fire at all": self.live_features,
        }
        limits = [f"{name} {limits_text(bound)}" for name, bound in numbers.items() if bound is not None]
        claimed = f"the SAE of {told.subject} on the tokens of {told.on(self.role())}: {', '.join(limits)}"
        return told.sentence(claimed, told.level() if self.has_limits() else "", told.counted())

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self._vacuous(claim) or self.unmeasurable(evidence, claim) or self._all_dead(evidence, claim)
        if undecidable is not None:
            return undecidable
        alive = self._alive(evidence, claim)
        blocks, other = self.blocks(evidence, claim), self.otherwise(evidence, claim)
        n = int(blocks.n.sum())
        here, there = ({"l0": value_of(l0, one)} for one in (blocks, other.blocks if other is not None else blocks))
        parts = self._parts(evidence, claim, int(alive.sum()), n)
        return verdict_of(
            parts,
            f"on {n:,} tokens of {self.source_name(evidence)}: "
            + "; ".join(_shown(found, claim) for found in parts)
            + (other.said(here, there) if other is not None and self.l0 is not None else ""),
            also=(
                Measurement("dead features on these tokens", int((~alive).sum()), n),
                *(other.measured(there) if other is not None else ()),
            ),
            warnings=tuple(heavy_tail("l0", tail_of(l0, blocks), self.l0, claim)) if self.l0 is not None else (),
        )

    def _parts(self, evidence: Evidence, claim: Claim, alive: int, n: int) -> list[Part]:
        parts = []
        if self.l0 is not None:
            limits = jackknife(l0, self.blocks(evidence, claim), claim.alpha)
            parts.append(part("l0", limits, self.l0, claim, n, measure=Measure.L0))
        if self.live_features is not None:
            outcome = by_value(self.live_features, alive)
            parts.append(Part("live features", only(alive), self.live_features, outcome, n))
        return parts

    def _vacuous(self, claim: Claim) -> Verdict | None:
        if not claim.sae_is_topk or self.l0 is None:
            return None
        return inconclusive(
            Reason.VACUOUS, "this SAE keeps a fixed number of features a token (TopK): its L0 is true by construction."
        )

    def _alive(self, evidence: Evidence, claim: Claim) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        if self.corpus is not None:
            return np.asarray(evidence.sums("corpus", claim).fired.sum(0) > 0)
        return live(evidence, claim, "prompts")

    def _all_dead(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        if self._alive(evidence, claim).any():
            return None
        return inconclusive(
            Reason.DEAD,
            f"no feature at all fires on {self.source_name(evidence)}: the SAE or the place where it reads is wrong.",
        )


def _shown(found: Part, claim: Claim) -> str:
    if found.name == "live features":
        return f"{int(found.limits.value):,} live features (these tokens only), {bound_text(found.bound)}"
    return against(found, claim)


_TEXT = " ".join(f"w{i}" for i in range(24))
Sparsity.examples = (
    KindExample(
        "two or three of eight features a token",
        Outcome.MET,
        {"l0": {"between": [1, 3]}, "live_features": {"at_least": 6}},
        {"prompts": rows(10, _TEXT, w0=1)},
    ),
    KindExample("more than one a token", Outcome.UNMET, {"l0": {"at_most": 1}}, {"prompts": rows(10, _TEXT)}),
    KindExample(
        "a TopK SAE's L0 is fixed",
        Outcome.INCONCLUSIVE,
        {"l0": {"at_most": 3}},
        {"prompts": rows(10, _TEXT)},
        {"sae_is_topk": True},
    ),
    KindExample("the same over a corpus", Outcome.MET, {"l0": {"at_most": 3}}, {"corpus": rows(10, _TEXT)}),
)
