"""A database file that is damaged inside: how that is seen, and how the file is moved out of the way.

Nothing is deleted. What was in it is read again, as after any other loss of a cache.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

_LOCK_WAIT_S = 30
# Beside the two that name damage: what our own fixed statements meet only where pages are not what they were: tables
# that are gone, values of impossible sizes or types, and a file that ends early.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, 18, 20}  # too big, mismatch
_SHORT_READ = sqlite3.SQLITE_IOERR_SHORT_READ
_WITH_JOURNALS = ("-wal", "-shm", "")  # the journals first: a new file must not meet an old one's
_OUR_TABLE = b"CREATE TABLE codes (code_key TEXT, prompt_key TEXT, value BLOB"
_FIRST_PAGES = 65_536


def is_damage(error: BaseException | None) -> bool:
    """Whether the file itself is wrong, rather than its disk, its folder, a lock or a statement's values."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "decode to UTF-8" in str(error)
    return code == _SHORT_READ or code & 0xFF in _DAMAGE


def has_moved(error: sqlite3.Error) -> bool:
    """Whether another process has moved the file away under an open connection."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DBMOVED


def is_ours(path: Path) -> bool:
    """Whether the file was a store once, whatever its header is now: another program's file is never moved."""
    with suppress(OSError), path.open("rb") as file:
        return _OUR_TABLE in file.read(_FIRST_PAGES)
    return False


def inode(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_ino
    return None


def move_aside(path: Path, damaged: int | None) -> Path | None:
    """Rename the file with this inode, with its journals; None where another process has done so. Raises OSError."""
    with _locked(path):
        return set_aside(path) if inode(path) == damaged else None


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with its journals, for a caller that holds a lock already. Raises OSError."""
    kept = _free_name(path)
    for suffix in _WITH_JOURNALS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    return kept


def _free_name(path: Path) -> Path:
    stem = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (path.with_name(stem + (f"-{n}" if n else "")) for n in range(1000))
    return next(name for name in names if not name.exists())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; without a lock where none can be made."""
    lock = filelock.FileLock(path.with_name(path.name + ".lock"), timeout=_LOCK_WAIT_S)
    with contextlib.ExitStack() as stack:
        with suppress(OSError, filelock.Timeout, NotImplementedError):
            stack.enter_context(lock)
        yield
