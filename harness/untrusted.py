"""`interp check --untrusted`: what a stranger's change touches besides data, asked of git without running it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.git import UnknownRef, ask, commit_of, output, without_filters
from harness.language.pictures import SUFFIXES as PICTURES
from harness.language.references import SUFFIXES as TEXTS
from harness.language.references import clean

BASES = ("refs/remotes/origin/main", "refs/heads/main")
_GONE, _FILE = "000000", "100644"
_ODD_MODES = {"120000": "is a link", "160000": "is a submodule", "100755": "is executable"}
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
    since = ("-z", "--raw", "--no-renames", "--no-ext-diff")
    found = {
        *_changed(output(root, "diff-tree", "-r", *since, base, "HEAD", "--")),
        *_changed(output(root, *without_filters(root), "diff-index", *since, "HEAD", "--")),
        *((path, _mode(root / path)) for path in new_files(root, base)),
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
    commit = _first_of(root, [ref] if ref is not None else list(BASES))
    base = ask(root, "merge-base", commit, "HEAD")
    if not base:
        what = f"{ref or 'main'!r} and HEAD have no commit in common"
        raise NoBase(f"{what} (a shallow clone may lack it: fetch all of it)")
    return base


def _first_of(root: Path, names: list[str]) -> str:
    try:
        return commit_of(root, names[0])
    except UnknownRef as error:
        if len(names) > 1:
            return _first_of(root, names[1:])
        raise NoBase(f"{error}; or name another with --against") from None


def _changed(raw: bytes) -> Iterator[tuple[str, str]]:
    """(path, mode now) of git's raw format: `:old new sha sha status\\0path\\0`."""
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    for about, path in zip(fields[0:-1:2], fields[1::2], strict=True):
        yield path, about.split(" ")[1]


def _names(raw: bytes) -> list[str]:
    return [name for name in raw.decode("utf-8", "surrogateescape").split("\0") if name]


def new_files(root: Path, base: str) -> list[str]:
    """Files that git does not follow, less those that the .gitignore files of `base` leave out.

    A .gitignore of the working tree is the change's own word, and .git/info/exclude and core.excludesFile are nobody's.
    """
    found = output(root, "ls-files", "-z", "--others")
    with tempfile.TemporaryDirectory(prefix="interp-ignored-") as folder:
        rules = Path(folder)
        output(rules, "-c", "init.defaultBranch=main", "init", "--quiet", "--template=")
        for place, text in _ignore_files(root, base):
            (rules / place).parent.mkdir(parents=True, exist_ok=True)
            (rules / place).write_bytes(text)
        asked = ("-c", f"core.excludesFile={os.devnull}", "check-ignore", "--no-index", "-z", "--stdin")
        ignored = set(_names(output(rules, *asked, given=found, no_is=1)))
    return [name for name in _names(found) if name not in ignored]


def _ignore_files(root: Path, base: str) -> Iterator[tuple[str, bytes]]:
    """Every .gitignore of a commit, (path, content); git itself follows none that is a link."""
    for line in _names(output(root, "ls-tree", "-r", "-z", base)):
        about, _, path = line.partition("\t")
        mode, kind, blob = about.split(" ")
        if PurePosixPath(path).name == ".gitignore" and kind == "blob" and mode != "120000":
            yield path, output(root, "cat-file", "blob", blob)


def _mode(path: Path) -> str:
    if path.is_symlink():
        return "120000"
    return (_FILE if not os.access(path, os.X_OK) else "100755") if path.is_file() else "000001"
