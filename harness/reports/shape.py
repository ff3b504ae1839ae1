"""A results.json held against results.schema.json, so that whoever reads an old run meets no value that it cannot be.

As much of JSON Schema as that file uses. Fields that earlier runs lack may be missing, and unknown ones are left alone.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.reports.display import one_line

Schema = Mapping[str, Any]
MOST_DEEP = 60
_LARGEST = 2**63 - 1  # what an index keeps, and more than anything here counts
# Fields that results.json did not have from the first; whoever reads them does without.
NEWER = frozenset(
    {"basis", "capture", "controls", "faults", "invalid", "kept", "machine", "must_run", "mutants", "pages", "versions"}
    | {"device", "weights", "read_otherwise", "sae_trained_on", "provenance"}
)
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}
# Where NaN may have stood; put anywhere else, it would make a text or a name a number.
_NUMBERS = ("measurement", "also", "examples", "details", "p", "q", "null_share", "alpha", "seconds", "acceptable")


def misshapen(document: Any) -> str | None:
    """`records[0].outcome is 'zzz'`: the first value that no run writes; None where there is none."""
    try:
        found = next(_faults(document, _schema(), (), 0), None) or next(_misplaced(document), None)
    except RecursionError:  # lists in lists, by the thousand
        return "it is nested too deep"
    return found


@cache
def _schema() -> Schema:
    found: Schema = json.loads(Path(__file__).with_name("results.schema.json").read_text(encoding="utf-8"))
    return found


def _faults(value: Any, schema: Schema, at: tuple[str | int, ...], depth: int) -> Iterator[str]:
    """Every value that is not as the schema says, in order."""
    while "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tried = [next(_faults(value, one, at, depth), None) for one in schema["anyOf"]]
        if None not in tried:
            yield str(tried[0])
        return
    wrong = _wrong(value, schema) if depth <= MOST_DEEP else "is nested too deep"
    if wrong:
        yield f"{_place(at)} {wrong}"
    elif isinstance(value, dict):
        yield from _members(value, schema, at, depth)
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _faults(one, schema.get("items", {}), (*at, i), depth + 1)


def _members(value: Mapping[str, Any], schema: Schema, at: tuple[str | int, ...], depth: int) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value and name not in NEWER:
            yield f"{_place((*at, name))} is missing"
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, one in value.items():
        if _is_no_text(name):
            yield f"{_place(at)} has a name that is no text"
        yield from _faults(one, known.get(name, rest or {}), (*at, name), depth + 1)


def _wrong(value: Any, schema: Schema) -> str:
    """What is wrong with a value by itself; '' where nothing is."""
    types = schema.get("type", ())
    allowed = [types] if isinstance(types, str) else types
    if allowed and not any(_is(value, name) for name in allowed):
        return f"is {_shown(value)}, and should be {' or '.join(allowed)}"
    if "const" in schema and value != schema["const"]:
        return f"is {_shown(value)}, and should be {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"is {_shown(value)}, which no run writes there"
    if isinstance(value, str):
        return "is no text" if _is_no_text(value) else _unlike(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _outside(value, schema)
    return ""


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _outside(value: float, schema: Schema) -> str:
    """Counts have a least value; seconds may be negative where a clock jumped back."""
    least = schema.get("minimum", -_LARGEST)
    inside = least <= value <= _LARGEST if isinstance(value, int) else math.isfinite(value)
    return "" if inside else f"is {_shown(value)}, which is out of range"


def _unlike(value: str, schema: Schema) -> str:
    if schema.get("format") == "date-time" and not _is_a_time(value):
        return f"is {_shown(value)}, and should be a time with its zone"
    return ""


def _is_a_time(value: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_no_text(value: str) -> bool:
    """JSON's escapes can name half a character, which nothing can print or keep."""
    if value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _misplaced(document: Mapping[str, Any]) -> Iterator[str]:
    """What `not_finite` names must be a null, and where a number may stand; a null that it leaves out is no number."""
    for i, record in enumerate(document["records"]):
        named = {tuple(one["at"]) for one in record["not_finite"]}
        for at in named:
            if not at or at[0] not in _NUMBERS or _found(record, at) is not None:
                yield f"records[{i}].not_finite names {_shown(list(at))}, where no number is left out"
        for at, value in _values(record):
            if value is None and at not in named:
                yield f"{_place(('records', i, *at))} is None, and not_finite does not say what it was"


def _values(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The numbers that are always there, NaN or not, each with its place."""
    if record["measurement"] is not None:
        yield ("measurement", "value"), record["measurement"]["value"]
    for i, one in enumerate(record["also"]):
        yield ("also", i, "value"), one["value"]
    for i, one in enumerate(record["examples"]):
        yield ("examples", i, "value"), one["value"]
        yield from ((("examples", i, "tokens", j, "activation"), t["activation"]) for j, t in enumerate(one["tokens"]))


def _found(value: Any, at: tuple[str | int, ...]) -> Any:
    """What stands there; anything but None where nothing does."""
    for key in at:
        fits = isinstance(value, dict if isinstance(key, str) else list)
        if not fits or (key not in value if isinstance(key, str) else not 0 <= key < len(value)):
            return at
        value = value[key]
    return value


def _place(at: tuple[str | int, ...]) -> str:
    """`records[0].outcome`."""
    told = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at)
    return one_line(told.removeprefix(".") or "the document", 120)


def _shown(value: Any) -> str:
    text = f"a number of {value.bit_length()} bits" if isinstance(value, int) and abs(value) > _LARGEST else repr(value)
    return one_line(text, 60)
