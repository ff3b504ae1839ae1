"""Tokens shaded by a feature's activation, as HTML that a notebook shows: no script, no style sheet, both themes."""

from __future__ import annotations

import html
from collections.abc import Sequence

# The report's colour (reports/html/page.css). At most 55 % of it: black on white and white on black both stay readable.
HEAT, MOST = "#ff9d2e", 55.0
Token = tuple[str, float, bool]  # text, activation, whether it counts


def heat_line(tokens: Sequence[Token], top: float) -> str:
    """One line of tokens. `top`: the activation of the strongest shade. Every shaded token says its value when pointed
    at, and is underlined, so that nothing is told by colour alone."""
    return f'<span dir="auto" style="unicode-bidi:isolate">{"".join(_token(*each, top) for each in tokens)}</span>'


def heat_table(rows: Sequence[tuple[float, Sequence[Token]]], caption: str) -> str:
    """A table of (activation of the prompt, tokens), shaded on one scale; `caption` says of what."""
    top = max((value for _, tokens in rows for _, value, counted in tokens if counted), default=0.0)
    body = "".join(f"<tr>{_cell(f'{value:.4g}')}{_cell(heat_line(tokens, top), 'left')}</tr>" for value, tokens in rows)
    scale = f"{html.escape(caption)}; full shade is {top:.4g}" if top > 0 else f"{html.escape(caption)}; it never fires"
    head = '<tr><th scope="col">activation</th><th scope="col" style="text-align:left">tokens</th></tr>'
    return f"<table><caption>{scale}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"


def table(columns: dict[str, list[str]], caption: str = "") -> str:
    """Text cells as a table; the names of columns become its head."""
    head = "".join(f'<th scope="col">{html.escape(name.replace("_", " "))}</th>' for name in columns)
    rows = zip(*columns.values(), strict=True)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(inside: str, align: str = "right") -> str:
    return f'<td style="text-align:{align};white-space:normal">{inside}</td>'


def _token(text: str, value: float, counted: bool, top: float) -> str:
    shown = html.escape(text)
    if not value:
        return shown if counted else f'<span style="opacity:.6" title="not counted">{shown}</span>'
    share = MOST * max(0.0, min(1.0, value / top)) if top > 0 else 0.0
    title = f"{value:.4g}" if counted else f"{value:.4g}, not counted"
    style = f"background:color-mix(in srgb,{HEAT} {share:.0f}%,transparent);color:inherit;"
    style += "text-decoration:underline" if counted else "opacity:.6"
    return f'<mark title="{title}" style="{style}">{shown}</mark>'
