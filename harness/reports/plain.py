"""Values as JSON's own types: records travel between processes and into files as nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Lost = list[dict[str, Any]]


def to_plain(value: Any, lost: Lost | None = None) -> Any:
    """None, bool, int, float, str, list and dict, all the way down; anything unknown as its text.

    JSON has no NaN or infinity: each becomes None, and `lost` gets {"at": [keys...], "value": "nan"}.
    """
    lost = [] if lost is None else lost
    known = _SCALARS.get(type(value))
    if known is not None:
        return known(value, lost)
    if isinstance(value, Mapping):
        return {(key := _key(k)): v if _is_plain(v) else _inside(key, v, lost) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [v if _is_plain(v) else _inside(i, v, lost) for i, v in enumerate(value)]
    return _converted(value, lost)


def _is_plain(value: Any) -> bool:
    """Most values are: so they are asked before anything is called for them."""
    kind = type(value)
    return (kind is str and value.isascii()) or (kind is float and math.isfinite(value)) or kind in _ALWAYS_PLAIN


def _key(key: Any) -> str:
    return key if type(key) is str and key.isascii() else _clean(str(key))


def _inside(key: str | int, value: Any, lost: Lost) -> Any:
    """A value with what it lost placed under `key`: no path is built for the many that lose nothing."""
    before = len(lost)
    plain = to_plain(value, lost)
    for one in lost[before:]:
        one["at"].insert(0, key)
    return plain


def _converted(value: Any, lost: Lost) -> Any:
    """What is none of Python's own types, but a subclass of one or made of some."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return _SCALARS[kind](kind(value), lost)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, lost)
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return to_plain(value.tolist(), lost)
    if isinstance(value, set | frozenset):
        return to_plain(sorted(value, key=str), lost)
    return to_plain(list(value), lost) if isinstance(value, Iterable) else _clean(str(value))


def put_back(data: dict[str, Any], lost: Iterable[Mapping[str, Any]]) -> None:
    """Undo the loss in place: NaN and infinities where `lost` says they stood."""
    for one in lost:
        inner: Any = data
        *path, last = one["at"]
        for key in path:
            inner = inner[key]
        inner[last] = float(one["value"])


def _finite(value: float, lost: Lost) -> float | None:
    if math.isfinite(value):
        return value
    lost.append({"at": [], "value": str(value)})
    return None


def _clean(text: str) -> str:
    """A lone surrogate has no UTF-8, so neither a worker's channel nor a file could carry it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


_ALWAYS_PLAIN = (int, bool, type(None))
_SCALARS: dict[type, Callable[[Any, Lost], Any]] = {
    type(None): lambda value, lost: None,
    bool: lambda value, lost: value,
    int: lambda value, lost: value,
    str: lambda value, lost: _clean(value),
    float: _finite,
}
