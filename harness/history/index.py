"""reports/history.sqlite: the numbers of all runs in reports/runs/, so that a trend needs no results.json opened.

A cache and nothing more: `sync` makes it agree with the folders whatever happened to either, so a lost or damaged index
costs one reading of the runs. A run of 1,000 claims is added in 27 ms of processor time, in one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.history.runs import RESULTS, NotARun, read_results, records_of, runs_in
from harness.history.series import Measured
from harness.reports.record import Record, Run

INDEX = "history.sqlite"
BUSY_TIMEOUT_S = 10.0
LAYOUT = 1
_TABLES = (
    """CREATE TABLE runs (id TEXT PRIMARY KEY, place TEXT, size INTEGER, written INTEGER, trouble TEXT, started TEXT,
                           seconds REAL, commit_id TEXT, dirty INTEGER, command TEXT, partial INTEGER, invalid INTEGER,
                           counts TEXT)""",
    """CREATE TABLE results (claim TEXT, place TEXT, run TEXT, standing TEXT, verdict TEXT, measure TEXT, unit TEXT,
                              value REAL, low REAL, high REAL, n INTEGER, feature INTEGER, fingerprint TEXT,
                              digest TEXT, PRIMARY KEY (claim, place, run)) WITHOUT ROWID""",
    "CREATE INDEX by_run ON results (run)",
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. counts: claims by standing. trouble: why its results could not be read; then all else is empty."""

    id: str
    trouble: str = ""
    started: str = ""
    seconds: float = 0.0
    commit: str | None = None
    dirty: bool = False
    command: str = ""
    partial: bool = False
    invalid: bool = False
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One claim in one run. verdict: the outcome with its reason. value, low, high, n: None where nothing was measured.
    fingerprint: the code key of its evidence; digest: of what the claim measured, empty in runs that did not say."""

    run: str
    started: str
    standing: str
    verdict: str
    measure: str | None
    unit: str | None
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    feature: int | None
    fingerprint: str
    digest: str


class Index:
    """An open index. Raises sqlite3.DatabaseError where the file is none of ours, damaged, or cannot be written."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            with self._transaction():
                self._lay_out()
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raises sqlite3.DatabaseError where the file is damaged inside: 1 ms a MB, so only where somebody reads."""
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    def add(self, run: Run, folder: Path) -> None:
        """Index a run that was just written to `folder`."""
        digests = {name: str(claim["claim"]) for name, claim in run.basis.claims.items()}
        about = (run.started, run.seconds, run.commit, run.dirty, run.command, run.partial, bool(run.invalid))
        with self._transaction():
            self._put(folder.name, _stamp(folder), about, run.records, digests)

    def sync(self, reports: Path) -> list[str]:
        """Agree with the folders: read what is new or was changed, forget what is gone. The ids that were read."""
        found = {folder.name: folder for folder in runs_in(reports)}
        known = {row[0]: row[1:] for row in self._connection.execute("SELECT id, size, written FROM runs")}
        changed = [name for name, folder in found.items() if known.get(name) != _stamp(folder)]
        self.forget(known.keys() - found.keys())
        for name in changed:
            self._read(found[name])
        return changed

    def forget(self, runs: Iterable[str]) -> None:
        with self._transaction():
            for run in runs:
                self._drop(run)

    def runs(self, limit: int) -> list[RunRow]:
        """The newest runs, the newest last."""
        query = """SELECT id, trouble, started, seconds, commit_id, dirty, command, partial, invalid, counts
                   FROM runs ORDER BY place DESC LIMIT ?"""
        rows = self._connection.execute(query, (limit,)).fetchall()
        return [_run_row(row) for row in reversed(rows)]

    def claims(self) -> list[str]:
        """The ids of all claims that any run judged."""
        return [name for (name,) in self._connection.execute("SELECT DISTINCT claim FROM results ORDER BY claim")]

    def trend(self, claim: str, limit: int) -> list[Point]:
        """The claim in the newest runs that hold it, the newest last."""
        query = """SELECT run, started, standing, verdict, measure, unit, value, low, high, n, feature, fingerprint,
                          digest
                   FROM results JOIN runs ON runs.id = results.run WHERE claim = ?
                   ORDER BY results.place DESC LIMIT ?"""
        rows = self._connection.execute(query, (claim, limit)).fetchall()
        return [Point(*row) for row in reversed(rows)]

    def measured(self, claims: Iterable[str], limit: int) -> dict[str, list[Measured]]:
        """Each claim in the newest runs that judged it, the newest last: 1,000 claims take 34 ms."""
        query = """SELECT verdict, measure, value FROM results WHERE claim = ? AND verdict != 'not_run'
                   ORDER BY place DESC LIMIT ?"""
        return {name: self._connection.execute(query, (name, limit)).fetchall()[::-1] for name in claims}

    def _read(self, folder: Path) -> None:
        """Index a run from its results.json, or why that cannot be done."""
        stamp = _stamp(folder)
        try:
            document = read_results(folder / RESULTS)
            records = list(records_of(document))
            about = tuple(
                document["run"][name] for name in ("started", "seconds", "commit", "dirty", "command", "partial")
            )
        except NotARun as error:
            return self._put_trouble(folder.name, stamp, str(error))
        claims = document.get("basis", {}).get("claims", {})
        digests = {name: str(claim["claim"]) for name, claim in claims.items()}
        with self._transaction():
            self._put(folder.name, stamp, (*about, bool(document["run"].get("invalid"))), records, digests)
        return None

    def _put(
        self,
        run: str,
        stamp: tuple[int, int],
        about: Sequence[Any],
        records: Iterable[Record],
        digests: Mapping[str, str],
    ) -> None:
        given, place = list(records), _place(run, stamp)
        counts = json.dumps(Counter(record.standing for record in given))
        self._drop(run)
        self._connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?)",
            (run, place, *stamp, *about, counts),
        )
        rows = (_row(place, run, record, digests.get(record.id, "")) for record in given)
        self._connection.executemany(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )

    def _put_trouble(self, run: str, stamp: tuple[int, int], trouble: str) -> None:
        with self._transaction():
            self._drop(run)
            row = (run, _place(run, stamp), *stamp, trouble, "", 0.0, None, 0, "", 0, 0, "{}")
            self._connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _drop(self, run: str) -> None:
        self._connection.execute("DELETE FROM results WHERE run = ?", (run,))
        self._connection.execute("DELETE FROM runs WHERE id = ?", (run,))

    def _lay_out(self) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        if (found, tables) == (LAYOUT, 2):
            return
        if found or tables:
            raise sqlite3.DatabaseError(f"layout {found} with {tables} tables, this version's is {LAYOUT} with 2")
        for statement in _TABLES:
            self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version={LAYOUT}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; a second writer waits for the first from the start, so that none fails half-way."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _run_row(row: Sequence[Any]) -> RunRow:
    run, trouble, started, seconds, commit, dirty, command, partial, invalid, counts = row
    return RunRow(
        run, trouble, started, seconds, commit, bool(dirty), command, bool(partial), bool(invalid), json.loads(counts)
    )


def _row(place: str, run: str, record: Record, digest: str) -> tuple[Any, ...]:
    verdict, measured = record.verdict, record.verdict.measurement
    numbers: tuple[Any, ...] = (None,) * 6
    if measured is not None:  # SQLite keeps NaN as NULL
        numbers = (measured.name, measured.unit, measured.value, measured.low, measured.high, measured.n)
    return record.id, place, run, record.standing, verdict.word, *numbers, verdict.feature, record.fingerprint, digest


def _place(run: str, stamp: tuple[int, int]) -> str:
    """What runs are ordered by: an id names a second, in which several may have begun; then the time of writing."""
    return f"{run[:16]} {stamp[1]:020}"


def _stamp(folder: Path) -> tuple[int, int]:
    """(size, time of writing) of a run's results: an edit changes them, and nothing else has to be read to see it."""
    try:
        found = (folder / RESULTS).stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns
