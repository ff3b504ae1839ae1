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


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """(commit, whether tracked files differ from it); (None, None) outside a checkout or without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    commit, _, dirty = done.stdout.strip().partition("-")
    return (commit, bool(dirty)) if done.returncode == 0 and commit else (None, None)


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
