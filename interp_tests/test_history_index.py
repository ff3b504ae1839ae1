"""reports/history.sqlite: in step with the folders, whatever happened to either."""

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.ending import write_and_keep
from harness.history.index import INDEX, Index
from harness.history.opening import opened
from harness.history.pruning import Limits
from harness.history.series import series
from harness.history.sparkline import ASCII, BLOCKS, levels_for, sparkline
from harness.reports.exhibits import Exhibits
from harness.reports.json import content_digest
from harness.reports.write import write_run
from harness.verdict import Measurement
from interp_tests import report_cases as cases
from interp_tests.report_cases import record, run

ALL = Limits(runs=0, days=0)  # the cases' runs are of one day of 2026
CLAIM = "tiny-gemma2/color::holds"


def write(folder, made, limits=ALL):
    fault, said = write_and_keep(made, folder, limits, Exhibits(), lambda picture: None)
    assert fault is None
    return said


def valued(value, **changes):
    """A run of one met claim with this AUROC."""
    measured = Measurement("auroc", value, 40, low=value - 0.1, high=value + 0.02)
    return run([record(cases.MET.with_(measurement=measured), "holds", **changes)])


def trend(folder):
    with opened(folder) as (index, said):
        return [point.value for point in index.trend(CLAIM, 50)], said


def results(folder, made):
    return folder / "runs" / made.id / "results.json"


def edit(path, change, renewed=False):
    """Change a results.json by hand, with or without a digest that fits."""
    document = json.loads(path.read_text())
    change(document)
    document = {**document, "digest": content_digest(document)} if renewed else document
    path.write_text(json.dumps(document))


def test_runs_are_indexed_as_they_end(tmp_path):
    """Counts, command, and of each claim the numbers, the newest last."""
    first, second = run(), valued(0.875)
    assert write(tmp_path, first) == write(tmp_path, second) == []
    index = Index(tmp_path / INDEX)
    rows = index.runs(10)
    assert [row.id for row in rows] == [first.id, second.id]
    assert rows[0].counts["unmet as expected"] == 1
    assert sum(rows[0].counts.values()) == len(first.records)
    assert (rows[1].command, rows[1].partial, rows[1].trouble) == ("pytest -q", False, "")
    points = index.trend(CLAIM, 10)
    assert [(p.run, p.value, p.n, p.standing) for p in points] == [
        (first.id, 0.9775, 40, "met"),
        (second.id, 0.875, 40, "met"),
    ]
    assert [p.value for p in index.trend(CLAIM, 1)] == [0.875]
    assert index.claims() == sorted(record.id for record in first.records)


def test_a_lost_index_is_made_again_from_the_runs(tmp_path):
    """What is read from results.json is what was indexed when the run ended, NaN included."""
    write(
        tmp_path,
        run([*cases.all_records(), record(cases.MET.with_(measurement=Measurement("auroc", float("nan"), 4)), "nan")]),
    )
    write(tmp_path, valued(0.5))
    whole = "SELECT * FROM results ORDER BY claim, place, run"
    with sqlite3.connect(tmp_path / INDEX) as connection:
        before = connection.execute(whole).fetchall()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / (INDEX + suffix)).unlink(missing_ok=True)
    assert trend(tmp_path)[1] == []
    with sqlite3.connect(tmp_path / INDEX) as connection:
        assert connection.execute(whole).fetchall() == before
    assert len(before) == len(cases.all_records()) + 2


def garbage(path):
    path.write_bytes(b"this is no database, and long enough to be looked at " * 40)


def torn(path):
    """The pages of the tables overwritten, the first one whole, as a bad disk leaves it."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    path.write_bytes(raw)


def emptied(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE results")


def of_another_version(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("spoil", [garbage, torn, emptied, of_another_version])
def test_a_damaged_index_is_made_anew_and_said(tmp_path, spoil):
    """By who reads it, with one line; the next reader finds nothing amiss."""
    for value in (0.5, 0.75):
        write(tmp_path, valued(value))
    for suffix in ("-wal", "-shm"):
        (tmp_path / (INDEX + suffix)).unlink(missing_ok=True)
    spoil(tmp_path / INDEX)
    values, said = trend(tmp_path)
    assert values == [0.5, 0.75]
    assert len(said) == 1
    assert "damaged" in said[0]
    (kept,) = (path for path in tmp_path.glob(f"{INDEX}.damaged-*") if not path.name.endswith(("-wal", "-shm")))
    assert kept.name in said[0]
    assert trend(tmp_path) == ([0.5, 0.75], [])


@pytest.mark.parametrize("spoil", [garbage, emptied])
def test_a_run_ends_well_over_a_damaged_index(tmp_path, spoil):
    """The report is written, a line says what happened, and the index holds both runs."""
    write(tmp_path, valued(0.5))
    for suffix in ("-wal", "-shm"):
        (tmp_path / (INDEX + suffix)).unlink(missing_ok=True)
    spoil(tmp_path / INDEX)
    said = write(tmp_path, valued(0.75))
    assert len(said) == 1
    assert said[0].startswith("history: history.sqlite was damaged")
    assert trend(tmp_path)[0] == [0.5, 0.75]


def test_an_index_that_cannot_be_written_is_made_in_memory(tmp_path):
    """A folder in its place: the trend is there all the same, and the run ends well."""
    made = valued(0.5)
    write_run(made, tmp_path)
    (tmp_path / INDEX).mkdir()
    values, said = trend(tmp_path)
    assert values == [0.5]
    assert "in memory" in said[0]
    assert "in memory" in write(tmp_path, valued(0.75))[0]


def test_runs_that_end_together_are_all_indexed(tmp_path):
    """Eight at once, each with a connection of its own: none is lost, none waits in vain."""
    made, start = [valued(0.1 * n) for n in range(8)], threading.Barrier(8)

    def end(one):
        start.wait()
        return write(tmp_path, one)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(end, made)) == [[]] * 8
    with sqlite3.connect(tmp_path / INDEX) as connection:
        found = {name for (name,) in connection.execute("SELECT id FROM runs")}
    assert len(found) == 8
    assert len(trend(tmp_path)[0]) == 8


def test_an_edited_run_is_named_and_left_out(tmp_path):
    """Its numbers leave the trend though they were indexed; an edit that renews the digest is the run it says it is."""
    made = [valued(value) for value in (0.5, 0.6, 0.7)]
    for one in made:
        write(tmp_path, one)
    edit(results(tmp_path, made[1]), lambda d: d["records"][0]["measurement"].update(value=0.99))
    assert trend(tmp_path)[0] == [0.5, 0.7]
    with opened(tmp_path) as (index, _):
        troubles = {row.id: row.trouble for row in index.runs(9)}
    assert "not as its run wrote it" in troubles[made[1].id]
    assert troubles[made[0].id] == ""
    edit(results(tmp_path, made[1]), lambda d: d["records"][0]["measurement"].update(value=0.65), renewed=True)
    assert sorted(trend(tmp_path)[0]) == [0.5, 0.65, 0.7]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ('{"schema": "other"}', "is no interp-specs"),
        (None, "cannot be read"),
        ("[" * 99_999, "cannot"),
    ],
)
def test_results_that_cannot_be_read_are_never_fatal(tmp_path, text, says):
    """The run is named with the reason; the others are as they were."""
    made = valued(0.5)
    write(tmp_path, made)
    other = tmp_path / "runs" / "20200101T000000Z-aaaa"
    other.mkdir()
    if text is not None:
        (other / "results.json").write_text(text)
    assert trend(tmp_path)[0] == [0.5]
    with opened(tmp_path) as (index, _):
        assert [(row.id, says in row.trouble) for row in index.runs(9)] == [(other.name, True), (made.id, False)]


def test_records_of_another_version_are_named(tmp_path, snapshot):
    """A results.json whose digest fits, but that lacks what is needed."""
    made = valued(0.5)
    write(tmp_path, made)
    edit(results(tmp_path, made), lambda d: d["records"][0].pop("tags"), renewed=True)
    with opened(tmp_path) as (index, _):
        assert index.runs(9)[0].trouble == snapshot
        assert index.claims() == []


def test_a_run_that_is_gone_leaves_the_index(tmp_path):
    """Whoever removed its folder."""
    made = [valued(value) for value in (0.5, 0.6)]
    for one in made:
        write(tmp_path, one)
    for path in (tmp_path / "runs" / made[0].id).iterdir():
        path.unlink()
    (tmp_path / "runs" / made[0].id).rmdir()
    assert trend(tmp_path)[0] == [0.6]


def test_reports_without_runs_have_an_empty_history(tmp_path):
    """No folder is made by looking, and nothing is amiss."""
    with opened(tmp_path / "reports") as (index, said):
        assert (index.runs(5), index.claims(), said) == ([], [], [])
    assert not (tmp_path / "reports").exists()


# --- the line --------------------------------------------------------------------------------------------------------

VALUES = st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=40)


@given(VALUES, st.sampled_from([BLOCKS, ASCII]))
def test_a_sparkline_keeps_order(values, levels):
    """One sign a value; a larger value never has a lower sign, and values that differ use both ends of the scale."""
    line = sparkline(values, levels)
    assert len(line) == len(values)
    known = [(v, levels.index(c)) for v, c in zip(values, line, strict=True) if c in levels]
    finite = [v for v in values if v is not None and abs(v) < float("inf")]
    assert [v for v, _ in known] == finite
    for one, sign in known:
        assert all(other_sign >= sign for other, other_sign in known if other >= one)
    if finite and max(finite) > min(finite):
        assert {0, len(levels) - 1} <= {sign for _, sign in known}


@pytest.mark.parametrize(
    ("terminal", "encoding", "no_color", "levels"),
    [
        (True, "utf-8", "", BLOCKS),
        (False, "utf-8", "", ASCII),
        (True, "ascii", "", ASCII),
        (True, "utf-8", "1", ASCII),
        (True, None, "", ASCII),
    ],
)
def test_blocks_are_for_terminals_that_show_them(monkeypatch, terminal, encoding, no_color, levels):
    """A pipe, NO_COLOR and an encoding without them get ASCII."""

    class Stream:
        def isatty(self):
            return terminal

    Stream.encoding = encoding
    monkeypatch.setenv("NO_COLOR", no_color)
    assert levels_for(Stream()) == levels


def test_a_series_is_of_one_measure():
    """An undecided run that counted firing prompts is a gap in a series of AUROCs, not a value of it."""
    runs = [("met", "auroc", 0.9), ("inconclusive: too_sparse", "firing prompts", 1.0), ("unmet", "auroc", 0.4)]
    assert series(runs) == [0.9, None, 0.4]
    assert series([*runs, ("inconclusive: too_sparse", "firing prompts", 2.0)]) == [0.9, None, 0.4, None]
    assert series(runs[1:2]) == [1.0]
    assert series([]) == []
