"""Answers on failure: which features would meet an unmet claim, and what fires on the prompts that its feature missed.

A feature that meets a claim on the prompts that it was looked for on shows nothing, so the prompts are halved by hash
(heldout.split): features are chosen on one half and have to hold on the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.codes import Codes, Floats, concat, split
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.heldout import split as halves
from harness.inputs import PromptSet
from harness.spec import Spec
from harness.stats.auroc import SignedCodes, auroc_of_all
from harness.stats.contrast import rate_gap, rate_of_all

MOST = 5
SHOWN = 3
SALT = "answers"


def answers(spec: Spec, feature: int, evidence: Evidence) -> dict[str, Any]:
    """{would_meet: features, tried: n, missed: n, instead: [[feature, share, share in `than`], ...]}.

    Only for claims of firing (side `high`) of one subject, judged from its codes on the sets that the spec names; {}
    for others.
    """
    judged_so = spec.sets and spec.sets.keys() == evidence.sets.keys() and not (spec.corpora or spec.others)
    if spec.expectation.side() != "high" or not judged_so or evidence.residuals_of:
        return {}
    claim = replace(spec.claim, feature=feature)
    return {**_would_meet(spec, claim, evidence), **_instead(claim, evidence)}


def _would_meet(spec: Spec, claim: Claim, evidence: Evidence) -> dict[str, Any]:
    found, tested = (_half(evidence, number) for number in (0, 1))
    if found is None or tested is None:
        return {}
    meeting = spec.expectation.meeting(found, claim)
    held = spec.expectation.meeting(tested, claim)
    if meeting is None or held is None:
        return {}
    effect = _effect(found, claim)
    chosen = [int(f) for f in np.lexsort((np.arange(len(effect)), -effect)) if meeting[f] and f != claim.feature][:MOST]
    return {"would_meet": [f for f in chosen if held[f]], "tried": len(chosen)} if chosen else {}


def _instead(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """What fires on the missed prompts more often than on the contrast; always-on features thereby stay out."""
    if not {"prompts", "than"} <= evidence.sets.keys():
        return {}
    column = evidence.pooled("prompts", claim).column(claim.feature or 0)
    missed = np.flatnonzero(column == 0)
    if not len(missed):
        return {}
    parts = split(evidence.codes("prompts"))
    codes = concat([parts[i] for i in missed])
    here = rate_of_all(codes.pooled(codes.counted(claim.tokens, claim.special_tokens), claim.pool))
    there = rate_of_all(evidence.pooled("than", claim))
    gap = rate_gap(here, there)
    first = [int(f) for f in np.lexsort((np.arange(len(gap)), -gap))[:SHOWN] if gap[f] > 0]
    return {"missed": len(missed), "instead": [[f, float(here[f]), float(there[f])] for f in first]}


def _half(evidence: Evidence, number: int) -> Evidence | None:
    """One half of every set by hash; None where a half of one is empty."""
    sets: dict[str, PromptSet] = {}
    codes_of: dict[tuple[str, str | None], Codes] = {}
    for role, prompts in evidence.sets.items():
        kept = set(halves(prompts.prompts, SALT)[number])
        rows = [i for i, prompt in enumerate(prompts.prompts) if prompt in kept]
        if not rows:
            return None
        sets[role] = PromptSet(prompts.name, tuple(prompts.prompts[i] for i in rows))
        parts = split(evidence.codes(role))
        codes_of[role, None] = concat([parts[i] for i in rows])
    return replace(evidence, sets=sets, codes_of=codes_of, cache={})


def _effect(evidence: Evidence, claim: Claim) -> Floats:
    """What features are ranked by: AUROC where there is a contrast, else the share of prompts fired on."""
    pooled = evidence.pooled("prompts" if "prompts" in evidence.sets else next(iter(evidence.sets)), claim)
    if "than" in evidence.sets:
        try:
            return auroc_of_all(pooled, evidence.pooled("than", claim))
        except SignedCodes:
            return rate_gap(rate_of_all(pooled), rate_of_all(evidence.pooled("than", claim)))
    return rate_of_all(pooled)
