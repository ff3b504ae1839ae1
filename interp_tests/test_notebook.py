"""docs/notebook.ipynb runs as it stands, and shows what it says that it shows."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from interp_tests.project import REPO

NOTEBOOK = REPO / "docs/notebook.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a notebook with nbmake in a folder beside specs/, as docs/ is, over one store."""
    root = tmp_path_factory.mktemp("notebook")
    (root / "docs").mkdir()
    shutil.copytree(REPO / "specs", root / "specs")  # a link out of the repository is not read
    (root / "harness").symlink_to(REPO / "harness")
    (root / "pytest.ini").write_text("[pytest]\n")

    def run(notebook):
        path = root / "docs/notebook.ipynb"
        path.write_text(json.dumps(notebook))
        env = {"INTERP_STORE": str(root / "store.sqlite"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPO)}
        command = [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "-q", str(path)]
        done = subprocess.run(command, cwd=root, env={**os.environ, **env}, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    yield run
    shutil.rmtree(root)


def test_every_cell_runs(run):
    """As CI runs it: from the first cell to the last, on the models that ship."""
    code, told = run(json.loads(NOTEBOOK.read_text()))
    assert code == 0, told
    assert "1 passed" in told


def test_a_cell_that_raises_fails_the_notebook(run):
    """The check above can fail."""
    notebook = json.loads(NOTEBOOK.read_text())
    notebook["cells"] = [notebook["cells"][1]]
    notebook["cells"][0]["source"] += ["\nopen_subject('tiny-gemma3')"]
    code, told = run(notebook)
    assert code == 1, told
    assert "tiny-gemma3" in told


def test_what_it_shows_is_kept_in_it():
    """A reader on the web sees the tables and the heat-maps, and no path of the machine that made them."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    shown = ["".join(output["data"].get("text/html", ())) for output in outputs if "data" in output]
    assert len(shown) >= 5
    assert sum("<mark" in one for one in shown) == 2
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert not [one for one in shown if "/home/" in one or "/tmp/" in one or "site-packages" in one]
