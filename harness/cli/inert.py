"""`interp` in GitHub Actions: what it prints is data to the runner, also where it quotes a file line by line."""

from __future__ import annotations

import io
import sys

from harness.reports.actions import in_actions, inert


class Inert(io.TextIOWrapper):
    """A text stream in which no workflow command is left, even one that was written in pieces."""

    begun = ""  # of the line that is being written

    def write(self, text: str) -> int:
        """Only the last character of a trigger is replaced, so what was written of a line stays as it is."""
        whole = self.begun + text
        super().write(inert(whole)[len(inert(self.begun)) :])
        self.begun = whole[max(whole.rfind("\n"), whole.rfind("\r")) + 1 :]
        return len(text)


def guard_output() -> None:
    """Put both streams of this process through Inert where a runner reads them."""
    if in_actions():
        sys.stdout = _guarded(sys.stdout)
        sys.stderr = _guarded(sys.stderr)


def _guarded(stream: object) -> Inert:
    assert isinstance(stream, io.TextIOWrapper), "main() runs on the process's own streams"
    stream.flush()
    return Inert(
        stream.buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=True
    )
