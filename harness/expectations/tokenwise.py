"""What reconstruction, sparsity and density share: numbers over the tokens of prompts or of a corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field, model_validator

from harness.codes import Floats
from harness.expectations.base import Claim, CorpusRef, Expectation, OptionalSetRef
from harness.expectations.checks import not_finite
from harness.expectations.comparing import units_in
from harness.expectations.evidence import Evidence
from harness.expectations.rates import units_used
from harness.expectations.results import short, too_few
from harness.inputs import PromptSet
from harness.stats.fidelity import Blocks, blocks_of_codes, blocks_of_sums
from harness.stats.units import LEFT_OUT, count_units
from harness.sums import Part
from harness.verdict import Measurement, Reason, Verdict, inconclusive

FEWEST_PROMPTS = 10
FEWEST_BLOCKS = 5
FEWEST_TOKENS = 200
MATERIAL = 0.05


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Numbers under the other policy about sinks. n: how many tokens that adds or leaves out."""

    how: str
    n: int
    blocks: Blocks

    def measured(self, numbers: Mapping[str, float]) -> tuple[Measurement, ...]:
        """These numbers, named after the policy: `fvu with sinks`."""
        tokens = int(self.blocks.n.sum())
        return tuple(Measurement(f"{name} {self.how}", value, tokens) for name, value in numbers.items())

    def said(self, here: Mapping[str, float], there: Mapping[str, float]) -> str:
        """What a finding adds where a number moves by more than a twentieth; empty where none does."""
        moved = [f"{name} {short(there[name])}" for name in there if _moves(here[name], there[name])]
        return f"; {self.how} ({self.n:,} tokens): {', '.join(moved)}" if moved else ""


def _moves(here: float, there: float) -> bool:
    return abs(here - there) > MATERIAL * abs(here) or math.isnan(here) != math.isnan(there)


class Tokenwise(Expectation):
    """A claim about all counted tokens of `prompts`, or of a `corpus` that is read in a stream."""

    prompts: OptionalSetRef = Field(None, description="The prompts whose counted tokens are measured.")
    corpus: CorpusRef = Field(None, description="Or a corpus from specs/subjects.yaml, for many tokens.")

    @model_validator(mode="after")
    def _one_source(self) -> Tokenwise:
        if (self.prompts is None) == (self.corpus is None):
            raise ValueError(f"{self.kind} needs either `prompts` or `corpus`")
        return self

    def fewest_tokens(self) -> int:
        """Counted tokens below which nothing is said of tokens in general."""
        return FEWEST_TOKENS

    def has_limits(self) -> bool:
        """False where all that is claimed describes these tokens only."""
        return True

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        if self.prompts is None or claim.scope == "sample" or not self.has_limits():
            return None
        return _too_few_prompts(units_in(sets, "prompts", claim.over), sets["prompts"].name)

    def role(self) -> str:
        return "corpus" if self.corpus is not None else "prompts"

    def source_name(self, evidence: Evidence) -> str:
        return str(self.corpus) if self.corpus is not None else evidence.prompts("prompts").name

    def blocks(self, evidence: Evidence, claim: Claim, subject: str | None = None) -> Blocks:
        """Sums per prompt (or template), or per block of the corpus."""
        if self.corpus is not None:
            return blocks_of_sums(evidence.sums("corpus", claim, subject))
        codes = evidence.codes("prompts", subject)
        prompts = evidence.prompts("prompts").prompts
        key = ("blocks", id(codes), claim.tokens, claim.special_tokens, id(prompts), claim.over)
        units = units_used(evidence, claim, "prompts")
        counted = evidence.counted("prompts", claim, subject)
        return evidence.memo(key, lambda: blocks_of_codes(codes, counted, units), keep=(codes, prompts))

    def otherwise(self, evidence: Evidence, claim: Claim) -> Otherwise | None:
        """The same tokens with sinks where the claim leaves them out; None where no sink is among them.

        Where the claim counts them: without sinks and special tokens.
        """
        counts = claim.special_tokens == "counted"
        flipped = replace(claim, special_tokens="ignored")
        if counts:
            without = self.blocks(evidence, flipped)
            left_out = int(self.blocks(evidence, claim).n.sum() - without.n.sum())
            return Otherwise("without sinks and special tokens", left_out, without) if left_out else None
        if self.corpus is not None:
            sums = evidence.sums_of["corpus", None]
            return Otherwise("with sinks", n, blocks_of_sums(sums.counting(Part.SINK))) if (n := sums.n_sinks) else None
        codes = evidence.codes("prompts")
        sinks = codes.left_out_sinks(claim.tokens)
        if not sinks.any():
            return None
        units, counted = units_used(evidence, claim, "prompts"), evidence.counted("prompts", claim)
        return Otherwise("with sinks", int(sinks.sum()), blocks_of_codes(codes, counted | sinks, units))

    def fired_by_block(self, evidence: Evidence, claim: Claim, feature: int) -> tuple[Floats, Floats]:
        """(tokens on which the feature fires, counted tokens) of each block."""
        if self.corpus is not None:
            sums = evidence.sums("corpus", claim)
            use = sums.n > 0
            return sums.fired[use, feature].astype(np.float64), sums.n[use].astype(np.float64)
        codes, units = evidence.codes("prompts"), units_used(evidence, claim, "prompts")
        counted = evidence.counted("prompts", claim) & (units[codes.prompt] != LEFT_OUT)
        unit, n_units = units[codes.prompt[counted]], count_units(units)
        fires = (codes.token_column(feature) != 0)[counted].astype(np.float64)
        return (
            np.bincount(unit, weights=fires, minlength=n_units).astype(np.float64),
            np.bincount(unit, minlength=n_units).astype(np.float64),
        )

    def unmeasurable(self, evidence: Evidence, claim: Claim, subject: str | None = None) -> Verdict | None:
        """Not finite, or too few prompts or tokens to speak of tokens in general."""
        bad = self._not_finite(evidence, claim, subject)
        if bad is not None or claim.scope == "sample" or not self.has_limits():
            return bad
        blocks, name = self.blocks(evidence, claim, subject), self.source_name(evidence)
        few = _too_few_prompts if self.corpus is None else _too_few_blocks
        return self._too_few_tokens(int(blocks.n.sum()), name) or few(blocks.n_blocks, name)

    def silent(self, evidence: Evidence, claim: Claim, subject: str | None = None) -> Verdict | None:
        """Inconclusive where tokens were counted and no feature fires on any: an SAE's bias alone has an mse, too."""
        blocks = self.blocks(evidence, claim, subject)
        if blocks.l0.any() or not blocks.n.any():
            return None
        where = self.source_name(evidence) + (f" in {subject}" if subject is not None else "")
        return inconclusive(
            Reason.DEAD,
            f"nothing fires on {where}: the codes are all zero, so the SAE or the place where it reads is wrong.",
        )

    def _not_finite(self, evidence: Evidence, claim: Claim, subject: str | None) -> Verdict | None:
        if self.corpus is None:
            return not_finite(evidence, claim, "prompts", subject)
        blocks = self.blocks(evidence, claim, subject)
        bad = int((~np.isfinite(blocks.hh + blocks.ee + blocks.cosine + blocks.norm_ratio)).sum())
        if not bad:
            return None
        return inconclusive(
            Reason.NOT_FINITE,
            f"{bad} of {blocks.n_blocks} blocks of {self.corpus} hold NaN or infinite numbers: a checkpoint or dtype "
            "is broken.",
            measurement=Measurement("blocks not finite", bad, blocks.n_blocks),
        )

    def _too_few_tokens(self, n: int, name: str) -> Verdict | None:
        least = self.fewest_tokens()
        if n >= least:
            return None
        return inconclusive(
            Reason.TOO_FEW_PROMPTS,
            f"{n:,} counted tokens of {name} cannot show this for tokens in general: {least:,} are the fewest. Add "
            "prompts, read a corpus, or write `scope: sample` to claim it of these tokens only.",
            measurement=Measurement("counted tokens", n, n),
        )


def _too_few_prompts(n: int, name: str) -> Verdict | None:
    if n >= FEWEST_PROMPTS:
        return None
    return too_few(n, FEWEST_PROMPTS - n, name, f"leaving out one at a time needs {FEWEST_PROMPTS}")


def _too_few_blocks(n: int, name: str) -> Verdict | None:
    """A block holds many contexts, so fewer will do; t limits widen by themselves."""
    if n >= FEWEST_BLOCKS:
        return None
    return inconclusive(
        Reason.TOO_FEW_PROMPTS,
        f"{n} blocks of {name} cannot show this for tokens in general (leaving out one at a time needs "
        f"{FEWEST_BLOCKS}): raise its token_limit, or write `scope: sample` to claim it of these tokens only.",
        measurement=Measurement("blocks", n, n),
    )
