"""Digests: other bytes are never taken for the pinned ones, and unchanged ones are not read twice."""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness import digests
from harness.digests import MODEL_FILES, SAE_FILES, TOKENIZER_FILES, file_digest, files_digest, verify
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, SaeRef, Subject
from harness.keys import code_key


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A memory of digests for each test."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_seen", {})
    return tmp_path / "cache"


@pytest.fixture
def subject(tmp_path):
    """A subject whose files are a few bytes each, unpinned."""
    model, sae = tmp_path / "model", tmp_path / "sae"
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        _write(model / name, b"of the model: " + name.encode())
    _write(sae / "cfg.json", b'{"architecture": "jumprelu", "normalize_activations": "none"}')
    _write(sae / "sae_weights.safetensors", b"of the SAE")
    return Subject("s", ModelRef("m", "path", str(model)), SaeRef("a", "path", str(sae)), "blocks.0.hook_resid_post")


def _write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _pinned(subject):
    model, sae = Path(subject.model.location), Path(subject.sae.location)
    return replace(
        subject,
        model=replace(
            subject.model,
            digest=files_digest(model, MODEL_FILES),
            tokenizer_digest=files_digest(model, TOKENIZER_FILES),
        ),
        sae=replace(subject.sae, digest=files_digest(sae, SAE_FILES)),
    )


def _settle(monkeypatch):
    """As if all files had been written long ago, so that their digests are remembered at once."""
    monkeypatch.setattr(digests, "SETTLED_AFTER_S", -1.0)


def _flip_a_byte(path):
    """Change one byte in place and set size and mtime back, as a clever copy or bad disk might."""
    before = path.stat()
    time.sleep(0.02)  # five ticks of the clock that stamps ctime
    with path.open("r+b") as file:
        file.seek(3)
        file.write(b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_the_digest_of_a_folder_is_what_its_docstring_says(tmp_path):
    """sha256 over the sorted names and sha256s, built here with hashlib alone; other files do not count."""
    _write(tmp_path / "model.safetensors", b"two")
    _write(tmp_path / "config.json", b"one")
    _write(tmp_path / "README.md", b"not weights")
    lines = "".join(
        f"{name}\0{hashlib.sha256(data).hexdigest()}\n"
        for name, data in (("config.json", b"one"), ("model.safetensors", b"two"))
    )
    assert files_digest(tmp_path, MODEL_FILES) == hashlib.sha256(lines.encode()).hexdigest()
    assert files_digest(tmp_path, SAE_FILES) is None


@pytest.mark.parametrize(
    "file",
    ["model/model.safetensors", "model/config.json", "model/tokenizer.json", "sae/sae_weights.safetensors"],
)
def test_one_flipped_byte_is_a_miss(subject, tmp_path, monkeypatch, file):
    """At equal size and mtime, and with every digest remembered: the key moves, and a pin is violated."""
    _settle(monkeypatch)
    pinned, before = _pinned(subject), code_key(subject)
    verify(pinned)
    _flip_a_byte(tmp_path / file)
    assert code_key(subject) != before
    with pytest.raises(EnvironmentFault, match="digest_mismatch") as caught:
        verify(pinned)
    assert "pins " in caught.value.message


def test_a_flipped_byte_is_seen_by_another_process(subject, tmp_path, monkeypatch):
    """What is remembered on disk is by ctime as well, so a later process sees the flip too."""
    _settle(monkeypatch)
    before = code_key(subject)
    _flip_a_byte(tmp_path / "model/model.safetensors")
    monkeypatch.setattr(digests, "_seen", {})
    assert code_key(subject) != before


def test_a_changed_normalization_flag_is_a_miss(subject, tmp_path, monkeypatch):
    """cfg.json says how activations are normalized, so it is part of the SAE's digest."""
    _settle(monkeypatch)
    before = code_key(subject)
    path = tmp_path / "sae/cfg.json"
    path.write_bytes(path.read_bytes().replace(b'"none"', b'"layer_norm"'))
    assert code_key(subject) != before


def test_a_new_file_among_the_weights_is_a_miss(subject, tmp_path):
    """A second shard changes the model; a README does not."""
    before = code_key(subject)
    _write(tmp_path / "model/README.md", b"words")
    assert code_key(subject) == before
    _write(tmp_path / "model/model-2.safetensors", b"more")
    assert code_key(subject) != before


def test_a_remembered_file_is_not_read_again(subject, tmp_path, monkeypatch):
    """The second look costs stat calls only, in another process too; the first must have read."""
    _settle(monkeypatch)
    pinned = _pinned(subject)
    monkeypatch.setattr(digests, "_seen", {})
    monkeypatch.setattr(digests.hashlib, "file_digest", _refuse)
    verify(pinned)
    _write(tmp_path / "model/model.safetensors", b"of the model: model.safetensors")
    with pytest.raises(AssertionError, match="read again"):
        verify(pinned)


def _refuse(*_):
    raise AssertionError("read again")


def test_a_fresh_file_is_not_remembered(tmp_path):
    """Within the clock's granularity a second change may leave every time as it was."""
    _write(tmp_path / "x", b"1")
    file_digest(tmp_path / "x")
    assert digests._seen == {}


def test_files_that_are_not_here_are_not_looked_for(subject, tmp_path):
    """A warm store is judged on a machine without weights, by the pinned digests."""
    pinned = _pinned(subject)
    key = code_key(pinned)
    for file in [*(tmp_path / "model").iterdir(), *(tmp_path / "sae").iterdir()]:
        file.unlink()
    verify(pinned)
    assert code_key(pinned) == key


def test_a_memory_that_cannot_be_used_costs_nothing_but_time(subject, cache, monkeypatch):
    """A garbage memory file is worked around."""
    _settle(monkeypatch)
    _write(cache / "digests.sqlite", b"garbage" * 1000)
    assert code_key(subject) == code_key(subject)
    verify(_pinned(subject))


def test_the_mismatch_says_whose_and_what_to_do(subject, tmp_path):
    """Pinned and found digest, and the two ways out."""
    pinned = _pinned(subject)
    _write(tmp_path / "sae/sae_weights.safetensors", b"other")
    with pytest.raises(EnvironmentFault) as caught:
        verify(pinned)
    found = files_digest(tmp_path / "sae", SAE_FILES)
    assert str(caught.value) == (
        f"digest_mismatch: SAE a: specs/subjects.yaml pins {pinned.sae.digest}, found {found}. "
        "Restore the files that were pinned; if the new ones are meant, pin them with `interp doctor --pin`."
    )


def test_a_hub_model_is_known_by_its_commit(tmp_path, monkeypatch):
    """A branch is resolved by the cache's refs, and its files are found where the hub's client puts them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    model = ModelRef("m", "hub", "org/m", "main")
    assert digests.hub_commit(model) is None
    assert digests.model_folder(model) is None
    pinned = ModelRef("m", "hub", "org/m", "d" * 40)
    assert digests.hub_commit(pinned) == "d" * 40
    repository = tmp_path / "hub/models--org--m"
    _write(repository / "refs/main", b"c" * 40)
    assert digests.hub_commit(model) is None
    _write(repository / "snapshots" / ("c" * 40) / "config.json", b"{}")
    assert digests.hub_commit(model) == "c" * 40
    assert digests.model_folder(model) == repository / "snapshots" / ("c" * 40)


def test_a_damaged_memory_of_digests_is_moved_aside(tmp_path, monkeypatch):
    """The file is hashed again, and remembered again; a digest with a flipped letter is not believed."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    stamp = ("file", 1, 2, 3, 4)
    digests._remember(stamp, "a" * 64)
    assert digests._recall(stamp) == "a" * 64
    memory = tmp_path / "cache/digests.sqlite"
    memory.write_bytes(memory.read_bytes().replace(b"a" * 64, b"a" * 63 + b"b"))
    assert digests._recall(stamp) is None
    memory.write_bytes(memory.read_bytes()[:100] + bytes(len(memory.read_bytes()) - 100))
    assert digests._recall(stamp) is None
    assert (tmp_path / "cache/digests.sqlite.damaged").exists()
    digests._remember(stamp, "c" * 64)
    assert digests._recall(stamp) == "c" * 64
