"""A project folder of its own for tests that run pytest as a reviewer does: real YAML, the real tiny model."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]

COLOR = [
    "The red ball bounced on the grass.",
    "She wore a blue dress to work.",
    "A yellow sun set behind the hills.",
    "He painted the old fence green.",
    "The purple curtain hung by the window.",
    "They bought a brown sofa last week.",
    "My pink scarf is in the drawer.",
    "An orange truck stopped at the gate.",
]
PLAIN = [
    "The dog chased the cat around the house.",
    "He carefully opened the ancient door.",
    "There are three apples in the basket.",
    "The book is on top of the table.",
    "She ran quickly down the stairs.",
    "Love is patient and love is kind.",
    "The camera was left in the car.",
    "We walked to the river after lunch.",
]

SUBJECTS = """\
models:
  tiny: {path: zoo/model}
  gone: {path: zoo/nowhere}
saes:
  tiny: {path: zoo/sae, d_in: 128, d_sae: 1024, hook: blocks.3.hook_resid_post}
subjects:
  tiny: {model: tiny, sae: tiny, dtype: float32, device: cpu}
  tiny-gpu: {model: tiny, sae: tiny, dtype: float32, device: cuda}
  gone: {model: gone, sae: tiny, dtype: float32, device: cpu}
"""


@dataclass
class Project:
    """A repository with specs; `pytest(...)` runs the gate in it in a fresh interpreter."""

    root: Path
    env: dict = field(default_factory=dict)

    def suite(self, name, expect, subjects="tiny", prompts=None, **extra):
        """Write specs/<name>.yaml; `expect` is the YAML of the list of claims."""
        sets = {"color": COLOR, "plain": PLAIN, **(prompts or {})}
        head = {"title": name, "subjects": [subjects], "prompts": sets, **extra}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items())
        path = self.root / "specs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "expect:\n" + textwrap.indent(textwrap.dedent(expect), "  "))
        return path

    def pytest(self, *args, cwd=None, **env):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
        return self.run(command, cwd, **env)

    def run(self, command, cwd=None, **env):
        full = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", **self.env, **env}
        outer = ["PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"]
        outer += [name for name in full if name.startswith("GITHUB_")]
        for name in set(outer) - set(env):  # what a job that tests this repository has set is not of the project
            full.pop(name, None)
        return subprocess.run(command, cwd=cwd or self.root, env=full, capture_output=True, text=True, timeout=600)

    def results(self):
        return json.loads((self.root / "reports/latest/results.json").read_text())

    def outcomes(self):
        return {r["id"]: r["outcome"] for r in self.results()["records"]}


def make_project(root, store):
    """A fresh repository at `root`; evidence goes to `store`."""
    (root / "interp_tests").mkdir(parents=True)
    for name in ("conftest.py", "pytest.ini", "interp_tests/test_specs.py"):
        shutil.copy(REPO / name, root / name)
    (root / "specs").mkdir()
    (root / "specs/subjects.yaml").write_text(SUBJECTS)
    shutil.copytree(REPO / "harness/zoo/tiny_gemma2/model", root / "zoo/model")
    shutil.copytree(REPO / "harness/zoo/tiny_gemma2/sae", root / "zoo/sae")
    return Project(root, {"INTERP_STORE": str(store), "INTERP_CACHE": str(store.parent / "cache")})
