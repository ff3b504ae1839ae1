"""`pytest --failed-in RUN` on real runs of the tiny model, and what it means that a claim failed."""

import itertools
import json

import pytest

from harness.plugin.gate import settle
from harness.verdict import Outcome, Reason, Verdict
from interp_tests import report_cases as cases
from interp_tests.project import COLOR, make_project
from interp_tests.report_cases import record

CLAIMS = """\
- id: met
  feature: 267
  fires_more: {prompts: color, than: plain}
- id: unmet
  feature: 267
  fires_more: {prompts: plain, than: color}
- id: warns
  feature: 731
  severity: warn
  fire_rate: {prompts: color, rate: {at_least: .5}}
- id: undecided
  feature: 267
  fires_more: {prompts: three, than: plain}
"""


def is_failing(made):
    """Whether settling a record fails its test; pytest's own xfail is a kind of failure, too, by its class."""
    try:
        settle(made, "test_specs.py::test_spec[x]")
    except (pytest.skip.Exception, pytest.xfail.Exception):
        return False
    except pytest.fail.Exception:
        return True
    return False


STANDINGS = list(itertools.product(Outcome, ("fail", "warn"), (None, "a reason"), (False, True)))


@pytest.mark.parametrize(("outcome", "severity", "xfail", "cold"), STANDINGS)
def test_red_is_what_makes_the_test_fail(outcome, severity, xfail, cold):
    """Record.is_red agrees with the test's own outcome for every standing."""
    reason = Reason.DEAD if outcome is Outcome.INCONCLUSIVE else None
    details = {"cold": True} if cold and outcome is Outcome.NOT_RUN else {}
    made = record(Verdict(outcome, "so it is", reason=reason, details=details), severity=severity, xfail=xfail)
    assert made.is_red is is_failing(made)
    assert cases.Record.broken(cases.BROKEN).is_red


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two red claims of four, judged once."""
    made = make_project(tmp_path_factory.mktemp("failed"), tmp_path_factory.mktemp("evidence") / "store.sqlite")
    made.suite("page", CLAIMS, prompts={"three": COLOR[:3]})
    made.first = made.pytest("-q")
    assert "2 failed, 2 passed" in made.first.stdout, made.first.stdout + made.first.stderr
    made.run_id = made.results()["run"]["id"]
    return made


def test_only_what_failed_is_selected(project):
    """Whatever made the test red; the others are counted as deselected, and a line says of which run."""
    done = project.pytest("--failed-in", project.run_id[:18])
    assert "2 failed, 2 deselected" in done.stdout
    assert f"2 of 4 claims failed in run {project.run_id}" in done.stdout
    assert set(project.outcomes()) == {"page::unmet", "page::undecided"}
    assert done.returncode == 1


def test_workers_select_the_same(project):
    """Under -n, where each process collects by itself."""
    done = project.pytest("--failed-in", project.run_id, "-n", "2")
    assert "2 failed" in done.stdout
    assert set(project.outcomes()) == {"page::unmet", "page::undecided"}
    assert f"2 of 4 claims failed in run {project.run_id}" in done.stdout


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "distributed"])
def test_a_run_without_failures_selects_nothing_and_is_not_green(project, more):
    """All are deselected, a line says why, and the exit code is pytest's own for no tests."""
    assert project.pytest("-q", "-k", "met and not unmet").returncode == 0
    done = project.pytest("--failed-in", "latest", *more)
    assert done.returncode == 5, done.stdout
    assert "0 of 1 claims failed in run" in done.stdout
    assert "nothing is selected" in done.stdout
    assert "passed" not in done.stdout


def test_a_file_that_cannot_be_read_stays(project):
    """A typo is red whatever is selected, so it does not hide behind another run's failures."""
    path = project.root / "specs/typo.yaml"
    path.write_text("title: typo\nexpekt: []\n")
    done = project.pytest("--failed-in", project.run_id)
    path.unlink()
    assert "3 failed, 2 deselected" in done.stdout


def test_a_claim_that_is_gone_is_named(project):
    """One of the failed claims was renamed since: the other is judged, the lost one is said."""
    path = project.root / "specs/page.yaml"
    text = path.read_text()
    path.write_text(text.replace("id: unmet", "id: renamed"))
    done = project.pytest("--failed-in", project.run_id)
    path.write_text(text)
    assert "1 of them are no claims any more: page::unmet" in done.stdout
    assert "1 failed, 3 deselected" in done.stdout


@pytest.mark.parametrize(("run", "says"), [("nope", "is neither a run"), ("edited.json", "not as its run wrote it")])
def test_an_unknown_run_is_a_usage_error(project, run, says):
    """Exit code 4 with one message; so is a run that was edited by hand."""
    document = project.results()
    document["records"] = []
    (project.root / "edited.json").write_text(json.dumps(document))
    done = project.pytest("--failed-in", run)
    assert done.returncode == 4
    assert says in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
