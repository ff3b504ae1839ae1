"""The named sets of one file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.language.mistakes import Mistakes
from harness.language.nodes import Node, described, is_mapping, is_text, shortened

SET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(slots=True)
class Shelf:
    """The named sets of one file, in file order; `claims`: where its `expect:` stands, if it has one."""

    path: str
    sets: dict[str, Node]
    claims: Source | None = None

    def names(self) -> list[str]:
        return list(self.sets)


def open_shelf(document: Node) -> Shelf:
    """The `prompts:` of a shared file (`about:`, `prompts:`) or of a suite."""
    if not is_mapping(document):
        raise document.error("wrong_type", f"a prompt file is `prompts: {{name: set}}`; this is {described(document)}")
    allowed = ("about", "prompts")
    errors = [
        document.key_error(
            key,
            "unknown_key",
            f"{key!r} is not a key of a prompt file.{did_you_mean(key, allowed)}",
            nearest_names(key, allowed),
        )
        for key in document.value
        if key not in allowed and "expect" not in document.value
    ]
    about = document.get("about")
    if about is not None and not is_text(about):
        errors.append(about.error("wrong_type", f"`about` must be text; it is {described(about)}"))
    sets = document.get("prompts")
    if sets is None:
        errors.append(document.error("missing_key", "a prompt file needs `prompts: {name: set}`"))
    if errors or sets is None:
        raise Mistakes(errors)
    shelf = shelf_of(sets)
    shelf.claims = document.key_source("expect") if "expect" in document.value else None
    return shelf


def unread_claims(source: Source) -> SpecError:
    message = "claims under specs/prompts/ are never tested; move this suite out of that folder"
    return SpecError("suite_among_prompts", message, source)


def shelf_of(sets: Node) -> Shelf:
    """The shelf of a `prompts:` mapping; every name must be one."""
    if not is_mapping(sets) or not sets.value:
        raise sets.error("wrong_type", f"`prompts` must be a mapping of names to sets; it is {described(sets)}")
    errors = [
        sets.key_error(name, "bad_name", f"{shortened(name)!r} cannot name a set; use letters, digits, _ and -")
        for name in sets.value
        if not SET_NAME.fullmatch(name)
    ]
    if errors:
        raise Mistakes(errors)
    return Shelf(sets.file.path, sets.value)
