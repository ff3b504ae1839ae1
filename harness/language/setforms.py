"""The forms of a set: what is written under `prompts:`, and what a role of a claim may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.heldout import Half, is_in
from harness.inputs import Attention, Prompt
from harness.language.mistakes import Mistakes
from harness.language.nodes import Node, described, is_list, is_mapping, is_text, shortened
from harness.language.prompts import Placed
from harness.language.references import parse_reference
from harness.language.shelves import Shelf

FORMS = {
    "template": None,
    "use": ("use", "half", "truncate", "attention", "chat", "code"),
    "prompts": ("prompts", "marks", "truncate", "attention", "chat", "code"),
    "images": ("images", "caption", "attention"),
    "folder": ("folder", "caption", "per_folder", "attention"),
}
A_SET_IS = (
    "a set is a list of texts, a reference (`file.yaml#set`, `file.txt`), or a mapping with prompts, template, use, "
    "images or folder"
)
A_ROLE_IS = (
    "a name, a list of names, `file.yaml#set`, `file.yaml#!set`, a .txt or .jsonl file, or {use: ..., truncate: true}"
)
ATTENTIONS = get_args(Attention)
CHATS = ("user",)
HALVES = get_args(Half)


@dataclass(frozen=True, slots=True)
class How:
    """Which prompts of a set are read, and how; None and False leave all of them as they are."""

    truncate: bool = False
    attention: Attention | None = None
    chat: str | None = None
    half: Half | None = None
    code: bool = False

    def named(self, name: str) -> str:
        """The name of a set that is read so."""
        return name if self.half is None else f"{name} ({self.half} half)"

    def applied(self, placed: Sequence[Placed]) -> list[Placed]:
        if self == _AS_THEY_ARE:  # nearly always; copying 26,000 prompts is a third of reading specs/
            return list(placed)
        pictures = [p for p in placed if p.prompt.image is not None]
        if self.chat is not None and pictures:
            raise SpecError("chat_with_pictures", "`chat` wraps texts, and this set holds pictures", pictures[0].source)
        return [Placed(self._read(p.prompt), p.source) for p in self._of_half(placed)]

    def _of_half(self, placed: Sequence[Placed]) -> Sequence[Placed]:
        if self.half is None:
            return placed
        kept = [p for p in placed if is_in(self.half, p.prompt)]
        if not kept and placed:
            message = f"no prompt of this set falls into its {self.half} half; add prompts"
            raise SpecError("empty_set", message, placed[0].source)
        return kept

    def _read(self, prompt: Prompt) -> Prompt:
        return replace(
            prompt,
            truncate=self.truncate or prompt.truncate,
            attention=self.attention or prompt.attention,
            chat=self.chat or prompt.chat,
            code=self.code or prompt.code,
        )


_AS_THEY_ARE = How()


def how(node: Node) -> How:
    """What a mapping that names a set says of which prompts are read, and how."""
    attention, chat = _one_of(node, "attention", ATTENTIONS), _one_of(node, "chat", CHATS)
    return How(flag(node, "truncate"), attention, chat, _one_of(node, "half", HALVES), flag(node, "code"))


def _one_of(node: Node, key: str, valid: tuple[str, ...]) -> Any:
    given = node.get(key)
    if given is None or given.value is None or given.value in valid:
        return given.value if given is not None else None
    message = f"`{key}` is {' or '.join(valid)}; it is {described(given)}"
    raise given.error("unknown_value", message, nearest_names(str(given.value), valid))


def used(node: Node) -> tuple[Node, How]:
    """`{use: color, truncate: true}` -> (color, How(truncate=True))."""
    if not is_mapping(node):
        return node, How()
    if "use" not in node.value:
        raise node.error(
            "bad_set", f"{described(node)} names no set; a set is {A_ROLE_IS}. Other forms stand under `prompts:`"
        )
    check_keys(node, "use")
    return node.value["use"], how(node)


def names_in(node: Node) -> list[Node]:
    names = node.value if is_list(node) else [node]
    if not names:
        raise node.error("empty_set", "an empty list names no prompts")
    wrong = [n for n in names if not is_text(n)]
    if wrong:
        raise Mistakes(n.error("wrong_type", f"{described(n)} names no set; a set is {A_ROLE_IS}") for n in wrong)
    return list(names)


def check_keys(node: Node, form: str) -> None:
    allowed = FORMS[form]
    unknown = [key for key in node.value if allowed is not None and key not in allowed]
    if unknown:
        raise Mistakes(
            node.key_error(
                key,
                "unknown_key",
                f"{key!r} does not go with `{form}`.{did_you_mean(key, allowed or ())}",
                nearest_names(key, allowed or ()),
            )
            for key in unknown
        )
    group = node.get("group")
    if group is not None and form == "template" and group.value not in ("template", "prompt"):
        message = (
            f"`group` is template (the default: prompts of one template are one unit) or prompt; not {described(group)}"
        )
        raise group.error("unknown_value", message, ("template", "prompt"))


def flag(node: Node, key: str) -> bool:
    flag = node.get(key)
    if flag is not None and not isinstance(flag.value, bool):
        raise flag.error("wrong_type", f"`{key}` must be true or false; it is {described(flag)}")
    return flag is not None and flag.value


def names_a_set(text: str, shelf: Shelf) -> bool:
    reference = parse_reference(text)
    looks_like_file = reference is not None and " " not in text and reference.file.endswith((".yaml", ".txt", ".jsonl"))
    return text in shelf.sets or looks_like_file


def unknown_set(text: str, shelf: Shelf, source: Source) -> SpecError:
    if " " in text.strip():
        message = f"{shortened(text)!r} is not a set. Prompts themselves stand under `prompts:`, as a named list"
        return SpecError("unknown_set", message, source)
    hint = did_you_mean(text, shelf.sets) or " Write file.yaml#set, file.txt, or define it under `prompts:`."
    return SpecError("unknown_set", f"there is no set {text!r} here.{hint}", source, nearest_names(text, shelf.sets))
