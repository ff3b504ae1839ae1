"""Where things that can be made again are kept: evidence, converted weights, remembered digests."""

from __future__ import annotations

import os
import tempfile
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


def run_folder(prefix: str) -> tuple[Path, str]:
    """A new folder for what one run's processes share, and a line where it is not in the temporary folder.

    It is made in the cache where the temporary folder is full or read-only. Where no folder can be made anywhere, it is
    a place that takes no file: whoever writes there then keeps it in memory.
    """
    said = ""
    for parent in (lambda: None, _made_cache):
        try:
            return Path(tempfile.mkdtemp(prefix=prefix, dir=parent())), said
        except (OSError, EnvironmentFault) as error:
            said = said or f"no temporary folder can be made ({getattr(error, 'strerror', None) or error})"
    return Path(os.devnull) / prefix, f"{said}; this run keeps what it reads in memory."


def _made_cache() -> str:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


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
