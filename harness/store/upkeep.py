"""What `interp store` does: sizes, pruning, and evidence that only a library's version keeps from being used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.store.database import Database

TABLES = (
    "residuals",
    "codes",
    "sums",
    "promotions",
    "weights",
)  # in the order in which they are pruned: residuals are large and rarely asked


@dataclass(frozen=True, slots=True)
class Change:
    """Evidence of `prompts` prompts that would serve, had these fields (name -> was, now) not changed."""

    fields: Mapping[str, tuple[str, str]]
    prompts: int

    def __str__(self) -> str:
        moved = ", ".join(f"{name} {was}, now {now}" for name, (was, now) in self.fields.items())
        return f"evidence from {moved}: {self.prompts} prompts to read again"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning dropped."""

    rows: int
    bytes: int


def other_versions(database: Database, parts: Mapping[str, str], versions: Sequence[str]) -> list[Change]:
    """Code keys that differ from `parts` in `versions` only, most prompts first."""
    found = []
    for code_key, text in database.read("SELECT code_key, parts FROM versions", ()):
        was = json.loads(text)
        moved = {name: (was.get(name, "?"), now) for name, now in parts.items() if was.get(name) != now}
        if moved and moved.keys() <= set(versions):
            prompts = database.read("SELECT count(*) FROM codes WHERE code_key=?", (code_key,))[0][0]
            found.append(Change(moved, prompts))
    return sorted((change for change in found if change.prompts), key=lambda change: -change.prompts)


def stats(database: Database) -> dict[str, Any]:
    """{table: {rows, bytes}}, and how many code keys there are."""
    sizes = {}
    for table in sorted(TABLES):
        rows, size = database.read(f"SELECT count(*), coalesce(sum(length(value)), 0) FROM {table}", ())[0]
        sizes[table] = {"rows": rows, "bytes": size}
    return {**sizes, "code_keys": database.read("SELECT count(*) FROM versions", ())[0][0]}


def prune(database: Database, max_bytes: int) -> Pruned:
    """Drop rows, table by table and oldest first, until at most `max_bytes` of values are left."""
    size = sum(table["bytes"] for name, table in stats(database).items() if name != "code_keys")
    rows, dropped = 0, 0
    for table in TABLES:
        doomed = []
        query = f"SELECT rowid, length(value) FROM {table} ORDER BY written, rowid"
        for rowid, length in database.read(query, ()) if size - dropped > max_bytes else []:
            if size - dropped <= max_bytes:
                break
            doomed.append((rowid,))
            dropped += length
        database.write(f"DELETE FROM {table} WHERE rowid=?", doomed)
        rows += len(doomed)
    database.vacuum()
    return Pruned(rows, dropped)
