"""Paths are relative to the repository that holds specs/, whatever the current folder."""

import shutil
import sys

import pytest

from harness.inputs import Corpus, ModelRef, Picture
from harness.language.subjects import find_subject
from harness.repository import located, repository
from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND, MET, UNMET
from interp_tests.tiny_random import make_model, make_tokenizer


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A claim that holds at the top, one that does not in a folder; read once."""
    made = make_project(tmp_path_factory.mktemp("made") / "repo", tmp_path_factory.mktemp("evidence") / "store.sqlite")
    made.suite("color", MET, prompts=FOUND)
    made.suite("below/color", UNMET, prompts=FOUND)
    made.pytest("-q")
    return made


def value(project):
    return next(r for r in project.results()["records"] if r["id"] == "color::holds")["measurement"]["value"]


def test_the_repository_is_found_from_below(tmp_path, monkeypatch):
    """The nearest folder above with specs/subjects.yaml; the current one where there is none."""
    inner = tmp_path / "specs/colors"
    inner.mkdir(parents=True)
    (tmp_path / "specs/subjects.yaml").touch()
    monkeypatch.chdir(inner)
    assert repository() == tmp_path
    (tmp_path / "specs/subjects.yaml").unlink()
    assert repository() == inner


def test_a_folder_of_the_same_name_never_wins(tmp_path, monkeypatch):
    """Neither where somebody stands, nor beside the harness's own code."""
    (tmp_path / "elsewhere/harness/zoo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert located("harness/zoo", tmp_path / "repo") == tmp_path / "repo/harness/zoo"
    assert located(str(tmp_path), tmp_path / "repo") == tmp_path


def test_where_a_repository_stands_is_no_part_of_what_is_compared(tmp_path):
    """Two checkouts name the same weights, pictures and corpora."""
    for one, other in (
        (ModelRef("m", "path", "zoo/m", root=tmp_path), ModelRef("m", "path", "zoo/m")),
        (Picture("images/a.png", "0", tmp_path), Picture("images/a.png", "0")),
        (Corpus("c", "c.txt", "0", root=tmp_path), Corpus("c", "c.txt", "0")),
    ):
        assert one == other
        assert hash(one) == hash(other)
        assert str(tmp_path) not in repr(one)


@pytest.mark.parametrize("named_from", [".", "specs", "interp_tests"])
def test_a_subject_is_found_from_any_folder(project, monkeypatch, named_from):
    """A relative root means the same after the current folder changes."""
    monkeypatch.chdir(project.root / named_from)
    subject = find_subject(repository(), "tiny")
    monkeypatch.chdir("/")
    assert located(subject.model.location, subject.model.root).is_dir()
    assert located(subject.sae.location, subject.sae.root).is_dir()


def test_the_same_numbers_come_from_any_folder(project, tmp_path):
    """Other weights under the same name, where pytest was started, are not looked at."""
    project.pytest("-q")
    here = value(project)
    test_file = str(project.root / "interp_tests/test_specs.py")
    project.pytest("-q", test_file, cwd=project.root / "specs")
    assert value(project) == here
    tokenizer = make_tokenizer()
    make_model(len(tokenizer)).save_pretrained(tmp_path / "zoo/model")
    tokenizer.save_pretrained(tmp_path / "zoo/model")
    shutil.copytree(project.root / "zoo/sae", tmp_path / "zoo/sae")
    top = ("--rootdir", str(project.root), "-c", str(project.root / "pytest.ini"))
    project.pytest("-q", *top, test_file, cwd=tmp_path)
    assert value(project) == here


@pytest.mark.parametrize(
    ("folder", "args", "claims"),
    [
        (".", (), {"color::holds", "below/color::fails"}),
        ("specs", (), {"color::holds", "below/color::fails"}),
        ("specs/below", (), {"below/color::fails"}),
        (".", ("specs/below",), {"below/color::fails"}),
        (".", ("specs/color.yaml",), {"color::holds"}),
        (".", ("specs/color.yaml::holds",), {"color::holds"}),
        ("specs", ("color.yaml", "below"), {"color::holds", "below/color::fails"}),
    ],
)
def test_a_folder_of_suites_is_judged(project, folder, args, claims):
    """`pytest` in specs/, or naming what lies there, judges those claims."""
    done = project.pytest("-q", *args, cwd=project.root / folder)
    assert set(project.outcomes()) == claims
    assert done.returncode == (1 if "below/color::fails" in claims else 0)


@pytest.mark.parametrize(("named", "code"), [("specs/colour.yaml", 4), ("specs/color.yaml::none", 5)])
def test_what_is_no_suite_is_never_green(project, named, code):
    """A file that is not there is an error; a claim that is not there leaves nothing judged."""
    assert project.pytest("-q", named).returncode == code


def test_commands_find_the_repository(project):
    """From a folder of suites, with paths from there."""
    check = [sys.executable, "-m", "harness", "check"]
    done = project.run([*check, "color.yaml"], cwd=project.root / "specs/below")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 spec read, 0 mistakes" in done.stdout
    assert "2 specs read, 0 mistakes" in project.run(check, cwd=project.root / "specs/below").stdout
