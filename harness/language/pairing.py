"""Two subjects in one claim: what they must have in common, known from specs/subjects.yaml alone."""

from __future__ import annotations

from harness.expectations.base import Expectation
from harness.inputs import ModelRef, SaeRef, Subject
from harness.language.nodes import Node


def check_pair(expectation: Expectation, subject: Subject, other: Subject, claim: Node) -> None:
    """SpecError where the two are one, or lack what the kind says that they share. claim: the entry of `expect`."""
    key = next((role for role in expectation.roles("subject") if getattr(expectation, role) == other.name), "over")
    node = _place(claim, expectation.kind, key)
    if subject.name == other.name:
        message = f"{subject.name!r} would be compared with itself; name another subject in `{key}`"
        raise node.error("same_subject", message)
    if expectation.shares == "nothing" or same_sae(subject.sae, other.sae) is not False:
        return
    if expectation.shares == "sae":
        raise node.error("different_sae", _different(expectation, subject, other))
    if not same_model(subject.model, other.model):
        message = f"{subject.name} and {other.name} share neither model nor SAE, so nothing carries over between them"
        raise node.error("nothing_shared", f"{message}; compare subjects that have one of the two in common")


def _place(claim: Node, kind: str, key: str) -> Node:
    """Where the other subject is named, or the claim itself."""
    below = claim.get(kind)
    return (below.get(key) if below is not None else None) or claim


def same_sae(a: SaeRef, b: SaeRef) -> bool | None:
    """Whether two references are one dictionary of features; None where the pins cannot tell."""
    if a.digest is not None and b.digest is not None:
        return a.digest == b.digest
    if (a.source, a.location, a.sae_id) == (b.source, b.location, b.sae_id):
        return True
    if a.d_sae is not None and b.d_sae is not None and a.d_sae != b.d_sae:
        return False
    return None


def same_model(a: ModelRef, b: ModelRef) -> bool:
    """Whether two references are the same weights, by digest where both are pinned."""
    if a.digest is not None and b.digest is not None:
        return a.digest == b.digest
    return (a.source, a.location, a.revision) == (b.source, b.location, b.revision)


def _different(expectation: Expectation, subject: Subject, other: Subject) -> str:
    a, b = subject.sae, other.sae
    widths = [f" ({sae.d_sae:,} features)" if sae.d_sae is not None else "" for sae in (a, b)]
    return (
        f"{subject.name} reads through the SAE {a.name}{widths[0]}, {other.name} through {b.name}{widths[1]}: feature "
        f"12 of one is not feature 12 of the other. {expectation.kind} needs one SAE on two models; add a subject "
        f"that reads the other model through {a.name}"
    )
