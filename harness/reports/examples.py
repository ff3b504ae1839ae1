"""The prompts that bear on a verdict, one line each, the token where the feature peaks marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.reports.display import columns, escape, number
from harness.spelling import CONTINUED
from harness.verdict import Example

WINDOW = 110
LONGEST_TOKEN = 40
SHOWN = 6


def example_lines(examples: Sequence[Example], paint_peak: str = "{}") -> Iterator[str]:
    """At most SHOWN prompts, under a heading for each role and note; `paint_peak` is a format for the mark."""
    shown = examples[:SHOWN]
    width = max((columns(number(e.value)) for e in shown), default=0)
    for (role, note), group in groupby(shown, key=lambda e: (e.role, e.note)):
        yield escape(f"{role}: {note}" if note else role)
        for example in group:
            yield f"  {number(example.value):>{width}}  {marked_text(example, paint_peak)}"
    if len(examples) > SHOWN:
        yield f"and {len(examples) - SHOWN} more in results.json"


def marked_text(example: Example, paint_peak: str = "{}") -> str:
    """The prompt with its strongest token as `>>red<< (8.31)`, cut to about WINDOW characters around it.

    A token that is no stretch of the text (a byte of an emoji, a special token) is named after the text.
    """
    text, peak = example.text, _peak(example)
    if peak is None:
        return _cut(text, 0, 0, WINDOW)[0] + _tail(text, WINDOW)
    token, activation, place = peak
    if place is None:
        mark = paint_peak.format(f">>{_short(token)}<<")
        return f"{_cut(text, 0, 0, WINDOW)[0]}{_tail(text, WINDOW)}  [peak on {mark} ({number(activation)})]"
    start, end = place
    before, after = _cut(text, start, end, WINDOW)
    mark = paint_peak.format(f">>{_short(text[start:end])}<<")
    return f"{before}{mark} ({number(activation)}){after}"


def _peak(example: Example) -> tuple[str, float, tuple[int, int] | None] | None:
    firing = [i for i, (_, activation) in enumerate(example.tokens) if activation != 0 and activation == activation]
    if not firing:
        return None
    top = max(firing, key=lambda i: example.tokens[i][1])
    token, activation = example.tokens[top]
    return token, activation, _places(example)[top]


def _places(example: Example) -> list[tuple[int, int] | None]:
    """Where each token stands in the text, found by walking both; None where a token is no stretch of it.

    A token that continues a character stands where that does. Tokens may come with a tokenizer's own sign for a space.
    A match further on is taken only after tokens that were not found, and never far: better no place than a wrong one.
    """
    places: list[tuple[int, int] | None] = []
    at, missed = 0, 0
    for token, _ in example.tokens:
        word = token.replace("\u2581", " ").replace("\u0120", " ").strip()
        start = example.text.find(word, at) if word else -1
        if start < 0 or len(example.text[at:start].strip()) > missed:
            if token == CONTINUED and places:
                places.append(places[-1])
                continue
            places.append(None)
            missed += 1 if word else 0
            continue
        at, missed = start + len(word), 0
        places.append((start, at))
    return places


def _cut(text: str, start: int, end: int, window: int) -> tuple[str, str]:
    """What is shown before and after text[start:end]; with nothing marked, all goes before."""
    if start == end == 0:
        return escape(text[:window]), ""
    left = max(0, start - window // 2)
    right = min(len(text), end + window // 2)
    before = ("..." if left else "") + escape(text[left:start])
    return before, escape(text[end:right]) + _tail(text, right)


def _tail(text: str, shown: int) -> str:
    return f"... ({len(text) - shown} more characters)" if len(text) > shown else ""


def _short(token: str) -> str:
    shown = escape(token)
    return shown if len(shown) <= LONGEST_TOKEN else shown[:LONGEST_TOKEN] + "..."
