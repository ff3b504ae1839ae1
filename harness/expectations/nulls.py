"""How much a claim says: the share of live features that would meet it, too (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.expectations.base import Claim, Expectation
from harness.expectations.evidence import Evidence
from harness.stats.firing import tokens_firing_of_all

MOST_NULL = 0.05  # a claim that one live feature in twenty meets says little about the one that it names
NEAREST = 200
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Null:
    """`meeting` of `live` features reach the claim's bound, the effect alone; so do `near_meeting` of the `near` live
    ones that are nearest in density. live: fires on at least one counted token of the spec's own prompts, pictures or
    corpus, in any subject that reads them, unless the kind compares with others. contrasts: the claim names a set that
    it fires more than on, which can be exchanged for a harder one."""

    meeting: int
    live: int
    what: str = "live features"
    contrasts: bool = True
    near_meeting: int = 0
    near: int = 0

    @property
    def share(self) -> float:
        return self.meeting / self.live

    @property
    def near_share(self) -> float:
        """Of the features of like density; 0 where there are none."""
        return self.near_meeting / self.near if self.near else 0.0

    def warning(self) -> str:
        fix = "Contrast it with near misses (specs/prompts/near-misses.yaml has some), or raise the bound"
        if not self.contrasts:
            fix = "Tighten the bound, or claim a contrast beside it: fires_more against near misses"
        return f"{' and '.join(self._counts())} meet this bound, too: it says little about this one. {fix}"

    def _counts(self) -> Iterator[str]:
        if self.share > MOST_NULL:
            yield f"{self.meeting:,} of {self.live:,} {self.what}"
        if self.near_share > MOST_NULL:
            yield f"{self.near_meeting} of the {self.near} nearest in density"


def null_of(expectation: Expectation, evidence: Evidence, claim: Claim) -> Null | None:
    """The null of a claim about a feature; None where the kind has none, or where nothing is live."""
    meeting = expectation.meeting(evidence, claim)
    if meeting is None:
        return None
    contrasts = "than" in expectation.references("prompts")
    compared = expectation.compared(evidence)
    if compared is not None:
        mask, what = compared
        n = int(mask.sum())
        return Null(int((meeting & mask).sum()), n, what, contrasts) if n else None
    fired = firing_tokens(expectation, evidence, claim)
    live = fired > 0
    if not live.any():
        return None
    near = nearest_in_density(fired, claim.feature)
    return Null(
        int((meeting & live).sum()), int(live.sum()), "live features", contrasts, int(meeting[near].sum()), len(near)
    )


def gates(expectation: Expectation, null: Null) -> bool:
    """True where the null gates: most features meet a claim of silence by nature, so only high sides do."""
    return expectation.side() == "high" and max(null.share, null.near_share) > MOST_NULL


def candidates(expectation: Expectation, evidence: Evidence, claim: Claim) -> int:
    """How many features somebody could have chosen on this evidence: the live ones; for a claim about decoder
    directions all of the SAE."""
    if evidence.codes_of or evidence.sums_of:
        return int(np.count_nonzero(firing_tokens(expectation, evidence, claim)))
    found = expectation.compared(evidence)
    return 0 if found is None else len(found[0])


def firing_tokens(expectation: Expectation, evidence: Evidence, claim: Claim) -> Counts:
    """On how many counted tokens of the claim's own prompts, pictures and corpora each feature fires, [d_sae]."""
    read = [_fired(evidence, expectation.counted_as(role, claim), role, by) for role, by in evidence.codes_of]
    summed = [evidence.sums(role, claim, by).fired.sum(axis=0) for role, by in evidence.sums_of]
    return np.asarray(np.sum([*read, *summed], axis=0), np.int64)


def nearest_in_density(fired: Counts, feature: int | None, most: int = NEAREST) -> Counts:
    """The live features whose number of firing tokens is nearest to that of `feature`, itself left out.

    Args:
        fired: on how many tokens each feature fires, [d_sae].
        feature: None gives none.
        most: how many; of equals, the lower numbers.

    Returns:
        Their numbers, nearest first.
    """
    if feature is None:
        return np.empty(0, np.int64)
    others = np.flatnonzero(fired)
    others = others[others != feature]
    order = np.argsort(np.abs(fired[others] - fired[feature]), kind="stable")
    return np.asarray(others[order[:most]], np.int64)


def _fired(evidence: Evidence, claim: Claim, role: str, by: str | None) -> Counts:
    codes = evidence.codes(role, by)
    key = ("firing_tokens", id(codes), claim.tokens, claim.special_tokens)
    return evidence.memo(key, lambda: tokens_firing_of_all(codes, evidence.counted(role, claim, by)), keep=codes)
