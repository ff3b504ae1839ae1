"""A pydantic model held against a Node: each complaint becomes a SpecError with its place and its mend.

Values are validated strictly, as JSON: "5" is no number, true is no 1, and a list may be a tuple.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from harness.errors import SpecError, did_you_mean, nearest_names
from harness.expectations.bounds import Bound, ShareBound
from harness.language.mistakes import Mistakes
from harness.language.models import PATTERNS
from harness.language.nodes import Node, Step, described, is_list, is_mapping, plain_value

M = TypeVar("M", bound=BaseModel)
_LIMITS = ("at_least", "at_most", "between")
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
}
_CODES = {
    "literal_error": "unknown_value",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "string_too_short": "empty_text",
    "too_short": "wrong_length",
    "too_long": "wrong_length",
}
_PAST_A_LIMIT = ("greater_than_equal", "less_than_equal")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+")
_COMPARED = re.compile(rf"\s*(>=|=>|≥|<=|=<|≤|>|<)\s*({_NUMBER.pattern})\s*")
Complaint = Mapping[str, Any]


def validated(model: type[M], node: Node, where: str, without: Iterable[str] = ()) -> M:
    """The model's instance, or Mistakes. `where` names the mapping in messages; `without` leaves keys out."""
    if not is_mapping(node):
        raise Mistakes([node.error("wrong_type", f"{where} must be a mapping (key: value); it is {described(node)}")])
    errors = _unlike_numbers(node)
    left_out = frozenset(without)
    try:
        found = model.model_validate_json(json.dumps(plain_value(node, left_out)), strict=True)
    except ValidationError as error:
        errors += _mistakes(error.errors(include_url=False), model, node, where)
    if errors:
        raise Mistakes(errors)
    return found


def unknown_keys(node: Node, valid: Iterable[str], where: str) -> list[SpecError]:
    """The keys of a mapping that are none of the valid ones."""
    names = list(valid)
    return [_unknown_key(key, names, node, where) for key in node.value if key not in names]


def _unlike_numbers(node: Node) -> list[SpecError]:
    """Limits of bounds that are not written as numbers, wherever they stand."""
    if not is_mapping(node):
        return []
    errors = []
    for key, child in node.value.items():
        numbers = (child.value if is_list(child) else [child]) if key in _LIMITS else []
        errors += [
            n.error("wrong_type", _wanted(key, "a number", n)) for n in numbers if isinstance(n.value, str | bool)
        ]
        errors += _unlike_numbers(child)
    return errors


def _wanted(key: str, what: str, node: Node) -> str:
    return f"`{key}` must be {what}; it is {described(node)}.{_how_to_write(what, node.value)}"


def _how_to_write(what: str, value: Any) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return (
            " Put it in quotes."
            if what == "text"
            else f" A bound is {{at_least: {value}}}."
            if "mapping" in what
            else ""
        )
    if isinstance(value, str) and "number" in what and _NUMBER.fullmatch(value):
        return " Write it without quotes and without leading zeros."
    return _how_to_bound(what, value) if isinstance(value, str) else ""


def _how_to_bound(what: str, value: str) -> str:
    """Of a bound as people write one: `auroc: ">= .9"`."""
    compared = _COMPARED.fullmatch(value)
    if compared is None:
        return ""
    sign, number = compared[1], f"{float(compared[2]):g}"
    if "mapping" not in what:
        return f" Write {number} alone."
    limit = "at_least" if sign in (">=", "=>", "≥", ">") else "at_most"
    return f" A bound is {{{limit}: {number}}}" + (", which the number itself meets." if sign in "<>" else ".")


def _mistakes(found: Sequence[Any], model: type[BaseModel], node: Node, where: str) -> list[SpecError]:
    """One SpecError for each place; the branches of a union that were not meant are left out."""
    by_place: dict[tuple[Step, ...], list[Complaint]] = {}
    for complaint in found:
        by_place.setdefault(_place(complaint, node), []).append(complaint)
    deeper = {place[:n] for place in by_place for n in range(len(place))}
    return [
        _error(place, complaints, model, node, where)
        for place, complaints in by_place.items()
        if not (place in deeper and all(c["type"] in _WANTED for c in complaints))
        and not _said_already(complaints, node.at(place)[0])
    ]


def _said_already(complaints: Sequence[Complaint], node: Node) -> bool:
    """What _unlike_numbers says better."""
    kinds = {c["type"] for c in complaints}
    return isinstance(node.value, str | bool) and kinds <= {"float_parsing", "float_type"} and _is_limit(complaints[0])


def _is_limit(complaint: Complaint) -> bool:
    return any(step in _LIMITS for step in complaint["loc"])


def _place(complaint: Complaint, node: Node) -> tuple[Step, ...]:
    """The complaint's path through the file: pydantic puts the names of a union's branches between the steps."""
    place: list[Step] = []
    for step in complaint["loc"]:
        _, taken = node.at([*place, step])
        if taken == len(place) + 1:
            place.append(step)
    return tuple(place)


def _error(
    place: tuple[Step, ...], complaints: Sequence[Complaint], model: type[BaseModel], node: Node, where: str
) -> SpecError:
    one = complaints[0]
    kind, ctx = one["type"], one.get("ctx", {})
    at = node.at(place)[0]
    name = _name(place, where)
    if kind == "extra_forbidden":
        holder = node.at(place[:-1])[0]
        return _unknown_key(str(place[-1]), list(_fields(model, one["loc"][:-1])), holder, _name(place[:-1], where))
    if kind == "missing":
        return _missing_key(str(one["loc"][-1]), _fields(model, one["loc"][:-1]), at, _name(place, where))
    if kind in _WANTED:
        wanted = " or ".join(dict.fromkeys(_WANTED[c["type"]] for c in complaints if c["type"] in _WANTED))
        return at.error("wrong_type", _wanted(name, wanted, at))
    if kind == "literal_error":
        return _unknown_value(name, at, re.findall(r"'([^']*)'", ctx["expected"]))
    if kind == "value_error":
        is_bound = issubclass(_model_at(model, one["loc"]), Bound)
        return at.error("bad_bound" if is_bound else "bad_value", f"`{name}`: {ctx['error']}")
    if kind == "string_pattern_mismatch":
        wanted = PATTERNS.get(ctx["pattern"], f"text that matches {ctx['pattern']}")
        return at.error("bad_value", f"`{name}` is {described(at)}; it must be {wanted}")
    is_share = kind in _PAST_A_LIMIT and issubclass(_model_at(model, one["loc"]), ShareBound)
    return at.error(
        _CODES.get(kind, "bad_value"), f"`{name}` is {described(at)}; {_as_a_share(at) if is_share else _plainly(one)}"
    )


def _unknown_key(key: str, valid: Sequence[str], holder: Node, where: str) -> SpecError:
    message = f"{key!r} is not a key of {where}.{did_you_mean(key, valid)}"
    return holder.key_error(key, "unknown_key", message, nearest_names(key, valid))


def _missing_key(key: str, fields: Mapping[str, str], at: Node, name: str) -> SpecError:
    about = fields.get(key, "")
    return at.error("missing_key", f"{name} needs `{key}`{': ' + _lowered(about) if about else ''}")


def _unknown_value(name: str, at: Node, valid: Sequence[str]) -> SpecError:
    text = at.value if isinstance(at.value, str) else described(at)
    near = nearest_names(text, valid, limit=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    message = f"`{name}` is {described(at)}; it must be one of {', '.join(valid)}.{hint}"
    return at.error("unknown_value", message, near)


def _name(place: Sequence[Step], where: str) -> str:
    named = [step for step in place if isinstance(step, str)]
    return named[-1] if named else where


def _fields(model: type[BaseModel], loc: Sequence[Step]) -> dict[str, str]:
    """The keys of the model at a place, with their descriptions."""
    return {info.alias or name: info.description or "" for name, info in _model_at(model, loc).model_fields.items()}


def _model_at(model: type[BaseModel], loc: Sequence[Step]) -> type[BaseModel]:
    for step in loc:
        if isinstance(step, str) and step in model.model_fields:
            below = _models(model.model_fields[step].annotation)
            model = below[0] if below else model
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in _models(part)]


def _plainly(complaint: Complaint) -> str:
    kind, ctx = complaint["type"], complaint.get("ctx", {})
    if kind == "string_too_short":
        return "write something, or leave the key out"
    if kind == "too_short":
        return f"it must have at least {ctx['min_length']}"
    return _lowered(complaint["msg"]).replace("input should", "it must").replace("greater than or equal to", "at least")


def _as_a_share(at: Node) -> str:
    """80 was most likely meant as a percentage; what 1.2 was meant as nobody knows."""
    percent = f" Did you mean {at.value / 100:g}?" if 2 <= at.value <= 100 else ""
    return f"a share, a rate or an AUROC runs from 0 to 1.{percent}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
