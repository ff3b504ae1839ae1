"""`interp warm --engine ray`: the rows of one process, from several; and what was read stays read."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.capture.on_ray import PIECE, pieces
from harness.capture.on_ray import _Notes as Notes
from harness.inputs import Reading
from harness.store import Store
from interp_tests.project import REPO, make_project
from interp_tests.test_packs import rows_of

N = 3 * PIECE + 7
CLAIMS = """\
- {id: rate, feature: 3, fire_rate: {prompts: many, rate: {at_least: .01}}}
- {id: back, reconstruction: {prompts: color, mse: {at_most: 9000}}}
- {id: up, feature: 3, promotes: {tokens: [" red"]}}
"""


@dataclass(frozen=True)
class Named:
    """All that a piece asks of a subject."""

    name: str


def reading_of(name, keys, residuals, corpora, promotions):
    prompts = tuple((key, f"text of {key}") for key in sorted(keys))
    return Reading(
        Named(name),
        f"code of {name}",
        prompts,
        residuals=frozenset(residuals & keys),
        corpora=tuple((corpus, corpus) for corpus in corpora),
        promotions=promotions,
    )


KEYS = st.sets(st.integers(0, 3 * PIECE).map(str))
READINGS = st.lists(
    st.builds(reading_of, st.just("one"), KEYS, KEYS, st.sets(st.sampled_from("xyz")), st.sampled_from([(), ("3",)])),
    min_size=1,
    max_size=3,
)


@given(READINGS)
def test_pieces_are_the_work_once(readings):
    """Every prompt, residual, corpus and promotion of every reading is in one piece; each piece has all subjects."""
    made = list(pieces(readings))
    assert all(len(piece) == len(readings) for piece in made)
    for at, reading in enumerate(readings):
        mine = [piece[at] for piece in made]
        assert sorted(row for one in mine for row in one.prompts) == sorted(reading.prompts)
        assert sorted(key for one in mine for key in one.residuals) == sorted(reading.residuals)
        assert sorted(row for one in mine for row in one.corpora) == sorted(reading.corpora)
        assert tuple(row for one in mine for row in one.promotions) == reading.promotions
        assert all(one.residuals <= {key for key, _ in one.prompts} for one in mine)
    assert all(len({key for one in piece for key, _ in one.prompts}) <= PIECE for piece in made)


def test_notes_take_what_a_sink_takes_and_no_more():
    """A method that no sink has is an error where it is called, not on the machine that replays it."""
    notes = Notes()
    notes.codes("code", [])
    assert notes.calls == [("codes", ("code", []))]
    with pytest.raises(AttributeError):
        notes.code("code", [])


@pytest.fixture
def project(tmp_path):
    made = make_project(tmp_path / "repo", tmp_path / "evidence.sqlite")
    made.suite("first", CLAIMS, prompts={"many": [f"The dog saw {i} red balls." for i in range(N)]})
    return made


def warm(project, store, *args):
    return project.run([sys.executable, "-m", "harness", "warm", "--json", *args], INTERP_STORE=str(store))


def test_two_workers_read_the_rows_of_one_process(project, tmp_path):
    """Codes, residuals, promotions and the sample of the weights, bit by bit; then pytest has nothing to read."""
    done = warm(project, tmp_path / "ray.sqlite", "--engine", "ray", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["subjects"][0]["lacking"] == 0
    assert "pieces read" in done.stderr
    assert warm(project, tmp_path / "here.sqlite").returncode == 0
    assert rows(tmp_path / "ray.sqlite") == rows(tmp_path / "here.sqlite")
    assert project.pytest("-q", INTERP_STORE=str(tmp_path / "ray.sqlite")).returncode in (0, 1)
    assert project.results()["capture"] == {}


@pytest.mark.slow
def test_weights_that_are_not_there_are_a_fault_of_their_subject(project, tmp_path):
    """Told as one process tells it; exit 3, and the other subject's rows are kept."""
    project.suite(
        "lost", "- {id: a, feature: 3, fire_rate: {prompts: plain, rate: {at_least: .01}}}\n", subjects="gone"
    )
    done = warm(project, tmp_path / "ray.sqlite", "--engine", "ray")
    told = {row["subject"]: row for row in json.loads(done.stdout)["subjects"]}
    assert done.returncode == 3
    assert (told["tiny"]["lacking"], told["gone"]["lacking"]) == (0, 8)
    here = warm(project, tmp_path / "here.sqlite", "specs/lost.yaml")
    assert told["gone"]["faults"] == json.loads(here.stdout)["subjects"][0]["faults"]


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_where_it_was(project, tmp_path):
    """kill -9 of all of it: what had come back is kept, the next run reads the rest, and the rows are the same."""
    store = tmp_path / "ray.sqlite"
    env = {**os.environ, **project.env, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", "INTERP_STORE": str(store)}
    command = [sys.executable, "-m", "harness", "warm", "--engine", "ray", "--workers", "2"]
    with subprocess.Popen(command, cwd=project.root, env=env, start_new_session=True) as run:
        while not codes_in(store) and run.poll() is None:
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
    kept = codes_in(store)
    assert 0 < kept < N
    done = warm(project, store, "--engine", "ray", "--workers", "2")
    assert json.loads(done.stdout)["subjects"][0]["held"] >= kept
    assert warm(project, tmp_path / "here.sqlite").returncode == 0
    assert rows(store) == rows(tmp_path / "here.sqlite")


def rows(path):
    with closing(Store(path, read_only=True)) as store:
        return rows_of(store)


def codes_in(store):
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as opened:
            return opened.execute("SELECT count(*) FROM codes").fetchone()[0]
    except sqlite3.Error:
        return 0
