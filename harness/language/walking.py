"""specs/ walked once: the files that are read, and what would never be read without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.baselines import FOLDER as MEASURED
from harness.errors import Source, SpecError
from harness.language.references import Folder
from harness.language.subjects import FILE

_SUITES = (".yaml", ".yml")
READ = (*_SUITES, ".jsonl")
_LINK = (
    "this is a link to a folder, and links to folders are not followed, so the claims in it are never tested; "
    "copy the folder here"
)
_OUT = "specs/ is a link out of the repository, so none of its files is read; copy it here"


@dataclass(slots=True)
class Walked:
    """files: suites and shared prompts, sorted by path; measured: files of baselines, likewise.

    mistakes: what is none of them, by path: linked folders, folders that cannot be opened, names in other letters.
    """

    files: list[Path] = field(default_factory=list)
    measured: list[Path] = field(default_factory=list)
    mistakes: dict[Path, SpecError] = field(default_factory=dict)

    def amiss_at(self, path: Path) -> list[Path]:
        """The paths with a mistake that are this one, lie in it, or lead to it."""
        return sorted(p for p in self.mistakes if p.is_relative_to(path) or path.is_relative_to(p))


def walked(folder: Folder) -> Walked:
    """Everything under specs/; never raises."""
    found = Walked()
    if not folder.holds(folder.specs):
        found.mistakes[folder.specs] = SpecError("outside_specs", _OUT, Source("specs"))
        return found
    files = {path.relative_to(folder.specs).as_posix(): path for path in _walk(folder, found)}
    for name in sorted(files):
        if name.startswith(f"{MEASURED}/"):
            found.measured += [files[name]] if name.endswith(".yaml") else []
        elif f"specs/{name}" != FILE:
            found.files.append(files[name])
    return found


def _walk(folder: Folder, found: Walked) -> Iterator[Path]:
    """Every path with the ending of a file that is read; what is amiss goes to `found`."""

    def cannot(error: OSError) -> None:
        path = Path(error.filename)
        if not isinstance(error, FileNotFoundError):
            what = f"this folder cannot be opened ({error.strerror}), so nothing in it is read; mend its permissions"
            found.mistakes[path] = SpecError("unreadable_file", what, Source(folder.shown(path)))

    for place, folders, files in os.walk(folder.specs, onerror=cannot):
        here = Path(place)
        for name in folders:
            if os.path.islink(here / name):
                shown = folder.shown(here / name)
                found.mistakes[here / name] = SpecError("outside_specs", _LINK, Source(shown))
        for name in (*folders, *files):
            if name.endswith(_SUITES) or (name.endswith(".jsonl") and _is_shared(here, folder)):
                yield here / name
            elif name.casefold().endswith(READ) and not name.endswith(READ):
                found.mistakes[here / name] = _misnamed(name, folder.shown(here / name))


def _is_shared(here: Path, folder: Folder) -> bool:
    """Sets of prompts that any suite may use; elsewhere a .jsonl file is read where it is referred to."""
    return here.is_relative_to(folder.specs / "prompts")


def _misnamed(name: str, shown: str) -> SpecError:
    ending = name[name.rindex(".") :]
    small = {".yml": ".yaml"}.get(ending.casefold(), ending.casefold())
    message = f"{ending!r} is not read, so what stands here is never tested; rename it to end in {small!r}"
    return SpecError("bad_file_name", message, Source(shown))
