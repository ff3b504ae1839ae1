"""Baselines: a number that somebody accepted, with what it was read from, and whether it still stands.

A baseline stands while its claim is the same and the weights, SAE, tokenizer and way of reading are the same. Library
versions may move: that is what a kind with a baseline is there to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.expectations.base import Accepted, Expectation
from harness.expectations.bounds import Bound
from harness.inputs import Prompt, PromptSet
from harness.keys import VERSION_FIELDS, code_parts, corpus_key, digest_of, prompt_key
from harness.spec import Baseline, Spec
from harness.verdict import Outcome, Reason, Verdict

FOLDER = "measured"  # under specs/
_SHOWN = 12


def set_digest(prompts: PromptSet) -> str:
    """sha256 of the prompts of a set with their groups and marks, in whatever order."""
    return digest_of({"prompts": "\n".join(sorted(map(measured_as, prompts.prompts)))})


def measured_as(prompt: Prompt) -> str:
    """What a prompt is to a number that is measured on it: what is read, its template, and its marked spans."""
    return f"{prompt_key(prompt)} {prompt.group!r} {prompt.marks!r}"


def claim_digest(spec: Spec, of_set: Callable[[PromptSet], str] = set_digest) -> str:
    """sha256 of what a claim measures: kind, feature, prompts, how they are read. 64 hexadecimal digits.

    of_set: set_digest, or one that remembers: many claims read the same sets.

    Left out: the bars (bounds, tolerances, alpha, scope), since moving one does not move the number; the subject's
    name, since the parts of the code key say what it is; severity, tags, why; the order of prompts.
    """
    claim, best = spec.claim, spec.best
    chosen = () if best is None else (of_set(best.prompts), of_set(best.than), best.by)
    parts = {
        "kind": spec.kind,
        "fields": repr(sorted(measured_fields(spec.expectation).items())),
        "sets": repr(sorted((role, of_set(prompts)) for role, prompts in spec.sets.items())),
        "corpora": repr(sorted((role, corpus_key(corpus)) for role, corpus in spec.corpora.items())),
        "features": repr((spec.features, chosen, spec.together)),
        "reading": repr((claim.pool, claim.tokens, claim.special_tokens)),
    }
    return digest_of(parts)


def is_bar(expectation: Expectation, name: str) -> bool:
    """Whether a field says how far the number may go, rather than which number it is."""
    return isinstance(getattr(expectation, name), Bound) or name in expectation.loosens


def measured_fields(expectation: Expectation) -> dict[str, Any]:
    """The fields that are neither bars nor references: those are digested by what they hold."""
    resolved = (*expectation.roles("prompts"), *expectation.roles("corpus"))
    return {
        name: value
        for name, value in expectation
        if value is not None and name not in resolved and not is_bar(expectation, name)
    }


def accepted_for(spec: Spec) -> Accepted | None:
    """The spec's baseline as it stands today; None where there is none."""
    found = spec.baseline
    if found is None:
        return None
    now = code_parts(spec.subject)
    return Accepted(found.value, found.date, found.feature, _stale(spec, found, now), _moved(found, now))


def _stale(spec: Spec, baseline: Baseline, now: Mapping[str, str]) -> str:
    """Why the baseline is not one of today's claim and weights; empty where it is."""
    if baseline.claim != claim_digest(spec):
        return "the claim has been edited since: it measured something else"
    changed = [
        _change(name, then, new) for name, then, new in differing(baseline.read_with, now) if name not in VERSION_FIELDS
    ]
    return f"it is from other weights or another way of reading ({'; '.join(changed)})" if changed else ""


def _moved(baseline: Baseline, now: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        _change(name, then, new) for name, then, new in differing(baseline.read_with, now) if name in VERSION_FIELDS
    )


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(part, then, now) of each part of the code key that differs, in the order of the key."""
    names = dict.fromkeys([*now, *then])
    both = [(name, then.get(name, "not said"), now.get(name, "not said")) for name in names]
    return [each for each in both if each[1] != each[2]]


def _change(name: str, then: str, now: str) -> str:
    return f"{name} {_short(then)} is now {_short(now)}"


def _short(part: str) -> str:
    """A digest by its first digits."""
    return f"{part[:_SHOWN]}..." if len(part) == 64 and part.isalnum() else part


def acceptable(spec: Spec, verdict: Verdict) -> dict[str, Any] | None:
    """What `interp accept` would write for this verdict, in plain types; None where nothing was measured."""
    measured = verdict.measurement
    counts = verdict.outcome in (Outcome.MET, Outcome.UNMET) or verdict.reason is Reason.NO_BASELINE
    if not spec.expectation.takes_baseline or measured is None or not counts:
        return None
    return {
        "measure": measured.name,
        "value": float(measured.value),
        "n": int(measured.n),
        "unit": measured.unit,
        "feature": verdict.feature if spec.expectation.about_feature() else None,
        "claim": claim_digest(spec),
        "read_with": code_parts(spec.subject),
    }
