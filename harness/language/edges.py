"""White space at the edges of texts, words of two scripts, and texts that a comma cut in two: right as YAML, and hardly
ever meant.

A model reads a line break or a space at the end of a text as a token. A set of which half ends so is told apart from
its other half by that token alone, with an AUROC of 1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.errors import SpecError
from harness.heldout import Prompts, by_identity
from harness.inputs import PromptSet
from harness.language.nodes import Node, is_list, is_mapping, is_text, shortened
from harness.language.scalars import in_quotes
from harness.sametext import mixed_words

_HALF = 0.5
_ENDS_A_SENTENCE = re.compile(r"[.!?:;…\"')\]]$")
_KEYS_WITH_PROSE = frozenset({"why", "owner", "xfail", "loosened_because", "shortcut_accepted", "title", "about"})


def trailing_break(node: Node) -> SpecError | None:
    """A text of one line in a block (`|`, `>`), which ends in the block's line break; one of several may be code."""
    if not node.block or not is_text(node) or not node.value.endswith("\n") or "\n" in node.value.strip("\n"):
        return None
    return _broken(node, "this text ends in the line break of its block, which a model reads as a token")


def mixed_breaks(items: Sequence[Node]) -> list[SpecError]:
    """The blocks of several lines that end in a line break, in a list where other texts do not."""
    ending = [item for item in items if item.block and item.value.endswith("\n")]
    if all(item.value.endswith("\n") for item in items):
        return []
    return [_broken(item, "this text ends in a line break, and others of its list do not") for item in ending]


def breaks_inside(node: Node) -> Iterator[SpecError]:
    """Blocks with a trailing break anywhere below what a claim says, its prose left aside."""
    if is_mapping(node):
        below = [child for key, child in node.value.items() if key not in _KEYS_WITH_PROSE]
    else:
        below = list(node.value) if is_list(node) else []
    for child in below:
        if (mistake := trailing_break(child)) is not None:
            yield mistake
        yield from breaks_inside(child)


def _broken(node: Node, what: str) -> SpecError:
    sign = node.file.text[node.start.index : node.start.index + 1]
    text = node.value.rstrip("\n")
    hint = f"write `{sign}-` for `{sign}`" + (f", or {in_quotes(text)}" if "\n" not in text else "")
    message = f'{what}: {shortened(text)!r}; {hint}, or, where the break is meant in all of them, "...\\n" in quotes'
    return node.error("trailing_break", message)


def about_edges(placed: Sequence[Any], name: str, as_lines: bool = False) -> str | None:
    """A line where some texts of a set begin or end with white space and others do not.

    as_lines: of a file read line by line, where indentation is code's own, and only the ends are looked at.
    """
    for what, has in (("end", _ends_open), ("begin", _begins_open)):
        open_ones = [one for one in placed if has(one.prompt.text)] if what == "end" or not as_lines else []
        if 0 < len(open_ones) < len(placed):
            first = open_ones[0]
            count = f"{len(open_ones)} of the {len(placed)} texts of {name!r} {what} with white space"
            shown = f"{first.source}: edge_spaces: {count}: {shortened(first.prompt.text)!r}"
            return f"{shown}; a model reads it as a token: take it off, or give it to all"
    return None


def about_scripts(placed: Sequence[Any], name: str) -> str | None:
    """A line where words mix scripts that look alike: a Cyrillic letter in an English word makes another token."""
    found = [(one, words) for one in placed if (words := mixed_words(one.prompt.text))]
    if not found:
        return None
    one, words = found[0]
    letters = ", ".join(dict.fromkeys(f"{c} is {unicodedata.name(c).lower()}" for c in words[0] if not c.isascii()))
    count = f"{len(found)} of the {len(placed)} texts of {name!r} have words that mix scripts"
    return f"{one.source}: mixed_scripts: {count}: in {words[0]!r} {letters}; a model reads other tokens than you see"


def about_compared(sets: Mapping[str, PromptSet], place: Node) -> str | None:
    """A line where nearly all texts of one set of a claim end or begin with white space, and nearly none of another."""
    for what, share in (("end", _ending), ("begin", _beginning)):
        shares = {role: share(prompts.prompts) for role, prompts in sets.items() if len(prompts)}
        most, least = max(shares, key=shares.__getitem__, default=""), min(shares, key=shares.__getitem__, default="")
        if shares and shares[most] - shares[least] > _HALF:
            return (
                f"{place.source}: edge_spaces: the texts of {sets[most].name} {what} with white space and those of "
                f"{sets[least].name} do not: one feature of that token tells them apart; write both one way"
            )
    return None


def about_split(items: Sequence[Node], list_node: Node) -> Iterator[str]:
    """A line for each unquoted text of a [list, in, brackets] that looks like the rest of the one before it."""
    if list_node.file.text[list_node.start.index : list_node.start.index + 1] != "[":
        return
    if not any(item.plain and item.value[:1].isupper() for item in items):
        return  # a list of words or phrases in lower case
    for before, item in pairwise(items):
        if before.plain and item.plain and _goes_on(before.value, item.value):
            looks = f"{shortened(item.value)!r} looks like the rest of {shortened(before.value)!r}"
            whole = in_quotes(shortened(f"{before.value}, {item.value}", 100))
            message = f"{looks}: in brackets a comma ends a text. If it is one text, put it in quotes: {whole}"
            yield f"{item.source}: comma_split: {message}"


def _goes_on(before: str, text: str) -> bool:
    if before[-1:].isdigit() and text[:1].isdigit():
        return True
    return text[:1].islower() and not _ENDS_A_SENTENCE.search(before)


def _ends_open(text: str) -> bool:
    return _is_blank(text[-1:])


def _begins_open(text: str) -> bool:
    return _is_blank(text[:1]) and "\n" not in text


def _is_blank(letter: str) -> bool:
    """White space, or a letter that nobody sees (zero-width space, soft hyphen): a token like any other."""
    return letter.isspace() or (letter != "" and unicodedata.category(letter) == "Cf")


@by_identity
def _ending(prompts: Prompts) -> float:
    return sum(_ends_open(prompt.text) for prompt in prompts) / len(prompts)


@by_identity
def _beginning(prompts: Prompts) -> float:
    return sum(_begins_open(prompt.text) for prompt in prompts) / len(prompts)
