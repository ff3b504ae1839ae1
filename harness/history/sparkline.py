"""A row of numbers as one line of text."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TextIO

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
_MISSING = {BLOCKS: "·", ASCII: "?"}


def sparkline(values: Sequence[float | None], levels: str = BLOCKS) -> str:
    """One character a value, the lowest and the highest at the ends of the scale; a value that is missing has its own
    sign, and values that are all alike stand in the middle."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return _MISSING[levels] * len(values)
    low, high = min(finite), max(finite)
    return "".join(_sign(value, low, high, levels) for value in values)


def levels_for(stream: TextIO) -> str:
    """Blocks on a terminal that can show them, ASCII for a file, a pipe, or where NO_COLOR asks for plain text."""
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return ASCII
    try:
        (BLOCKS + _MISSING[BLOCKS]).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def _sign(value: float | None, low: float, high: float, levels: str) -> str:
    if value is None or not math.isfinite(value):
        return _MISSING[levels]
    if high == low:
        return levels[len(levels) // 2]
    return levels[min(len(levels) - 1, int((value / 2 - low / 2) / (high / 2 - low / 2) * len(levels)))]
