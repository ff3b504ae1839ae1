"""Text of prompts and errors made safe to show: nothing in it moves the cursor, hides or reorders what is read."""

from __future__ import annotations

import re
import unicodedata

_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Blank on screen although Unicode calls them letters, marks or symbols, so that isprintable() lets them through.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_MARKDOWN = re.compile(r"([\\`*_\[\]{}|~#$!^])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def escape(text: str) -> str:
    r"""Control, bidirectional, zero-width and other unprintable characters as `\n`, `\x1b`, `\u202e`, `\U000e0041`.

    Backslashes stay as they are, so that escaping twice changes nothing.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable() and char not in _BLANK and not "\U000e0100" <= char <= "\U000e01ef":
        return char
    if char in _NAMED:
        return _NAMED[char]
    point = ord(char)
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}" if point < 65536 else f"\\U{point:08x}"


def one_line(text: str, limit: int = 200) -> str:
    """Escaped, and cut at `limit` characters with a note of how many were left out."""
    shown = escape(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}... ({len(shown) - limit} more characters)"


def markdown(text: str, limit: int = 400) -> str:
    """Text that Markdown and HTML read as text: no markup, link, mention, table cell or heading can come of it."""
    named = "".join(_ENTITIES.get(char, char) for char in _MARKDOWN.sub(r"\\\1", one_line(text, limit)))
    return re.sub(r"(?i)www\.", "www&#46;", named).replace("://", "&#58;//")


def code_span(text: str, limit: int = 200) -> str:
    """A Markdown code span that its own backticks cannot close; a pipe is safe in a table, too."""
    shown = one_line(text, limit).replace("|", r"\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def columns(text: str) -> int:
    """Columns of a terminal that the text takes: two for wide characters, none for combining marks."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int, keep_end: bool = False) -> str:
    """Padded to `width` (3 or more) columns, or cut there with `..` in the place of what was lost."""
    if columns(text) <= width:
        return text + " " * (width - columns(text))
    while columns(text) > width - 2:
        text = text[1:] if keep_end else text[:-1]
    return fit(f"..{text}" if keep_end else f"{text}..", width)


def number(value: float | None) -> str:
    """Four significant digits, as Measurement prints them; `-` where there is none."""
    return "-" if value is None else f"{value:.4g}"
