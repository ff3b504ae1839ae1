"""What a YAML file says, and where it says it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from harness.errors import Source, SpecError

Step = str | int
_COMMENT = re.compile(r"[ \t]+#")
# A file of 1 MiB in one line would be copied for each of its 100,000 values: 50 GB.
LONGEST_LINE = 2000
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text and the path by which its mistakes are reported, relative to the repository."""

    path: str
    text: str

    def line_at(self, index: int) -> str:
        """The line that holds the character at `index`, without its line break; of a very long one what is near."""
        start = max(self.text.rfind("\n", 0, index) + 1, index - LONGEST_LINE)
        return self.text[start : self._end_of_line(index)].rstrip("\r")

    def rest_of_line(self, index: int) -> str:
        return self.text[index : self._end_of_line(index)].rstrip("\r")

    def _end_of_line(self, index: int) -> int:
        end = self.text.find("\n", index, index + LONGEST_LINE)
        return end if end >= 0 else index + LONGEST_LINE


class Node:
    """One value of a YAML file. `value`: a scalar, a list of Nodes, or a dict of text -> Node.

    `keys` holds the key Nodes of a mapping. `start` and `end` are libyaml's marks (line and column from 0,
    index in characters). `plain`: a scalar without quotes; `block`: one written with `|` or `>`. `size` counts the
    values and `height` the lists and mappings nested here, aliases written out.
    """

    __slots__ = ("block", "end", "file", "height", "keys", "plain", "size", "start", "value")

    def __init__(
        self, file: TextFile, value: Any, start: Any, end: Any, plain: bool = False, block: bool = False
    ) -> None:
        self.file = file
        self.value = value
        self.start = start
        self.end = end
        self.plain = plain
        self.block = block
        self.keys: dict[str, Node] = {}
        self.size = 1
        self.height = 0

    @property
    def source(self) -> Source:
        return Source(self.file.path, self.start.line + 1, self.start.column + 1)

    def children(self) -> Iterator[Node]:
        if isinstance(self.value, dict):
            yield from self.value.values()
        elif isinstance(self.value, list):
            yield from self.value

    def key_source(self, key: str) -> Source:
        """Where a key of this mapping stands; the mapping itself where it has no such key."""
        return self.keys[key].source if key in self.keys else self.source

    def get(self, key: str) -> Node | None:
        return self.value.get(key) if isinstance(self.value, dict) else None

    def at(self, steps: Sequence[Step]) -> tuple[Node, int]:
        """Walk down as far as the steps name something; the node reached and the number of steps taken."""
        node = self
        for taken, step in enumerate(steps):
            below = node._below(step)
            if below is None:
                return node, taken
            node = below
        return node, len(steps)

    def _below(self, step: Step) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(step)
        inside = isinstance(self.value, list) and isinstance(step, int) and step < len(self.value)
        return self.value[step] if inside else None

    def error(self, code: str, message: str, nearest: Sequence[str] = ()) -> SpecError:
        return SpecError(code, message, self.source, nearest)

    def key_error(self, key: str, code: str, message: str, nearest: Sequence[str] = ()) -> SpecError:
        return SpecError(code, message, self.key_source(key), nearest)

    def comment_after(self) -> str:
        """What stands after ` #` behind an unquoted scalar: YAML dropped it."""
        rest = self.file.rest_of_line(self.end.index) if self.plain else ""
        return rest.strip() if _COMMENT.match(rest) else ""

    def lines(self) -> str:
        """The lines of the file that hold this value, without what follows it; of a long one the start and a digest."""
        first = max(self.file.text.rfind("\n", 0, self.start.index) + 1, self.start.index - LONGEST_LINE)
        if self.end.index - first > _LONGEST_TEXT:
            return _dedented(self._start_and_digest(first).split("\n"))
        rows = self.file.text[first : self.end.index].split("\n")
        if self.end.column and rows and len(rows[-1]) < len(self.file.line_at(self.end.index).rstrip()):
            rows[-1] = self.file.line_at(self.end.index) if rows[-1].strip() else ""
        while len(rows) > 1 and (not rows[-1].strip() or rows[-1].lstrip().startswith("#")):
            rows.pop()
        return _dedented(rows)

    def _start_and_digest(self, first: int) -> str:
        """Two values with one start still differ in their text: so an edited claim is told from a judged one."""
        text = self.file.text
        digest = hashlib.sha256(text[self.start.index : self.end.index].encode()).hexdigest()
        return f"{text[first : first + _LONGEST_TEXT]}\n# ... and more; sha256 of all: {digest}"


def _dedented(rows: Sequence[str]) -> str:
    margin = min((len(r) - len(r.lstrip()) for r in rows if r.strip()), default=0)
    return "\n".join(r[margin:].rstrip() for r in rows)


def is_mapping(node: Node | None) -> TypeGuard[Node]:
    return node is not None and isinstance(node.value, dict)


def is_list(node: Node | None) -> TypeGuard[Node]:
    return node is not None and isinstance(node.value, list)


def is_text(node: Node | None) -> TypeGuard[Node]:
    return node is not None and isinstance(node.value, str)


def plain_value(node: Node, without: frozenset[str] = frozenset()) -> Any:
    """The values alone: dicts, lists and scalars. `without` names keys of the outermost mapping to leave out."""
    value = node.value
    if isinstance(value, dict):
        return {key: plain_value(child) for key, child in value.items() if key not in without}
    return [plain_value(child) for child in value] if isinstance(value, list) else value


def described(node: Node) -> str:
    """A value in the words of an error: `text 'abc'`, `the number 3`, `a mapping with the keys a, b`."""
    value = node.value
    if isinstance(value, Mapping):
        return f"a mapping with the keys {', '.join(list(value)[:6])}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the text {shortened(value)!r}" if isinstance(value, str) else f"the number {value}"


def shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
