"""Known to be false: the claim made of other features that fire as often, and whose own effect misses its bound.

What a kind computes for all features at once says which those are; judging one feature has to agree. It would not if a
verdict were read off another feature than the one that is named, or off none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.controls.base import Control, Sample, about_one_feature
from harness.judging import before_running, judge
from harness.mutants import Case
from harness.mutants.wrong_feature import tokens_fired
from harness.spec import Spec
from harness.verdict import Outcome

FEATURES, NEAREST = 5, 20


def equal_density(sample: Sample) -> Control | None:
    """FEATURES for each sampled claim. None where no claim is about a feature that others could be named for."""
    outcomes = [met for spec in sample.where(_can_be_of_others) for met in _of_others(sample.case(spec))]
    if not outcomes:
        return None
    tried, met = len(outcomes), sum(outcomes)
    finding = f"{met} of {tried} claims about features of equal density whose effect misses the bound are met"
    return Control("equal_density", sample.subject, not met, finding, tried, met)


def _can_be_of_others(spec: Spec) -> bool:
    return about_one_feature(spec) and bool(spec.features) and before_running(spec) is None


def _of_others(case: Case) -> list[bool]:
    verdicts = [judge(replace(case.spec, features=(feature,)), case.evidence) for feature in _missing_it(case)]
    return [verdict.outcome is Outcome.MET for verdict in verdicts]


def _missing_it(case: Case) -> list[int]:
    """Some of the live features nearest in density whose effect is outside the bound."""
    meeting = case.spec.expectation.meeting(case.evidence, case.spec.claim)
    if meeting is None:
        return []
    fired, own = tokens_fired(case), case.features[0]
    others = np.flatnonzero((fired > 0) & ~meeting)
    others = others[others != own]
    near = others[np.argsort(np.abs(fired[others] - fired[own]), kind="stable")[:NEAREST]]
    chosen = case.random("equal_density").permutation(near)[:FEATURES]
    return [int(feature) for feature in chosen]
