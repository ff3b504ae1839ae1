"""Entries of specs/subjects.yaml compared with what their SAEs say about their training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.agreement import OTHERWISE, Difference, of_model, of_reading, of_shape, otherwise_keys, said_by
from harness.errors import SpecError, did_you_mean, nearest_names
from harness.inputs import SITES, SaeRef, Subject, parse_hook
from harness.language.mistakes import Mistakes
from harness.language.nodes import Node
from harness.trained import Training, training_of


def as_trained(stated: SaeRef, node: Node) -> SaeRef:
    """The SAE of an entry, with what it says of itself: where the entry is silent, its own word counts.

    Raises Mistakes `sae_mismatch`, `sae_unsupported` at the keys that say otherwise.
    """
    said = training_of(stated)
    errors = [_error(difference, node.value.get(difference.key) or node) for difference in of_shape(stated, said)]
    if errors:
        raise Mistakes(errors)
    return replace(
        stated,
        d_in=stated.d_in if stated.d_in is not None else said.d_in,
        d_sae=stated.d_sae if stated.d_sae is not None else said.d_sae,
        architecture=stated.architecture if stated.architecture is not None else said.architecture,
        training=said,
    )


def trained_at(sae: SaeRef, node: Node) -> str:
    """The hook point that the SAE itself names, where specs/subjects.yaml names none."""
    hook = said_by(sae).hook_name
    if hook is None:
        message = f"neither this subject nor the SAE {sae.name!r} says `hook`: where the SAE reads"
        raise node.error("no_hook", message)
    try:
        parse_hook(hook)
    except ValueError:
        sites = ", ".join(SITES)
        message = f"SAE {sae.name} was trained at {hook}, which cannot be read; one of blocks.L.{{{sites}}}"
        raise node.error("sae_unsupported", message) from None
    return hook


def otherwise(stated: Mapping[str, str] | None, node: Node) -> tuple[tuple[str, str], ...]:
    """`read_otherwise` of a subject, in order of its keys. Raises Mistakes for a key that it cannot have."""
    reasons = stated or {}
    errors = []
    for key in reasons:
        if key not in OTHERWISE:
            known = ", ".join(OTHERWISE)
            message = f"{key!r} is nothing that can be read otherwise; one of {known}.{did_you_mean(key, OTHERWISE)}"
            near = nearest_names(key, OTHERWISE)
            errors.append(node.value["read_otherwise"].key_error(key, "unknown_key", message, near))
    if errors:
        raise Mistakes(errors)
    return tuple(sorted(reasons.items()))


def check_reading(subject: Subject, node: Node, sae_node: Node) -> None:
    """Raise Mistakes for what would be read otherwise than the SAE was trained and is not meant, and for what is meant
    though it is no difference."""
    said, meant = said_by(subject.sae), dict(subject.read_otherwise)
    found = [one for one in of_reading(subject.sae, subject.hook, said, subject.bos) if one.key not in meant]
    found += of_model(subject)
    errors = [_error(one, _place(one, node, sae_node)) for one in found]
    errors += _without_reason(subject, said, meant, node)
    if errors:
        raise Mistakes(errors)


def _without_reason(subject: Subject, said: Training, meant: Iterable[str], node: Node) -> list[SpecError]:
    if not said.is_whole:  # the rest of what it says is known when it is loaded
        return []
    idle = [key for key in meant if key not in otherwise_keys(subject, said)]
    places = node.value["read_otherwise"] if idle else node
    return [
        places.key_error(
            key, "not_otherwise", f"SAE {subject.sae.name} is read as it says in this, so remove {key!r}", []
        )
        for key in idle
    ]


def _place(difference: Difference, node: Node, sae_node: Node) -> Node:
    """Where the wrong word stands: the subject's own hook, the SAE's, or the line that names the SAE."""
    if difference.key == "bos":
        return node.value["bos"]  # type: ignore[no-any-return]
    if difference.key == "hook":
        for holder in (node, sae_node):
            if "hook" in holder.value:
                return holder.value["hook"]  # type: ignore[no-any-return]
    return node.value["sae"]  # type: ignore[no-any-return]


def _error(difference: Difference, node: Node) -> SpecError:
    if difference.code == "sae_mismatch":
        return node.error("sae_mismatch", str(difference))
    return node.error("sae_unsupported", str(difference))
