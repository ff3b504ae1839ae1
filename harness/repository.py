"""Which folder is the repository: paths in specs/subjects.yaml, and what is written, are relative to it."""

from __future__ import annotations

from pathlib import Path

SUBJECTS = "specs/subjects.yaml"


def repository(start: Path | None = None) -> Path:
    """The current folder or the nearest above it with specs/subjects.yaml; the current one where none has it."""
    here = (start or Path.cwd()).absolute()
    return next((folder for folder in (here, *here.parents) if (folder / SUBJECTS).is_file()), here)


def located(location: str, root: Path | None = None) -> Path:
    """A path of specs/subjects.yaml or of a prompt set on this machine.

    root: the repository that the file stands in. Neither the current folder nor a folder of the same name elsewhere
    counts; None (an object that no file named) takes the path as it is.
    """
    path = Path(location)
    return path if root is None or path.is_absolute() else root / path
