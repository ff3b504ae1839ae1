"""A store that is damaged inside is moved aside, said in one line, and all is judged by reading again."""

import contextlib
import random
import shutil
import sqlite3
import warnings

import pytest

from harness.errors import EnvironmentFault
from harness.store import Overlay, Store, open_or_overlay
from harness.store.database import checksum
from interp_tests.command import interp
from interp_tests.test_faults_store import Clean, flipped
from interp_tests.test_store import PARTS, make_codes, same

KEYS = [f"p{i}" for i in range(60)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of some hundred pages, as bytes."""
    path = tmp_path_factory.mktemp("whole") / "whole.sqlite"
    with contextlib.closing(Store(path)) as store:
        store.put("c", PARTS, [(key, make_codes(i, n_tokens=40)) for i, key in enumerate(KEYS)])
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def page_size(data):
    return int.from_bytes(data[16:18], "big")


def zeroed(data, page):
    size = page_size(data)
    return data[: page * size] + bytes(size) + data[(page + 1) * size :]


def garbled(data, draw):
    """200 bytes of noise somewhere behind the first page."""
    at = draw.randrange(page_size(data), len(data) - 200)
    return data[:at] + draw.randbytes(200) + data[at + 200 :]


DAMAGES = {
    "a page of zeros": lambda data, draw: zeroed(data, draw.randrange(1, len(data) // page_size(data))),
    "the first page": lambda data, draw: data[:100] + draw.randbytes(400) + data[500:],
    "the header": lambda data, draw: draw.randbytes(64) + data[64:],
    "half of it": lambda data, draw: data[: len(data) // 2],
    "an odd end": lambda data, draw: data[: draw.randrange(5000, len(data))],
    "noise": garbled,
    "a bit": flipped,
}

# Most noise lands in the values, where each row's checksum sees it and nothing has to be moved.
TRIES = {"noise": 40}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_anywhere_gives_no_wrong_evidence_and_no_error(tmp_path, whole, kind):
    """What comes back is what was written; what does not can be written again and is there; nothing is deleted."""
    draw, moved = random.Random(kind), 0
    for i in range(TRIES.get(kind, 8)):
        path = tmp_path / f"{i}.sqlite"
        damaged = DAMAGES[kind](whole, draw)
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True, action="always") as said:
            try:
                store = Store(path)
            except EnvironmentFault:  # its layout is another one, or its first page says nothing of us
                assert kind in ("the header", "the first page", "a bit")
                continue
            found = store.get("c", KEYS)
            for key, codes in found.items():
                assert same(codes, make_codes(KEYS.index(key), n_tokens=40)), key
            again = written_again(store)
            if again != set(KEYS):  # an index out of order: the runner sees it, and sets the file aside
                store.database.set_aside("lost")
                again = written_again(store)
            assert again == set(KEYS)
            store.close()
        for one in tmp_path.glob(f"{i}.sqlite.damaged-*"):
            moved += not one.name.endswith(("-wal", "-shm"))
            assert "moved to" in str([str(line.message) for line in said])
        assert all("\n" not in str(line.message) for line in said)
    assert moved or kind == "a bit"


def written_again(store):
    """The keys that are there once those that were not have been written."""
    here = store.have("c", KEYS)
    store.put("c", PARTS, [(key, make_codes(n, n_tokens=40)) for n, key in enumerate(KEYS) if key not in here])
    return store.have("c", KEYS)


def test_a_row_under_anothers_key_is_a_miss(tmp_path):
    """On a damaged page an index may lead to another row, whose value is whole."""
    path = tmp_path / "store.sqlite"
    with contextlib.closing(Store(path)) as store:
        store.put("c", PARTS, [("p", make_codes(0)), ("q", make_codes(1))])
        store.database.write("UPDATE codes SET prompt_key=? WHERE prompt_key=?", [("x", "p"), ("p", "q")])
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert store.get("c", ["p", "q"]) == {}


def test_rows_of_before_keys_were_in_the_checksum_are_read(tmp_path):
    """An older store's evidence is not read again for that."""
    path = tmp_path / "store.sqlite"
    with contextlib.closing(Store(path)) as store:
        store.put("c", PARTS, [("p", make_codes(0))])
        ((value,),) = store.database.read("SELECT value FROM codes", ())
        store.database.write("UPDATE codes SET checksum=?", [(checksum(value),)])
        assert same(store.get("c", ["p"])["p"], make_codes(0))


def test_two_processes_that_meet_the_damage_move_the_file_once(tmp_path, whole):
    """The second finds a new file in its place, and goes on with that one."""
    path = tmp_path / "store.sqlite"
    path.write_bytes(whole)
    first, second = Store(path), Store(path)
    data = bytearray(path.read_bytes())
    data[page_size(whole) :] = bytes(len(data) - page_size(whole))
    path.write_bytes(data)
    with pytest.warns(RuntimeWarning, match="moved to store.sqlite.damaged-"):
        assert first.get("c", KEYS) == {}
    first.put("c", PARTS, [("p0", make_codes(0))])
    with warnings.catch_warnings(action="ignore"):
        found = second.get("c", KEYS)
        second.put("c", PARTS, [("p1", make_codes(1))])
    assert found.keys() <= {"p0"}
    assert first.get("c", KEYS).keys() == second.get("c", KEYS).keys() == {"p0", "p1"}
    second.close()
    first.close()
    assert Store(path).get("c", KEYS).keys() == {"p0", "p1"}
    assert len([one for one in tmp_path.glob("store.sqlite.damaged-*") if one.suffix[-4:] not in ("-wal", "-shm")]) == 1


def test_another_programs_file_is_never_moved(tmp_path):
    """Garbage and a database of other tables stay where they are."""
    for name, data in (("notes.txt", b"Dear diary, " * 900), ("empty.db", None)):
        path = tmp_path / name
        if data is None:
            with contextlib.closing(sqlite3.connect(path)) as raw:
                raw.execute("CREATE TABLE mine (x)")
        else:
            path.write_bytes(data)
        before = path.read_bytes()
        with pytest.raises(EnvironmentFault, match="store_unreadable"):
            Store(path)
        assert path.read_bytes() == before
    assert not list(tmp_path.glob("*damaged*"))


def test_a_damaged_store_behind_an_overlay_is_left_and_said_once(tmp_path, whole):
    """It cannot be moved from there; what it held is missed, not raised."""
    path = tmp_path / "store.sqlite"
    path.write_bytes(whole[: page_size(whole)] + bytes(len(whole) - page_size(whole)))
    store = Overlay(tmp_path / "beside.sqlite", Store(path, read_only=True))
    lines = []
    store.tells(lines.append)
    assert store.get("c", KEYS) == {} == store.get("c", KEYS)
    assert len(lines) == 1
    store.put("c", PARTS, [("p0", make_codes(0))])
    assert store.get("c", KEYS).keys() == {"p0"}
    assert path.exists()


def test_a_store_that_cannot_be_moved_goes_on_in_memory(tmp_path, whole, monkeypatch):
    """A folder that is read-only, say."""
    path = tmp_path / "store.sqlite"
    path.write_bytes(zeroed(whole, 2))
    monkeypatch.setattr("harness.store.database.move_aside", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only")))
    store, fault = open_or_overlay(path, tmp_path / "beside.sqlite")
    assert fault is None
    with pytest.warns(RuntimeWarning, match="cannot be moved aside"):
        store.database.set_aside("lost")
    store.put("c", PARTS, [("p0", make_codes(0))])
    assert store.get("c", ["p0"]).keys() == {"p0"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return Clean(tmp_path_factory.mktemp("clean"))


def whole_of(path, folder):
    copy = folder / "whole.sqlite"
    shutil.copy(path, copy)
    with contextlib.closing(sqlite3.connect(copy)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return copy.read_bytes()


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("half of it", ()),
        ("all but the first page", ("-n", "2")),
        pytest.param("all but the first page", (), marks=pytest.mark.slow),
        pytest.param("the header", (), marks=pytest.mark.slow),
        pytest.param("noise", (), marks=pytest.mark.slow),
        pytest.param("half of it", ("-n", "2"), marks=pytest.mark.slow),
    ],
)
def test_a_run_over_a_damaged_store_judges_everything(clean, tmp_path, kind, args):
    """The verdicts are the clean run's, the store is moved aside, and one line says so: no traceback."""
    data, store = whole_of(clean.store, tmp_path), tmp_path / "evidence.sqlite"
    if kind == "all but the first page":
        store.write_bytes(data[: page_size(data)] + bytes(len(data) - page_size(data)))
    else:
        store.write_bytes(DAMAGES[kind](data, random.Random(1)))
    done = clean.run(*args, INTERP_STORE=str(store))
    assert clean.told() == clean.verdicts
    assert "Traceback" not in done.stdout
    assert list(tmp_path.glob("evidence.sqlite.damaged-*")) or "damaged rows are dropped" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "evidence.sqlite" in line and "damaged" in line]
    assert 1 <= len(lines) <= 3
    assert clean.run(*args, INTERP_STORE=str(store)).returncode == 1
    assert clean.project.results()["capture"] == {}


def test_commands_name_a_damaged_store_in_one_line(tmp_path, whole, monkeypatch, capsys):
    """`interp store size` and `verify` say it and exit 3; with --repair it is moved aside."""
    path = tmp_path / "store.sqlite"
    path.write_bytes(whole[: page_size(whole)] + bytes(len(whole) - page_size(whole)))
    monkeypatch.setenv("INTERP_STORE", str(path))
    for command in (("size",), ("verify",)):
        code, out, err = interp(capsys, "store", *command)
        assert (code, len((out + err).splitlines())) == (3, 1), out + err
        assert "store_damaged" in err
        assert "store.sqlite" in err
    code, out, err = interp(capsys, "store", "verify", "--repair")
    assert code == 0, out + err
    assert "moved to store.sqlite.damaged-" in out + err
    assert "0 damaged" in interp(capsys, "store", "verify")[1]
