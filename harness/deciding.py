"""What a census left undecided, in words and as rows: the prompts and pictures that would decide it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.stats.transfer.aligned import AlignedRule
from harness.stats.transfer.deciding import MOST_OF_THEM, RARE, Deciding
from harness.stats.transfer.reach import fewest_pictures, fewest_prompts


def what_decides() -> str:
    """The heading of the table of `rows`."""
    return f"What would decide {MOST_OF_THEM:.0%} of the undecided features, by the class that they look like:"


def would_decide(wanted: Mapping[str, Deciding], units: str) -> str:
    """`; undecided: 67 look shifted (70 % of them want 55,109 sentences), ...`; empty where nothing is undecided."""
    if not wanted:
        return ""
    named = [
        f"{one.features:,} look {name.replace('_', ' ')} ({MOST_OF_THEM:.0%} of them want {enough(one, units)})"
        for name, one in wanted.items()
        if name != RARE
    ]
    rare = f"{wanted[RARE].features:,} fire on too small a share of them for any number" if RARE in wanted else ""
    return "; undecided: " + ", ".join(filter(None, [*named, rare]))


def enough(one: Deciding, units: str) -> str:
    """`55,109 prompts`, `59 prompts and 14 pictures`, `more than can be read`."""
    if one.prompts is None:
        return f"more {units} than can be read"
    return f"{one.prompts:,} {units}" + (f" and {one.pictures:,} pictures" if one.pictures is not None else "")


def asks_for(wanted: str, rule: AlignedRule, units: str = "prompts") -> str:
    """The least that can show a class at all: `59 prompts`, `59 prompts and 2 pictures`."""
    least, pictures = fewest_prompts(wanted, rule), fewest_pictures(rule) if wanted == "new_vision" else None
    if least is None:
        return "no number can"
    return f"{least:,} {units}" + (f" and {pictures} pictures" if pictures is not None else "")


def rows(wanted: Mapping[str, Deciding]) -> list[dict[str, object]]:
    """A row a class, for tables: None stands for `no number`."""
    return [
        {"looks": name, "undecided": one.features, "prompts": one.prompts, "pictures": one.pictures}
        for name, one in wanted.items()
    ]
