"""The published subjects of specs/subjects.yaml, by their real names, through the real loaders, offline on the CPU.

Their hub caches have true repository names, file names and widths, and tiny weights: what is proven is that a user
with network and GPU gets as far as numbers, not what the numbers are.
"""

import os
import shutil
import subprocess
import sys

import pytest

from interp_tests import hub_cache
from interp_tests.project import REPO, make_project

SUITE = """\
title: As far as numbers
subjects: [{names}]
prompts:
  color: prompts/categories.yaml#color
expect:
  - id: is-read
    why: Any finite reconstruction meets this; weights are random.
    scope: sample
    reconstruction: {{prompts: color, mse: {{at_most: 1e12}}}}
"""

PICTURES = """\
title: Pictures, as far as numbers
subjects: [paligemma2-3b-l10]
prompts:
  photos: {folder: images/photos, caption: "A photo of a {folder}.", per_folder: 2}
expect:
  - id: image-tokens-are-read
    why: Any finite reconstruction meets this; weights are random.
    scope: sample
    tokens: image
    reconstruction: {prompts: photos, mse: {at_most: 1e12}}
"""

# What cannot work offline: sae-lens asks the hub for the shapes of Gemma Scope 2's tensors.
SHAPES_FROM_DISK = """\
pytest_plugins = ["harness.plugin"]

import sae_lens.loading.pretrained_sae_loaders as loaders
from huggingface_hub import hf_hub_download
from safetensors import safe_open


def shapes(repo_id, filename):
    with safe_open(hf_hub_download(repo_id, filename), "pt") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}


loaders.get_safetensors_tensor_shapes = shapes
"""


def make_hub(hub):
    """Every repository that the subjects under test name."""
    hub_cache.gemma2(hub)
    hub_cache.gemma_scope(hub)
    hub_cache.paligemma2(hub, 224)
    hub_cache.qwen3(hub)
    hub_cache.qwen_scope(hub, "Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50", 14, 2048, 32768)
    hub_cache.gemma3_270m(hub)
    hub_cache.gemma_scope_2(hub, "270m", 640, 12)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Built in a process of its own, so that its memory is given back."""
    home = tmp_path_factory.mktemp("hf")
    code = "import sys, pathlib; from interp_tests.test_real_names import make_hub; make_hub(pathlib.Path(sys.argv[1]))"
    env = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(home / "hub")], env=env, check=True)
    return home


@pytest.fixture
def project(tmp_path, hub):
    """A repository with the real subjects.yaml, prompts and published suites, and an offline hub cache."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    shutil.rmtree(project.root / "specs")
    (project.root / "specs").mkdir()
    shutil.copy(REPO / "specs/subjects.yaml", project.root / "specs/subjects.yaml")
    shutil.copytree(REPO / "specs/prompts", project.root / "specs/prompts")
    shutil.copytree(REPO / "specs/images", project.root / "specs/images")
    project.env |= {"HF_HOME": str(hub), "HF_HUB_OFFLINE": "1", "INTERP_DEVICE": "cpu"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):
        project.env.pop(name, None)
    return project


def read(project, *names):
    """Run the gate over SUITE; records by subject, and what was captured."""
    (project.root / "specs/names.yaml").write_text(SUITE.format(names=", ".join(names)))
    ran = project.pytest("-m", "gpu", "-q")
    return ran, {record["subject"]: record for record in project.results()["records"]}


NAMES = ("gemma-2-2b-l10", "paligemma2-3b-l10", "qwen3-1.7b-l14", "gemma-3-270m-l12")


def test_published_subjects_run_by_their_real_names(project):
    """`pytest -m gpu` reads each through its own loader and judges; nothing but the range request is patched."""
    (project.root / "conftest.py").write_text(SHAPES_FROM_DISK)
    ran, records = read(project, *NAMES)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {name: record["outcome"] for name, record in records.items()} == dict.fromkeys(NAMES, "met")
    capture = project.results()["capture"]
    assert {name: capture[name]["loads"] for name in NAMES} == dict.fromkeys(NAMES, 1)
    digests = {name: capture[name]["sae_digest"] for name in NAMES}
    assert digests["gemma-2-2b-l10"] == digests["paligemma2-3b-l10"], "one SAE, whichever model it reads"
    assert len(set(digests.values())) == 3


def test_pictures_are_read_by_a_published_subject(project):
    """256 image tokens each, through the image processor that the repository configures."""
    (project.root / "specs/pictures.yaml").write_text(PICTURES)
    ran = project.pytest("-m", "gpu", "-q")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (record,) = project.results()["records"]
    assert (record["outcome"], record["measurement"]["n"]) == ("met", 9 * 256)


def test_gemma_scope_2_says_why_it_cannot_load_offline(project):
    """Without the patch one message names the range request; the file in the cache changes nothing."""
    ran, records = read(project, "gemma-3-270m-l12")
    assert ran.returncode == 1
    assert records["gemma-3-270m-l12"]["outcome"] == "not_run"
    finding = records["gemma-3-270m-l12"]["finding"]
    assert "cannot be loaded offline" in finding, finding
    assert "Traceback" not in ran.stdout
