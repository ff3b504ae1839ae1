"""Values as JSON's own types: records travel between processes and into files as nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

Lost = list[dict[str, Any]]


def to_plain(value: Any, lost: Lost | None = None, at: tuple[str | int, ...] = ()) -> Any:
    """None, bool, int, float, str, list and dict, all the way down; anything unknown as its text.

    JSON has no NaN or infinity: each becomes None, and `lost` gets {"at": [keys...], "value": "nan"}.
    """
    lost = [] if lost is None else lost
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value), lost, at)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        named = {_clean(str(k)): v for k, v in value.items()}
        return {k: to_plain(v, lost, (*at, k)) for k, v in named.items()}
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return to_plain(value.tolist(), lost, at)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, Iterable):
        return [to_plain(v, lost, (*at, i)) for i, v in enumerate(value)]
    return _clean(str(value))


def put_back(data: dict[str, Any], lost: Iterable[Mapping[str, Any]]) -> None:
    """Undo the loss in place: NaN and infinities where `lost` says they stood."""
    for one in lost:
        inner: Any = data
        *path, last = one["at"]
        for key in path:
            inner = inner[key]
        inner[last] = float(one["value"])


def _finite(value: float, lost: Lost, at: tuple[str | int, ...]) -> float | None:
    if math.isfinite(value):
        return value
    lost.append({"at": list(at), "value": str(value)})
    return None


def _clean(text: str) -> str:
    """A lone surrogate has no UTF-8, so neither a worker's channel nor a file could carry it."""
    return text.encode("utf-8", "backslashreplace").decode()
