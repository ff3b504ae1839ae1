"""Which met claims are enough to steer by, and what every other one lacks.

A feature needs one claim that it fires (high side), of prompts in general (population), that few other features meet,
that no shortcut explains, and whose feature was found on other prompts. Only then do all the other claims about it,
which must be met as well, describe a feature that is known to encode something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.expectations.nulls import MOST_NULL
from harness.gate.blocking import Reason, Why
from harness.judging import MOST_ALPHA
from harness.provenance import Provenance, provenance_of
from harness.reports.record import Record
from harness.spec import Spec
from harness.vacuity import reasons
from harness.verdict import Reason as Reasons
from harness.verdict import Verdict

_NAMED = 3
Judged = tuple[Spec, Record]


def is_proof(claim: Judged) -> bool:
    """Whether this met claim by itself is enough."""
    return not any(lacks(claim) for _, lacks, _ in _LACKS)


def not_enough(feature: int, met: Sequence[Judged]) -> Iterator[Reason]:
    """What the met claims about a feature lack, each thing with the claims that lack it and how to fix it; nothing
    where one of them is enough."""
    if any(map(is_proof, met)):
        return
    of_firing = [claim for claim in met if not _side(claim)]
    for why, lacks, fix in _LACKS:
        found = [(claim[1].id, words) for claim in of_firing or met if (words := lacks(claim))]
        if found and (of_firing or why is Why.NO_FIRING_CLAIM):  # what a claim of silence lacks otherwise helps nobody
            yield Reason(why, f"feature {feature}: {_listed(found)}. {fix}")


def origin_of(spec: Spec) -> str:
    """Where its feature was found, in words."""
    return (provenance_of(spec) or Provenance("none")).in_words


def _listed(found: Sequence[tuple[str, str]]) -> str:
    more = f" and {len(found) - _NAMED} more claims" if len(found) > _NAMED else ""
    return "; ".join(f"{name} {words}" for name, words in found[:_NAMED]) + more


def _side(claim: Judged) -> str:
    spec, _ = claim
    if spec.others:
        return "compares two subjects"
    if spec.expectation.reads_decoder:
        return "is about the decoder direction"
    return "" if spec.expectation.side() == "high" else "does not claim that the feature fires"


def _scope(claim: Judged) -> str:
    scope = claim[0].claim.scope
    return "" if scope == "population" else f"has scope {scope}"


def _severity(claim: Judged) -> str:
    return "" if claim[0].severity == "fail" else f"has severity {claim[0].severity}"


def _alpha(claim: Judged) -> str:
    alpha = claim[0].claim.alpha
    return "" if alpha <= MOST_ALPHA else f"has alpha {alpha:g}"


def _vacuity(claim: Judged) -> str:
    verdict = claim[1].verdict
    if verdict.null_share is None:
        return "does not say how many other features meet it"
    if verdict.null_share > MOST_NULL:
        return f"is met by {verdict.null_share:.0%} of live features"
    return _said(verdict, Reasons.VACUOUS)


def _shortcut(claim: Judged) -> str:
    return _said(claim[1].verdict, Reasons.SHORTCUT)


def _said(verdict: Verdict, reason: Reasons) -> str:
    """What judging said itself about this reason."""
    return "; ".join(f"says little: {why}" for one, why in reasons(verdict) if one is reason)


def _origin(claim: Judged) -> str:
    found = provenance_of(claim[0]) or Provenance("none")
    if found.is_held_out:
        return ""
    would_be = claim[1].verdict.details.get("p_if_chosen_here")
    p = "" if would_be is None else f" (chosen on these prompts, p would be {would_be:.2g})"
    return f"has only {found.in_words}{p}" if found.how == "source" else f"names no discovery prompts{p}"


# Reason, what a claim lacks in that respect ('' for nothing), and how to fix it.
_LACKS: tuple[tuple[Why, Callable[[Judged], str], str], ...] = (
    (Why.NO_FIRING_CLAIM, _side, "Add a claim that it fires more on these prompts than on others (fires_more)"),
    (Why.SAMPLE_ONLY, _scope, "Claim it of prompts in general (remove `scope: sample`, add prompts)"),
    (Why.WARN_ONLY, _severity, "A claim that may fail unnoticed is nothing to steer by: remove `severity: warn`"),
    (Why.HIGH_ALPHA, _alpha, f"Claim it at alpha {MOST_ALPHA:g} or less"),
    (
        Why.VACUOUS,
        _vacuity,
        "Contrast it with near misses (specs/prompts/near-misses.yaml has some), or raise its bound",
    ),
    (Why.SHORTCUT, _shortcut, "Balance the two sets in this respect, or say why it is accepted (`shortcut_accepted:`)"),
    (Why.NO_PROVENANCE, _origin, "Name the prompts with `discovered_on:`, or let `feature: {best: ...}` choose"),
)
