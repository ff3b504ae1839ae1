"""GitHub Actions: annotations on the lines of failing claims, the job summary, text that no runner takes for a command.

A runner (actions/runner, ActionCommand.cs) obeys a line of output that begins with `::` after blanks, and `##[`
anywhere in one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.errors import EnvironmentFault
from harness.reports.display import escape, one_line
from harness.reports.failure import finding_line
from harness.reports.record import Record
from harness.reports.terminal import worst_first

MOST_SHOWN = 10  # annotations of one type that GitHub shows of one step; it drops the others
MOST_BYTES = 1024 * 1024  # of a step's summary; GitHub drops a longer one whole
_SILENT = ("met", "unmet as expected")
_CUT = "\n\nCut here: GitHub shows 1 MiB of a step's summary. The whole is in summary.md, beside the report.\n"
# Blanks and what a comparison by culture ignores, then the two colons; the last character of a trigger gives way.
_AT_START = re.compile(r"((?:^|[\n\r])[^!-~]*:):")
_ANYWHERE = re.compile(r"(##)\[")


def in_actions() -> bool:
    """True in a step of GitHub Actions, which sets GITHUB_ACTIONS=true."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def inert(text: str) -> str:
    r"""Text in which a runner finds no command: `::` at a line's start becomes `:\u003a`, `##[` becomes `##\u005b`.

    JSON stays the same document, since both can stand inside its strings only.
    """
    return _ANYWHERE.sub(r"\1\\u005b", _AT_START.sub(r"\1\\u003a", text))


def annotation_lines(records: Iterable[Record], others: Sequence[str] = (), folder: str = "") -> list[str]:
    """The commands of a run: an error for each claim that fails its test, a warning for each that only warns.

    others: what makes the run fail, or was lost, and is no claim; one error each. folder: of the specs' repository,
    in the checkout. Past MOST_SHOWN of a type, the last one says how many there are besides.
    """
    ordered = worst_first(records)
    shown = [record for record in ordered if record.standing not in _SILENT and not record.verdict.details.get("cold")]
    warned = [_annotation("warning", r, folder) for r in shown if r.standing.endswith("(warn)")]
    failed = [_annotation("error", r, folder) for r in shown if not r.standing.endswith("(warn)")]
    told = [_command("error", line, title="interp-specs") for line in others]
    return [*_cut("error", [*told, *failed]), *_cut("warning", warned)]


def _cut(kind: str, lines: list[str]) -> Iterator[str]:
    if len(lines) <= MOST_SHOWN:
        yield from lines
        return
    yield from lines[: MOST_SHOWN - 1]
    left_out = len(lines) - MOST_SHOWN + 1
    yield _command(kind, f"and {left_out} more; all are in the job summary and in summary.md", title="interp-specs")


def _annotation(kind: str, record: Record, folder: str) -> str:
    file = f"{folder}/{record.source.path}" if folder else record.source.path
    unexpected = record.standing == "met unexpectedly"
    expected = f"expected to be unmet ({one_line(record.xfail or '')}), but it is met: take `xfail` away. "
    message = (expected if unexpected else "") + finding_line(record)
    title = f"{record.standing}: {one_line(record.id)}"
    return _command(kind, message, file=file, line=str(record.source.line), title=title)


def _command(kind: str, message: str, **properties: str) -> str:
    named = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {named}::{_data(message)}"


def _data(text: str) -> str:
    """Escaped twice: for the eye, so that no control character is left, then for the runner."""
    return escape(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def append_summary(text: str, path: Path, most: int = MOST_BYTES) -> EnvironmentFault | None:
    """Add `text` to a step's summary, cut at a line's end before `most` bytes; the fault where it cannot be added."""
    try:
        there = path.stat().st_size if path.exists() else 0
        whole = ("\n" if there else "").encode() + text.encode("utf-8")
        kept = whole if there + len(whole) <= most else _cut_text(whole, most - there)
        if not kept:
            return _not_written(path, f"{there:,} bytes of {most:,} are taken")
        with path.open("ab") as file:
            file.write(kept)
    except OSError as error:
        return _not_written(path, error.strerror or str(error))
    return None


def _cut_text(whole: bytes, room: int) -> bytes:
    """Its first lines and the one that says so, in `room` bytes; nothing where not even that one fits."""
    end = whole.rfind(b"\n", 0, max(0, room - len(_CUT)))
    return whole[:end] + _CUT.encode() if end > 0 else b""


def _not_written(path: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "job_summary_not_written",
        f"the job summary could not be added to {one_line(str(path))} ({one_line(why)}).",
        "The claims were judged all the same; the report has the same text in summary.md.",
    )
