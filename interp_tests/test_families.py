"""A family is a test of its own: q over all its members, whatever a run selected, in one process or in several."""

import csv
import math
from dataclasses import dataclass, replace
from subprocess import CompletedProcess

import pytest

from harness.expectations.toy import rows
from harness.families import families_of, judge_family, severity_of
from harness.judging import judge
from harness.language.specs import load
from harness.spec import Broken
from harness.verdict import Outcome, Reason, Verdict, inconclusive
from interp_tests.language_root import HEAD, copy_root, load_suite, specs_of
from interp_tests.mutant_cases import compared, toy_spec
from interp_tests.plain_twins.multiplicity import q_values
from interp_tests.project import COLOR, PLAIN, make_project
from interp_tests.test_plugin import FOUND

CLAIM = "fires_more: {prompts: color, than: others}"
FIRST = """\
- id: holds
  family: words
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
- id: numbered
  family: words
  tags: [drawn]
  features: [3, 14, 15, 92]
  severity: warn
  fires_more: {prompts: color, than: plain}
"""
SECOND = """\
- id: turned
  family: words
  severity: warn
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: plain, than: color}
- id: three
  family: words
  severity: warn
  feature: 3
  fires_more: {prompts: few, than: plain}
- id: expected
  family: words
  xfail: it was chosen for the other side
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: plain, than: color}
- id: no-member
  severity: warn
  feature: 3
  fires_more: {prompts: color, than: plain}
"""
ONE = """\
- id: only
  family: alone
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
"""
WORDS = "family[words]"


def family(root, *beside):
    """The one family of specs a, b, c ... that have these keys beside their claim."""
    entries = ""
    for i, keys in enumerate(beside):
        lines = [f"feature: {i}", "family: f", *keys, CLAIM]
        entries += f"  - id: {'abcdef'[i]}\n" + "".join(f"    {line}\n" for line in lines)
    (found,) = families_of(specs_of(root, HEAD + "expect:\n" + entries))
    return found


def verdicts(found, *p):
    return {spec.id: Verdict(Outcome.MET, "", p=each) for spec, each in zip(found.members, p, strict=True)}


def test_members_are_judged_by_p_over_the_whole_family(tmp_path, snapshot):
    """q as the definition counts it; the finding names those above it, and only those."""
    found = family(tmp_path, (), (), ())
    p = (0.04, 0.001, 0.3)
    verdict = judge_family(found, verdicts(found, *p))
    assert [one["q"] for one in verdict.details["members"].values()] == pytest.approx(q_values(p))
    assert verdict.details["above"] == ["suite::a", "suite::c"]
    assert verdict.finding == snapshot
    assert "suite::b" not in verdict.finding
    assert (verdict.outcome, verdict.measurement.value, verdict.measurement.n) == (Outcome.UNMET, 0.3, 3)


def test_the_level_is_the_familys_own_wherever_it_is_said(tmp_path):
    """The same p pass at q .1, declared by one member; .05 is the default."""
    p = (0.04, 0.001, 0.06)
    strict, wide = family(tmp_path, (), (), ()), family(tmp_path, (), ("q: .1",), ())
    assert (strict.q, wide.q) == (0.05, 0.1)
    assert judge_family(strict, verdicts(strict, *p)).outcome is Outcome.UNMET
    assert judge_family(wide, verdicts(wide, *p)).outcome is Outcome.MET


@pytest.mark.parametrize(
    "unmeasured",
    [
        inconclusive(Reason.TOO_FEW_PROMPTS, "three"),
        inconclusive(Reason.NOT_FINITE, "NaN", p=math.nan),
        Verdict(Outcome.NOT_RUN, "could not be run: weights_missing"),
    ],
    ids=["too few prompts", "NaN", "no weights"],
)
def test_a_member_that_cannot_be_measured_counts_as_p_1(tmp_path, unmeasured):
    """It fails the family by name, and makes the others' q larger than without it."""
    found = family(tmp_path, (), ())
    verdict = judge_family(found, {**verdicts(found, 0.03, 0.03), "suite::b": unmeasured})
    assert [one["q"] for one in verdict.details["members"].values()] == pytest.approx([0.06, 1.0])
    assert unmeasured.word.replace("_", " ") + ", so p 1" in verdict.finding
    assert severity_of(found, verdict) == "fail"
    assert verdict.outcome is Outcome.UNMET, "the other member's q is above, too"


def test_a_feature_that_cannot_be_measured_counts_as_p_1_inside_a_claim_of_all():
    """`together: all` is as unproven as its worst feature, to the family as well; `any` has its own correction."""
    spec, evidence = compared()
    both = replace(spec, features=(0, 4), together="all")
    verdict = judge(both, evidence)
    assert verdict.details["together"] == ["0: met", "4: inconclusive: dead"]
    assert verdict.p == 1.0
    assert judge(replace(spec, features=(0,)), evidence).p < 0.001
    assert judge(replace(both, together="any"), evidence).p < 0.001
    rate, given = toy_spec("fire_rate", {}, {"prompts": rows(20, "the red ball", red=3)})
    assert judge(replace(rate, features=(0, 4), together="all"), given).p is None


def test_where_only_members_without_evidence_are_above_nothing_is_refuted(tmp_path):
    """No weights for one of two: the family is not run, which no severity excuses; q is still the definition's."""
    found = family(tmp_path, ("severity: warn",), ("severity: warn",))
    verdict = judge_family(found, {**verdicts(found, 0.001, 0.9), "suite::b": Verdict(Outcome.NOT_RUN, "no weights")})
    assert (verdict.outcome, verdict.details["above"]) == (Outcome.NOT_RUN, ["suite::b"])
    assert verdict.details["members"]["suite::a"]["q"] == 0.002


def test_a_family_of_one_has_its_ps_q(tmp_path):
    """Nothing to correct, and no error."""
    found = family(tmp_path, ())
    assert judge_family(found, verdicts(found, 0.04)).details["members"]["suite::a"]["q"] == 0.04
    assert judge_family(found, verdicts(found, 0.06)).outcome is Outcome.UNMET


@pytest.mark.parametrize(("q", "lines"), [(0.1, 0), (0.9, 1)])
def test_a_loose_q_is_warned_of(tmp_path, q, lines):
    """At .9 nine of ten passing claims may be false; .1 is said of alpha, too, and passes without a word."""
    found = replace(family(tmp_path, (), ()), q=q)
    assert (
        len([line for line in judge_family(found, verdicts(found, 0.04, 0.04)).warnings if "may be false" in line])
        == lines
    )


def test_an_expected_failure_is_left_out_and_named(tmp_path, snapshot):
    """Its p, near 1, neither fails the family nor weighs on the others; a family of such alone is no test."""
    found = family(tmp_path, (), (), ("xfail: it does not",))
    verdict = judge_family(found, verdicts(found, 0.04, 0.04))
    assert (verdict.outcome, verdict.measurement.n) == (Outcome.MET, 2)
    assert verdict.warnings == snapshot
    text = f"{HEAD}expect:\n  - id: a\n    feature: 1\n    family: f\n    xfail: no\n    {CLAIM}\n"
    assert load_suite(tmp_path, text).families == ()


def test_a_claim_that_only_warns_makes_the_family_warn(tmp_path):
    """Red as soon as one that does not only warn is above; and what could not be run is never only a warning."""
    found = family(tmp_path, (), ("severity: warn",))
    warned, failed = judge_family(found, verdicts(found, 0.01, 0.9)), judge_family(found, verdicts(found, 0.9, 0.9))
    lost = judge_family(found, {**verdicts(found, 0.01, 0.9), "suite::b": Verdict(Outcome.NOT_RUN, "")})
    assert [severity_of(found, v) for v in (warned, failed, lost)] == ["warn", "fail", "fail"]


def test_one_cold_member_makes_the_family_cold(tmp_path):
    """q over what happens to be in the store would be another number."""
    found = family(tmp_path, (), ())
    cold = Verdict(Outcome.NOT_RUN, "not run", details={"cold": True})
    verdict = judge_family(found, {**verdicts(found, 0.01, 0.01), "suite::b": cold})
    assert (verdict.outcome, verdict.details) == (Outcome.NOT_RUN, {"cold": True})


def test_tags_are_those_of_all_members(tmp_path):
    """-m selects a family whose members would all be selected."""
    assert family(tmp_path, ("tags: [x, y]",), ("tags: [y]",)).tags == ("y",)
    assert family(tmp_path, ("tags: [x]",), ()).tags == ()


@pytest.mark.parametrize(
    "mistake",
    ["featur: 1", "q: .2", "alpha: 7"],
    ids=["a misspelt key", "another q", "a value out of range"],
)
def test_a_broken_member_leaves_the_family_undecided(tmp_path, mistake):
    """What the p of a claim that cannot be read would be, nobody knows: not run, and the member is named."""
    good = f"  - id: a\n    feature: 1\n    family: f\n    q: .1\n    {CLAIM}\n"
    bad = f"  - id: b\n    feature: 2\n    family: f\n    {mistake}\n    {CLAIM}\n"
    (found,) = load_suite(tmp_path, HEAD + "expect:\n" + good + bad).families
    verdict = judge_family(found, verdicts(found, 0.01))
    assert verdict.outcome is Outcome.NOT_RUN
    assert "suite::b" in verdict.finding


def test_members_of_a_file_that_cannot_be_read_are_not_forgotten(tmp_path):
    """A mistake above the claims breaks the whole file; its families know it."""
    text = f"{HEAD}titel: x\nexpect:\n  - id: a\n    feature: 1\n    family: f\n    {CLAIM}\n"
    (found,) = load_suite(tmp_path, text).families
    assert [item.id for item in found.broken] == ["suite"]


def test_two_suites_with_one_family_must_agree_on_q(tmp_path):
    """One family over both files; the second that asks for another q is a mistake that names the first."""
    root = copy_root(tmp_path)
    text = HEAD + "expect:\n  - id: a\n    feature: 1\n    family: f\n    q: {q}\n    " + CLAIM + "\n"
    for name, q in (("one", ".1"), ("two", ".1")):
        (root / f"specs/{name}.yaml").write_text(text.replace("{q}", q))
    (agreed,) = load(root).families
    assert [spec.id for spec in agreed.members] == ["one::a", "two::a"]
    (root / "specs/two.yaml").write_text(text.replace("{q}", ".2"))
    (broken,) = [item for item in load(root).items if isinstance(item, Broken) and item.suite == "two"]
    assert broken.errors[0].code == "different_q"
    assert "specs/one.yaml:6:5" in broken.errors[0].message


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two suites with one family over both; one store for all runs."""
    folder = tmp_path_factory.mktemp("families")
    made = make_project(folder / "repo", folder / "store.sqlite")
    made.suite("first", FIRST, prompts=FOUND)
    made.suite("second", SECOND, prompts=FOUND)
    return made


@dataclass
class Ran:
    """One run: the records by id, and what was printed and written."""

    done: CompletedProcess
    records: dict
    summary: str
    table: str

    @property
    def q(self):
        return {name: record["q"] for name, record in self.records.items()}

    @property
    def members(self):
        """What the family's own record says of each; None where it was not judged."""
        return self.records[WORDS]["details"]["members"] if WORDS in self.records else None


def ran(project, *args, **env):
    done = project.pytest("-q", *args, **env)
    latest = project.root / "reports/latest"
    texts = [(latest / name).read_text() for name in ("summary.md", "results.csv")]
    return Ran(done, {record["id"]: record for record in project.results()["records"]}, *texts)


@pytest.fixture(scope="module")
def alone(project):
    """The family's test and no other, on a machine that has read nothing."""
    return ran(project, "-k", "family")


@pytest.fixture(scope="module")
def whole(project, alone):
    """The run of everything, in one process."""
    return ran(project, "-n", "0", COLUMNS="200")


def test_every_member_has_the_q_that_the_definition_gives(whole):
    """From the p of the records of one whole run, of both suites; no-member and expected have none."""
    p = {name: whole.records[name]["p"] for name in whole.members}
    assert len(p) == 7
    assert p.keys() == {name for name, each in whole.q.items() if each is not None}
    expected = q_values([1.0 if each is None else each for each in p.values()])
    assert [whole.q[name] for name in p] == pytest.approx(expected)
    assert p["second::three"] is None
    assert whole.q["second::three"] == 1.0
    assert (whole.q["second::no-member"], whole.q["second::expected"]) == (None, None)


def test_a_family_alone_reads_all_its_members(alone, whole):
    """`-k family`, cold: members that were not selected are read, and their q are those of a whole run."""
    assert list(alone.records) == [WORDS]
    assert alone.members == whole.members
    evidence = alone.records[WORDS]["evidence"]
    assert evidence["from_store"] == 0
    assert evidence["prompts"] == len({*COLOR, *PLAIN, *FOUND["found"], *FOUND["found_plain"]})


@pytest.mark.parametrize(
    ("select", "selected"),
    [(("-n", "2"), 10), (("-k", "family or holds", "-m", "not drawn"), 2)],
    ids=["-n 2", "-k and -m"],
)
def test_q_is_the_same_whatever_is_selected(project, whole, select, selected):
    """Deselected members are counted; selected ones have their q; other processes change nothing."""
    run = ran(project, *select)
    assert len(run.q) == selected
    assert run.members == whole.members
    assert run.q == {name: whole.q[name] for name in run.q}


def test_reports_show_q_and_the_family(whole):
    """summary.md, results.csv, the terminal's table, and the line of what green does not show."""
    q = whole.q["first::holds"]
    (row,) = [line for line in whole.summary.splitlines() if line.startswith("|") and "first::holds" in line]
    assert f" {q:.3g} |" in row
    cells = {row["id"]: row["q"] for row in csv.DictReader(whole.table.splitlines())}
    assert float(cells["first::holds"]) == q
    (head,) = [line for line in whole.done.stdout.splitlines() if line.startswith("verdict ")]
    assert head.split() == ["verdict", "claim", "measured", "bound", "n", "q"]
    assert "left out: second::expected is expected to be unmet" in whole.summary.replace("\\", "")
    assert "correlation, not causation" in whole.done.stdout
    assert "correlation, not causation" in whole.summary


def test_members_that_contradict_each_other_say_so_in_the_run(whole):
    """holds and turned exchange their sets: both records carry the warning, and the terminal says it once."""
    for name in ("first::holds", "second::turned"):
        assert sum("contradict each other" in line for line in whole.records[name]["warnings"]) == 1
    assert not any("contradict" in line for line in whole.records["second::no-member"]["warnings"])
    assert whole.done.stdout.count("contradict each other") == 1


def test_only_warning_members_above_leave_the_run_green(project, whole):
    """The family's own record warns, and the exit code is 0; without `severity: warn` it is red and names the claim."""
    assert whole.done.returncode == 0
    assert whole.records[WORDS]["severity"] == "warn"
    project.suite("second", SECOND.replace("  severity: warn\n", "", 1), prompts=FOUND)
    try:
        run = ran(project, "-k", "family")
    finally:
        project.suite("second", SECOND, prompts=FOUND)
    assert run.done.returncode == 1
    assert "second::turned" in run.done.stdout.split("claims of family words:")[1].split("\n")[0]
    assert 'pytest "interp_tests/test_specs.py::test_family[words]"' in run.done.stdout


def test_a_broken_member_is_red_even_where_it_is_deselected(project, whole):
    """The family is not run, and says whose p is missing."""
    path = project.root / "specs/third.yaml"
    path.write_text("subjects: [tiny]\nexpect:\n  - {id: a, family: words, feature: 1}\n")
    try:
        run = ran(project, "-k", "family")
    finally:
        path.unlink()
    assert run.done.returncode == 1
    assert run.records[WORDS]["outcome"] == "not_run"
    assert "third::a cannot be read" in run.done.stdout


def test_a_family_on_a_gpu_is_skipped_or_fails_as_its_members_do(project, whole):
    """One cuda member gives the family the gpu mark: a plain run skips it, -m gpu fails it.

    A member that runs without its family's test has no q: nothing says over what it was corrected.
    """
    path = project.suite("gpu", ONE, subjects="tiny-gpu", prompts=FOUND)
    try:
        plain = ran(project, "-rs", "-k", "holds or alone")
        asked = ran(project, "-m", "gpu")
    finally:
        path.unlink()
    assert plain.done.returncode == 0
    assert "1 passed, 1 skipped" in plain.done.stdout
    assert plain.records["first::holds"]["outcome"] == "met"
    assert (plain.q["first::holds"], plain.members) == (None, None)
    assert asked.done.returncode == 1
    assert {name: r["outcome"] for name, r in asked.records.items()} == {
        "gpu::only": "not_run",
        "family[alone]": "not_run",
    }


def test_the_record_of_a_family_names_its_subjects(tmp_path):
    """With one subject its device and fingerprint too; with several no one fingerprint would be true."""
    from harness.reports.joined import family_record

    found = family(tmp_path, (), ())
    verdict = judge_family(found, verdicts(found, 0.01, 0.01))
    one = family_record(found, verdict, 3, 2, 0.5)
    assert (one.subject, one.device, len(one.fingerprint)) == ("small", "cpu", 64)
    a, b = found.members
    other = replace(b, subject=replace(b.subject, name="other"))
    two = family_record(replace(found, members=(a, other)), verdict, 3, 2, 0.5)
    assert (two.subject, two.device, two.fingerprint) == ("small, other", "", "")
