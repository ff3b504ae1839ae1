"""A shortcut ruled out by another claim: the feature is met on sets that the shortcut does not tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from harness.expectations.evidence import Evidence
from harness.expectations.shortcuts import BALANCED, predictors
from harness.spec import Spec
from harness.stats.strata import auroc_of
from harness.vacuity import may_be_met, without
from harness.verdict import Outcome, Reason, Verdict

Judged = Callable[[Spec], tuple[Verdict, Evidence]]


def ruled_out_elsewhere(spec: Spec, verdict: Verdict, selected: Iterable[Spec], judged: Judged) -> Verdict:
    """The verdict without its shortcut, where another met comparison of the feature is balanced in it; else as it is.

    selected: the claims of the run. judged: gives a claim's verdict and its evidence; Missing where it has none.
    """
    what = verdict.details.get("shortcut")
    if what is None or verdict.feature is None or not may_be_met(verdict) or spec.shortcut_accepted:
        return verdict
    for other in _others(spec, verdict.feature, selected):
        found, evidence = judged(other)
        if found.outcome is Outcome.MET and found.feature == verdict.feature and _is_balanced(other, evidence, what):
            why = f"{what} does not tell the sets of {other.id} apart, where the feature is met, too"
            return without(verdict, Reason.SHORTCUT, why)
    return verdict


def _others(spec: Spec, feature: int, selected: Iterable[Spec]) -> Iterator[Spec]:
    """The other comparisons in general of the same subject that name this feature, or choose theirs."""
    for other in selected:
        names = other.best is not None or feature in other.features
        same = other.subject.name == spec.subject.name and other.id != spec.id
        if same and names and other.expectation.contrast() is not None and other.claim.scope == "population":
            yield other


def _is_balanced(spec: Spec, evidence: Evidence, what: str) -> bool:
    """Whether a shortcut tells the sets of a claim apart no better than chance; so does one not tried there."""
    contrast = spec.expectation.contrast()
    assert contrast is not None
    sides = predictors(evidence, replace(spec.claim, feature=None), contrast[:2]).get(what)
    return sides is None or BALANCED[0] <= auroc_of(*sides) <= BALANCED[1]
