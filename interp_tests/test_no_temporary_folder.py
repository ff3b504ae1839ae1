"""A temporary folder that is full or read-only: one line, and claims are judged all the same."""

import os
import tempfile
import warnings
from pathlib import Path

import pytest

from harness.cachedir import run_folder
from harness.errors import EnvironmentFault
from harness.runlog import RunLog
from harness.store import MemoryStore, open_or_memory, open_or_overlay
from interp_tests.project import REPO, make_project
from interp_tests.test_plugin import FOUND, MET

NOWHERE = Path(os.devnull) / "interp-run-"
NO_FOLDER = """
import errno, tempfile

kept = tempfile.mkdtemp

def mkdtemp(suffix=None, prefix=None, dir=None):
    if prefix == "interp-run-" and (dir is None or {everywhere}):
        raise OSError(errno.ENOSPC, "No space left on device")
    return kept(suffix, prefix, dir)

tempfile.mkdtemp = mkdtemp
"""


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_run_without_a_temporary_folder_judges_its_claims(tmp_path, everywhere):
    """In the cache, or in memory where nothing takes a file; nothing of it is left."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    project.suite("color", MET, prompts=FOUND)
    with (project.root / "conftest.py").open("a") as file:
        file.write(NO_FOLDER.format(everywhere=everywhere))
    done = project.pytest("-q", INTERP_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.outcomes() == {"color::holds": "met"}
    assert "Traceback" not in done.stdout
    if everywhere:
        assert "no temporary folder can be made (No space left on device)" in done.stdout
    assert not list((tmp_path / "cache").glob("interp-run-*"))


def test_a_folder_is_made_where_one_can_be(tmp_path, monkeypatch):
    """The temporary folder, else the cache, else none."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    first, said = run_folder("interp-run-")
    assert (first.parent, said) == (Path(tempfile.gettempdir()), "")
    first.rmdir()
    real = tempfile.mkdtemp

    def full(suffix=None, prefix=None, dir=None):  # noqa: A002 - as tempfile has it
        if dir is None:
            raise OSError(28, "No space left on device")
        return real(suffix, prefix, dir)

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    second, said = run_folder("interp-run-")
    assert second.parent == tmp_path / "cache"
    assert "No space left" in said
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "file"))
    third, said = run_folder("interp-run-")
    assert third == NOWHERE
    assert said.endswith("this run keeps what it reads in memory.")


def test_a_log_that_cannot_be_written_is_kept_in_memory():
    """Said once; what this process read and met it still knows."""
    log = RunLog(NOWHERE / "run.jsonl")
    with pytest.warns(RuntimeWarning, match="cannot be noted"):
        log.note_read("c", ["p"])
    with warnings.catch_warnings(action="error"):
        log.note_fault("c", "q", EnvironmentFault("reading_failed", "it broke."))
    log.refresh()
    assert log.read == {("c", "p")}
    assert [str(one) for one in log.fault_for("c", ["q"])] == ["reading_failed: it broke."]


def test_half_a_line_of_the_log_is_left_out(tmp_path):
    """A disk that was full for a moment."""
    log = RunLog(tmp_path / "run.jsonl")
    log.note_read("c", ["p"])
    with log.path.open("ab") as file:
        file.write(b'{"code": "c", "re\n')
    log.note_read("c", ["q"])
    other = RunLog(log.path)
    other.refresh()
    assert other.read == {("c", "p"), ("c", "q")}


def test_evidence_is_in_memory_where_no_file_can_be_made(tmp_path):
    """Of a store and its stand-in, both in places that take no file."""
    assert isinstance(open_or_memory(NOWHERE / "evidence.sqlite"), MemoryStore)
    store, fault = open_or_overlay(NOWHERE / "store.sqlite", NOWHERE / "evidence.sqlite")
    assert isinstance(store, MemoryStore)
    assert fault.code == "store_not_writable"


NO_IMPORT = """
import builtins, errno

real = builtins.__import__

def refusing(name, *given, **more):
    if name.split(".")[0] == "sae_lens":
        raise OSError(errno.ENOSPC, "No space left on device")
    return real(name, *given, **more)

builtins.__import__ = refusing
"""


def test_what_needs_the_temporary_folder_fails_alone_and_in_one_line(tmp_path):
    """sae-lens' libraries make folders as they are imported; a claim whose evidence is in the store needs neither."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    project.suite("color", MET, prompts=FOUND)
    assert project.pytest("-q").returncode == 0
    with (project.root / "conftest.py").open("a") as file:
        file.write(NO_IMPORT)
    new = ["A cold wind blew all day.", "Birds sang in the morning."]
    project.suite(
        "cold", "- {id: new, scope: sample, sparsity: {prompts: new, l0: {at_least: 1}}}", prompts={"new": new}
    )
    done = project.pytest("-q")
    assert project.outcomes() == {"color::holds": "met", "cold::new": "not_run"}
    line = "no_temporary_folder: sae-lens needs the temporary folder, which takes nothing: No space left on device."
    assert line in done.stdout
    assert "Traceback" not in done.stdout


def test_a_probe_without_pictures_needs_no_folder(monkeypatch):
    """Only a model that reads pictures is shown some, from files: without a folder it is refused, and no other."""
    from harness.capture.models import load_model
    from harness.capture.probing import probe
    from harness.language.subjects import find_subject

    def full(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(REPO)
    text, pictures = (find_subject(REPO, name) for name in ("tiny-gemma2", "tiny-paligemma2"))
    models = [load_model(subject, subject.layer + 1) for subject in (text, pictures)]
    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    assert probe(models[0], [text.stream], 64)[text.stream].norm.size
    with pytest.raises(EnvironmentFault, match="no_temporary_folder: the probe for attention sinks needs"):
        probe(models[1], [pictures.stream], 64)
