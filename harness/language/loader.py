"""A YAML file -> Nodes: YAML 1.2 rules on libyaml's events, safe tags only, everything bounded.

The values are built from the parser's events rather than by yaml.load: one pass gives them with their places, and the
bounds hold while reading (libyaml itself has none on nesting or on what aliases multiply to).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from harness.errors import Source, SpecError
from harness.language.mistakes import Mistakes
from harness.language.nodes import Node, TextFile
from harness.language.notext import not_text, syntax_error
from harness.language.scalars import in_quotes, read_plain

MAX_BYTES = 1 << 20
MAX_DEPTH = 30
MAX_NODES = 100_000
MAX_ALIASES = 100
MAX_MISTAKES = 50
_CORE = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {"map": dict, "seq": list}
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),),
}  # fmt: skip


def read_text(path: Path, shown: str) -> TextFile:
    """The text of a reviewer's file; SpecError where it is missing, too large, not UTF-8, or begins with a BOM."""
    top = Source(shown)
    try:
        raw = bytes_of(path)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise SpecError("unreadable_file", f"the file cannot be read: {reason}", top) from None
    return decoded(raw, shown)


def bytes_of(path: Path) -> bytes:
    """At most MAX_BYTES + 1 bytes of a regular file; OSError for a pipe or a device, which could go on for ever.

    Opened without waiting, and asked what it is only then, so that it cannot be exchanged in between.
    """
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is a pipe, a socket or a device")
        return file.read(MAX_BYTES + 1)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def decoded(raw: bytes, shown: str) -> TextFile:
    """UTF-8 without a byte order mark and without NUL; the mistake's place otherwise."""
    if len(raw) > MAX_BYTES:
        raise SpecError("too_large", f"the file has more than {MAX_BYTES:,} bytes; split it", Source(shown))
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        message = (
            "the file begins with a byte order mark, which would become part of its text; save it as UTF-8 without BOM"
        )
        raise SpecError("byte_order_mark", message, Source(shown))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{raw[error.start]:02x}"
        raise SpecError(
            "not_utf8", f"{byte} is not UTF-8; save the file as UTF-8", _place(raw, error.start, shown)
        ) from None
    if "\0" in text:
        raise SpecError("nul", "there is a NUL character here; remove it", _place(raw, raw.index(b"\0"), shown))
    return TextFile(shown, text)


def _place(raw: bytes, index: int, shown: str) -> Source:
    before = raw[:index]
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return Source(shown, before.count(b"\n") + 1, column)


def read_yaml(path: Path, shown: str) -> Node:
    """The one document of a YAML file; raises SpecError or Mistakes, nothing else."""
    return compose(read_text(path, shown))


def compose(file: TextFile) -> Node:
    """The one document of a YAML text; raises SpecError or Mistakes, nothing else."""
    loader = yaml.CSafeLoader(file.text)
    try:
        return _Builder(file, loader).document()
    except yaml.YAMLError as error:
        raise syntax_error(file, error) from None
    finally:
        loader.dispose()


class _Builder:
    """Builds Nodes from libyaml's events."""

    def __init__(self, file: TextFile, loader: Any) -> None:
        self.file = file
        self.next = loader.get_event
        self.anchors: dict[str, Node] = {}
        self.aliases = 0
        self.errors: list[SpecError] = []

    def document(self) -> Node:
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise SpecError("empty_file", "the file says nothing", Source(self.file.path))
        root = self.node(self.next(), 0)
        self.next()
        after = self.next()
        if not isinstance(after, yaml.StreamEndEvent):
            message = "a second YAML document begins here; one file holds one: remove the `---` or split the file"
            raise self.error("several_documents", message, after)
        if self.errors:
            raise Mistakes(self.errors[:MAX_MISTAKES])
        return root

    def node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        node = self.scalar(event) if isinstance(event, yaml.ScalarEvent) else self.collection(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def scalar(self, event: Any) -> Node:
        plain = event.style is None or event.style == ""
        tag = event.tag
        if tag is not None and tag != "!":
            value = self.tagged(event)
        else:
            value = read_plain(event.value) if plain and tag is None else event.value
        return Node(self.file, value, event.start_mark, event.end_mark, plain, event.style in ("|", ">"))

    def tagged(self, event: Any) -> Any:
        """`!!str 42` is text, `!!float 3` a number; every tag outside YAML's core is refused."""
        name = event.tag.removeprefix(_CORE)
        if name == "str" and event.tag != name:
            return event.value
        if name == event.tag or name not in _SCALAR_TAGS:
            self.errors.append(self.tag_error(event))
            return event.value
        value = read_plain(event.value)
        if not isinstance(value, _SCALAR_TAGS[name]) or (isinstance(value, bool) and name != "bool"):
            self.errors.append(self.error("bad_tag_value", f"{event.value!r} is not what !!{name} promises", event))
        return float(value) if name == "float" and isinstance(value, int) else value

    def collection(self, event: Any, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            raise self.error("too_deep", f"nested more than {MAX_DEPTH} deep; no suite needs that", event)
        kind = dict if isinstance(event, yaml.MappingStartEvent) else list
        if event.tag not in (None, "!") and _COLLECTION_TAGS.get(event.tag.removeprefix(_CORE)) is not kind:
            self.errors.append(self.tag_error(event))
        node = Node(self.file, kind(), event.start_mark, event.end_mark)
        node.height = 1
        node.end = self.mapping(node, depth) if kind is dict else self.sequence(node, depth)
        return node

    def sequence(self, node: Node, depth: int) -> Any:
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            child = self.node(event, depth + 1)
            node.value.append(child)
            self.grow(node, child, depth)
        return event.end_mark

    def mapping(self, node: Node, depth: int) -> Any:
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            child = self.node(self.next(), depth + 1)
            self.grow(node, child, depth)
            self.put(node, key, child)
        return event.end_mark

    def put(self, node: Node, key: Node, child: Node) -> None:
        """Add one pair, or say why its key cannot be one."""
        name = key.value
        if key.plain and name == "<<":
            self.errors.append(key.error("merge_key", "merge keys (`<<`) are not read; write the keys out"))
        elif not isinstance(name, str):
            shown = self.file.rest_of_line(key.start.index)[:40]
            self.errors.append(
                key.error("key_not_text", f"a key must be text; YAML reads {shown!r} otherwise: quote it")
            )
        elif name in node.keys:
            first = node.keys[name].source.line
            self.errors.append(
                key.error("duplicate_key", f"{name!r} stands here a second time (first on line {first}); keep one")
            )
        else:
            node.value[name] = child
            node.keys[name] = key

    def grow(self, node: Node, child: Node, depth: int) -> None:
        node.size += child.size
        node.height = max(node.height, child.height + 1)
        if node.size > MAX_NODES:
            message = f"more than {MAX_NODES:,} values, aliases written out; split the file"
            raise node.error("too_many_values", message)
        if depth + node.height > MAX_DEPTH:
            raise node.error("too_deep", f"nested more than {MAX_DEPTH} deep; no suite needs that")

    def alias(self, event: Any) -> Node:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self.error("too_many_aliases", f"more than {MAX_ALIASES} aliases; write the values out", event)
        if event.anchor in self.anchors:
            return self.anchors[event.anchor]
        self.errors.append(self.unknown_alias(event))
        return Node(self.file, event.anchor, event.start_mark, event.end_mark)

    def unknown_alias(self, event: Any) -> SpecError:
        written = self.file.rest_of_line(event.start_mark.index).strip()
        if self.file.line_at(event.start_mark.index).lstrip().startswith("- "):
            place = Source(self.file.path, event.start_mark.line + 1, event.start_mark.column + 1)
            return not_text(place, written, "an alias (`*name` repeats an anchor `&name`)")
        message = f"no anchor `&{event.anchor}` stands before this alias; for text, write {in_quotes(written)}"
        return self.error("unknown_alias", message, event)

    def tag_error(self, event: Any) -> SpecError:
        shown = event.tag.replace(_CORE, "!!")
        message = f"the tag {shown!r} is not read; for text that begins with `!`, put it in quotes, else remove the tag"
        return self.error("unsafe_tag", message, event)

    def error(self, code: str, message: str, event: Any) -> SpecError:
        mark = event.start_mark
        return SpecError(code, message, Source(self.file.path, mark.line + 1, mark.column + 1))
