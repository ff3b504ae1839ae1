"""Where a measurement, its interval and its bound stand on an axis, in percent of its width."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.reports.display import number
from harness.verdict import Verdict

_NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_LEAST, _MOST = re.compile(rf"at least {_NUMBER}$"), re.compile(rf"at most {_NUMBER}$")
_BETWEEN = re.compile(rf"between {_NUMBER} and {_NUMBER}$")
_ABOUT = re.compile(rf"{_NUMBER} \+- {_NUMBER}$")
_ROOM = 0.08  # of the width, on both sides of what is shown


@dataclass(frozen=True, slots=True)
class Axis:
    """value, low, high: of the measurement, None where it has no interval. inside: (from, to) of what the bound allows,
    None where the bound is no number. ticks: (place, text). All but texts in percent of the width."""

    value: float
    low: float | None
    high: float | None
    inside: tuple[float, float] | None
    ticks: tuple[tuple[float, str], ...]


def axis_of(verdict: Verdict) -> Axis | None:
    """The axis of a measured claim: 0 to 1 where all numbers are shares, else as wide as the numbers need; None where
    there is neither an interval nor a bound to hold it against."""
    measured = verdict.measurement
    if measured is None or not abs(measured.value) < float("inf"):
        return None
    limits = bound_limits(verdict.bound)
    if limits is None and measured.low is None:
        return None
    shown = [measured.value, *(x for x in (measured.low, measured.high, *(limits or ())) if x is not None)]
    shown = [x for x in shown if abs(x) < float("inf")]
    left, right = _ends(shown)

    def place(x: float) -> float:
        return round(100 * min(1.0, max(0.0, (x - left) / (right - left))), 2)

    inside = None if limits is None else (place(limits[0]), place(limits[1]))
    ends = [place(x) if x is not None else None for x in (measured.low, measured.high)]
    ticks = tuple((place(x), number(x)) for x in (left, right))
    return Axis(place(measured.value), ends[0], ends[1], inside, ticks)


def bound_limits(bound: str) -> tuple[float, float] | None:
    """(low, high) of a bound in words, infinite where it is open; None where it is no number."""
    if found := _LEAST.search(bound):
        return float(found[1]), float("inf")
    if found := _MOST.search(bound):
        return float("-inf"), float(found[1])
    if found := _BETWEEN.search(bound):
        return float(found[1]), float(found[2])
    if found := _ABOUT.search(bound):
        return float(found[1]) - float(found[2]), float(found[1]) + float(found[2])
    return None


def _ends(shown: list[float]) -> tuple[float, float]:
    low, high = min(shown), max(shown)
    if low >= 0 and high <= 1 and high > 0.1:
        return 0.0, 1.0
    room = (high - low or abs(high) or 1.0) * _ROOM
    return (0.0 if 0 <= low < 3 * (high - low) else low - room), high + room
