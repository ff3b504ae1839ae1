"""Names of files in specs: relative to specs/, and never out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import Source, SpecError, did_you_mean, nearest_names

SUFFIXES = (".yaml", ".txt", ".jsonl")


@dataclass(frozen=True, slots=True)
class Reference:
    """`prompts/categories.yaml#!color` -> file, set name and whether it names all the other sets."""

    text: str
    file: str
    name: str | None = None
    others: bool = False


def parse_reference(text: str) -> Reference | None:
    """The parts of a reference to a file; None for a bare name."""
    file, hash_, name = text.partition("#")
    if hash_:
        others = name.startswith("!")
        return Reference(text, file, name[1:] if others else name, others)
    return Reference(text, file) if file.endswith((*SUFFIXES, ".yml")) or "/" in file else None


@dataclass(frozen=True, slots=True)
class Folder:
    """specs/, and whether files elsewhere may be read too (only the command line may)."""

    root: Path
    anywhere: bool = False

    @property
    def specs(self) -> Path:
        return self.root / "specs"

    def shown(self, path: Path) -> str:
        """A path as errors show it: relative to the repository, with forward slashes."""
        full = Path(os.path.abspath(path))
        root = Path(os.path.abspath(self.root))
        return clean(full.relative_to(root).as_posix() if full.is_relative_to(root) else path.as_posix())

    def holds(self, path: Path) -> bool:
        """True where a path lies under specs/, and that in the repository, once links are followed."""
        specs = real(self.specs)
        return specs.is_relative_to(real(self.root)) and real(path).is_relative_to(specs)

    def find(self, file: str, source: Source) -> Path:
        """The existing file that a reference names; SpecError with the nearest names otherwise."""
        if not file or not file.isprintable():
            raise SpecError("bad_reference", f"{file!r} is not a file's name", source)
        if not file.endswith(SUFFIXES):
            raise SpecError("bad_reference", f"{file!r} is not a .yaml, .txt or .jsonl file", source)
        if self.anywhere and _is_file(Path(file)):
            return Path(file)
        path = self.inside(file, source)
        if not _is_file(path):
            raise self._missing(file, path, source)
        if not self.anywhere and not self.holds(path):
            raise SpecError("outside_specs", f"{file!r} is a link out of specs/; copy the file there", source)
        return path

    def inside(self, file: str, source: Source) -> Path:
        """Where a name relative to specs/ lies; SpecError where it says that it leads out."""
        pure = PurePosixPath(file)
        if pure.is_absolute() or ".." in pure.parts or "\\" in file or ":" in file:
            message = f"{file!r} leaves specs/; references are relative to specs/ and stay under it"
            raise SpecError("outside_specs", message, source)
        return self.specs / pure

    def _missing(self, file: str, path: Path, source: Source) -> SpecError:
        known = self.files()
        hint = did_you_mean(file, known) if known else " There are no prompt files under specs/."
        near = nearest_names(file, known)
        return SpecError("unknown_file", f"specs/{file} does not exist.{hint}", source, near)

    def files(self) -> list[str]:
        """Every file under specs/ that a reference could name, sorted."""
        found = (p for suffix in SUFFIXES for p in self.specs.rglob(f"*{suffix}"))
        return sorted(clean(p.relative_to(self.specs).as_posix()) for p in found)


def clean(name: str) -> str:
    """A file's name as text: on Linux it is bytes, and Python has half a surrogate pair for each that is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def real(path: Path) -> Path:
    """Path.resolve() without its exception for links that lead round in a circle."""
    return Path(os.path.realpath(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
