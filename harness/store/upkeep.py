"""What `interp store` does: sizes, pruning, and evidence that only a library's version keeps from being used."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.store.database import SINCE

if TYPE_CHECKING:
    from harness.store.database import Database

# In the order in which they are pruned: verdicts are made again without a model, residuals are large and rarely asked.
TABLES = ("verdicts", "residuals", "codes", "sums", "promotions", "weights")


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
    """What pruning dropped, or would drop: rows, and the bytes of their values."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay; None does not limit.

    max_bytes: of values, in all. since: seconds since 1970; what was written before goes. code_keys: the keys of the
    subjects that there are; rows of any other go.
    """

    max_bytes: int | None = None
    since: float | None = None
    code_keys: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    table: str
    rowid: int
    bytes: int
    refused: bool


def other_versions(database: Database, parts: Mapping[str, str], versions: Sequence[str]) -> list[Change]:
    """Code keys that differ from `parts` in `versions` only, most prompts first."""
    found = []
    for code_key, text in database.read("SELECT code_key, parts FROM versions", ()):
        was = parts_in(text) or {}
        moved = {name: (was.get(name, "?"), now) for name, now in parts.items() if was.get(name) != now}
        if moved and moved.keys() <= set(versions):
            prompts = database.read("SELECT count(*) FROM codes WHERE code_key=?", (code_key,))[0][0]
            found.append(Change(moved, prompts))
    return sorted((change for change in found if change.prompts), key=lambda change: -change.prompts)


def parts_in(text: object) -> dict[str, str] | None:
    """What a code key was made from; None where the row is damaged."""
    with suppress(ValueError, TypeError):
        found = json.loads(str(text))
        if isinstance(found, dict):
            return found
    return None


def tables_of(database: Database) -> tuple[str, ...]:
    """Those that this file has: an older one that was never opened to write lacks the later ones."""
    return tuple(table for table in TABLES if database.layout >= SINCE.get(table, 0))


def stats(database: Database) -> dict[str, Any]:
    """{table: {rows, bytes}}, and how many code keys there are."""
    sizes = {table: {"rows": 0, "bytes": 0} for table in sorted(TABLES)}
    for table in tables_of(database):
        rows, size = database.read(f"SELECT count(*), coalesce(sum(length(value)), 0) FROM {table}", ())[0]
        sizes[table] = {"rows": rows, "bytes": size}
    return {**sizes, "code_keys": database.read("SELECT count(*) FROM versions", ())[0][0]}


def by_code_key(database: Database) -> dict[str, dict[str, int]]:
    """{code key: {rows, bytes}} over all tables."""
    found: dict[str, dict[str, int]] = {}
    for table in tables_of(database):
        query = f"SELECT code_key, count(*), sum(length(value)) FROM {table} GROUP BY code_key"
        for code_key, rows, size in database.read(query, ()):
            one = found.setdefault(code_key, {"rows": 0, "bytes": 0})
            one["rows"] += rows
            one["bytes"] += size
    return found


def prune(database: Database, limits: Limits, dry_run: bool = False) -> Pruned:
    """Drop what the limits refuse, then rows table by table and oldest first until `max_bytes` are left."""
    doomed = list(_doomed(database, limits))
    if doomed and not dry_run:
        for table in TABLES:
            rows = [(row.rowid,) for row in doomed if row.table == table]
            if rows:
                database.write(f"DELETE FROM {table} WHERE rowid=?", rows)
        _forget_empty_keys(database)
        database.vacuum()
    return Pruned(len(doomed), sum(row.bytes for row in doomed))


def _doomed(database: Database, limits: Limits) -> Iterator[_Row]:
    rows = [row for table in tables_of(database) for row in _rows(database, table, limits)]
    left = sum(row.bytes for row in rows if not row.refused)
    for row in rows:
        if row.refused:
            yield row
        elif limits.max_bytes is not None and left > limits.max_bytes:
            left -= row.bytes
            yield row


def _rows(database: Database, table: str, limits: Limits) -> Iterator[_Row]:
    """All rows of a table, oldest first."""
    query = f"SELECT rowid, code_key, length(value), written FROM {table} ORDER BY written, rowid"
    for rowid, code_key, length, written in database.read(query, ()):
        too_old = limits.since is not None and written < limits.since
        is_stale = limits.code_keys is not None and code_key not in limits.code_keys
        yield _Row(table, rowid, length, too_old or is_stale)


def _forget_empty_keys(database: Database) -> None:
    kept = by_code_key(database)
    gone = [(key,) for (key,) in database.read("SELECT code_key FROM versions", ()) if key not in kept]
    database.write("DELETE FROM versions WHERE code_key=?", gone)
