"""Tables and JSON on standard output: one document under --json, and nothing else there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.plain import is_plain
from harness.progress import Teller
from harness.reports.display import escape

# Beside U+0000 to U+001F, which JSON escapes: other control characters, and what breaks, hides or reorders a line.
_UNSHOWN = re.compile(
    r"[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def emit(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Iterable[str], title: str = "") -> None:
    """Print rows as JSON, or the named columns of them as a table."""
    if as_json:
        print_document(list(rows))
        return
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    names = list(columns)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right" if _is_number(rows, name) else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    terminal = False if is_plain(sys.stdout) else None
    Console(highlight=False, markup=False, soft_wrap=False, force_terminal=terminal).print(table)


def tell(line: str, err: bool = False) -> None:
    """One line of text: what others wrote in it moves no cursor and begins no line."""
    typer.echo(escape(line), err=err)


def print_document(document: Any, indent: int | None = 2) -> None:
    """The one JSON document of `--json`. What a terminal would obey or not show stands in it as \\u escapes."""
    text = json.dumps(document, ensure_ascii=False, indent=indent, allow_nan=False)
    typer.echo(_UNSHOWN.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _is_number(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return all(isinstance(row.get(name), int | float) for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else repr(value) if isinstance(value, str) and not value.isprintable() else str(value)


def teller() -> Teller:
    """Tells on standard error; on a terminal, without NO_COLOR, a status is written over the one before."""

    def rewrite(line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    return Teller(lambda line: typer.echo(line, err=True), None if is_plain(sys.stderr) else rewrite)
