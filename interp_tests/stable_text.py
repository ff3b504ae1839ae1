"""What a command printed, without what differs from run to run, so that it can be compared with a snapshot."""

import re
from pathlib import Path

CHANGING = {
    r"\x1b\[[0-9;]*m": "",
    r"\b\d{8}T\d{6}Z-[0-9a-f]+\b": "<run>",
    r"\b\d+(\.\d+)? (s|ms|min)\b": r"<time> \2",
}


def stable(text: str, root: Path | None = None) -> str:
    """Return the text with `root`, ids of runs and times replaced, and without spaces at the ends of lines."""
    if root is not None:
        text = text.replace(str(root), "<root>")
    for pattern, instead in CHANGING.items():
        text = re.sub(pattern, instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def lines_about(text: str, name: str, root: Path | None = None) -> str:
    """Return the lines that name a claim, a file or a code, as `stable` gives them; there must be one."""
    found = [line for line in stable(text, root).splitlines() if name in line]
    assert found, f"no line names {name!r} in:\n{text}"
    return "\n".join(found)
