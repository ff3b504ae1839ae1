"""On what a run was judged: commit, versions, machine. No library is imported to ask for its version."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("interp-specs", "torch", "transformers", "tokenizers", "sae-lens", "numpy", "pytest")
_GIT_TIMEOUT_S = 10
_COMMIT, _NEW = "# branch.oid ", "? "
_JUDGED_BY = ("specs/", "harness/", "conftest.py", "pytest.ini")


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """(commit, whether the checkout differs from it); (None, None) outside a checkout or without git.

    It differs where a tracked file was changed, and where a file of _JUDGED_BY is in no commit: a suite that nobody can
    look up. One call of git, 18 ms here (`git describe --dirty`, which sees no new file, takes 9).
    """
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z"]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, errors="replace", timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    told = [entry for entry in done.stdout.split("\0") if entry]
    commit = next((entry.removeprefix(_COMMIT) for entry in told if entry.startswith(_COMMIT)), "(initial)")
    if done.returncode != 0 or commit == "(initial)":
        return None, None
    inside = _place_in_checkout(root)
    return commit, any(_is_change(entry, inside) for entry in told)


def _is_change(entry: str, inside: str) -> bool:
    """Whether a line of git's status is of a changed file, or of a new one that verdicts depend on."""
    if not entry.startswith(_NEW):
        return not entry.startswith("# ")
    path = entry.removeprefix(_NEW)
    # A whole folder that is new ends with a slash: `specs/`, or one that this root lies in.
    return path.startswith(tuple(inside + name for name in _JUDGED_BY)) or (
        path.endswith("/") and inside.startswith(path)
    )


def _place_in_checkout(root: Path) -> str:
    """The root's path from the top of its checkout, empty or with a slash at its end: git names files from there."""
    full = root.resolve()
    top = next((folder for folder in (full, *full.parents) if (folder / ".git").exists()), full)
    return "" if top == full else f"{full.relative_to(top).as_posix()}/"


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """System, architecture and cores; no host or user name, since reports are shown to strangers."""
    return {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()}
