"""Which subject can read which prompts: known from specs/subjects.yaml, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import SpecError
from harness.expectations.base import Expectation
from harness.inputs import Prompt, PromptSet, Subject
from harness.language.nodes import Node
from harness.spec import Best


def unreadable(
    subject: Subject,
    others: dict[str, Subject],
    expectation: Expectation,
    sets: dict[str, PromptSet],
    best: Best | None,
    claim: Node,
) -> Iterator[SpecError]:
    """A mistake for each set that one of its readers cannot read; claim: the entry of `expect`."""
    below = claim.get(expectation.kind) or claim
    for role, prompts in sets.items():
        for name in expectation.read_by(role):
            reader = subject if name is None else others.get(name)
            if reader is not None:
                yield from _unread(reader, prompts, below.get(role) or below)
    for prompts in (best.prompts, best.than) if best is not None else ():
        yield from _unread(subject, prompts, claim.get("feature") or claim)


def nothing_to_count(tokens: str, sets: dict[str, PromptSet], claim: Node) -> Iterator[SpecError]:
    """`tokens: image` about sets without a picture."""
    node = claim.get("tokens")
    if tokens == "image" and node is not None and sets and not any(_picture(p) for p in _all(sets)):
        yield node.error("no_pictures", "`tokens: image` counts image tokens, and no set of this claim has a picture")


def _unread(reader: Subject, prompts: PromptSet, node: Node) -> Iterator[SpecError]:
    if reader.model.modality != "text":
        return
    beyond = next((p for p in prompts.prompts if p.image is not None or p.attention == "prefix"), None)
    if beyond is not None:
        what = "asks for prefix attention" if beyond.image is None else "holds pictures"
        yield node.error(
            "text_only_subject",
            f"{prompts.name} {what}, and {reader.name} reads text only; name a subject whose model has "
            "`modality: image_text`",
        )


def _picture(prompt: Prompt) -> bool:
    return prompt.image is not None


def _all(sets: dict[str, PromptSet]) -> Iterator[Prompt]:
    return (prompt for prompts in sets.values() for prompt in prompts.prompts)
