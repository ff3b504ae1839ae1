"""Text that YAML does not read as text: most code prompts, when they are written without quotes.

`- if x > 0: return` is a mapping, `- [[red]] ball` a syntax error, `- *ptr` an alias, `- 42` a number, and
`- use #include` loses its end. Each is an error that quotes the line and shows it in quotes.
"""

from __future__ import annotations

import re

import yaml

from harness.errors import Source, SpecError
from harness.language.edges import trailing_break
from harness.language.nodes import Node, TextFile, shortened
from harness.language.scalars import in_quotes

_ITEM = re.compile(r"[ \t]*-[ \t]+(?P<text>\S.*?)[ \t]*")
# `- id: a: b` is a slip in a key's value; `- if x: y: z` is code.
_BREAKS_YAML = re.compile(r"[\[{}\]*&!%@`\"'>|,].*|(?![A-Za-z_]\w*:).*:(?: .*)?", re.DOTALL)


def not_text(source: Source, text: str, read_as: str) -> SpecError:
    """The error for one list item: what YAML made of it, and how to write it."""
    shown = shortened(text, 100)
    message = f"YAML read `{shown}` as {read_as}, not as text. Put it in quotes: {in_quotes(text)}"
    return SpecError("not_text", message, source)


def text_mistake(node: Node) -> SpecError | None:
    """Why a list item is not the text that stands in the file, or None where it is."""
    value = node.value
    if isinstance(value, str):
        return _text_changed(node)
    if value is None and not node.file.text[node.start.index : node.end.index]:
        return node.error("empty_prompt", "there is nothing here; write a text or remove the line")
    return not_text(node.source, _written(node), _read_as(node))


def _text_changed(node: Node) -> SpecError | None:
    dropped = node.comment_after()
    if dropped:
        whole = _written(node)
        message = f"text after # was dropped: {shortened(dropped)!r}. If it is text, put all of it in quotes: "
        hint = f"{in_quotes(whole)}; if it is a remark, quote the text and leave the remark behind it"
        return node.error("text_after_hash", message + hint)
    if node.plain and node.file.text[node.start.index : node.start.index + 1] == "&":
        return not_text(node.source, _written(node), "an anchor with the text behind it")
    if not node.value.strip():
        return node.error("empty_prompt", "a text of nothing but white space says nothing to a model; remove it")
    if "\0" in node.value:
        return node.error("nul", "there is a NUL character in this text; remove it")
    return trailing_break(node)


def _written(node: Node) -> str:
    """The item as it stands in the file: the rest of its line, or its own part of a [list, in, brackets]."""
    before = node.file.line_at(node.start.index)[: node.start.column]
    rest = node.file.rest_of_line(node.start.index).strip()
    if not before.strip(" -") or not isinstance(node.end.index, int):
        return rest
    inside = node.file.text[node.start.index : node.end.index].split("\n")[0].strip()
    return inside or rest


def _read_as(node: Node) -> str:
    value = node.value
    if isinstance(value, dict):
        return "a mapping (a key, a colon, a value)"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing (null)"
    return "a truth value" if isinstance(value, bool) else "a number"


def syntax_error(file: TextFile, error: yaml.YAMLError) -> SpecError:
    """libyaml's complaint as one of ours; a list item that only needs quotes is named as such."""
    if isinstance(error, yaml.reader.ReaderError):
        return _bad_character(file, error)
    if not isinstance(error, yaml.MarkedYAMLError):
        return SpecError("yaml_syntax", f"this is not YAML: {error}", Source(file.path))
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    for mark in marks:
        needing = _item_needing_quotes(file, mark)
        if needing is not None:
            return needing
    place = Source(file.path, marks[0].line + 1, marks[0].column + 1) if marks else Source(file.path)
    line = file.line_at(min(marks[0].index, len(file.text))) if marks else ""
    problem = (error.problem or "it cannot be read").replace("did not find expected", "there is no expected")
    context = f" {error.context}{_begun(error)}" if error.context else ""
    shown = f" The line: `{shortened(line.strip(), 100)}`" if line.strip() else ""
    return SpecError("yaml_syntax", f"this is not YAML{context}: {problem}.{shown}{_hint(line, problem)}", place)


def _begun(error: yaml.MarkedYAMLError) -> str:
    """Where the thing began that does not end."""
    begun, found = error.context_mark, error.problem_mark
    return f" begun on line {begun.line + 1}" if begun and found and begun.line != found.line else ""


def _hint(line: str, problem: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return " Indent with spaces, not tabs."
    return " A text with a colon and a space in it needs quotes." if "mapping values" in problem else ""


def _item_needing_quotes(file: TextFile, mark: yaml.Mark) -> SpecError | None:
    line = file.line_at(min(mark.index, len(file.text)))
    match = _ITEM.fullmatch(line)
    if match is None or not _BREAKS_YAML.fullmatch(match["text"]):
        return None
    text = match["text"]
    source = Source(file.path, mark.line + 1, match.start("text") + 1)
    message = f"YAML cannot read `{shortened(text, 100)}` as text. Put it in quotes: {in_quotes(_unquoted(text))}"
    return SpecError("not_text", message, source)


def _unquoted(text: str) -> str:
    """`"unclosed` -> `unclosed`: a lone opening quote is a slip, not part of the text."""
    return text[1:] if text[0] in "\"'" and text.count(text[0]) == 1 else text


def _bad_character(file: TextFile, error: yaml.reader.ReaderError) -> SpecError:
    char = chr(error.character) if isinstance(error.character, int) else str(error.character)
    index = max(file.text.find(char), 0)
    line = file.text.count("\n", 0, index) + 1
    column = index - file.text.rfind("\n", 0, index)
    message = f"the character U+{ord(char[0]):04X} cannot stand in a YAML file; in quotes, write it as an escape"
    return SpecError("bad_character", message, Source(file.path, line, column))
