"""The share of live features that would meet a claim, too, counted the long way; what --fail-vacuous fails."""

from dataclasses import replace

import numpy as np
import pytest

from harness.expectations import kinds
from harness.expectations.nulls import gates, null_of
from harness.expectations.toy import claim_of, evidence_of, evidence_of_rows, expectation_of, rows
from harness.mutants import Case
from harness.mutants.wrong_feature import tokens_fired
from harness.vacuity import failing_vacuous, reasons, saying_little, says_little
from harness.verdict import Outcome, Reason, Verdict
from interp_tests.mutant_cases import toy_spec
from interp_tests.project import make_project

EXAMPLES = [
    pytest.param(kind, example, id=f"{name}-{example.title}")
    for name, kind in kinds().items()
    for example in kind.examples
    if kind.reads_feature and "sums" not in kind.roles("corpus")
]


def judged(kind, example):
    """(the null, {feature: outcome of the claim about these prompts only}) of one example."""
    evidence, expectation = evidence_of(example), expectation_of(kind, example)
    claim = replace(claim_of(example), scope="sample")
    outcomes = {
        f: expectation.judge(evidence, replace(claim, feature=f)).outcome for f in range(8) if f != 4
    }  # feature 4 fires nowhere
    return null_of(expectation, evidence, claim), expectation.meeting(evidence, claim), outcomes


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_meeting_is_what_judging_each_feature_says(kind, example):
    """Where a claim about these prompts can be decided for a feature, `meeting` has the same answer."""
    _, meeting, outcomes = judged(kind, example)
    if meeting is None:
        return
    decided = {f: o is Outcome.MET for f, o in outcomes.items() if o in (Outcome.MET, Outcome.UNMET)}
    assert {f: bool(meeting[f]) for f in decided} == decided


def test_most_examples_can_be_decided_for_some_feature():
    """The comparison above is not empty."""
    compared = [
        any(o in (Outcome.MET, Outcome.UNMET) for o in judged(*param.values)[2].values())
        for param in EXAMPLES
        if judged(*param.values)[1] is not None
    ]
    assert sum(compared) > len(compared) / 2 > 10


def fire_rate(at_least):
    evidence = evidence_of_rows(prompts=rows(20, "a red ball", red=3))
    expectation = kinds()["fire_rate"].model_validate({"prompts": "prompts", "rate": {"at_least": at_least}})
    return expectation, evidence, claim_of(kinds()["fire_rate"].examples[0])


def test_a_dead_feature_is_not_counted():
    """Feature 4 fires nowhere: seven of eight are live, and those that fire in every prompt meet the claim."""
    expectation, evidence, claim = fire_rate(0.99)
    codes = evidence.codes("prompts")
    fires = np.zeros((20, 8), bool)
    for token in np.flatnonzero(codes.counted()):
        fires[codes.prompt[token], codes.index[codes.indptr[token] : codes.indptr[token + 1]]] = True
    null = null_of(expectation, evidence, claim)
    assert (null.meeting, null.live) == (int(fires.all(axis=0).sum()), int(fires.any(axis=0).sum())) == (4, 7)


def seen():
    """Twenty captions with pictures: feature 0 fires on image tokens only, as feature 3 does on some of both."""
    return rows(20, "<image> <image> <image> a red ball", **{"<image>": 2})


@pytest.mark.parametrize(("tokens", "alive"), [("text", False), ("image", True), ("all", True)])
def test_live_is_on_tokens_that_the_claim_counts(tokens, alive):
    """What fires on image tokens alone is not live for a claim about text, and no mutant of it either."""
    evidence = evidence_of_rows(prompts=seen())
    expectation = kinds()["fire_rate"].model_validate({"prompts": "prompts"})
    claim = replace(claim_of(kinds()["fire_rate"].examples[0]), tokens=tokens)
    codes = evidence.codes("prompts")
    counted = codes.counted(tokens)
    fires = {f for f in range(8) if (codes.token_column(f)[counted] != 0).any()}
    assert (0 in fires) is alive
    assert null_of(expectation, evidence, claim).live == len(fires)
    spec, _ = toy_spec("fire_rate", {}, {"prompts": seen()}, tokens=tokens)
    assert set(np.flatnonzero(tokens_fired(Case(spec, (1,), evidence)))) == fires


@pytest.mark.parametrize("method", ["aligned", "ratio_of_means"])
def test_pictures_beside_a_claim_are_counted_as_the_claim_reads_them(method):
    """transfers with pictures: image tokens there, text elsewhere; the ratio pools captions, too."""
    given = {"prompts": rows(60, "the old ball"), "prompts@adapted": rows(60, "the old ball"), "images@adapted": seen()}
    evidence = evidence_of_rows(**given)
    fields = {"to": "adapted", "as": "new_vision", "prompts": "prompts", "images": "images", "method": method}
    expectation, claim = kinds()["transfers"].model_validate(fields), claim_of(kinds()["fire_rate"].examples[0])
    by_hand = dict.fromkeys(range(8), False)
    for (role, _), codes in evidence.codes_of.items():
        counted = codes.counted("text" if role == "prompts" else "image" if method == "aligned" else "all")
        for f in by_hand:
            by_hand[f] |= bool((codes.token_column(f)[counted] != 0).any())
    assert by_hand[0]
    assert null_of(expectation, evidence, claim).live == sum(by_hand.values())


def test_the_hint_fits_the_kind(snapshot):
    """near misses where there is a contrast to exchange; a claim without one is told what else to do."""
    expectation, evidence, claim = fire_rate(0.5)
    assert "Contrast it" not in null_of(expectation, evidence, claim).warning()
    assert null_of(expectation, evidence, claim).warning() == snapshot
    more = kinds()["fires_more"].model_validate({"prompts": "prompts", "than": "than", "auroc": {"at_least": 0.1}})
    both = evidence_of_rows(prompts=rows(20, "a red ball", red=3), than=rows(20, "an old ball"))
    assert null_of(more, both, claim).warning() == snapshot


def test_a_range_that_excludes_silence_is_gated():
    """`between` and at_least alike; a range that begins at 0 is met by most features by nature."""
    _, evidence, claim = fire_rate(0.5)
    for bound, gated in (([0.01, 1], True), ([0, 1], False)):
        expectation = kinds()["fire_rate"].model_validate({"prompts": "prompts", "rate": {"between": bound}})
        null = null_of(expectation, evidence, claim)
        assert null.share > 0.05
        assert gates(expectation, null) is gated


def test_only_claims_of_firing_more_are_gated():
    """Most features are silent on most prompts by nature: `at_most` says little of its null."""
    expectation, evidence, claim = fire_rate(0.5)
    null = null_of(expectation, evidence, claim)
    assert gates(expectation, null)
    low = kinds()["fire_rate"].model_validate({"prompts": "prompts", "rate": {"at_most": 1}})
    assert null_of(low, evidence, claim).share == 1
    assert not gates(low, null_of(low, evidence, claim))


def test_fail_vacuous_touches_only_what_was_met(snapshot):
    """An unmet claim stays unmet; a met one that says little is inconclusive: vacuous, and says why."""
    many = (Reason.VACUOUS, "900 of 1,000 live features meet this bound, too")
    little = saying_little(Verdict(Outcome.MET, "feature 1 fires"), *many)
    assert (little.outcome, little.warnings, says_little(little)) == (Outcome.MET, (many[1],), True)
    failed = failing_vacuous(little)
    assert (failed.outcome, failed.reason) == (Outcome.INCONCLUSIVE, Reason.VACUOUS)
    assert failed.finding == snapshot
    unmet = saying_little(Verdict(Outcome.UNMET, "it does not"), *many)
    assert (failing_vacuous(unmet).outcome, says_little(unmet)) == (Outcome.UNMET, False)
    assert failing_vacuous(Verdict(Outcome.MET, "fine")).outcome is Outcome.MET


def test_every_reason_is_given_and_the_first_is_the_verdicts():
    """A shortcut that is vacuous as well is `shortcut` where that was found first, and both are in the finding."""
    both = saying_little(Verdict(Outcome.MET, "fires"), Reason.SHORTCUT, "so does the length")
    both = saying_little(both, Reason.VACUOUS, "so do all")
    assert reasons(both) == [(Reason.SHORTCUT, "so does the length"), (Reason.VACUOUS, "so do all")]
    failed = failing_vacuous(both)
    assert (failed.reason, failed.finding) == (Reason.SHORTCUT, "fires; so does the length; so do all")


def test_fail_vacuous_fails_a_claim_that_many_features_meet(tmp_path):
    """pytest, --strict too, passes it with a warning that counts them; --fail-vacuous and its ini key fail."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    project.suite("color", "- id: some\n  feature: 267\n  fire_rate: {prompts: color, rate: {at_least: .01}}\n")
    assert project.pytest("-q").returncode == 0
    (record,) = project.results()["records"]
    assert record["outcome"] == "met"
    assert record["null_share"] > 0.05
    assert any("live features meet this bound, too" in warning for warning in record["warnings"])
    assert project.pytest("-q", "--strict").returncode == 0
    assert project.pytest("-q", "-o", "interp_fail_vacuous=true").returncode == 1
    done = project.pytest("-q", "--fail-vacuous")
    assert done.returncode == 1
    assert "live features meet this bound, too" in done.stdout
    assert project.results()["records"][0]["reason"] == "vacuous"
