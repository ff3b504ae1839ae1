"""The SQLite file under the store: how it is opened, and what its errors mean to a user."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.cachedir import shown
from harness.errors import EnvironmentFault

MEMORY = ":memory:"
BUSY_TIMEOUT_S = 60.0  # a writer holds the lock for one batch: milliseconds, seconds on a slow disk
LAYOUT = 4
SAMPLE_KEY = "sample"  # of the one row that `weights` has for a code key
_TABLES = """
CREATE TABLE codes (code_key TEXT, prompt_key TEXT, value BLOB, checksum BLOB, written REAL,
                    PRIMARY KEY (code_key, prompt_key));
CREATE TABLE residuals (code_key TEXT, prompt_key TEXT, value BLOB, checksum BLOB, written REAL,
                        PRIMARY KEY (code_key, prompt_key));
CREATE TABLE sums (code_key TEXT, corpus_key TEXT, block INTEGER, value BLOB, checksum BLOB, written REAL,
                   PRIMARY KEY (code_key, corpus_key, block));
CREATE TABLE versions (code_key TEXT PRIMARY KEY, parts TEXT);
"""
# Tables that later layouts have more; an older store gets them when it is next opened to write.
SINCE = {"promotions": 2, "weights": 3, "verdicts": 4}
_LATER = """CREATE TABLE {} (code_key TEXT, prompt_key TEXT, value BLOB, checksum BLOB, written REAL,
                             PRIMARY KEY (code_key, prompt_key))"""
_ELSEWHERE = "Set INTERP_STORE to another file, or run with --no-store."


class Database:
    """One connection. Reads and writes are short; every error of SQLite becomes an EnvironmentFault.

    Any thread may use it, one at a time: while a model is read, that is the one that writes (capture/behind.py).
    """

    def __init__(self, path: Path | str, read_only: bool = False) -> None:
        self.path = str(path)
        self.layout = 0
        self.shown = shown(self.path)
        self._connection = self._open_to_read() if read_only else self._open_to_write()

    def read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._explained("store_unreadable"):
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """One transaction: all rows or none."""
        with self._explained("store_not_writable"), self._connection:
            self._connection.executemany(statement, rows)

    def write_together(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """One transaction over several tables; none of it where the iterable raises."""
        with self._explained("store_not_writable"), self._connection:
            for statement, values in statements:
                self._connection.execute(statement, values)

    def vacuum(self) -> None:
        with self._explained("store_not_writable"):
            self._connection.execute("VACUUM")

    def close(self) -> None:
        self._connection.close()

    def _open_to_write(self) -> sqlite3.Connection:
        self._must_be_readable()
        try:
            if self.path != MEMORY:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                self._lay_out(connection)
        except (sqlite3.Error, OSError) as error:
            raise self._fault("store_not_writable", error) from error
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Read-only; `immutable` where the folder is read-only too, since WAL needs a file beside the store."""
        last: Exception | None = None
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            try:
                connection = sqlite3.connect(f"file:{quote(self.path)}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S)
                self._check_layout(connection)
            except sqlite3.Error as error:
                last = error
            else:
                return connection
        raise self._fault("store_unreadable", last) from last

    def _must_be_readable(self) -> None:
        """Told apart from "not writable" first: a folder, garbage or another program's file is never written to."""
        with suppress(OSError):
            if self.path != MEMORY and Path(self.path).exists() and (Path(self.path).is_dir() or self._size() > 0):
                self._open_to_read().close()

    def _size(self) -> int:
        return Path(self.path).stat().st_size

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        statements = [
            *(_TABLES.split(";") if found == 0 else []),
            *(_LATER.format(name) for name, since in SINCE.items() if found < since),
        ]
        for statement in statements:
            connection.execute(statement)
        if statements:
            connection.execute(f"PRAGMA user_version={LAYOUT}")
        self.layout = LAYOUT

    def _check_layout(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type='table'").fetchone()[0]
        if not 1 <= found <= LAYOUT and (found or tables):
            raise sqlite3.DatabaseError(f"its layout is {found}, this version reads layout {LAYOUT}")
        self.layout = found

    @contextmanager
    def _explained(self, code: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._fault(code, error) from error

    def _fault(self, code: str, error: Exception | None) -> EnvironmentFault:
        mend = f"Move it away. {_ELSEWHERE}" if code == "store_unreadable" else _ELSEWHERE
        what = "cannot be read" if code == "store_unreadable" else "cannot be written"
        reason = getattr(error, "strerror", None) or error
        return EnvironmentFault(code, f"the store {self.shown} {what}: {reason}.", mend)


def checksum(value: bytes) -> bytes:
    """What stands beside a value in its row."""
    return hashlib.sha256(value).digest()


def insertion(table: str, code_key: str, key: str, block: int | None, value: bytes) -> tuple[str, tuple[Any, ...]]:
    """The statement and values that write one row; `block` in sums only."""
    keys = (code_key, key) if block is None else (code_key, key, block)
    row = (*keys, value, checksum(value), time.time())
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row
