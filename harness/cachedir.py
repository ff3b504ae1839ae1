"""Where things that can be made again are kept: evidence, converted weights, remembered digests."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """$INTERP_CACHE, else $XDG_CACHE_HOME/interp-specs, else ~/.cache/interp-specs; not created here.

    A relative $XDG_CACHE_HOME is ignored, as the XDG base directory specification asks.
    """
    if own := os.environ.get("INTERP_CACHE"):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = shared if shared.is_absolute() else Path.home() / ".cache"
    return base / "interp-specs"
