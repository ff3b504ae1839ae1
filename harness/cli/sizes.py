"""Sizes and ages as people write them: `500MB`, `2 GiB`, `30d`."""

from __future__ import annotations

import re

import typer

_BYTES = {"": 1, "b": 1} | {
    f"{letter}{mark}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for mark, base in (("", 1000), ("i", 1024))
}
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """`500MB` -> 500000000; typer.BadParameter says what would do."""
    return int(_parsed(text, _BYTES, "a size like 500MB, 2GB or 1.5GiB"))


def parse_seconds(text: str) -> float:
    """`30d` -> 2592000; typer.BadParameter says what would do."""
    return _parsed(text, _SECONDS, "an age like 12h, 30d or 8w")


def shown_bytes(count: int) -> str:
    """At most three digits before the unit: `41.3 MB`."""
    size, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def _parsed(text: str, units: dict[str, int], wanted: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2].lower() not in units:
        raise typer.BadParameter(f"{text!r} is not {wanted}.")
    return float(found[1]) * units[found[2].lower()]
