"""What a file can be besides wrong YAML: missing, huge, a folder, a link, not called .yaml."""

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.language.check import check
from harness.language.loader import MAX_BYTES
from harness.language.references import Folder
from harness.language.subjects import find_subject, load_subjects
from interp_tests.language_root import ROOT_OF_CASES, copy_root


def codes(root, path):
    return [found["code"] for found in check(root, [path])]


def test_a_missing_file_is_a_mistake(tmp_path):
    """A path that names nothing is said, and not passed over."""
    assert codes(tmp_path, tmp_path / "specs" / "none.yaml") == ["unreadable_file"]


@pytest.mark.parametrize("name", ["zoo", "notes.md", "..", "specs/empty"])
def test_what_names_no_suite_is_one_mistake(tmp_path, name):
    """A folder without one, a file of another sort and one that the repository lies in: nothing read is no pass."""
    root = copy_root(tmp_path / "outer")
    (root / "zoo").mkdir(exist_ok=True)
    (root / "specs/empty").mkdir()
    (root / "notes.md").write_text("# Notes\n\nNo suite.\n")
    (found,) = check(root, [root / name])
    assert found["code"] == "not_a_suite"
    assert found["message"].endswith("suites are specs/**/*.yaml")


@pytest.mark.parametrize("name", [".", "specs", "specs/prompts"])
def test_folders_of_the_repository_are_read(tmp_path, name):
    """The root stands for all of specs/; a folder of shared prompts holds no claim, and is checked all the same."""
    root = copy_root(tmp_path)
    assert "not_a_suite" not in codes(root, root / name)


def test_a_folder_called_yaml_is_a_mistake(tmp_path):
    """specs/x.yaml/ cannot be read as a file."""
    folder = copy_root(tmp_path) / "specs" / "x.yaml"
    folder.mkdir()
    assert "unreadable_file" in [found["code"] for found in check(tmp_path)]


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    """One byte over the limit is too large, one under is read."""
    path = copy_root(tmp_path) / "specs" / "big.yaml"
    path.write_text("title: x\n#" + "x" * MAX_BYTES)
    assert codes(tmp_path, path) == ["too_large"]
    path.write_text("title: x\n#" + "x" * (MAX_BYTES - 20))
    assert codes(tmp_path, path) == ["no_claims"]


def test_yml_is_not_passed_over(tmp_path):
    """A suite that no run would collect is a mistake."""
    path = copy_root(tmp_path) / "specs" / "color.yml"
    path.write_text("expect: []\n")
    assert "wrong_suffix" in [found["code"] for found in check(tmp_path)]


def test_a_suite_that_is_a_link_out_of_specs_is_refused(tmp_path):
    """What a suite says stands under specs/."""
    outside = tmp_path / "outside.yaml"
    outside.write_text("expect: []\n")
    path = copy_root(tmp_path) / "specs" / "link.yaml"
    path.symlink_to(outside)
    assert codes(tmp_path, path) == ["outside_specs"]


def test_a_link_to_itself_is_refused(tmp_path):
    """Links that lead round in a circle are a mistake, and not a crash."""
    path = copy_root(tmp_path) / "specs" / "ring.yaml"
    path.symlink_to(path)
    assert codes(tmp_path, path) == ["unreadable_file"]
    assert "unreadable_file" in [found["code"] for found in check(tmp_path)]


def test_places_are_named_from_the_repository_wherever_the_command_runs(tmp_path, monkeypatch):
    """A path relative to the current folder and one relative to the repository name the same file."""
    (copy_root(tmp_path) / "specs" / "a.yaml").write_text("expect: []\n")
    monkeypatch.chdir(tmp_path / "specs" / "prompts")
    for path in (Path("../a.yaml"), Path("specs/a.yaml"), tmp_path / "specs" / "a.yaml"):
        assert [found["file"] for found in check(tmp_path, [path])] == ["specs/a.yaml"]


def test_without_subjects_yaml_nothing_can_run(tmp_path):
    """A repository without the file says so once."""
    assert [found["code"] for found in check(tmp_path)] == ["no_subjects"]


def test_a_subject_is_found_by_name_with_its_weights_and_shape():
    """Everything that a reader needs is known without loading anything."""
    subject = find_subject(ROOT_OF_CASES, "small")
    assert (subject.model.source, subject.model.location) == ("path", "zoo/small/model")
    assert (subject.sae.d_in, subject.sae.d_sae, subject.layer, subject.site) == (128, 1024, 3, "hook_resid_post")


def test_an_unknown_subject_names_the_nearest():
    """find_subject raises with what was probably meant."""
    with pytest.raises(SpecError, match="Did you mean 'small'"):
        find_subject(ROOT_OF_CASES, "smal")


def test_a_wrong_entry_leaves_the_other_subjects_standing(tmp_path):
    """One subject's mistake does not take the others away."""
    path = copy_root(tmp_path) / "specs" / "subjects.yaml"
    path.write_text(path.read_text().replace("revision: unpinned", "revision: main"))
    allowed = load_subjects(Folder(tmp_path))
    assert list(allowed.subjects) == ["small", "seeing"]
    assert list(allowed.broken) == ["other"]


def test_check_reports_plain_types_with_the_nearest_names(tmp_path):
    """The JSON contract: code, file, line, column, message, nearest."""
    path = copy_root(tmp_path) / "specs" / "subjects.yaml"
    path.write_text(path.read_text().replace("model: small", "model: smal"))
    (found,) = check(tmp_path, [path])
    assert list(found) == ["code", "file", "line", "column", "message", "nearest"]
    assert (found["code"], found["file"], found["nearest"]) == ("unknown_model", "specs/subjects.yaml", ["small"])
