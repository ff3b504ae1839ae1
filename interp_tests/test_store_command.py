"""`interp store size | verify | prune`: what the evidence takes, whether it is whole, and dropping some of it."""

import contextlib
import json
import sqlite3
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.sizes import parse_bytes, parse_seconds, shown_bytes
from harness.keys import code_key
from harness.language.subjects import find_subject
from harness.store import Limits, MemoryStore, Store
from interp_tests import command
from interp_tests.command import enter
from interp_tests.project import make_project
from interp_tests.test_store import PARTS, damage, make_codes

CLAIM = "- {id: a, fires_more: {feature: 1, prompts: color, than: plain}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in the current folder, and its store: 3 rows of tiny, 1 of nobody."""
    made = make_project(tmp_path / "repo", tmp_path / "evidence.sqlite")
    made.suite("first", CLAIM)
    enter(made, monkeypatch)
    with contextlib.closing(Store(tmp_path / "evidence.sqlite")) as store:
        tiny = code_key(find_subject(Path(), "tiny"))
        store.put(tiny, PARTS, [("p", make_codes(0)), ("q", make_codes(1))])
        store.put_residuals(tiny, [("p", np.zeros((5, 4), np.float32))])
        store.put("of nobody", PARTS, [("p", make_codes(0))])
    return made


@pytest.fixture
def interp(project, capsys):
    """interp(*args) -> (exit code, standard output, standard error)."""
    return partial(command.interp, capsys)


def test_size_names_whose_evidence_it_is(interp):
    """Rows of a subject of today carry its name, others none."""
    code, out, _ = interp("store", "size", "--json")
    told = json.loads(out)
    assert code == 0
    assert {row["subject"]: row["rows"] for row in told["subjects"]} == {"tiny": 3, None: 1}
    assert told["tables"]["codes"]["rows"] == 3
    assert sum(t["bytes"] for t in told["tables"].values()) == sum(s["bytes"] for s in told["subjects"])
    assert told["file_bytes"] == Path(told["path"]).stat().st_size
    assert "no subject of today (of nobody)" in interp("store", "size")[1]


def test_verify_tells_of_damage_and_drops_it_only_when_asked(interp, tmp_path):
    """A flipped byte is 3 until --repair drops its row; then the store is whole."""
    assert interp("store", "verify")[0] == 0
    damage(tmp_path / "evidence.sqlite", "residuals")
    for _ in range(2):
        code, out, _ = interp("store", "verify", "--json")
        assert (code, json.loads(out)["damaged"], json.loads(out)["dropped"]) == (3, 1, 0)
    code, out, _ = interp("store", "verify", "--repair")
    assert (code, "4 rows, 1 damaged and dropped" in out) == (0, True)
    assert "3 rows, 0 damaged" in interp("store", "verify")[1]


def test_prune_drops_what_no_subject_reads_today(interp, tmp_path):
    """--stale takes the rows of nobody and leaves those of tiny; --dry-run takes none and says the same."""
    would = json.loads(interp("store", "prune", "--stale", "--dry-run", "--json")[1])
    assert Store(tmp_path / "evidence.sqlite").have("of nobody", ["p"]) == {"p"}
    did = json.loads(interp("store", "prune", "--stale", "--json")[1])
    assert (would["rows"], would["bytes"]) == (did["rows"], did["bytes"])
    assert did["rows"] == 1
    assert {row["subject"] for row in json.loads(interp("store", "size", "--json")[1])["subjects"]} == {"tiny"}


def test_prune_does_not_take_a_mistyped_subject_for_a_gone_one(interp, project):
    """With a mistake in subjects.yaml nothing is stale yet: it is reported and nothing is dropped."""
    with (project.root / "specs/subjects.yaml").open("a") as file:
        file.write("  other: {model: tiny, sae: nowhere, dtype: float32, device: cpu}\n")
    code, _, err = interp("store", "prune", "--stale")
    assert (code, "nowhere" in err) == (2, True)
    assert "4 rows, 0 damaged" in interp("store", "verify")[1]


def test_prune_by_age_and_by_size(interp, tmp_path):
    """What was written before the age goes; to fit a size residuals go first."""
    with contextlib.closing(sqlite3.connect(tmp_path / "evidence.sqlite")) as raw, raw:
        raw.execute("UPDATE codes SET written=? WHERE prompt_key='q'", (time.time() - 3 * 86400,))
    assert json.loads(interp("store", "prune", "--older-than", "4d", "--json")[1])["rows"] == 0
    assert json.loads(interp("store", "prune", "--older-than", "2d", "--json")[1])["rows"] == 1
    left = json.loads(interp("store", "size", "--json")[1])["tables"]["codes"]["bytes"]
    assert json.loads(interp("store", "prune", "--max-size", f"{left}B", "--json")[1])["rows"] == 1
    assert json.loads(interp("store", "size", "--json")[1])["tables"]["residuals"]["rows"] == 0


@pytest.mark.parametrize("args", [[], ["--older-than", "2 moons"], ["--max-size", "-5MB"]])
def test_prune_asks_what_may_go(interp, args):
    """No limit, or one that is none, is a usage error."""
    assert interp("store", "prune", *args)[0] == 2


@pytest.mark.parametrize("command", ["size", "verify", "prune"])
def test_a_store_that_is_not_there_is_not_made(interp, tmp_path, monkeypatch, command):
    """A mistyped INTERP_STORE is one message and exit code 3."""
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "nowhere.sqlite"))
    code, _, err = interp("store", command, *(["--stale"] if command == "prune" else []))
    assert (code, "store_absent" in err) == (3, True)
    assert not (tmp_path / "nowhere.sqlite").exists()


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), max_size=8, unique=True),
    max_bytes=st.none() | st.integers(0, 5000),
    keys=st.none() | st.sets(st.sampled_from("ab")),
)
def test_a_dry_run_foretells_and_the_limits_are_kept(rows, max_bytes, keys):
    """Whatever the limits: the same count, at most max_bytes left, and no row of a refused key."""
    store = MemoryStore()
    for code, n in rows:
        store.put(code, PARTS, [(f"p{n}", make_codes(n, n_tokens=n))])
    limits = Limits(max_bytes=max_bytes, code_keys=keys)
    before = store.stats()["codes"]
    told = store.prune(limits, dry_run=True)
    assert store.stats()["codes"] == before
    assert store.prune(limits) == told
    after = store.stats()["codes"]
    assert (before["rows"] - after["rows"], before["bytes"] - after["bytes"]) == (told.rows, told.bytes)
    assert max_bytes is None or after["bytes"] <= max_bytes
    assert keys is None or store.sizes().keys() <= keys
    assert store.stats()["code_keys"] == len(store.sizes()) or not told.rows
    store.close()


def test_sizes_are_read_and_shown_as_people_write_them():
    """Decimal and binary units; and none that is not one."""
    assert [parse_bytes(t) for t in ("7", "5kB", "1.5 GiB", "2gb")] == [7, 5000, 1610612736, 2 * 10**9]
    assert [parse_seconds(t) for t in ("12h", "30d", "1 w")] == [43200, 2592000, 604800]
    assert [shown_bytes(n) for n in (0, 999, 1000, 41_300_000)] == ["0 B", "999 B", "1.0 kB", "41.3 MB"]
