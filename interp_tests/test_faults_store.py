"""The store under faults: killed writers, flipped bytes, many processes at once, a full disk."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import Counter

import pytest

from harness.errors import EnvironmentFault
from harness.store import Store
from interp_tests.project import COLOR, REPO, make_project
from interp_tests.test_packs import rows_of
from interp_tests.test_plugin import FOUND, MET, UNMET

COUNTS = [5, pytest.param(50, marks=pytest.mark.slow)]
PROCESSES = [2, pytest.param(8, marks=pytest.mark.slow)]
FLIPS = [100, pytest.param(1000, marks=pytest.mark.slow)]
TABLES = ("codes", "residuals", "sums", "promotions", "weights", "verdicts")
MANY = [f"{color[:-1]}, {i} times and more, as they said at the end of the day." for i in range(60) for color in COLOR]
CLAIMS = f"""\
{MET}{UNMET}- id: many
  feature: 3
  fire_rate: {{prompts: many, rate: {{at_least: 0.1}}}}
- id: back
  reconstruction: {{prompts: color, mse: {{at_most: 9000}}}}
- id: up
  feature: 3
  promotes: {{tokens: [" red"]}}
"""


class Clean:
    """A project, and what an undisturbed cold run of it gave: its rows, verdicts and seconds."""

    def __init__(self, root):
        self.store = root / "clean.sqlite"
        self.project = make_project(root / "repo", self.store)
        self.project.suite("color", CLAIMS, prompts={**FOUND, "many": MANY})
        began = time.monotonic()
        self.run()
        self.seconds = time.monotonic() - began
        self.writing = seconds_of_writing(self.store)
        self.rows = rows(self.store)
        self.verdicts = self.told()

    def run(self, *args, **env):
        shutil.rmtree(self.project.root / "reports", ignore_errors=True)
        done = self.project.pytest("-q", *args, **env)
        assert done.returncode == 1, done.stdout + done.stderr  # one claim of the suite is unmet
        return done

    def told(self):
        return sorted((r["id"], r["outcome"], str(r["measurement"]), r["p"]) for r in self.project.results()["records"])

    def popen(self, store, reports):
        named = {"INTERP_STORE": str(store), "INTERP_REPORTS": str(reports)}
        env = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", **self.project.env, **named}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        out = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.project.root, env=env, start_new_session=True, stdout=out, stderr=out, text=True
        )


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return Clean(tmp_path_factory.mktemp("clean"))


def rows(path):
    """Every row of a store, but when it was written; checked against its checksum."""
    with contextlib.closing(Store(path)) as store:
        assert store.verify()[1] == 0
        return rows_of(store)


def seconds_of_writing(path):
    """From the first row to the last."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        first, last = raw.execute("SELECT min(written), max(written) FROM codes").fetchone()
    return last - first


def integrity(path):
    with contextlib.closing(sqlite3.connect(path)) as raw:
        return raw.execute("PRAGMA integrity_check").fetchall()


def codes_in(path):
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as raw:
            return raw.execute("SELECT count(*) FROM codes").fetchone()[0]
    except sqlite3.Error:
        return 0


def killed(clean, store, draw):
    """Whether a cold run was killed at a moment drawn at random: of all its time, or, as often, of its writing."""
    run = clean.popen(store, store.parent / "reports")
    if draw.random() < 0.5:
        wait = draw.uniform(0, clean.seconds)
    else:
        while not codes_in(store) and run.poll() is None:
            time.sleep(0.01)
        wait = draw.uniform(0, clean.writing)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(wait)
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    return run.returncode == -signal.SIGKILL


@pytest.mark.parametrize("n", COUNTS)
def test_a_run_killed_at_any_moment_loses_nothing_and_keeps_nothing_wrong(clean, tmp_path, n):
    """kill -9 at n moments: the file is whole, each row is the clean run's, and the next run gives its verdicts."""
    draw, kills, halfway = random.Random(n), 0, 0
    while kills < n:
        folder = tmp_path / str(kills)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        store = folder / "killed.sqlite"
        if not killed(clean, store, draw):
            continue  # it had ended before
        kills += 1
        if store.exists():
            assert integrity(store) == [("ok",)]
            found = rows(store)
            assert found.items() <= clean.rows.items()
            halfway += 0 < len(found) < len(clean.rows)
        if n > 5 or kills == n:
            clean.run(INTERP_STORE=str(store))
            assert (rows(store), clean.told()) == (clean.rows, clean.verdicts)
    assert halfway > 0, "no kill hit a run that was writing"


def flipped(value, draw):
    at = draw.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]


def test_a_flipped_bit_in_every_row_is_found_and_read_again(clean, tmp_path):
    """In each row's value or its checksum: none is taken for evidence, and the next run has the rows and verdicts."""
    store, draw, flips = tmp_path / "flipped.sqlite", random.Random(0), 0
    shutil.copy(clean.store, store)
    with contextlib.closing(sqlite3.connect(store)) as raw, raw:
        for table in TABLES:
            for row, value, stamp in raw.execute(f"SELECT rowid, value, checksum FROM {table}").fetchall():
                column, old = draw.choice([("value", value), ("checksum", stamp)])
                raw.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (flipped(old, draw), row))
                flips += 1
    shutil.copy(store, tmp_path / "copy.sqlite")
    with contextlib.closing(Store(tmp_path / "copy.sqlite")) as copy, pytest.warns(RuntimeWarning, match="damaged"):
        seen = copy.verify()
    assert seen == (flips, flips)
    clean.run(INTERP_STORE=str(store))
    assert (rows(store), clean.told()) == (clean.rows, clean.verdicts)


@pytest.mark.parametrize("n", FLIPS)
def test_a_flipped_bit_anywhere_in_the_file_gives_no_other_evidence(clean, tmp_path, n):
    """Every row that comes back is the one that was written, or the store says that it cannot be read."""
    codes = {(code, key): value for (table, code, key, *_), value in _of_values(clean.rows) if table == "codes"}
    whole, draw, fates = _checkpointed(clean.store, tmp_path), random.Random(n), Counter()
    for i in range(n):
        path = tmp_path / f"{i}.sqlite"
        path.write_bytes(flipped(whole, draw))
        fates[_fate(path, codes)] += 1
        path.unlink()
    assert fates["whole"] > 0
    assert fates["missed"] + fates["store_unreadable"] + fates["store_damaged"] > 0
    assert fates.keys() <= {"whole", "missed", "store_unreadable", "store_damaged"}


def _of_values(found):
    return [(key, value) for key, value in found.items() if key[0] != "parts"]


def _checkpointed(path, folder):
    copy = folder / "whole.sqlite"
    shutil.copy(path, copy)
    with contextlib.closing(sqlite3.connect(copy)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return copy.read_bytes()


def _fate(path, codes):
    wanted = {code for code, _ in codes}
    try:
        with warnings.catch_warnings(), contextlib.closing(Store(path, read_only=True)) as store:
            warnings.simplefilter("ignore", RuntimeWarning)
            found = {
                (code, key): value
                for code in wanted
                for key, (value,) in store.raw("codes", code, [k for c, k in codes if c == code])
            }
    except EnvironmentFault as fault:
        return fault.code
    assert found.items() <= codes.items()
    return "whole" if len(found) == len(codes) else "missed"


@pytest.mark.parametrize("n", PROCESSES)
def test_processes_that_start_together_on_a_cold_store_agree(clean, tmp_path, n):
    """Same verdicts from each, the rows of one, and nobody meets a locked database."""
    store = tmp_path / "shared.sqlite"
    runs = [clean.popen(store, tmp_path / f"reports{i}") for i in range(n)]
    outs = ["".join(run.communicate(timeout=900)) for run in runs]
    assert [run.returncode for run in runs] == [1] * n, outs
    assert not [out for out in outs if "locked" in out]
    told = []
    for i in range(n):
        shutil.rmtree(clean.project.root / "reports", ignore_errors=True)
        shutil.copytree(tmp_path / f"reports{i}", clean.project.root / "reports")
        told.append(clean.told())
    assert told == [clean.verdicts] * n
    assert integrity(store) == [("ok",)]
    assert rows(store) == clean.rows


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own and of some hundred KB, unmounted in the end; `fill` leaves no byte of it."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.fail(f"a full disk is tried on a small tmpfs, and only root may mount one: {mounted.stderr.decode()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize(
    ("full", "workers"),
    [
        ("on_the_way", "0"),
        pytest.param("at_once", "0", marks=pytest.mark.slow),
        pytest.param("at_once", "2", marks=pytest.mark.slow),
        pytest.param("on_the_way", "2", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_under_the_store_is_said_and_claims_are_judged(clean, small_disk, full, workers):
    """The run names the store and the reason, and its verdicts are those of a run with room."""
    if full == "at_once":
        fill(small_disk)
    done = clean.run("-n", workers, INTERP_STORE=str(small_disk / "store.sqlite"), INTERP_CACHE=str(small_disk / "c"))
    assert "cannot be written" in done.stdout
    assert "keeps its evidence to itself" in done.stdout
    assert clean.told() == clean.verdicts
    assert not clean.project.results()["run"]["invalid"]


def test_a_full_disk_under_the_reports_is_said_and_red(clean, small_disk):
    """Claims are judged and printed; the last report stays; a run without a report is not green."""
    fill(small_disk)
    done = clean.project.pytest("-q", "-k", "holds", INTERP_REPORTS=str(small_disk / "reports"))
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "reports_not_written" in done.stdout
    assert "No space left" in done.stdout
    assert not (small_disk / "reports/latest").exists()
