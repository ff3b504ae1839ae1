"""CONTRIBUTING.md holds: the files that it names are there, and its kind, added by its steps, is one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FILES = sorted(
    {*re.findall(r"(?<![\w/])((?:harness|interp_tests|docs|specs|\.github)/[\w./-]*\w/?)", PAGE), "Makefile"}
)
KIND = re.search(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
STEPS = [line.strip() for line in PAGE.split("Then:\n")[1].split("The registry")[0].splitlines() if line.strip()]
COPIED = ("harness", "interp_tests", "specs", "docs", "conftest.py", "pytest.ini", "pyproject.toml")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_page_names_is_there(name):
    """Paths in text and in links."""
    assert (ROOT / name).exists()


def test_the_page_names_files_and_targets():
    """The pattern finds them, and each make target that the page gives is one of the Makefile's."""
    assert len(FILES) > 20
    targets = set(re.findall(r"^    make (\w+)", PAGE, flags=re.MULTILINE))
    assert targets >= {"specs", "test", "lint"}
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def copy_with(kind, tmp_path):
    """A copy of the repository with one more kind, after the page's steps; what the last one printed."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name, **({"ignore": ignored} if (ROOT / name).is_dir() else {}))
    (tmp_path / "harness/expectations/reaches.py").write_text(kind)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    env.pop("PYTEST_ADDOPTS", None)
    for step in STEPS:
        command = step.replace("python ", f'"{sys.executable}" ', 1) + " -q -p no:cacheprovider" * ("pytest" in step)
        ran = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
    return ran


def ignored(folder, names):
    return [
        name for name in names if name in ("__pycache__", "runs", "latest", ".hypothesis") or name.endswith(".gguf")
    ]


def test_the_kind_of_the_page_is_one_by_its_steps(tmp_path):
    """One file and three commands: conformance, schema and page are green, and the schema knows the kind."""
    ran = copy_with(KIND, tmp_path)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
    assert '"reaches"' in (tmp_path / "specs/suite.schema.json").read_text()
    assert "## reaches" in (tmp_path / "docs/kinds.md").read_text()


@pytest.mark.slow
def test_a_kind_that_does_not_judge_as_its_examples_say_is_refused(tmp_path):
    """The steps can fail: with the comparison turned round, the conformance test names the example."""
    ran = copy_with(KIND.replace(">= self.level", "< self.level"), tmp_path)
    assert ran.returncode == 1
    assert "reaches" in ran.stdout
