"""Settings: one list has all that the source reads; `interp doctor` says what each is here and whence it comes."""

import ast
import json
from pathlib import Path

import pytest

from harness.configuration import effective
from harness.settings import SETTINGS, settings_page
from interp_tests.command import interp
from interp_tests.project import make_project

ROOT = Path(__file__).resolve().parents[1]
LISTED = {setting.name for setting in SETTINGS}
READERS = {"os.environ.get", "os.environ.setdefault", "os.getenv", "config.getini", "config.getoption"}
ADDERS = {"group.addoption", "parser.addini"}
SECRET = "hf_" + "PlantedA" * 4


def settings_in(text):
    """Names that a source reads: a literal, or a constant of the same file."""
    tree = ast.parse(text)
    named = {
        t.id: n.value.value
        for n in tree.body
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant)
        for t in n.targets
        if isinstance(t, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield from _name(node.slice, named)
        elif isinstance(node, ast.Call) and any(ast.unparse(node.func).endswith(one) for one in READERS | ADDERS):
            yield from _name(node.args[0], named)


def _name(node, named):
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in named:
        yield named[node.id]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A checkout of its own, and no setting from the machine that the test runs on."""
    for setting in SETTINGS:
        if setting.where == "environment":
            monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(make_project(tmp_path / "repo", tmp_path / "work/store.sqlite").root)
    return tmp_path / "repo"


def found(root, name):
    return next((one.value, one.origin) for one in effective(root) if one.name == name)


def test_every_setting_that_the_source_reads_is_listed():
    """No environment variable, key of pytest.ini or flag is read that the list does not have."""
    files = [p for p in (ROOT / "harness").rglob("*.py") if "zoo" not in p.parts]
    read = {name for path in files for name in settings_in(path.read_text())}
    assert read - LISTED == set()
    assert {"INTERP_STORE", "interp_keep_runs", "--require-run", "GITHUB_STEP_SUMMARY"} <= read


def test_the_search_finds_a_setting_that_is_not_listed():
    """The test above can fail: reads in every form are found."""
    text = 'import os\nA = "ONE"\nos.environ.get(A)\nos.environ["TWO"]\ngroup.addoption("--three")\nos.getenv("FOUR")\n'
    assert set(settings_in(text)) == {"ONE", "TWO", "--three", "FOUR"}


def test_the_page_is_the_list():
    """docs/settings.md is what `python -m harness.settings` prints."""
    assert (ROOT / "docs/settings.md").read_text() == settings_page()


def test_a_value_says_where_it_comes_from(here, monkeypatch):
    """Default, environment, pytest.ini and flags; the environment's flags win over the file's, as in pytest."""
    assert found(here, "INTERP_DEVICE") == ("the subject's own", "default")
    assert found(here, "interp_keep_runs") == ("50", "default")
    ini = here / "pytest.ini"
    ini.write_text(ini.read_text() + "interp_keep_runs = 7\naddopts = --mutate --failed-in=old\n")
    monkeypatch.setenv("INTERP_DEVICE", "cpu")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-q --failed-in=latest")
    assert found(here, "INTERP_DEVICE") == ("cpu", "environment variable INTERP_DEVICE")
    assert found(here, "interp_keep_runs") == ("7", "pytest.ini")
    assert found(here, "--mutate") == ("on", "pytest.ini")
    assert found(here, "--failed-in") == ("latest", "environment variable PYTEST_ADDOPTS")
    assert found(here, "--no-store") == ("off", "default")


def test_an_empty_variable_is_none_but_the_one_that_hides_gpus(here, monkeypatch):
    """As the code reads them: INTERP_STORE= is no store's name, CUDA_VISIBLE_DEVICES= hides all."""
    monkeypatch.setenv("INTERP_STORE", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert found(here, "INTERP_STORE")[1] == "default"
    assert found(here, "CUDA_VISIBLE_DEVICES") == ("", "environment variable CUDA_VISIBLE_DEVICES")


def test_doctor_says_what_is_missing_and_what_mends_it(here, capsys):
    """One document: subjects with their mends, settings; the subject that can be read lacks nothing."""
    code, out, _ = interp(capsys, "doctor", "--json")
    document = json.loads(out)
    subjects = {one["subject"]: one for one in document["subjects"]}
    assert code == 0
    assert document["problems"] == []
    assert subjects["tiny"]["here"]
    assert subjects["tiny"]["mends"] == []
    assert subjects["gone"]["mends"] == ["git checkout -- zoo/nowhere"]
    assert "INTERP_DEVICE=cpu" in subjects["tiny-gpu"]["mends"][0]
    assert [one["name"] for one in document["settings"]] == [one.name for one in SETTINGS]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_secret_is_set_or_not_and_never_shown(here, capsys, monkeypatch, flags):
    """Neither the token's variable nor a token inside another setting is printed."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"-k {SECRET}")
    _, out, err = interp(capsys, "doctor", *flags)
    assert SECRET not in out + err
    assert found(here, "HF_TOKEN") == ("set", "environment variable HF_TOKEN")
    monkeypatch.delenv("HF_TOKEN")
    assert found(here, "HF_TOKEN") == ("not set", "default")


@pytest.mark.parametrize(("name", "ini"), [("device_unknown", ""), ("interp_keep_runs", "interp_keep_runs = many\n")])
def test_a_value_that_cannot_be_is_said_and_exits_3(here, capsys, monkeypatch, name, ini):
    """The settings are shown all the same, since they are what is to be mended."""
    monkeypatch.setenv("INTERP_DEVICE", "cpu" if ini else "gpu")
    (here / "pytest.ini").write_text((here / "pytest.ini").read_text() + ini)
    code, out, err = interp(capsys, "doctor")
    assert code == 3
    assert name in err
    assert "INTERP_STORE" in out
