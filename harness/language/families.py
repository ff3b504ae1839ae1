"""What can be wrong with a family: members without a p, and members that ask for different q."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import SpecError
from harness.expectations import kinds
from harness.expectations.base import Expectation
from harness.language.models import SPEC_ID, SpecKeys
from harness.language.nodes import Node, is_list, is_mapping, is_text
from harness.spec import Broken, Spec


def family_mistakes(kind: type[Expectation], keys: SpecKeys, node: Node) -> Iterator[SpecError]:
    """The mistakes of one entry: only a p can be corrected."""
    if keys.family is None:
        if keys.q is not None:
            message = "`q` is the bound of a family; say which: `family: <name>`, or leave `q` out"
            yield node.key_error("q", "missing_key", message)
    elif not kind.gives_p:
        able = ", ".join(name for name, each in kinds().items() if each.gives_p)
        message = f"{kind.kind} gives no p that a family could correct (these do: {able}); take `family` away"
        yield node.key_error("family", "no_p", message)
    elif keys.scope == "sample":
        message = "`scope: sample` gives no p that a family could correct; take one of the two away"
        yield node.key_error("family", "no_p", message)


def families_in(entries: Iterable[Node]) -> tuple[str, ...]:
    """The names of families in entries that may be wrong otherwise."""
    named = (entry.get("family") for entry in entries if is_mapping(entry))
    return tuple(dict.fromkeys(n.value for n in named if is_text(n) and n and re.fullmatch(SPEC_ID, n.value)))


def families_in_suite(document: Node) -> tuple[str, ...]:
    """The same of a whole file."""
    expect = document.get("expect") if is_mapping(document) else None
    return families_in(expect.value) if expect is not None and is_list(expect) else ()


def with_one_q(items: Sequence[Spec | Broken]) -> list[Spec | Broken]:
    """The same items; a member that asks for another q than the first that asks for one is a mistake."""
    first: dict[str, Spec] = {}
    kept: list[Spec | Broken] = []
    for item in items:
        asks = isinstance(item, Spec) and item.family is not None and item.q is not None
        kept.append(_held_against(first.setdefault(item.family, item), item) if asks else item)  # type: ignore[union-attr,arg-type]
    return kept


def _held_against(first: Spec, spec: Spec) -> Spec | Broken:
    if spec.q == first.q:
        return spec
    message = (
        f"family {spec.family!r} has q {spec.q:g} here and {first.q:g} at {first.source}; "
        "a family has one: say it once, or the same everywhere"
    )
    error = SpecError("different_q", message, spec.source)
    return Broken(spec.id, spec.suite, spec.source, (error,), spec.tags, (str(spec.family),))
