"""How much a claim says: the share of live features that would meet it, too (docs/statistics.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.codes import Mask
from harness.expectations.base import Claim, Expectation
from harness.expectations.checks import live
from harness.expectations.evidence import Evidence

MOST_NULL = 0.05  # a claim that one live feature in twenty meets says little about the one that it names


@dataclass(frozen=True, slots=True)
class Null:
    """`meeting` of `live` features reach the claim's bound, the effect alone. live: fires on at least one counted
    token of the spec's own prompts, pictures or corpus, in any subject that reads them, unless the kind compares with
    others. contrasts: the claim names a set that it fires more than on, which can be exchanged for a harder one."""

    meeting: int
    live: int
    what: str = "live features"
    contrasts: bool = True

    @property
    def share(self) -> float:
        return self.meeting / self.live

    def warning(self) -> str:
        mend = "Contrast it with near misses (specs/prompts/near-misses.yaml has some), or raise the bound"
        if not self.contrasts:
            mend = "Tighten the bound, or claim a contrast beside it: fires_more against near misses"
        return (
            f"{self.meeting:,} of {self.live:,} {self.what} meet this bound, too: it says little about this one. {mend}"
        )


def null_of(expectation: Expectation, evidence: Evidence, claim: Claim) -> Null | None:
    """The null of a claim about a feature; None where the kind has none, or where nothing is live."""
    meeting = expectation.meeting(evidence, claim)
    if meeting is None:
        return None
    compared, what = expectation.compared(evidence) or (_live(expectation, evidence, claim), "live features")
    n = int(compared.sum())
    contrasts = "than" in expectation.references("prompts")
    return Null(int((meeting & compared).sum()), n, what, contrasts) if n else None


def gates(expectation: Expectation, null: Null) -> bool:
    """True where the null gates: most features meet a claim of silence by nature, so only high sides do."""
    return expectation.side() == "high" and null.share > MOST_NULL


def candidates(expectation: Expectation, evidence: Evidence, claim: Claim) -> int:
    """How many features somebody could have chosen on this evidence: the live ones; for a claim about decoder
    directions all of the SAE."""
    if evidence.codes_of or evidence.sums_of:
        return int(_live(expectation, evidence, claim).sum())
    found = expectation.compared(evidence)
    return 0 if found is None else len(found[0])


def _live(expectation: Expectation, evidence: Evidence, claim: Claim) -> Mask:
    read = [live(evidence, expectation.counted_as(role, claim), role, by) for role, by in evidence.codes_of]
    summed = [evidence.sums(role, claim, by).fired.any(axis=0) for role, by in evidence.sums_of]
    return np.asarray(np.logical_or.reduce([*read, *summed]))
