"""Controls: claims of known truth go the run's own way; where one does not come out as it must, the run is invalid."""

import json
import random
import sys
from dataclasses import replace

import numpy as np
import pytest

from harness.codes import Codes, Kind
from harness.controls import permuting, run_controls
from harness.expectations import comparing, fires_more
from harness.expectations.evidence import Evidence
from harness.expectations.toy import row, rows, scattered
from harness.reports.json import content_digest
from harness.stats.intervals import Limits, binomial_tail
from harness.stats.permutation import P
from harness.verdict import Outcome
from interp_tests.mutant_cases import COLOR, MARKED, PLAIN, compared, toy_spec
from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND

PER_SUBJECT = ("permuted_labels", "equal_density", "planted", "specials_differ")


def controls(*cases):
    """{name: control} of a run that judged these (spec, evidence) pairs."""
    known = {spec.id: evidence for spec, evidence in cases}
    made = run_controls([spec for spec, _ in cases], lambda spec: (known[spec.id], None))
    return {control.name: control for control in made}


def cases(n=3):
    return [compared(name=f"suite::claim-{i}", auroc={"at_least": 0.5}) for i in range(n)]


def misbehaving(found):
    return {name for name, control in found.items() if control.misbehaves}


def outcome_always(monkeypatch, outcome):
    honest = fires_more.verdict_of
    monkeypatch.setattr(fires_more, "verdict_of", lambda *given, **more: honest(*given, **more).with_(outcome=outcome))


def test_an_honest_run_has_every_control_and_all_hold():
    """The toys of each kind once, and four controls of the subject."""
    found = controls(*cases())
    assert found.keys() == {"toys of fires_more", *PER_SUBJECT}
    assert not misbehaving(found), [str(control) for control in found.values()]
    assert found["permuted_labels"].tried >= permuting.DRAWS
    assert (found["equal_density"].tried, found["equal_density"].met) == (9, 0)
    assert (found["planted"].tried, found["planted"].met) == (4, 2)


def test_a_range_of_aurocs_is_met_by_no_more_deals_than_alpha_allows():
    """Though nearly every deal of labels lies between hardly over one half and 1, its lower limit does not."""
    rng = np.random.default_rng(0)
    given = {role: [row(f"a red n{i}", red=v) for i, v in enumerate(rng.random(40))] for role in ("prompts", "than")}
    spec, evidence = toy_spec("fires_more", {"auroc": {"between": [0.51, 1]}}, given)
    found = controls((spec, evidence))
    assert (found["permuted_labels"].tried, found["permuted_labels"].holds) == (permuting.DRAWS, True)


def test_a_claim_of_marked_tokens_has_its_marks_moved():
    """fires_at looks inside one set: its labels are the marks."""
    spec, evidence = toy_spec("fires_at", {}, {"prompts": scattered(rows(10, MARKED, red=3))})
    found = controls((spec, evidence))
    assert found["permuted_labels"].tried == permuting.DRAWS
    assert found["permuted_labels"].holds


def test_a_judge_that_says_met_to_all_is_caught(monkeypatch):
    """Permuted labels, wrong features, the planted feature's other way round, and the toys: each sees it."""
    outcome_always(monkeypatch, Outcome.MET)
    found = controls(*cases())
    assert misbehaving(found) >= {"permuted_labels", "equal_density", "planted", "toys of fires_more"}
    assert f"{found['permuted_labels'].tried} of {found['permuted_labels'].tried}" in str(found["permuted_labels"])


def test_a_judge_that_says_unmet_to_all_is_caught(monkeypatch):
    """What is known to be true must be met."""
    outcome_always(monkeypatch, Outcome.UNMET)
    assert misbehaving(controls(*cases())) == {"planted", "toys of fires_more"}


def test_a_limit_that_is_too_high_is_caught_by_permuted_labels(monkeypatch):
    """Half of all deals have an AUROC of .5 or more; limits that lie .5 too high, and a p that never fails, let all of
    them be met. With an honest p no deal is met by such limits alone."""
    monkeypatch.setattr(comparing, "auroc_limits", lambda auroc, *given: Limits(*[auroc + 0.5] * 5))
    assert "permuted_labels" not in misbehaving(controls(*cases()))
    monkeypatch.setattr(comparing.Comparison, "p", lambda self, feature: P(0.001, exact=True))
    assert "permuted_labels" in misbehaving(controls(*cases()))


def test_a_verdict_read_off_another_feature_is_caught_by_equal_density_alone(monkeypatch):
    """A kind that judges feature 0 whatever it was asked is right about feature 0, and about nothing else."""
    monkeypatch.setattr(fires_more, "feature_of", lambda claim, d_sae: 0)
    assert misbehaving(controls(*cases())) == {"equal_density"}


def test_special_tokens_counted_unasked_are_caught(monkeypatch):
    """Then a run that counts them is no different from one that does not."""
    honest = Codes.counted
    monkeypatch.setattr(
        Codes, "counted", lambda self, tokens="text", special="ignored": honest(self, tokens, "counted")
    )
    assert "specials_differ" in misbehaving(controls(*cases()))


def test_a_last_token_that_is_left_out_is_caught_by_the_planted_feature(monkeypatch):
    """The planted feature fires on the last counted token of each prompt, and nowhere else."""
    honest = Evidence.counted

    def without_last(self, role, claim, subject=None):
        counted = honest(self, role, claim, subject)
        last = np.flatnonzero(np.diff(self.codes(role, subject).prompt, append=-1))
        counted[last] = False
        return counted

    monkeypatch.setattr(Evidence, "counted", without_last)
    assert misbehaving(controls(*cases())) == {"planted"}


def test_a_control_that_raises_gives_no_answer(monkeypatch):
    """It has not held, it has not given a wrong answer either, and the others are still made."""

    def breaks(codes, *given):
        raise ZeroDivisionError("no such thing")

    monkeypatch.setattr("harness.controls.matching.tokens_fired", breaks)
    found = controls(*cases())
    assert {name for name, control in found.items() if not control.holds} == {"equal_density"}
    assert not misbehaving(found)
    assert "ZeroDivisionError: no such thing" in str(found["equal_density"])


def test_controls_do_not_depend_on_the_order_of_the_claims():
    """They are drawn by the hash of ids, so that -n, -k and files moved about change nothing."""
    some = [null_case(seed, alpha=0.5) for seed in range(9)]
    shuffled = random.Random(3).sample(some, len(some))
    assert some != shuffled
    assert controls(*some) == controls(*shuffled)
    assert controls(*some) != controls(*[null_case(seed, alpha=0.5) for seed in range(9, 18)])


def test_what_a_control_cannot_be_made_of_is_left_out():
    """No comparison, no feature, no special token and no sink: nothing is claimed of them, and nothing is invalid."""
    spec, evidence = toy_spec("reconstruction", {"fvu": {"at_most": 0.9}}, {"prompts": rows(12, COLOR, red=3)})
    codes = evidence.codes("prompts")
    plain = replace(codes, kind=np.where(codes.kind == Kind.SPECIAL, Kind.TEXT, codes.kind), sink=codes.sink & False)
    found = controls((spec, replace(evidence, codes_of={("prompts", None): plain})))
    assert found.keys() == {"toys of reconstruction"}


def test_claims_about_samples_have_no_permuted_labels():
    """Without a p there is no level that a random deal could be held to."""
    found = controls(compared(scope="sample"))
    assert "permuted_labels" not in found
    assert "equal_density" in found


@pytest.mark.parametrize(("k", "n", "p"), [(0, 20, 0.05), (7, 20, 0.05), (8, 20, 0.05), (20, 20, 0.05), (1, 3, 0.5)])
def test_the_binomial_tail_is_that_of_counting_it_out(k, n, p):
    """Against scipy's survival function."""
    from scipy.stats import binom

    assert binomial_tail(k, n, p) == pytest.approx(float(binom.sf(k - 1, n, p)), rel=1e-9)
    assert binomial_tail(k, n, p) != pytest.approx(float(binom.sf(k, n, p)), rel=1e-3, abs=0)


def test_eight_of_twenty_is_what_chance_does_not_give():
    """The line that docs/statistics.md draws for alpha .05."""
    assert binomial_tail(7, 20, 0.05) > permuting.LEVEL > binomial_tail(8, 20, 0.05)


def null_case(seed, alpha=0.05):
    """A claim about a feature that fires on half of all prompts of either set, alike: the null is true."""
    rng = np.random.default_rng(seed)
    drawn = np.where(rng.random((2, 10)) < 0.5, 1 + rng.random((2, 10)), 0)
    texts = {"prompts": COLOR, "than": PLAIN}
    given = {
        role: [rows(1, text, ball=value)[0] for value in values]
        for (role, text), values in zip(texts.items(), drawn, strict=True)
    }
    return toy_spec("fires_more", {"auroc": {"at_least": 0.5}}, given, f"suite::null-{seed}", alpha=alpha)


@pytest.mark.slow
def test_five_hundred_honest_runs_raise_no_alarm():
    """Permuted labels are met in no more than alpha of all draws, and no run of 500 is called invalid."""
    found = [controls(null_case(seed))["permuted_labels"] for seed in range(500)]
    assert all(control.holds for control in found)
    share = sum(control.met for control in found) / sum(control.tried for control in found)
    assert 0.01 < share < 0.05, share


MET = """\
- id: finds-color
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
- id: finds-it-again
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain, auroc: {at_least: .6}}
"""
ALWAYS_MET = """\
from harness.expectations import fires_more
from harness.verdict import Outcome
honest = fires_more.verdict_of
fires_more.verdict_of = lambda *given, **more: honest(*given, **more).with_(outcome=Outcome.MET)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("controls") / "store.sqlite"


@pytest.fixture
def project(tmp_path, store):
    made = make_project(tmp_path / "repo", store)
    made.suite("color", MET, prompts=FOUND)
    return made


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two"])
def test_a_run_with_a_broken_judge_is_invalid_and_not_green(project, processes):
    """All claims are met, and the run fails: the last lines say which control, the reports say so first."""
    conftest = project.root / "conftest.py"
    conftest.write_text(conftest.read_text() + ALWAYS_MET)
    done = project.pytest("-q", *processes)
    assert done.returncode == 1, done.stdout
    assert set(project.outcomes().values()) == {"met"}
    said = done.stdout.split("A green suite shows")[1]
    assert "This run is invalid" in said
    assert "control toys of fires_more: " in said
    assert project.results()["run"]["invalid"]
    head = (project.root / "reports/latest/summary.md").read_text().split("## ")[0]
    assert "This run is invalid" in head


RAISES_AT_ONE = """\
import harness.controls

def planted(sample):
    if sample.subject == "again":
        raise IndexError("outside")

harness.controls._PER_SUBJECT = (planted,)
"""
RAISES_AT_ONE_KIND = """\
import harness.controls

def toys(kind):
    assert kind != "fires_more"

harness.controls.toys = toys
"""


@pytest.mark.parametrize("kind", ["", "toys of fires_more"], ids=["subject", "kind"])
def test_a_control_that_raises_fails_the_claims_beside_it_alone(project, kind):
    """Of two subjects, or two kinds, the other's verdict counts: the run is not invalid, and not green."""
    path = project.root / "specs/subjects.yaml"
    path.write_text(path.read_text() + "  again: {model: tiny, sae: tiny, max_tokens: 100}\n")
    sparse = "- {id: sparse, scope: sample, sparsity: {prompts: color, l0: {at_most: 900}}}"
    project.suite("again", sparse if kind else MET, subjects="tiny" if kind else "again", prompts=FOUND)
    conftest = project.root / "conftest.py"
    conftest.write_text(conftest.read_text() + (RAISES_AT_ONE_KIND if kind else RAISES_AT_ONE))
    done = project.pytest("-q", "--no-store")
    results = project.results()
    run, hurt = results["run"], "color" if kind else "again"
    assert (done.returncode, run["invalid"]) == (1, [])
    for record in results["records"]:
        if record["suite"] == hurt:
            assert (record["outcome"], record["details"]["faults"]) == ("not_run", ["control_failed"])
            assert record["details"]["traceback"]
        else:
            assert record["outcome"] == "met"
    assert "not judged: could not be controlled: control_failed: control " in done.stdout


def test_a_family_with_an_uncontrolled_member_has_no_verdict():
    """A corrected p says nothing where one of its members does not count; other families keep theirs."""
    from harness.controls.base import raised
    from harness.errors import Source
    from harness.families import KIND
    from harness.reports.record import Record
    from harness.reports.uncontrolled import uncontrolled
    from harness.verdict import Verdict

    def record(name, subject, kind="fires_more", outcome=Outcome.MET, **details):
        return Record(name, "s", Source("s.yaml"), Verdict(outcome, "so", details=details), kind, subject)

    made = [record("a", "one"), record("b", "two"), record("c", "two", outcome=Outcome.INCONCLUSIVE)]
    made += [record("f", "one, two", KIND, members={"a": {}, "b": {}}), record("g", "one", KIND, members={"a": {}})]
    records = {one.id: one for one in made}
    broken = raised("planted", "two", ValueError("x"))
    found = uncontrolled(records, [broken])
    assert {name for name, one in found.items() if one.verdict.outcome is Outcome.NOT_RUN} == {"b", "f"}
    assert uncontrolled(records, [replace(broken, trace="")]) == records


def test_nothing_of_an_invalid_run_is_accepted(project):
    """Its numbers may be wrong, too."""
    results = project.root / "reports/latest/results.json"
    project.pytest("-q")
    document = json.loads(results.read_text())
    document["run"]["invalid"] = ["control planted of tiny: 3 of 4"]
    document["digest"] = content_digest(document)
    results.write_text(json.dumps(document))
    done = project.run([sys.executable, "-m", "harness", "accept", "latest"], CI="")
    assert done.returncode != 0
    assert "this run is invalid" in done.stdout + done.stderr


def test_nothing_of_a_partial_run_is_accepted(project):
    """It ended before its controls were judged, so nobody knows whether its numbers are right."""
    results = project.root / "reports/latest/results.json"
    project.pytest("-q")
    document = json.loads(results.read_text())
    document["run"]["partial"] = True
    document["digest"] = content_digest(document)
    results.write_text(json.dumps(document))
    done = project.run([sys.executable, "-m", "harness", "accept", "latest"], CI="")
    assert done.returncode != 0
    assert "this run was cut short" in done.stdout + done.stderr


def test_nothing_of_an_edited_run_is_accepted(project):
    """A baseline is what was measured, not what somebody typed."""
    results = project.root / "reports/latest/results.json"
    project.pytest("-q")
    document = json.loads(results.read_text())
    document["records"][0]["outcome"] = "unmet"
    results.write_text(json.dumps(document))
    done = project.run([sys.executable, "-m", "harness", "accept", "latest"], CI="")
    assert done.returncode != 0
    assert "not as its run wrote it" in done.stdout + done.stderr


def test_controls_are_the_same_in_one_process_and_in_two(project):
    """They are made once, of what all processes judged, and change no exit code where they hold."""
    assert project.pytest("-q").returncode == 0
    alone = project.results()["controls"]
    assert project.pytest("-q", "-n", "2").returncode == 0
    assert project.results()["controls"] == alone
    assert {control["name"] for control in alone} >= {"toys of fires_more", "permuted_labels", "planted"}
