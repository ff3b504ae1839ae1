"""docs/notebook.ipynb and docs/tutorials/ run as they stand, and show what they say that they show."""

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from harness.explore import prompt_set
from harness.language.subjects import find_subject
from interp_tests.project import REPO

NOTEBOOK = REPO / "docs/notebook.ipynb"
TUTORIAL = REPO / "docs/tutorials/feature-transfer.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a notebook with nbmake in a folder beside specs/, as docs/ is, over one store."""
    root = tmp_path_factory.mktemp("notebook")
    (root / "docs/tutorials").mkdir(parents=True)
    shutil.copytree(REPO / "specs", root / "specs")  # a link out of the repository is not read
    (root / "harness").symlink_to(REPO / "harness")
    (root / "pytest.ini").write_text("[pytest]\n")

    def run(notebook, at=NOTEBOOK):
        path = root / at.relative_to(REPO)
        path.write_text(json.dumps(notebook))
        env = {"INTERP_STORE": str(root / "store.sqlite"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPO)}
        command = [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "-q", str(path)]
        done = subprocess.run(command, cwd=root, env={**os.environ, **env}, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    yield run
    shutil.rmtree(root)


@pytest.mark.parametrize("notebook", [NOTEBOOK, TUTORIAL], ids=lambda path: path.stem)
def test_every_cell_runs(run, notebook):
    """As CI runs it: from the first cell to the last, on the models that ship."""
    code, told = run(json.loads(notebook.read_text()), notebook)
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


def shown(notebook, kind):
    """(all outputs, those of one kind as text)."""
    outputs = [output for cell in json.loads(notebook.read_text())["cells"] for output in cell.get("outputs", ())]
    return outputs, ["".join(output["data"].get(kind, ())) for output in outputs if kind in output.get("data", ())]


@pytest.mark.parametrize("notebook", [NOTEBOOK, TUTORIAL], ids=lambda path: path.stem)
def test_what_it_shows_is_kept_in_it(notebook):
    """A reader on the web sees every result, and no path of the machine that made them."""
    outputs, _ = shown(notebook, "text/html")
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    text = json.dumps([{k: v for k, v in one.get("data", one).items() if k != "image/png"} for one in outputs])
    assert not [path for path in ("/home/", "/tmp/", "/work/", "/root/", "site-packages") if path in text]


def test_the_first_notebook_shows_tables_and_heat_maps():
    """Features with their tokens, and two scans."""
    _, tables = shown(NOTEBOOK, "text/html")
    assert len(tables) >= 5
    assert sum("<mark" in one for one in tables) == 2


def test_the_tutorial_shows_the_figures():
    """Five of all features, two of each of three categories, vision and patches; the loss of the SAE."""
    assert len(shown(TUTORIAL, "image/png")[1]) == 13
    assert len(shown(TUTORIAL, "image/svg+xml")[1]) == 1
    assert len(shown(TUTORIAL, "text/html")[1]) >= 5


def code_of(notebook):
    """The source of all code cells, as one tree."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return ast.parse("\n".join("" if line.startswith("%") else line for line in lines))


@pytest.mark.parametrize("notebook", [NOTEBOOK, TUTORIAL], ids=lambda path: path.stem)
def test_what_its_cells_import_is_there(notebook):
    """Without running a cell: every name that is imported of ours exists."""
    imported = [node for node in ast.walk(code_of(notebook)) if isinstance(node, ast.ImportFrom)]
    ours = [(node.module, alias.name) for node in imported for alias in node.names if node.module.startswith("harness")]
    assert ours
    assert [name for module, name in ours if not hasattr(importlib.import_module(module), name)] == []


@pytest.mark.parametrize("real", [False, True])
def test_the_tutorials_names_are_there_for_both_sorts_of_models(real):
    """The switch to the real models names subjects, a layer, texts and pictures that specs/ has."""
    switch = next(
        node for node in ast.walk(code_of(TUTORIAL)) if isinstance(node, ast.If) and ast.unparse(node.test) == "REAL"
    )
    named = {}
    exec("\n".join(map(ast.unparse, switch.body if real else switch.orelse)), named)  # four constants
    base, adapted = (find_subject(REPO, named[name]) for name in ("BASE", "ADAPTED"))
    assert base.sae == adapted.sae
    assert base.sae.hook == f"blocks.{named['LAYER']}.hook_resid_post"
    assert (base.model.name.startswith("tiny"), adapted.model.modality) == (not real, "image_text")
    assert all(prompt.image is not None for prompt in prompt_set(named["PICTURES"], REPO))
