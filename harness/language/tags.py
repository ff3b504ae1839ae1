"""Tags become pytest markers, so they may be none of pytest's own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.errors import SpecError
from harness.language.mistakes import Mistakes
from harness.language.nodes import Node, is_list

TAG = re.compile(r"[a-z][a-z0-9_]*")
# Marks of pytest and its plugins, the markers of this repository, and the words of a -m expression. A tag named
# `skip` would skip every test of the suite and end green.
_PYTEST = (
    "skip",
    "skipif",
    "xfail",
    "parametrize",
    "usefixtures",
    "filterwarnings",
    "tryfirst",
    "trylast",
    "hookwrapper",
)
_PLUGINS = ("anyio", "asyncio", "dependency", "flaky", "hypothesis", "order", "run", "serial", "timeout", "xdist_group")
_OURS = ("gpu", "slow")
_WORDS = ("and", "or", "not", "none", "true", "false")
RESERVED = frozenset((*_PYTEST, *_PLUGINS, *_OURS, *_WORDS))


def checked_tags(tags: Iterable[str], node: Node | None) -> tuple[str, ...]:
    """The tags, each once; Mistakes where one cannot be a marker. `node`: the list that they stand in."""
    if not is_list(node):
        return ()
    errors = [
        mistake for tag, item in zip(tags, node.value, strict=True) if (mistake := _mistake(tag, item)) is not None
    ]
    if errors:
        raise Mistakes(errors)
    return tuple(dict.fromkeys(tags))


def _mistake(tag: str, item: Node) -> SpecError | None:
    if not TAG.fullmatch(tag):
        return item.error("bad_tag", f"{tag!r} cannot be a tag; use small letters, digits and _, a letter first")
    if tag in RESERVED:
        return item.error(
            "reserved_tag", f"{tag!r} means something to pytest or to this harness already; choose another tag"
        )
    return None
