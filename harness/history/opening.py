"""The index, opened in step with the runs; whatever is wrong with its file is mended and said in a line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from harness.history.index import INDEX, Index
from harness.store.damage import set_aside

LOCK = ".lock"  # the one under which runs are written, too (reports/write.py)
LOCK_WAIT_S = 30
_NOT_OURS_TO_MEND = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}


@contextmanager
def opened(reports: Path, fresh: bool = False, check: bool = True) -> Iterator[tuple[Index, list[str]]]:
    """The index in step with the runs, and a line for each thing that was amiss.

    fresh: made anew from the runs. check: look for damage inside. Made in memory where its file cannot be written.
    """
    said: list[str] = []
    with _locked(reports):
        index = _opened(reports, fresh, check, said)
    try:
        yield index, said
    finally:
        index.close()


def _opened(reports: Path, fresh: bool, check: bool, said: list[str]) -> Index:
    path = reports / INDEX
    if not (reports / "runs").is_dir():
        return Index(":memory:")
    try:
        if fresh:
            _remove(path)
        return _synced(path, reports, check)
    except (sqlite3.DatabaseError, OSError) as error:
        if is_damage(error):
            with suppress(sqlite3.DatabaseError, OSError):
                kept = set_aside(path)
                index = _synced(path, reports)
                said.append(f"{INDEX} was damaged ({error}): moved to {kept.name}, made anew from the runs")
                return index
        used = "read" if is_damage(error) else "written"
        said.append(f"{INDEX} cannot be {used} ({error}): made in memory from the runs")
    return _synced(":memory:", reports)


def is_damage(error: Exception) -> bool:
    """Whether the file itself is wrong, rather than its folder, its disk or somebody who holds it."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and (code is None or code & 0xFF not in _NOT_OURS_TO_MEND)


def _synced(path: Path | str, reports: Path, check: bool = False) -> Index:
    index = Index(path)
    try:
        if check:
            index.check()
        index.sync(reports)
    except BaseException:
        index.close()
        raise
    return index


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _locked(reports: Path) -> Iterator[None]:
    """The lock of the reports folder, so that no run ends while the index is mended; none where there cannot be one."""
    lock = filelock.FileLock(reports / LOCK, timeout=LOCK_WAIT_S)
    held = False
    with suppress(OSError, filelock.Timeout):
        reports.stat()  # to look makes no folder
        lock.acquire()
        held = True
    try:
        yield
    finally:
        if held:
            lock.release()
