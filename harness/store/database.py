"""The SQLite file under the store: how it is opened, and what its errors mean to a user."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from harness.cachedir import shown
from harness.errors import EnvironmentFault
from harness.store.damage import has_moved, inode, is_damage, is_ours, move_aside

Found = TypeVar("Found")
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
_AGAIN = "its evidence is read again"
_IN_MEMORY = "this run keeps its evidence in memory"
_ELSEWHERE = "Set INTERP_STORE to another file, or run with --no-store."


class Database:
    """One connection. Reads and writes are short; every error of SQLite becomes an EnvironmentFault.

    Any thread may use it, one at a time: while a model is read, that is the one that writes (capture/behind.py).

    A file that is damaged inside is moved aside, a new one takes its place, and `tell` gets one line; `replaced` counts
    how often. Where it cannot be moved, what is written from then on is in memory. Opened read_only, it is a fault.
    """

    def __init__(self, path: Path | str, read_only: bool = False) -> None:
        self.path = str(path)
        self.read_only = read_only
        self.layout = 0
        self.shown = shown(self.path)
        self.replaced = 0
        self.tell: Callable[[str], None] = _warn
        self._connection = self._open_to_read() if read_only else self._opened_to_write()
        self._inode = inode(Path(self.path))

    def read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._tried("store_unreadable", lambda: self._connection.execute(query, values).fetchall())

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """One transaction: all rows or none."""
        given = list(rows)

        def written() -> None:
            with self._connection:
                self._connection.executemany(statement, given)

        self._tried("store_not_writable", written)

    def write_together(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """One transaction over several tables; none of it where the iterable raises.

        statements: where they are no list, they are not kept for a second time, should the file turn out damaged.
        """
        once = not isinstance(statements, list)

        def written() -> None:
            with self._connection:
                for statement, values in statements:
                    self._connection.execute(statement, values)

        self._tried("store_not_writable", written, once)

    def vacuum(self) -> None:
        self._tried("store_not_writable", lambda: self._connection.execute("VACUUM"))

    def set_aside(self, reason: object) -> None:
        """Move the file away as damaged, and go on with a new one; another process may have done the first."""
        with suppress(sqlite3.Error):
            self._connection.close()  # before the file is moved: closing later would take away a new file's journal
        self.replaced += 1
        before = self.path
        try:
            kept = move_aside(Path(self.path), self._inode)
            self._connection = self._open_to_write()
        except (OSError, EnvironmentFault) as error:
            self.path, kept = MEMORY, None
            self._connection = self._open_to_write()
            self.tell(
                f"the store {shown(before)} is damaged ({reason}) and cannot be moved aside ({error}); {_IN_MEMORY}"
            )
        self._inode = inode(Path(self.path))
        if kept is not None:
            self.tell(f"the store {self.shown} was damaged ({reason}): moved to {kept.name}; {_AGAIN}")

    def _tried(self, code: str, call: Callable[[], Found], once: bool = False) -> Found:
        """What `call` gives; on a damaged file a second time, on the new one."""
        try:
            return call()
        except sqlite3.Error as error:
            if self.path == MEMORY or not (is_damage(error) or has_moved(error)):
                raise self._fault(code, error) from error
            if self.read_only:
                raise self._fault("store_damaged", error) from error
            self.set_aside(error)
            if once:
                raise self._fault("store_damaged", error) from error
        try:
            return call()
        except sqlite3.Error as error:
            raise self._fault(code, error) from error

    def close(self) -> None:
        self._connection.close()

    def _opened_to_write(self) -> sqlite3.Connection:
        """At once where the file is sound on its first pages; a store whose header is damaged is moved aside."""
        try:
            return self._open_to_write()
        except EnvironmentFault as fault:
            if not (is_damage(fault.__cause__) and is_ours(Path(self.path))):
                raise
            reason = fault.__cause__
        kept = move_aside(Path(self.path), inode(Path(self.path)))
        if kept is not None:
            self.tell(f"the store {self.shown} was damaged ({reason}): moved to {kept.name}; {_AGAIN}")
        return self._open_to_write()

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

    def _fault(self, code: str, error: Exception | None) -> EnvironmentFault:
        mend = {
            "store_unreadable": f"Move it away. {_ELSEWHERE}",
            "store_damaged": "Run pytest or `interp store verify --repair`: it is moved aside, and read again.",
        }.get(code, _ELSEWHERE)
        what = {"store_unreadable": "cannot be read", "store_damaged": "is damaged"}.get(code, "cannot be written")
        reason = getattr(error, "strerror", None) or error
        return EnvironmentFault(code, f"the store {self.shown} {what}: {reason}.", mend)


def checksum(value: bytes, *keys: object) -> bytes:
    """What stands in a row beside its value. Its keys are in it: on a damaged page one may lead to another's row."""
    digest = hashlib.sha256(value)
    for key in keys:
        digest.update(f"\0{key}".encode())
    return digest.digest()


def is_sound(value: object, stamp: object, *keys: object) -> bool:
    """Whether a value is what was written under its keys. Rows of before keys were in the checksum have the value's."""
    return isinstance(value, bytes) and stamp in (checksum(value, *keys), checksum(value))


def _warn(line: str) -> None:
    warnings.warn(line, RuntimeWarning, stacklevel=2)


def insertion(table: str, code_key: str, key: str, block: int | None, value: bytes) -> tuple[str, tuple[Any, ...]]:
    """The statement and values that write one row; `block` in sums only."""
    keys = (code_key, key) if block is None else (code_key, key, block)
    row = (*keys, value, checksum(value, *keys), time.time())
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row
