"""pytest and interp in a job of GitHub Actions: what the runner obeys, the job summary, JUnit's file."""

import json
import sys
from dataclasses import dataclass
from subprocess import CompletedProcess
from xml.etree import ElementTree

import pytest

from interp_tests.actions_runner import obeyed
from interp_tests.project import COLOR, make_project
from interp_tests.test_plugin import FOUND

SUITE = """\
- id: holds
  family: words
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
- id: fails
  family: words
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: plain, than: hostile}
- id: warns
  severity: warn
  feature: 3
  fires_more: {prompts: few, than: plain}
- id: three
  feature: 3
  fires_more: {prompts: few, than: plain}
- id: expected
  xfail: "\\n::error::forged by a reason\\e[2K\\0"
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: plain, than: color}
"""
BROKEN = """\
- id: "::set-output name=a::b ##[error]old"
  feature: 3
  fires_more: {prompts: "x\\n::error::forged by a name", than: plain}
"""
HOSTILE = [f"\n::set-output name=a::{text}\r::error::forged ##[error]forged \x1b[31m" for text in COLOR]
NOISE = '''

def test_noise():
    """What other code prints, and fails with, is in the log line by line."""
    print("\\n::error::forged by output\\n::stop-commands::x\\nsee ##[error]forged, too")
    raise AssertionError("a\\n::error::forged by a message\\n::warning::too")
'''


@dataclass
class Job:
    """One step: how it ended, what its runner obeyed, the summary that it left, and JUnit's file."""

    done: CompletedProcess
    summary: str
    report: str
    results: dict
    junit: ElementTree.Element

    @property
    def commands(self):
        return obeyed(self.done.stderr) + obeyed(self.done.stdout)

    @property
    def properties(self):
        """{claim: {property: value}} of JUnit's file."""
        cases = ({p.get("name"): p.get("value") for p in case.iter("property")} for case in self.junit.iter("testcase"))
        return {case["spec"]: case for case in cases if "spec" in case}


def place(project, name):
    """`file:line` of the claim, where a reviewer would point to."""
    path = next(path for path in project.root.glob("specs/*.yaml") if f"id: {name}" in path.read_text())
    lines = path.read_text().splitlines()
    return f"specs/{path.name}", str(next(i for i, line in enumerate(lines, 1) if f"id: {name}" in line))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions")
    made = make_project(folder / "repo", folder / "store.sqlite")
    made.suite("claims", SUITE, prompts={**FOUND, "hostile": HOSTILE})
    made.suite("cold", "- id: gpu\n  feature: 3\n  fires_more: {prompts: color, than: plain}\n", subjects="tiny-gpu")
    made.suite("broken", BROKEN)
    with (made.root / "interp_tests/test_specs.py").open("a") as file:
        file.write(NOISE)
    return made


def ran(project, *args, summary="summary.md", **env):
    path = project.root / summary
    set_ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path), "GITHUB_WORKSPACE": str(project.root)}
    done = project.pytest("--junitxml=out/junit.xml", *args, **{**set_, **env})
    written = path.read_text() if path.is_file() else ""
    report = (project.root / "reports/latest/summary.md").read_text()
    return Job(done, written, report, project.results(), ElementTree.parse(project.root / "out/junit.xml").getroot())


@pytest.fixture(scope="module")
def job(project):
    """Cold, in two processes, with all that pytest can print."""
    return ran(project, "-n", "2", "-rA", "-v")


def test_a_runner_obeys_the_annotations_and_nothing_else(project, job):
    """Of a log full of commands: one error for each claim that fails, on its line, and one warning; no forged one."""
    assert job.done.returncode == 1, job.done.stdout + job.done.stderr
    found = {(c.name, c.properties["file"], c.properties["line"]) for c in job.commands if "line" in c.properties}
    failing = {("error", *place(project, name)) for name in ("fails", "three")} | {
        ("warning", *place(project, "warns"))
    }
    assert failing < found
    others = found - failing
    # The family stands where its first member does; a broken file or claim where its first mistake is.
    assert ("error", *place(project, "holds")) in others
    assert {file for _, file, _ in others} == {"specs/claims.yaml", "specs/broken.yaml"}
    assert all(c.name in ("error", "warning") and c.properties["title"] for c in job.commands)
    assert not [c for c in job.commands if c.data.startswith("forged")]
    assert "forged by output" in job.done.stdout


def test_without_the_guard_the_same_log_is_obeyed(job):
    """And the test above can fail: the log that pytest printed is full of commands."""
    bare = "\n".join(line for line in job.done.stdout.splitlines() if "::stop-commands::" not in line[:18])
    forged = [c.data for c in obeyed(bare) if c.data.startswith("forged")]
    assert "forged by output" in forged


def test_the_job_summary_is_the_runs_own_once(project, job):
    """Appended to what an earlier command of the step wrote; a second run adds a second."""
    assert job.summary == job.report
    (project.root / "second.md").write_text(job.summary)
    again = ran(project, "-q", "-k", "holds", summary="second.md")
    assert again.summary == f"{job.report}\n{again.report}"


def test_a_summary_that_cannot_be_written_is_said_and_changes_no_verdict(project, job):
    """A folder in its place, and a met claim alone: its node id passes, with a warning in the last lines."""
    (project.root / "taken").mkdir()
    (project.root / "specs/broken.yaml").rename(project.root / "broken.yaml")
    done = ran(project, "-q", "-k", "claims and holds", summary="taken").done
    (project.root / "broken.yaml").rename(project.root / "specs/broken.yaml")
    assert "warning: job_summary_not_written" in done.stdout
    assert done.returncode == 0, done.stdout
    assert done.stdout.index("warning: job_summary") < done.stdout.index("1 passed")


def test_junit_tells_the_measurement_of_each_claim(project, job):
    """The numbers of results.json, in a file that parses although reasons hold NUL and escapes."""
    records = {record["id"]: record for record in job.results["records"]}
    assert {"claims::holds", "claims::expected", "family[words]", "cold::gpu"} < job.properties.keys() & records.keys()
    holds, record = job.properties["claims::holds"], records["claims::holds"]
    assert holds["outcome"] == "met"
    assert holds["bound"] == record["bound"]
    for name in ("value", "low", "high", "n"):
        assert float(holds[name]) == pytest.approx(record["measurement"][name]), name
    for name in ("p", "q", "null_share"):
        assert float(holds[name]) == pytest.approx(record[name]), name
    assert "mutants_killed" not in holds


def test_q_is_in_junit_in_one_process_and_in_two(project, job):
    """The same q for each member of a family, wherever the family was judged; none for other claims, and none alone."""
    one = ran(project, "-n", "0", "-q")
    in_two, in_one = ({name: p.get("q") for name, p in each.properties.items()} for each in (job, one))
    assert in_one == in_two
    assert {name for name, q in in_one.items() if q} == {"claims::holds", "claims::fails"}
    alone = ran(project, "-q", "-k", "holds")
    assert "q" not in alone.properties["claims::holds"]


def test_junit_counts_the_mutants(project, job):
    """`--mutate-stored`: killed, and of how many that could be tried."""
    holds = ran(project, "-q", "-k", "claims and holds", "--mutate-stored").properties["claims::holds"]
    assert 0 < int(holds["mutants_killed"]) <= int(holds["mutants_tried"])


def test_a_junit_file_that_cannot_be_completed_is_said(project, job):
    """A pipe keeps nothing to add to: the run says so, and its verdicts stand."""
    done = project.pytest("-q", "--junitxml=/dev/null")
    assert "warning: junit_not_completed" in done.stdout
    assert done.returncode == 1


def test_outside_of_a_job_there_is_no_command(project, job):
    """No GITHUB_ACTIONS: neither the lines of the guard nor annotations, and the summary is left alone."""
    path = project.root / "untouched.md"
    done = project.pytest("-q", "-k", "claims", GITHUB_STEP_SUMMARY=str(path))
    assert done.returncode == 1
    assert "stop-commands" not in done.stdout.replace("::stop-commands::x", "")
    assert not [c for c in obeyed(done.stdout) if c.name == "error" and "file" in c.properties]
    assert not path.exists()


def test_interp_prints_nothing_that_a_runner_obeys(project):
    """`interp check` quotes a stranger's file; its JSON is the same document in a job and outside of it."""
    command = [sys.executable, "-m", "harness", "check"]
    bare, guarded = project.run(command), project.run(command, GITHUB_ACTIONS="true")
    assert (guarded.returncode, obeyed(guarded.stdout) + obeyed(guarded.stderr)) == (bare.returncode, [])
    assert obeyed(bare.stdout), "the same text untreated is obeyed"
    outside, inside = project.run([*command, "--json"]), project.run([*command, "--json"], GITHUB_ACTIONS="true")
    assert json_of(outside) == json_of(inside)
    assert obeyed(inside.stdout) == []


def json_of(done):
    return json.loads(done.stdout)
