"""A claim's values over the last runs as one line, in the units of an SVG box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.reports.display import number

WIDTH, HEIGHT, _EDGE = 160.0, 28.0, 3.0


@dataclass(frozen=True, slots=True)
class Trend:
    """path: of the line, broken where a run has no value. last: (x, y) of this run's, None without one."""

    path: str
    last: tuple[float, float] | None
    label: str


def trend_of(values: Sequence[float | None]) -> Trend | None:
    """The trend of these values, the last one this run's; None where fewer than two runs have one."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    shown = list(enumerate(values))
    if low == high and len(known) == len(values):  # most claims: one stroke
        shown = [shown[0], shown[-1]]
    places = [None if v is None or not math.isfinite(v) else _place(i, v, len(values), low, high) for i, v in shown]
    told = f"{number(low)} to {number(high)}" if high > low else f"{number(low)} throughout"
    now = "not measured now" if places[-1] is None else f"now {number(values[-1])}"
    return Trend(_path(places), places[-1], f"last {len(values)} runs: {told}, {now}")


def _place(i: int, value: float, count: int, low: float, high: float) -> tuple[float, float]:
    share = 0.5 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2)
    across = _EDGE + (WIDTH - 2 * _EDGE) * i / (count - 1)
    return round(across, 1), round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * share, 1)


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    """Also a run alone between two without a value is drawn: a line of no length has round ends."""
    steps, pen = [], False
    for place in places:
        if place is not None:
            steps.append(f"{'L' if pen else 'M'}{place[0]} {place[1]}" + ("" if pen else "h0"))
        pen = place is not None
    return "".join(steps)
