"""`interp check` as data: every mistake with its place, and no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.language.mistakes import in_order
from harness.language.specs import Loaded, load
from harness.spec import Broken


def check(root: Path, paths: Sequence[Path] | None = None) -> list[dict[str, Any]]:
    """[{code, file, line, column, message, nearest}], each mistake once, in the order of the files."""
    return mistakes_of(load(root, paths))


def mistakes_of(loaded: Loaded) -> list[dict[str, Any]]:
    """The same of suites that are loaded already."""
    broken = (item for item in loaded.items if isinstance(item, Broken))
    return [as_record(error) for error in in_order(e for item in broken for e in item.errors)]


def as_record(error: SpecError) -> dict[str, Any]:
    """One mistake in plain types."""
    return {
        "code": error.code,
        "file": error.source.path,
        "line": error.source.line,
        "column": error.source.column,
        "message": error.message,
        "nearest": list(error.nearest),
    }
