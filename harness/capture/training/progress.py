"""Progress of a long run: one line that is redrawn on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

REDRAW_SECONDS = 0.2
PLAIN_SECONDS = 15.0


class Progress:
    """Says how far a run is; `say` prints a line of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = 0.0
        self._drawn = 0

    def update(self, line: str) -> None:
        """Show `line` unless one was shown a moment ago."""
        now = time.monotonic()
        if now - self._last < (REDRAW_SECONDS if self._live else PLAIN_SECONDS):
            return
        self._last = now
        if self._live:
            self._stream.write("\r" + line.ljust(self._drawn))
            self._stream.flush()
            self._drawn = len(line)
        else:
            print(line, file=self._stream, flush=True)

    def say(self, line: str) -> None:
        """Print `line`, after clearing what is drawn."""
        if self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._drawn = 0
        print(line, file=self._stream, flush=True)
