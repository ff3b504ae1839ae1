"""`interp check --untrusted`: what a stranger's change touches besides data, asked of git without running it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import EnvironmentFault
from harness.language.pictures import SUFFIXES as PICTURES
from harness.language.references import SUFFIXES as TEXTS
from harness.language.references import clean

BASES = ("refs/remotes/origin/main", "refs/heads/main")
_GIT_TIMEOUT_S = 60
_GONE, _FILE = "000000", "100644"
_ODD_MODES = {"120000": "is a link", "160000": "is a submodule", "100755": "is executable"}
# What a checkout's configuration could have git run; only commands that need none of it are used besides.
_OFF = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "protocol.allow=never", "diff.external=")
_WHY = {
    "conftest.py": "is code that pytest runs",
    "pytest.ini": "says what pytest runs",
    "pyproject.toml": "says what is installed and run",
    "constraints.txt": "says what is installed",
    "Makefile": "is code that the gate runs",
}
_WHY_FOLDER = {
    "harness": "is the code that judges",
    "interp_tests": "is code that pytest runs",
    ".github": "is what the gate runs",
    ".ci": "is what the gate runs",
}


class NoBase(Exception):
    """There is no commit that the change could be held against."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One file of the change that is more than data, and why."""

    file: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """The keys of `interp check --json`."""
        place = {"file": self.file, "line": 1, "column": 1}
        return {"code": "untrusted_change", **place, "message": f"{self.file} {self.why}", "nearest": []}


def refused_changes(root: Path, ref: str | None = None) -> list[Refused]:
    """Files that are not as they were where this branch left `ref` (origin's main, or main) and are no data, by name.

    Committed, uncommitted and new files count alike. Raises NoBase, and EnvironmentFault `git_failed`: where git cannot
    say what changed, nothing passes.
    """
    base = _base(root, ref)
    found = {
        *_changed(_git(root, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", base, "HEAD", "--")),
        *_changed(
            _git(
                root,
                *_without_filters(root),
                "diff-index",
                "-z",
                "--raw",
                "--no-renames",
                "--no-ext-diff",
                "HEAD",
                "--",
            )
        ),
        *(
            (path, _mode(root / path))
            for path in _names(_git(root, "ls-files", "-z", "--others", "--exclude-standard"))
        ),
    }
    refused = {path: why for path, mode in found if (why := why_refused(path, mode)) is not None}
    return [Refused(clean(path), refused[path]) for path in sorted(refused)]


def why_refused(path: str, mode: str) -> str | None:
    """Why a change of this file is no data, None where it is; mode: git's of the file now, 000000 where it is gone."""
    parts = PurePosixPath(path).parts
    name, plain = parts[-1], path.casefold()
    if name.casefold() == "conftest.py" or len(parts) == 1:
        return _WHY.get(name, "is not under specs/")
    if parts[0] != "specs":
        return _WHY_FOLDER.get(parts[0], "is not under specs/")
    if plain == "specs/subjects.yaml":
        return "names the weights that are loaded"
    if mode in _ODD_MODES:
        return _ODD_MODES[mode]
    if mode not in (_GONE, _FILE):
        return "is no regular file"
    if not plain.endswith((*TEXTS, *PICTURES)):
        return f"is none of {' '.join((*TEXTS, *PICTURES))}"
    return None


def _base(root: Path, ref: str | None) -> str:
    """The commit where this branch left `ref`."""
    for name in [ref] if ref is not None else BASES:
        commit = _try(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if commit:
            base = _try(root, "merge-base", commit, "HEAD")
            if not base:
                raise NoBase(f"{name} and HEAD have no commit in common (a shallow clone may lack it: fetch all of it)")
            return base
    raise NoBase(f"{ref or 'main'!r} is no commit of this checkout; fetch it, or name another with --against")


def _changed(raw: bytes) -> Iterator[tuple[str, str]]:
    """(path, mode now) of git's raw format: `:old new sha sha status\\0path\\0`."""
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    for about, path in zip(fields[0:-1:2], fields[1::2], strict=True):
        yield path, about.split(" ")[1]


def _names(raw: bytes) -> list[str]:
    return [name for name in raw.decode("utf-8", "surrogateescape").split("\0") if name]


def _mode(path: Path) -> str:
    if path.is_symlink():
        return "120000"
    return (_FILE if not os.access(path, os.X_OK) else "100755") if path.is_file() else "000001"


def _without_filters(root: Path) -> tuple[str, ...]:
    names = _try(root, "config", "--null", "--name-only", "--get-regexp", r"^filter\.").split("\0")
    return tuple(part for name in names if name for part in ("-c", f"{name}="))


def _try(root: Path, *arguments: str) -> str:
    """One line of git's, empty where it says no."""
    done = _run(root, arguments)
    return done.stdout.decode().strip() if done.returncode == 0 else ""


def _git(root: Path, *arguments: str) -> bytes:
    done = _run(root, arguments)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise EnvironmentFault("git_failed", f"git said: {said}.", "Nothing passes until it can answer.")
    return done.stdout


def _run(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Fixed arguments, no shell, no one's settings but the checkout's, and of those none that names a program.

    A change can say in .gitattributes which filter its files go through, so the filters that are set up are emptied.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "--no-pager", *(part for one in _OFF for part in ("-c", one)), *arguments]
    try:
        return subprocess.run(command, cwd=root, env=env, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault("git_missing", f"git cannot be run: {error}.", "Install it.") from None
