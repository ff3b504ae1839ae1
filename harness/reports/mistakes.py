"""One mistake of a file that could not be read, with the line that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import Source, SpecError


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
    """pytest may run in a folder below the repository, so the file is looked for from here upwards."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        try:
            lines = (folder / source.path).read_bytes().split(b"\n")
        except (OSError, ValueError):  # ValueError: a NUL in the path
            continue
        if 1 <= source.line <= len(lines):
            return lines[source.line - 1].rstrip(b"\r").decode("utf-8", "backslashreplace")
        return None
    return None
