"""Snapshots: a text that differs, is missing or is used by no test is red, and an update names what it changed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interp_tests.stable_text import stable

HERE = Path(__file__).parent
STORED = HERE / "__snapshots__"
NAME = re.compile(r"^# name: (.*?)(?:\.\d+)?$", re.MULTILINE)
TEST = """
import pytest

@pytest.mark.parametrize("word", ["red", "blue"])
def test_words(word, snapshot):
    assert f"the {word} ball" == snapshot
"""


def run(folder, *args):
    """pytest in a folder of its own, with the plugins that matter here: (exit code, what it printed)."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ["-p", "syrupy", "-p", "xdist", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", *args]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def green(tmp_path_factory):
    """A folder with one test module, whose two snapshots are stored."""
    folder = tmp_path_factory.mktemp("green")
    (folder / "test_words.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\nstrict = true\n")
    assert run(folder, "--snapshot-update")[0] == 0
    assert run(folder)[0] == 0
    return folder


@pytest.fixture
def folder(green, tmp_path):
    """A copy of the green folder."""
    return shutil.copytree(green, tmp_path / "copy")


def stored_in(folder):
    return folder / "__snapshots__/test_words.ambr"


@pytest.mark.parametrize(
    ("change", "said", "workers"),
    [
        (lambda text: text.replace("the red ball", "a red ball"), "1 snapshot failed", ()),
        (lambda text: "# serializer version: 1\n", "2 snapshots failed", ()),
        (lambda text: text + "# name: test_words[red].1\n  'more'\n# ---\n", "1 snapshot unused", ()),
        (lambda text: text.replace("test_words[red]", "test_words[pink]"), "1 snapshot unused", ("-n", "2")),
    ],
    ids=["wrong", "missing", "one too many", "renamed, under xdist"],
)
def test_a_wrong_missing_or_unused_text_is_red(folder, change, said, workers):
    """Each fails the run."""
    path = stored_in(folder)
    path.write_text(change(path.read_text()))
    code, printed = run(folder, *workers)
    assert (code, said in printed) == (1, True), printed


def test_an_update_names_what_it_changed(folder):
    """The update is green, stores the new text, removes the unused one and names both."""
    path = stored_in(folder)
    before = path.read_text()
    path.write_text(before.replace("the red", "a red") + "# name: test_gone\n  'gone'\n# ---\n")
    code, printed = run(folder, "--snapshot-update", "--snapshot-details")
    assert (code, path.read_text()) == (0, before)
    assert "Updated test_words[red]" in printed
    assert "Deleted test_gone" in printed


def test_every_stored_text_belongs_to_a_test():
    """A selection of tests cannot tell whose texts the others use: here all are collected and compared."""
    modules = [path.stem for path in STORED.glob("*.ambr")]
    assert modules
    files = [str(HERE / f"{name}.py") for name in modules]
    code, printed = run(HERE.parent, "--collect-only", "--snapshot-warn-unused", *files)
    assert code == 0, printed
    tests = set(re.findall(r"^interp_tests/(\w+)\.py::(.+)$", printed, re.MULTILINE))
    for module in modules:
        owners = {name for found, name in tests if found == module}
        names = set(NAME.findall((STORED / f"{module}.ambr").read_text()))
        assert names
        assert names <= owners, f"{module}.ambr: `make snapshots` removes texts of no test"


def test_stable_text_takes_out_what_differs_from_run_to_run(tmp_path):
    """Paths, times and ids of runs are replaced; words and measured numbers stay."""
    text = f"read {tmp_path}/specs/a.yaml in 12.3 s, run 20260301T101112Z-0a1b2c3d: auroc 0.9775, p 3.1e-07"
    assert stable(text, tmp_path) == "read <root>/specs/a.yaml in <time> s, run <run>: auroc 0.9775, p 3.1e-07"
