"""The store gives back exactly what was put in, or nothing; it never gives back something else."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Codes, Kind, concat
from harness.errors import EnvironmentFault
from harness.store import Limits, MemoryStore, Overlay, Store, open_or_overlay
from harness.sums import Sums

PARTS = {"weights": "w", "transformers": "5.23.0", "torch": "2.13.0"}


def make_codes(seed=0, n_tokens=5, d_in=4, d_sae=16, tokens=None):
    """Random codes of one prompt, BOS first."""
    rng = np.random.default_rng(seed)
    fires = rng.random((n_tokens, d_sae)) < 0.3
    kind = np.full(n_tokens, Kind.TEXT, np.uint8)
    kind[:1] = Kind.SPECIAL
    sink = np.arange(n_tokens) == 1
    sum_h = np.zeros((1, len(Kind), d_in))
    sum_h[0, np.unique(kind)] = rng.normal(size=(len(np.unique(kind)), d_in))
    return Codes(
        indptr=np.r_[0, fires.sum(1).cumsum()].astype(np.int64),
        index=np.nonzero(fires)[1].astype(np.int32),
        value=rng.normal(size=int(fires.sum())).astype(np.float32),
        prompt=np.zeros(n_tokens, np.int32),
        position=np.arange(n_tokens, dtype=np.int32),
        token_id=rng.integers(0, 99, n_tokens).astype(np.int32),
        token=tuple(tokens or [f" t{i}" for i in range(n_tokens)]),
        start=np.arange(n_tokens, dtype=np.int32) - 1,
        end=np.arange(n_tokens, dtype=np.int32),
        kind=kind,
        **{name: rng.normal(size=n_tokens) for name in ("hh", "rr", "hr", "ee")},
        sum_h=sum_h,
        sink=sink,
        sink_h=rng.normal(size=(int(sink.sum()), d_in)).astype(np.float32),
        d_sae=d_sae,
    )


def make_sums(seed=0, n_blocks=1):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 9, n_blocks)
    return Sums(
        part=np.zeros(n_blocks, np.uint8),
        n=n,
        **{name: rng.normal(size=n_blocks) for name in ("hh", "rr", "hr", "ee", "cosine", "norm_ratio", "l0")},
        sum_h=rng.normal(size=(n_blocks, 4)),
        fired=rng.integers(0, n[:, None] + 1, (n_blocks, 16)),
    )


def same(a, b):
    """Bit-equal in every field, types included."""
    fields = a.__dataclass_fields__
    pairs = [(getattr(a, name), getattr(b, name)) for name in fields]
    return all((x.dtype == y.dtype and np.array_equal(x, y)) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "evidence.sqlite"


def damage(path, table="codes", column="value"):
    """Flip one byte in the middle of one row, as a bad disk would."""
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        rowid, value = raw.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid LIMIT 1").fetchone()
        broken = bytearray(value)
        broken[len(broken) // 2] ^= 1
        raw.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (bytes(broken), rowid))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    tokens=st.lists(st.text(max_size=8), min_size=1, max_size=12),
    d_in=st.integers(1, 9),
    d_sae=st.integers(1, 40),
)
def test_codes_come_back_bit_equal(seed, tokens, d_in, d_sae):
    """Whatever the tokens' text, the widths and the number of firings."""
    codes = make_codes(seed, len(tokens), d_in, d_sae, tokens)
    store = MemoryStore()
    store.put("c", PARTS, [("p", codes)])
    assert same(store.get("c", ["p"])["p"], codes)


def test_other_codes_are_told_apart():
    """The comparison above can fail: one value of one token differs."""
    one, two = make_codes(0), make_codes(0)
    two.value[0] += np.float32(1e-6)
    assert not same(one, two)


def test_a_row_holds_one_prompt(path):
    """The codes of a whole set are no row."""
    with pytest.raises(ValueError, match="one prompt, not of 2"):
        Store(path).put("c", PARTS, [("p", concat([make_codes(0), make_codes(1)]))])


def test_only_what_was_asked_for_comes_back(path):
    """By code key and prompt key; what is not there is left out; many keys make no difference."""
    store = Store(path)
    store.put("c", PARTS, [(f"p{i}", make_codes(i)) for i in range(1200)])
    store.put("d", PARTS, [("p0", make_codes(9999))])
    wanted = [f"p{i}" for i in range(0, 2400, 2)]
    assert store.have("c", wanted) == {f"p{i}" for i in range(0, 1200, 2)}
    assert store.get("c", wanted).keys() == store.have("c", wanted)
    assert same(store.get("d", ["p0"])["p0"], make_codes(9999))
    assert store.have("c", []) == set()


def test_evidence_outlives_the_process(path):
    """What one store wrote another reads."""
    Store(path).put("c", PARTS, [("p", make_codes())])
    assert same(Store(path).get("c", ["p"])["p"], make_codes())


@pytest.mark.parametrize("column", ["value", "checksum"])
def test_a_damaged_row_is_a_miss(path, column):
    """It is dropped, counted and warned of once; its neighbours stay; and it can be written again."""
    store = Store(path)
    store.put("c", PARTS, [("p", make_codes(0)), ("q", make_codes(1))])
    damage(path, column=column)
    with pytest.warns(RuntimeWarning, match="damaged rows are dropped") as seen:
        assert store.have("c", ["p", "q"]) == {"q"}
    assert len(seen) == 1
    assert store.damaged == 1
    assert store.get("c", ["p", "q"]).keys() == {"q"}
    store.put("c", PARTS, [("p", make_codes(0))])
    assert same(store.get("c", ["p"])["p"], make_codes(0))


def test_damage_is_warned_of_once(path):
    """A hundred damaged rows are one line."""
    store = Store(path)
    store.put("c", PARTS, [(f"p{i}", make_codes(i)) for i in range(3)])

    def read_thrice():
        for _ in range(3):
            damage(path)
            store.get("c", ["p0", "p1", "p2"])

    with pytest.warns(RuntimeWarning, match="damaged") as seen:
        read_thrice()
    assert (store.damaged, len(seen)) == (3, 1)


def test_bytes_that_fit_their_checksum_and_are_no_codes_are_a_miss(path):
    """A row that another program wrote is dropped, not raised."""
    store = Store(path)
    store._put("codes", "c", [("p", b"not safetensors")])
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.get("c", ["p"]) == {}


def test_residuals_have_a_table_of_their_own(path):
    """Keeping activations does not make codes, nor the other way round."""
    store = Store(path)
    kept = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    store.put_residuals("c", [("p", kept)])
    assert store.have("c", ["p"]) == set()
    assert store.have_residuals("c", ["p", "q"]) == {"p"}
    np.testing.assert_array_equal(store.get_residuals("c", ["p"])["p"], kept)
    damage(path, "residuals")
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.get_residuals("c", ["p"]) == {}


def test_sums_are_there_when_the_corpus_has_ended(path):
    """Blocks come back in order; a corpus that was left half-way is a miss, as is one with a hole."""
    store = Store(path)
    parts = [make_sums(i) for i in range(12)]
    for number in reversed(range(12)):
        store.put_sums("c", PARTS, "k", number, parts[number])
    assert store.have_sums("c", ["k"]) == set()
    assert store.get_sums("c", "k") is None
    store.put_sums("c", PARTS, "k", 12, make_sums(n_blocks=0))
    assert store.have_sums("c", ["k", "l"]) == {"k"}
    found = store.get_sums("c", "k")
    np.testing.assert_array_equal(found.n, np.concatenate([part.n for part in parts]))
    assert found.fired.shape == (12, 16)
    damage(path, "sums")
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.get_sums("c", "k") is None


def test_put_is_all_or_nothing(path):
    """When a row of a batch cannot be written, none of it is."""
    store = Store(path)
    with pytest.raises(EnvironmentFault, match="store_not_writable"):
        store._put("codes", "c", [("p", b"1"), (object(), b"2")])
    assert store.stats()["codes"]["rows"] == 0


WRITER = """
import sys
sys.path.insert(0, {repo!r})
from harness.store import Store
from interp_tests.test_store import PARTS, make_codes
for i in range(60):
    store = Store({path!r})
    store.put("c", PARTS, [(f"{name}-{{i}}-{{j}}", make_codes(i * 10 + j)) for j in range(10)])
    store.put("c", PARTS, [("shared", make_codes(0))])
    store.close()
"""


def test_processes_write_at_once(path):
    """Three processes that make and fill one store lose nothing, from the first moment on."""
    repo = str(Path(__file__).resolve().parents[1])
    scripts = [WRITER.format(repo=repo, path=str(path), name=name) for name in "abc"]
    running = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) for script in scripts]
    errors = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors
    keys = [f"{name}-{i}-{j}" for name in "abc" for i in range(60) for j in range(10)]
    store = Store(path)
    assert store.have("c", [*keys, "shared"]) == {*keys, "shared"}
    assert same(store.get("c", ["b-7-3"])["b-7-3"], make_codes(73))
    assert store.verify() == (1801, 0)


def test_verify_counts_and_drops_what_is_damaged(path):
    """Every row of every table is looked at."""
    store = Store(path)
    store.put("c", PARTS, [("p", make_codes(0)), ("q", make_codes(1))])
    store.put_residuals("c", [("p", np.zeros((5, 4), np.float32))])
    store.put_sums("c", PARTS, "k", 0, make_sums())
    damage(path)
    damage(path, "sums")
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.verify() == (4, 2)
    assert store.verify() == (2, 0)


def test_pruning_begins_with_residuals(path):
    """Then the oldest codes go; what is left fits; and nothing goes when all fits."""
    store = Store(path)
    for i in range(4):
        store.put("c", PARTS, [(f"p{i}", make_codes(0))])
    store.put_residuals("c", [("p0", np.zeros((50, 4), np.float32))])
    size = store.stats()["codes"]["bytes"]
    assert store.prune(Limits(10**9)).rows == 0
    assert store.prune(Limits(size)).rows == 1
    assert store.have_residuals("c", ["p0"]) == set()
    assert store.prune(Limits(size // 2)).rows == 2
    assert store.have("c", [f"p{i}" for i in range(4)]) == {"p2", "p3"}
    assert store.stats()["codes"]["bytes"] == size // 2


def test_a_moved_version_is_told_with_what_it_costs(path):
    """Evidence that only a library's version keeps from being used; other weights are other evidence."""
    store = Store(path)
    store.put("old", PARTS, [("p", make_codes()), ("q", make_codes())])
    store.put("other", {**PARTS, "weights": "v"}, [("p", make_codes())])
    now = {**PARTS, "transformers": "5.24.1"}
    assert [str(c) for c in store.other_versions(now)] == [
        "evidence from transformers 5.23.0, now 5.24.1: 2 prompts to read again"
    ]
    assert store.other_versions(PARTS) == []


def as_nobody(action):
    """Run `action` in a child process without root's rights, where permissions mean something."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def shared():
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_store_is_still_read(shared):
    """It refuses to open for writing, with the mend; behind an overlay its rows are hits, and new rows go on top."""
    path = shared / "evidence.sqlite"
    with contextlib.closing(Store(path)) as store:
        store.put("c", PARTS, [("p", make_codes(0))])
    for file in shared.iterdir():
        file.chmod(0o444)
    scratch = shared / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)

    def check():
        with pytest.raises(EnvironmentFault, match="Set INTERP_STORE to another file") as caught:
            Store(path)
        assert caught.value.code == "store_not_writable"
        store, fault = open_or_overlay(path, scratch / "evidence.sqlite")
        assert fault.code == "store_not_writable"
        store.put("c", PARTS, [("q", make_codes(1))])
        assert store.have("c", ["p", "q", "r"]) == {"p", "q"}
        assert same(store.get("c", ["p"])["p"], make_codes(0))

    assert as_nobody(check) == 0
    assert Store(path, read_only=True).have("c", ["q"]) == set()


def test_a_store_that_can_be_written_needs_no_overlay(path, tmp_path):
    """Where all is well there is no fault and no second file."""
    store, fault = open_or_overlay(path, tmp_path / "scratch.sqlite")
    assert fault is None
    assert not isinstance(store, Overlay)
    assert not (tmp_path / "scratch.sqlite").exists()


def _a_folder(path):
    path.mkdir()


def _garbage(path):
    path.write_bytes(b"these are not the rows you are looking for" * 100)


def _another_program(path):
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE recipes (name TEXT)")


def _a_later_layout(path):
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("spoil", [_a_folder, _garbage, _another_program, _a_later_layout])
def test_an_unreadable_store_is_one_clear_fault(path, tmp_path, spoil, snapshot):
    """It is not written to, the message says what to do, and the run can go on with another."""
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(EnvironmentFault) as caught:
        Store(path)
    assert caught.value.code == "store_unreadable"
    assert caught.value.mend == snapshot
    assert (path.read_bytes() if path.is_file() else None) == before
    store, fault = open_or_overlay(path, tmp_path / "scratch.sqlite")
    store.put("c", PARTS, [("p", make_codes())])
    assert fault.code == "store_unreadable"


def test_a_store_where_no_file_can_be_made_is_one_clear_fault(tmp_path):
    """A path below a plain file cannot be written, whoever asks."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"store_not_writable: the store .* cannot be written: .*--no-store"):
        Store(tmp_path / "file" / "evidence.sqlite")


def test_a_store_in_memory_is_quiet_and_forgets(tmp_path, monkeypatch):
    """--no-store leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = MemoryStore()
        store.put("c", PARTS, [("p", make_codes())])
    assert store.have("c", ["p"]) == {"p"}
    assert MemoryStore().have("c", ["p"]) == set()
    assert list(tmp_path.iterdir()) == []
