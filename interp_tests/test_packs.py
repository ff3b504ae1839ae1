"""Evidence packs: what comes out is what went in, and a pack that is not what it says leaves the store as it was."""

import contextlib
import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.digests import MODEL_FILES, SAE_FILES, TOKENIZER_FILES, files_digest
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Reading
from harness.keys import code_parts, digest_of
from harness.language.subjects import find_subject
from harness.promotion import Promotions
from harness.store import MemoryStore, Store
from harness.store.packs import export_pack, file_sha256
from harness.store.unpacking import import_pack
from interp_tests.command import enter, interp
from interp_tests.project import COLOR, SUBJECTS, make_project
from interp_tests.test_store import make_codes, make_sums, same

PARTS = {"weights": "w", "torch": "2.13.0"}
CODE = digest_of(PARTS)


class Tiny:
    """All that a pack asks of a subject."""

    name = "tiny"


READING = Reading(
    Tiny(),
    CODE,
    prompts=(("p", Prompt("a")), ("q", Prompt("b")), ("never read", Prompt("c"))),
    corpora=(("k", None), ("broken off", None)),
    residuals=frozenset({"p"}),
    promotions=("sample",),
)


def filled(store):
    """A row of every table, one of a corpus that was not read to its end, one that nobody asks for."""
    store.put(CODE, PARTS, [("p", make_codes(0)), ("q", make_codes(1)), ("unasked", make_codes(2))])
    store.put_residuals(CODE, [("p", np.arange(20, dtype=np.float32).reshape(5, 4))])
    for block, n in enumerate((2, 1, 0)):
        store.put_sums(CODE, PARTS, "k", block, make_sums(block, n))
    store.put_sums(CODE, PARTS, "broken off", 0, make_sums())
    store.put_promotions(CODE, PARTS, [("sample", Promotions({3: ((" red", 0.5),)}, frozenset({3}), 16))])
    return store


def rows_of(store):
    """Everything that a store says, but when it was written."""
    found = {}
    for table in ("codes", "residuals", "promotions", "weights"):
        for code, key, value in store.database.read(f"SELECT code_key, prompt_key, value FROM {table}", ()):
            found[table, code, key] = value
    for code, key, block, value in store.database.read("SELECT code_key, corpus_key, block, value FROM sums", ()):
        found["sums", code, key, block] = value
    found.update({("parts", key): parts for key, parts in store.database.read("SELECT * FROM versions", ())})
    return found


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A pack of READING: 7 rows of 5 items."""
    path = tmp_path_factory.mktemp("pack") / "evidence.pack"
    written = export_pack(path, filled(MemoryStore()), [READING], lambda reading: PARTS)
    assert (written.rows, written.lacking) == (7, {"tiny": 2})
    assert [p.name for p in path.parent.iterdir()] == ["evidence.pack"]
    return path


def rewritten(pack, path, rows=lambda data: data, manifest=lambda data: data, more=()):
    """A whole, well-formed zip whose members were edited."""
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("rows.bin", rows(old.read("rows.bin")))
        new.writestr("manifest.json", json.dumps(manifest(json.loads(old.read("manifest.json")))))
        for name in more:
            new.writestr(name, "x")
    return path


def refusal(path, **how):
    """The message of the fault; the store must not have changed."""
    store = MemoryStore()
    store.put("other", {"weights": "other"}, [("p", make_codes(9))])
    before = rows_of(store)
    with pytest.raises(EnvironmentFault) as caught:
        import_pack(path, store, **how)
    assert caught.value.code == "bad_pack"
    assert rows_of(store) == before
    store.close()
    return caught.value.message


def test_what_comes_out_is_what_went_in(pack):
    """Every kind of evidence that was asked for, bit by bit, and no other."""
    store = MemoryStore()
    done = import_pack(pack, store)
    assert (done.added, done.held, done.different) == (7, 0, 0)
    assert same(store.get(CODE, ["p"])["p"], make_codes(0))
    assert store.have(CODE, ["p", "q", "never read", "unasked"]) == {"p", "q"}
    np.testing.assert_array_equal(store.get_residuals(CODE, ["p"])["p"].ravel(), np.arange(20))
    assert store.get_sums(CODE, "k").n_blocks == 3
    assert store.have_sums(CODE, ["k", "broken off"]) == {"k"}
    assert store.get_promotions(CODE, ["sample"])["sample"].lists == {3: ((" red", 0.5),)}


def test_equal_evidence_is_an_equal_file(pack, tmp_path):
    """A pack of what was imported is the same bytes; of other evidence, others."""
    store = MemoryStore()
    import_pack(pack, store)
    export_pack(tmp_path / "again", store, [READING], lambda reading: PARTS)
    assert (tmp_path / "again").read_bytes() == pack.read_bytes()
    store.put(CODE, PARTS, [("q", make_codes(5))])
    export_pack(tmp_path / "other", store, [READING, READING], lambda reading: PARTS)
    assert (tmp_path / "other").read_bytes() != pack.read_bytes()
    assert import_pack(tmp_path / "other", MemoryStore()).added == 7


def test_what_is_here_stays(pack):
    """A second import adds nothing; other values under a key are counted and not taken; a corpus is one thing."""
    store = MemoryStore()
    store.put(CODE, PARTS, [("p", make_codes(7))])
    store.put_sums(CODE, PARTS, "k", 0, make_sums(0, 2))
    store.put_sums(CODE, PARTS, "k", 4, make_sums(0, 2))
    done = import_pack(pack, store)
    assert (done.added, done.held, done.different) == (6, 1, 1)
    assert same(store.get(CODE, ["p"])["p"], make_codes(7))
    assert store.get_sums(CODE, "k").n_blocks == 3
    before = rows_of(store)
    assert (import_pack(pack, store).added, rows_of(store)) == (0, before)


def test_a_damaged_row_is_replaced(pack, tmp_path):
    """What is here and damaged does not count as here."""
    with contextlib.closing(filled(Store(tmp_path / "evidence.sqlite"))) as store:
        store.database.write("UPDATE codes SET checksum=? WHERE prompt_key=?", [(b"", "q")])
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert import_pack(pack, store).added == 1
        assert same(store.get(CODE, ["q"])["q"], make_codes(1))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_goes_in(pack, tmp_path, data):
    """Any byte changed and any end cut off: refused, or (the dates in a zip's headers) the very same rows."""
    whole = pack.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path = tmp_path / "damaged.pack"
    for spoilt in (flipped, whole[:at]):
        path.write_bytes(spoilt)
        store, right = MemoryStore(), MemoryStore()
        import_pack(pack, right)
        with contextlib.suppress(EnvironmentFault):
            import_pack(path, store)
        assert rows_of(store) in ([{}, rows_of(right)] if spoilt is flipped else [{}])
        store.close()
        right.close()


def _with(**fields):
    return lambda manifest: {**manifest, **fields}


def _rows(change):
    return lambda manifest: {**manifest, "rows": change(manifest["rows"])}


def _last(**fields):
    return _rows(lambda rows: [*rows[:-1], {**rows[-1], **fields}])


@pytest.mark.parametrize(
    ("why", "edit"),
    [
        ("are not what its manifest says", {"rows": lambda data: data[:-1] + bytes([data[-1] ^ 1])}),
        ("not as long as its manifest says", {"rows": lambda data: data + b"\0"}),
        ("not as long as its manifest says", {"rows": lambda data: data[:-1]}),
        ("are not what its manifest says", {"manifest": _last(sha256="0" * 64)}),
        ("its layout is 1, this version reads layout 2", {"manifest": _with(layout=1)}),
        ("not that of a pack", {"manifest": _with(format="something else")}),
        ("not that of a pack", {"manifest": _with(signed="yes")}),
        ("not that of a pack", {"manifest": lambda manifest: []}),
        ("not that of a pack", {"manifest": _last(table="versions; DROP TABLE codes")}),
        ("not that of a pack", {"manifest": _last(bytes=-1)}),
        ("not that of a pack", {"manifest": _last(block=0)}),
        ("not that of a pack", {"manifest": _rows(lambda rows: [*rows, rows[-1]])}),
        ("not that of a pack", {"manifest": _last(code_key="f" * 64)}),
        ("not that of its parts", {"manifest": _with(code_keys={CODE: {**PARTS, "weights": "others"}})}),
        ("not written by `interp store export`", {"more": ["setup.py"]}),
        ("not written by `interp store export`", {"more": ["rows.bin"]}),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_edited_pack_is_refused(pack, tmp_path, why, edit):
    """A well-formed file that says other than it holds, or that another layout wrote."""
    assert why in refusal(rewritten(pack, tmp_path / "edited.pack", **edit))


def test_an_unedited_rewritten_pack_is_taken(pack, tmp_path):
    """The cases above are refused for their edit, and not for having been rewritten."""
    assert import_pack(rewritten(pack, tmp_path / "same.pack"), MemoryStore()).added == 7


def test_bytes_that_fit_their_digest_and_are_no_evidence_are_refused(pack, tmp_path):
    """A row that no store could have written, with a digest to match."""

    def junk(rows):
        last = rows[-1]
        return [*rows[:-1], {**last, "sha256": hashlib.sha256(b"?" * last["bytes"]).hexdigest()}]

    size = json.loads(zipfile.ZipFile(pack).read("manifest.json"))["rows"][-1]["bytes"]
    path = rewritten(pack, tmp_path / "junk.pack", lambda data: data[:-size] + b"?" * size, _rows(junk))
    assert "are no evidence" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"SQLite format 3\0" + b"\0" * 99, b"not a pack" * 99, None])
def test_another_file_is_refused(tmp_path, content):
    """An empty file, half a zip, a database, text, and one that is not there."""
    path = tmp_path / "some.file"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refusal(path)


def test_a_foreign_zip_is_refused(tmp_path):
    """A zip of something else."""
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as other:
        other.writestr("README.md", "hello")
    assert "not written by `interp store export`" in refusal(tmp_path / "some.zip")


def test_only_the_file_that_is_meant(pack):
    """With sha256 every other file is refused, however whole."""
    assert import_pack(pack, MemoryStore(), file_sha256(pack).upper()).added == 7
    assert "not 000" in refusal(pack, sha256="0" * 64)


def test_a_pack_that_holds_more_than_the_disk_is_refused(pack, monkeypatch):
    """Before the first byte is read."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1000, 0, 1000))
    assert "1,000 are free" in refusal(pack)


def test_nothing_to_export_leaves_no_file(tmp_path):
    """Nor does a folder that is not there."""
    with pytest.raises(EnvironmentFault, match="nothing_to_export"):
        export_pack(tmp_path / "empty.pack", MemoryStore(), [READING], lambda reading: PARTS)
    with pytest.raises(EnvironmentFault, match="pack_not_written"):
        export_pack(tmp_path / "no/such.pack", filled(MemoryStore()), [READING], lambda reading: PARTS)
    assert list(tmp_path.iterdir()) == []


UNNAMED = "- {id: a, feature: 827, activation: {prompts: color, median: {at_least: .01}}}\n"
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; import pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider']))"
)


def pinned(root):
    """SUBJECTS with the digests of the files under root/zoo, as `interp doctor --pin` writes them."""
    model, tokenizer = (files_digest(root / "zoo/model", files) for files in (MODEL_FILES, TOKENIZER_FILES))
    sae = files_digest(root / "zoo/sae", SAE_FILES)
    text = SUBJECTS.replace("zoo/model}", f"zoo/model, digest: {model}, tokenizer_digest: {tokenizer}}}")
    return text.replace("zoo/sae, ", f"zoo/sae, digest: {sae}, ")


def test_a_reviewer_without_weights_judges_a_new_claim(tmp_path, monkeypatch, capsys):
    """A claim about a feature that nobody named at capture is judged from a pack, where no weights and no torch are."""
    big = make_project(tmp_path / "big", tmp_path / "big.sqlite")
    (big.root / "specs/subjects.yaml").write_text(pinned(big.root))
    big.suite("first", UNNAMED.replace("827", "1"))
    enter(big, monkeypatch)
    assert interp(capsys, "warm")[0] == 0
    assert interp(capsys, "store", "export", str(tmp_path / "evidence.pack"))[0] == 0

    (tmp_path / "away").mkdir()
    laptop = make_project(tmp_path / "laptop", tmp_path / "away" / "laptop.sqlite")
    shutil.copy(big.root / "specs/subjects.yaml", laptop.root / "specs/subjects.yaml")
    for weights in (laptop.root / "zoo").rglob("*.safetensors"):
        weights.unlink()
    laptop.suite("first", UNNAMED)
    enter(laptop, monkeypatch)
    code, _, err = interp(capsys, "warm")
    assert (code, "weights_missing" in err) == (3, True)
    told = json.loads(interp(capsys, "store", "import", str(tmp_path / "evidence.pack"), "--json")[1])
    assert [row["serves"] for row in told["subjects"]] == ["yes"]

    big.suite("first", UNNAMED)
    for project in (laptop, big):
        project.run([sys.executable, "-c", WITHOUT_TORCH])
    (here,), (there,) = laptop.results()["records"], big.results()["records"]
    assert here["outcome"] in ("met", "unmet")
    assert (here["outcome"], here["measurement"]) == (there["outcome"], there["measurement"])
    assert here["evidence"]["prompts"] == here["evidence"]["from_store"] == len(COLOR)


def test_evidence_of_other_versions_is_named(tmp_path, monkeypatch, capsys):
    """A pack from other libraries, or of other weights, goes in, and the import says that it serves nobody, and why."""
    project = make_project(tmp_path / "repo", tmp_path / "evidence.sqlite")
    enter(project, monkeypatch)
    tiny = code_parts(find_subject(Path(), "tiny"))
    for parts, why in (
        ({**tiny, "torch": "2.9.1"}, "no: for tiny, but torch was 2.9.1, is "),
        ({**tiny, "weights": "others"}, "no: other weights or settings than any subject's"),
    ):
        store = MemoryStore()
        store.put(digest_of(parts), parts, [("p", make_codes())])
        reading = Reading(Tiny(), digest_of(parts), prompts=(("p", Prompt("a")),))
        export_pack(tmp_path / "moved.pack", store, [reading], lambda reading, parts=parts: parts)
        code, out, _ = interp(capsys, "store", "import", str(tmp_path / "moved.pack"), "--json")
        assert (code, json.loads(out)["subjects"][0]["serves"].startswith(why)) == (0, True)
