"""What a spec claims, as one plain sentence: made of its resolved sets, so that every report says the same."""

from __future__ import annotations

from dataclasses import replace

from harness.expectations.base import Accepted
from harness.expectations.telling import Told
from harness.spec import Spec

_BY = {"auroc": "AUROC", "mean": "difference of means", "rate": "difference of firing rates"}


def claim_in_words(spec: Spec) -> str:
    """The claim with its feature, sets and their sizes, bounds, and what is not default beside the kind."""
    kept = spec.baseline
    accepted = None if kept is None else Accepted(kept.value, kept.date, kept.feature)
    shared_by = len(spec.features) if spec.together == "any" else 1
    claim = replace(spec.claim, accepted=accepted)
    told = Told(claim, _who(spec), spec.subject.name, spec.sets, spec.corpora, shared_by, _chosen(spec))
    return spec.expectation.in_words(told)


def _chosen(spec: Spec) -> str:
    """Said last: in the middle of the sentence it would stand between the feature and what is claimed of it."""
    if spec.best is None:
        return ""
    told = Told(spec.claim, sets={"prompts": spec.best.prompts, "than": spec.best.than})
    by = _BY[spec.best.by]
    return f"the feature is the one that is best by {by} on {told.on('prompts')} against {told.on('than')}"


def _who(spec: Spec) -> str:
    if spec.best is not None:
        return "the feature"
    named = " and ".join(filter(None, [", ".join(map(str, spec.features[:-1])), *map(str, spec.features[-1:])]))
    if len(spec.features) < 2:
        return f"feature {named}" if named else ""
    return f"{'at least one' if spec.together == 'any' else 'each'} of features {named}"
