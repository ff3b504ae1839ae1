"""One mistake of a file that could not be read, with the line that it stands on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import Source, SpecError
from harness.language.loader import bytes_of
from harness.language.nodes import LONGEST_LINE
from harness.language.references import Folder
from harness.repository import repository


@dataclass(frozen=True, slots=True)
class Mistake:
    """A SpecError as a record keeps it. quote: the line of the file as it was, None where it cannot be read."""

    code: str
    message: str
    source: Source
    nearest: tuple[str, ...] = ()
    quote: str | None = None

    @classmethod
    def of(cls, error: SpecError) -> Mistake:
        return cls(error.code, error.message, error.source, error.nearest, _quoted(error.source))

    def to_dict(self) -> dict[str, Any]:
        """The keys of `interp check --json`, and the quoted line."""
        return {
            "code": self.code,
            "file": self.source.path,
            "line": self.source.line,
            "column": self.source.column,
            "message": self.message,
            "nearest": self.nearest,
            "quote": self.quote,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Mistake:
        source = Source(data["file"], data["line"], data["column"])
        return cls(data["code"], data["message"], source, tuple(data["nearest"]), data["quote"])


def _quoted(source: Source) -> str | None:
    """Its line, where the file is one of the repository's: a link out of specs/ shows nothing of what it leads to,
    and a line that nobody could read is left out."""
    root = repository()
    path = root / source.path
    if not os.path.lexists(path):
        return None
    lines = _lines(path, path.stat().st_mtime_ns) if _may_be_shown(path, root) else ()
    line = lines[source.line - 1] if 1 <= source.line <= len(lines) else None
    return None if line is None or len(line) > LONGEST_LINE else line


def _may_be_shown(path: Path, root: Path) -> bool:
    folder = Folder(root)
    return path.exists() and (not path.is_relative_to(folder.specs) or folder.holds(path))


@lru_cache(maxsize=4)
def _lines(path: Path, _changed: int) -> tuple[str, ...]:
    """The lines of a reviewer's file, kept for the next mistake in it; none where it is no file to be read."""
    try:
        raw = bytes_of(path)
    except (OSError, ValueError):
        return ()
    return tuple(line.rstrip(b"\r").decode("utf-8", "backslashreplace") for line in raw.split(b"\n"))
