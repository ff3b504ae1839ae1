"""No false green: whatever breaks, a run ends with an exit code other than 0 and says why in its last lines."""

import textwrap
from dataclasses import dataclass, field

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND, MET

LAST_LINES = 25
SILENT = """\
- id: sparse
  scope: sample
  sparsity: {prompts: color, l0: {at_most: 200}}
- id: rebuilt
  scope: sample
  reconstruction: {prompts: color, mse: {at_most: 900}}
"""


def suite(project):
    project.suite("color", MET, prompts=FOUND)


def gpu_suite(project):
    project.suite("big", MET, subjects="tiny-gpu", prompts=FOUND)


def beside_a_broken_file(project):
    suite(project)
    (project.root / "specs/broken.yaml").write_text("title: broken\nsubjcts: [tiny]\n")


def in_capitals(project):
    """Beside a suite that is read, one that nothing would meet under a name that is not."""
    suite(project)
    project.suite("never", MET.replace("prompts: color, than: plain", "prompts: plain, than: color"), prompts=FOUND)
    (project.root / "specs/never.yaml").rename(project.root / "specs/never.YAML")


def in_a_linked_folder(project):
    """The same, in a folder that is kept elsewhere."""
    in_capitals(project)
    (project.root / "elsewhere").mkdir()
    (project.root / "specs/never.YAML").rename(project.root / "elsewhere/never.yaml")
    (project.root / "specs/more").symlink_to("../elsewhere")


def nothing(project):
    """No suite at all."""


def with_plugin(code):
    """The suite, and code that the project's own conftest runs: what a colleague may add, or a fault may do."""

    def prepare(project):
        suite(project)
        with (project.root / "conftest.py").open("a") as file:
            file.write("\n" + textwrap.dedent(code))

    return prepare


def spoiled_sae(change):
    """The suite over an SAE whose tensors `change` has gone over, beside it claims that silence would meet."""

    def prepare(project):
        project.suite("color", MET + SILENT, prompts=FOUND)
        path = project.root / "zoo/sae/sae_weights.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return prepare


def silence(tensors):
    """An SAE of which no feature ever fires."""
    tensors["W_enc"][:] = 0
    tensors["b_enc"][:] = -1


def nan_everywhere(tensors):
    for values in tensors.values():
        values[:] = np.nan


def pinned_to_other_weights(project):
    """The store is warm, from the weights that the pin names; those on disk have changed since."""
    suite(project)
    assert project.pytest("-q").returncode == 0
    subjects = project.root / "specs/subjects.yaml"
    pin = "digest: " + "0" * 64
    subjects.write_text(subjects.read_text().replace("tiny: {path: zoo/model}", f"tiny: {{path: zoo/model, {pin}}}"))


def store_from_other_weights(project):
    """Evidence of other weights only, and weights that cannot be read."""
    suite(project)
    assert project.pytest("-q").returncode == 0
    gone = project.root / "zoo/sae/sae_weights.safetensors"
    gone.write_bytes(gone.read_bytes()[:100])


def no_room_for_reports(project):
    suite(project)
    (project.root / "reports").write_text("a file where the folder should be")


@dataclass
class Case:
    """prepare: makes the project. args, env: of the run. reason: what its last lines must say, each of them."""

    name: str
    prepare: object
    reason: tuple
    args: tuple = ()
    env: dict = field(default_factory=dict)


RAISES = """
from harness.expectations.fires_more import FiresMore

def judge(*args, **kwargs):
    raise ZeroDivisionError("a kind that raises")

FiresMore.judge = judge
"""
LOST = """
import os
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if os.environ.get("PYTEST_XDIST_WORKER") and "color" in item.nodeid:
        os._exit(3)
"""
SKIPS = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.skip(reason="not today"))
"""
MISBEHAVES = """
import harness.controls
from harness.controls.base import failed

def planted(sample):
    return failed("planted", sample.subject, "a feature planted in the evidence was not found", 1, 0)

harness.controls._PER_SUBJECT = (planted,)
"""
COLLECTED = {"PYTEST_ADDOPTS": "--collect-only", "INTERP_REQUIRE_RUN": "yes"}
ALL_SILENT = ("nothing fires", "color::sparse   dead", "color::rebuilt  dead")
CASES = [
    Case("no_spec", nothing, ("No claim under specs/",)),
    Case("nothing_by_name", suite, ("1 deselected", "No claim was judged"), ("-k", "nothing")),
    Case("nothing_by_mark", suite, ("1 deselected", "No claim was judged"), ("-m", "slow")),
    Case("unknown_mark", suite, ("Unknown marker",), ("-m", "nothing")),
    Case("deselected", suite, ("No claim was judged",), ("--deselect", "interp_tests/test_specs.py")),
    Case("nothing_by_name_xdist", suite, ("No claim was judged",), ("-k", "nothing", "-n", "1")),
    Case("all_skipped_cold", gpu_suite, ("No claim was judged", "1 skipped"), env={"CUDA_VISIBLE_DEVICES": ""}),
    Case("all_skipped_by_hand", with_plugin(SKIPS), ("No claim was judged", "1 skipped")),
    Case("all_skipped_xdist", with_plugin(SKIPS), ("No claim was judged", "1 skipped"), ("-n", "1")),
    Case("only_set_up", suite, ("No claim was judged",), ("--setup-plan",)),
    Case("missing_under_m_gpu", gpu_suite, ("device_missing", "1 failed"), ("-m", "gpu")),
    Case("missing_where_required", gpu_suite, ("device_missing",), env={"INTERP_REQUIRE_RUN": "1"}),
    Case("required_in_words", gpu_suite, ("device_missing",), env={"INTERP_REQUIRE_RUN": "True"}),
    Case("required_misspelt", suite, ("INTERP_REQUIRE_RUN is 'ture'",), env={"INTERP_REQUIRE_RUN": "ture"}),
    Case("only_collected", suite, ("--collect-only judges nothing",), env=COLLECTED),
    Case("only_collected_by_flag", suite, ("--collect-only judges nothing",), ("--require-run", "--co")),
    Case("only_collected_gpu", gpu_suite, ("--collect-only judges nothing",), ("-m", "gpu", "--collect-only")),
    Case("only_listed", suite, ("--fixtures judges nothing",), ("--require-run", "--fixtures")),
    Case("codes_all_zero", spoiled_sae(silence), (*ALL_SILENT, "3 failed")),
    Case("nan_everywhere", spoiled_sae(nan_everywhere), ("not_finite", "3 failed")),
    Case("kind_raises", with_plugin(RAISES), ("ZeroDivisionError: a kind that raises", "judging_failed")),
    Case("broken_file_beside_good", beside_a_broken_file, ("subjcts", "1 failed, 1 passed")),
    Case("broken_file_deselected", beside_a_broken_file, ("subjcts", "1 failed"), ("-k", "color")),
    Case("suite_in_capitals", in_capitals, ("bad_file_name", "1 failed, 1 passed")),
    Case("suite_in_a_linked_folder", in_a_linked_folder, ("outside_specs", "1 failed, 1 passed")),
    Case("pinned_to_other_weights", pinned_to_other_weights, ("digest_mismatch", "1 failed")),
    Case("store_from_other_weights", store_from_other_weights, ("sae_unreadable", "1 failed")),
    Case("report_not_written", no_room_for_reports, ("reports_not_written",)),
    Case("worker_lost", with_plugin(LOST), ("crashed", "1 failed"), ("-n", "1")),
    Case(
        "control_misbehaves",
        with_plugin(MISBEHAVES),
        ("This run is invalid", "planted in the evidence"),
        ("--no-store",),  # what is judged anew; beside kept verdicts stand the controls of their own run
    ),
]


@pytest.fixture(scope="module")
def warm_store(tmp_path_factory):
    return tmp_path_factory.mktemp("evidence") / "store.sqlite"


@pytest.fixture
def project(tmp_path, warm_store):
    return make_project(tmp_path / "repo", warm_store)


# Each shows the same as another of the table, at the price of another import of torch or of a worker.
LONG = {"nothing_by_name_xdist", "all_skipped_xdist", "missing_where_required", "pinned_to_other_weights"}


def marked(case):
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.name in LONG else [])


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_what_breaks_is_red_and_says_why(project, case):
    """Each of these ends with another exit code than 0, and its last 25 lines hold the reason."""
    case.prepare(project)
    done = project.pytest("-q", *case.args, **case.env)
    last = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
    assert done.returncode != 0, done.stdout + done.stderr
    assert [reason for reason in case.reason if reason not in last] == [], done.stdout + done.stderr


def test_the_same_suite_unbroken_is_green(project):
    """The cases above can fail to fail: without what breaks it, this suite ends with 0."""
    suite(project)
    done = project.pytest("-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No claim was judged" not in done.stdout
