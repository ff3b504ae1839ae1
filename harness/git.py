"""git asked about a checkout that nobody has looked at yet: it runs no program, and a name means one commit or none."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import EnvironmentFault

_TIMEOUT_S = 60
# What a checkout's configuration could have git run; only commands that need none of it are used besides.
_OFF = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "protocol.allow=never", "diff.external=")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PARTS = re.compile(r"(?P<name>[^~^]+)(?P<ancestor>[~^0-9]*)")


class UnknownRef(Exception):
    """What was named is no commit of this checkout, or more than one."""


def commit_of(root: Path, ref: str) -> str:
    """The commit that `ref` means, with any `~2` or `^` behind it; raises UnknownRef.

    A name is a branch of a remote, else a branch here, else a whole commit id, HEAD, or a whole name (refs/tags/v1).
    git has another order: there a tag comes first, and a fetch brings the tags of whoever wrote the commits, so that
    a tag `origin/main` would stand for the branch. Where two refs have the name, neither is taken.
    """
    parts = _PARTS.fullmatch(ref)
    named = _named(root, parts["name"]) if parts else None
    asked = f"{named}{parts['ancestor']}^{{commit}}" if parts and named else ""
    commit = ask(root, "rev-parse", "--verify", "--quiet", "--end-of-options", asked) if asked else ""
    if not commit:
        hint = "a shallow clone may lack it: fetch it first; a tag is named whole, as refs/tags/v1"
        raise UnknownRef(f"{ref!r} is no commit of this checkout ({hint})")
    return commit


def _named(root: Path, name: str) -> str | None:
    """The commit id of a name, or HEAD, which git itself takes for what is checked out; None where there is none."""
    listed = ask(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    refs: dict[str, str] = dict(line.rsplit(" ", 1) for line in listed)
    if name in refs:
        return refs[name]
    same = sorted(whole for whole in refs if whole.split("/", 2)[2:] == [name])
    itself = name == "HEAD" or _WHOLE_ID.fullmatch(name) is not None
    if len(same) + itself > 1:
        could_be = " or ".join([*same, *["the commit itself"] * itself])
        raise UnknownRef(f"{name!r} could be {could_be}: name one of the refs whole, or remove the others")
    if itself:
        return name
    return refs[same[0]] if same and same[0].startswith(("refs/remotes/", "refs/heads/")) else None


def without_filters(root: Path) -> tuple[str, ...]:
    """Options that empty all filters: a change can say in .gitattributes which of those set up its files go through."""
    names = ask(root, "config", "--null", "--name-only", "--get-regexp", r"^filter\.").split("\0")
    return tuple(part for name in names if name for part in ("-c", f"{name}="))


def ask(root: Path, *arguments: str) -> str:
    """What git prints, without the line end; empty where it says no."""
    done = run(root, arguments)
    return done.stdout.decode("utf-8", "surrogateescape").strip() if done.returncode == 0 else ""


def output(root: Path, *arguments: str, given: bytes = b"", no_is: int | None = None) -> bytes:
    """What git prints; EnvironmentFault `git_failed` where it cannot. no_is: the exit code that says `none`."""
    done = run(root, arguments, given)
    if done.returncode not in (0, no_is):
        said = done.stderr.decode("utf-8", "replace").strip()
        raise EnvironmentFault("git_failed", f"git said: {said}.", "Nothing passes until it can answer.")
    return done.stdout


def run(root: Path, arguments: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Fixed arguments, no shell, no one's settings but the checkout's, and of those none that names a program."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    env |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "--no-pager", *(part for one in _OFF for part in ("-c", one)), *arguments]
    try:
        return subprocess.run(
            command, cwd=root, env=env, input=given, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault("git_missing", f"git cannot be run: {error}.", "Install it.") from None
