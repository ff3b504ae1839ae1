"""The workflows under .github/: right by GitHub's schema, and what keeps strangers away from the GPU machine."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import jsonschema
import pytest
import yaml

from interp_tests.project import REPO

WORKFLOWS = sorted((REPO / ".github/workflows").glob("*.y*ml"))
SCHEMA = "check_jsonschema/builtin_schemas/vendor/github-workflows.json"
GUARD = "github.event.pull_request.head.repo.full_name == github.repository"


def workflow(path):
    """As GitHub reads it: `on` is a key, not the truth."""
    found = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    assert "on" in found
    return found


def gpu():
    return workflow(REPO / ".github/workflows/interp.yml")


def schema_errors(document):
    schema = json.loads(Path(distribution("check-jsonschema").locate_file(SCHEMA)).read_text())
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)]


def typed(path):
    """With numbers and truths, `on` excepted."""
    return {("on" if key is True else key): value for key, value in yaml.safe_load(path.read_text()).items()}


def test_both_workflows_are_there():
    """One for the CPU, one for the GPU; the tests below read every one that is added."""
    assert {path.name for path in WORKFLOWS} >= {"cpu.yml", "interp.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid_by_the_published_schema(path):
    """SchemaStore's, in check-jsonschema's copy; a misspelt key is found by it."""
    document = typed(path)
    assert schema_errors(document) == []
    job = next(iter(document["jobs"].values()))
    job["runs_on"] = job.pop("runs-on")
    assert schema_errors(document)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights(path):
    """It reads the contents and nothing else, knows no secret, and ends; no job widens that."""
    found, text = workflow(path), path.read_text()
    assert found["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert "pull_request_target" not in found["on"]
    assert "workflow_run" not in found["on"]
    assert found["concurrency"]["group"]
    for job in found["jobs"].values():
        assert "permissions" not in job
        assert 0 < int(job["timeout-minutes"]) <= 360
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert [step["with"]["persist-credentials"] for step in checkouts] == ["false"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_no_text_of_a_stranger_and_no_other_peoples_actions(path):
    """No expression inside a script (a branch's name would be code); actions of GitHub's own only, at a version."""
    for job in workflow(path)["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert re.fullmatch(r"actions/[a-z/-]+@(v\d+|[0-9a-f]{40})", step.get("uses", "actions/none@v1"))


def test_the_gpu_machine_is_kept_from_strangers():
    """Push to main, a schedule, by hand, and pull requests whose branch lies in this repository."""
    found = gpu()
    assert set(found["on"]) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert found["on"]["push"] == {"branches": ["main"]}
    for job in found["jobs"].values():
        assert "self-hosted" in job["runs-on"]
        assert job["environment"] == "gpu"
        condition = " ".join(job["if"].split())
        assert condition.startswith(f"github.event_name != 'pull_request' || ({GUARD} && ")


def test_no_other_workflow_reaches_the_machine():
    """What is not guarded runs on GitHub's own machines."""
    for path in WORKFLOWS:
        for job in workflow(path)["jobs"].values():
            assert GUARD in job.get("if", "") or job["runs-on"] == "ubuntu-latest", path.name


def test_the_gpu_workflow_judges_and_keeps_what_it_found():
    """pytest -m gpu in the README's environment; the store by what it depends on; the report of a failed run, too."""
    (job,) = gpu()["jobs"].values()
    steps = job["steps"]
    runs = [step.get("run", "") for step in steps]
    assert "make .venv/.installed" in runs
    (judge,) = [step for step in steps if "pytest" in step.get("run", "")]
    assert "-m gpu" in judge["run"]
    assert "--junitxml=reports/junit.xml" in judge["run"]
    kept = [step for step in steps if step.get("uses", "").startswith("actions/cache/")]
    folders = {step["with"]["path"] for step in kept}
    assert len(kept) == 2
    assert [judge["env"]["INTERP_STORE"].rpartition("/")[0]] == [*folders]
    assert all(name in kept[0]["with"]["restore-keys"] for name in ("constraints.txt", "specs/subjects.yaml"))
    assert kept[0]["with"]["key"].startswith(kept[0]["with"]["restore-keys"])
    (report,) = [step for step in steps if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert report["if"] == "always()"
    assert report["with"]["path"].split() == ["reports/latest", "reports/junit.xml"]
    assert kept[1]["if"].startswith("always()")
