"""Plain text where nobody would see more: a pipe, a file, a runner's log, or where NO_COLOR asks for it."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def is_plain(stream: TextIO) -> bool:
    """True where no escape may be written: NO_COLOR is set, or the stream is no terminal (FORCE_COLOR makes it one)."""
    if os.environ.get("NO_COLOR"):
        return True
    return not stream.isatty() and not os.environ.get("FORCE_COLOR")


def plain_help() -> None:
    """Have typer's help and usage errors follow `is_plain`: it takes every GitHub runner for a terminal, and NO_COLOR
    leaves its bold."""
    from typer import rich_utils

    rich_utils.FORCE_TERMINAL = False if is_plain(sys.stdout) or is_plain(sys.stderr) else None
