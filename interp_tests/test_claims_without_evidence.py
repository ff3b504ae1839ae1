"""Claims that no evidence was read for say so, and count none as theirs."""

import pytest

from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND, MET, TOO_FEW


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Of one run: claims that are judged, that no GPU can be read for, and that three prompts cannot decide."""
    root = tmp_path_factory.mktemp("unread")
    project = make_project(root, root / "store.sqlite")
    project.suite("here", MET, prompts=FOUND)
    project.suite("away", MET, subjects="tiny-gpu", prompts=FOUND)
    project.suite("few", TOO_FEW, prompts=FOUND)
    project.pytest("-q")
    table = project.root / "reports/latest/summary.md"
    return {record["suite"]: record for record in project.results()["records"]}, table.read_text()


def test_a_claim_that_was_not_read_counts_no_prompts_as_its_evidence(records):
    """Nothing of a cold subject came from the store; nor of a claim that is decided by its number of prompts."""
    found, _ = records
    assert [found[name]["outcome"] for name in ("away", "few")] == ["not_run", "inconclusive"]
    assert [found[name]["evidence"] for name in ("away", "few")] == [{"prompts": 0, "from_store": 0}] * 2
    assert found["here"]["evidence"]["prompts"] > 0


def test_a_claim_that_was_not_run_names_its_faults_where_a_number_would_stand(records):
    """In results.json as codes, in tables as words."""
    found, table = records
    assert found["away"]["details"]["faults"] == ["cold"]
    assert "faults" not in found["here"]["details"]
    (row,) = [line for line in table.splitlines() if line.startswith("| not run")]
    assert "| cold |" in row
