"""Where things that can be made again are kept: evidence, converted weights, remembered digests."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import EnvironmentFault


def cache_dir() -> Path:
    """$INTERP_CACHE, else $XDG_CACHE_HOME/interp-specs, else ~/.cache/interp-specs; not created here.

    A relative $XDG_CACHE_HOME is ignored, as the XDG base directory specification asks.

    Raises EnvironmentFault `no_home` where the user has no home folder; a shared one would be open to others.
    """
    if own := os.environ.get("INTERP_CACHE"):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = shared if shared.is_absolute() else _home() / ".cache"
    return base / "interp-specs"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise EnvironmentFault("no_home", "this user has no home folder.", "Set INTERP_CACHE to a folder.") from error


def shown(path: str) -> str:
    """A path as a reader is shown it: `~` for the home folder, which would tell the user's name."""
    try:
        return path.replace(str(Path.home()), "~", 1)
    except RuntimeError:
        return path
