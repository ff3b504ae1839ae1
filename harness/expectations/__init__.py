"""The registry of kinds: every module of this folder that defines an Expectation with a `kind`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from harness.expectations.base import Expectation

_NOT_KINDS = {
    "base",
    "bounds",
    "checks",
    "choosing",
    "comparing",
    "editing",
    "evidence",
    "noise",
    "rates",
    "results",
    "scales",
    "nulls",
    "showing",
    "telling",
    "tokenwise",
    "toy",
    "transferred",
    "transferring",
    "wanted",
}


@cache
def kinds() -> dict[str, type[Expectation]]:
    """All kinds by name, sorted; two files that claim one name are an error."""
    found: dict[str, type[Expectation]] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_KINDS):
        for kind in _kinds_of(f"{__name__}.{module}"):
            if kind.kind in found:
                raise TypeError(
                    f"two kinds are named {kind.kind!r}: {found[kind.kind].__module__} and {kind.__module__}"
                )
            found[kind.kind] = kind
    return dict(sorted(found.items()))


def _kinds_of(module: str) -> list[type[Expectation]]:
    values = vars(importlib.import_module(module)).values()
    return [
        v for v in values if isinstance(v, type) and issubclass(v, Expectation) and v.kind and v.__module__ == module
    ]
