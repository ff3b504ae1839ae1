"""The share of live features that would meet a claim, too, counted the long way; what --fail-vacuous fails."""

from dataclasses import replace

import numpy as np
import pytest

from harness.codes import Kind
from harness.expectations import beats_keywords, kinds
from harness.expectations.nulls import Null, firing_tokens, gates, nearest_in_density, null_of
from harness.expectations.rivals import Rival
from harness.expectations.toy import claim_of, evidence_of, evidence_of_rows, expectation_of, rows
from harness.judging import judge
from harness.mutants import Case
from harness.mutants.wrong_feature import tokens_fired
from harness.stats.fidelity import mse_of_mean
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


def at_chance(tested, feature, claim):
    """In place of the list of the feature's own words: a coin, which `meeting` asks each feature to beat anyway."""
    return Rival("no list", np.zeros(int(tested.used.sum())), 0.5), ""


def judged(kind, example):
    """(the null, {feature: outcome of the claim about these prompts only}) of one example."""
    evidence, expectation = evidence_of(example), expectation_of(kind, example)
    claim = replace(claim_of(example), scope="sample")
    outcomes = {
        f: expectation.judge(evidence, replace(claim, feature=f)).outcome for f in range(8) if f != 4
    }  # feature 4 fires nowhere
    return null_of(expectation, evidence, claim), expectation.meeting(evidence, claim), outcomes


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_meeting_is_what_judging_each_feature_says(kind, example, monkeypatch):
    """Where a claim about these prompts can be decided for a feature, `meeting` has the same answer.

    But for one rival of beats_keywords: a list of own words is fitted for each feature, thousands of fits on an SAE, so
    `meeting` leaves it out. What it counts may then fail by that rival, and by no other; what is met it always counts.
    """
    _, meeting, outcomes = judged(kind, example)
    if meeting is None:
        return
    assert all(meeting[f] for f, outcome in outcomes.items() if outcome is Outcome.MET)
    if kind.kind == "beats_keywords":
        monkeypatch.setattr(beats_keywords, "own_words", at_chance)
        outcomes = judged(kind, example)[2]
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


def test_features_of_like_density_are_counted_the_long_way():
    """The nearest by how often they fire, without the feature itself; equals by their number; dead ones never."""
    fired = np.array([5, 0, 5, 9, 1, 6, 100, 0])
    by_hand = sorted((f for f in range(8) if fired[f] and f != 0), key=lambda f: (abs(int(fired[f]) - 5), f))
    assert by_hand == [2, 5, 3, 4, 6]
    assert list(nearest_in_density(fired, 0)) == by_hand
    assert list(nearest_in_density(fired, 0, most=2)) == [2, 5]
    assert list(nearest_in_density(fired, None)) == []


def test_the_share_among_features_of_like_density_gates_alone():
    """Few of 1,000 live features meet the bound, and half of those that fire as often: it tells a density."""
    quiet = Null(20, 1000, near_meeting=100, near=200)
    assert (quiet.share, quiet.near_share) == (0.02, 0.5)
    expectation, _, _ = fire_rate(0.5)
    assert gates(expectation, quiet)
    assert not gates(expectation, Null(20, 1000, near_meeting=10, near=200))
    assert "1,000" not in quiet.warning()
    assert "100 of the 200 nearest in density" in quiet.warning()


def test_near_features_are_judged_on_the_same_evidence():
    """Of the claim's own evidence: those that fire as often and meet the bound, counted one by one."""
    expectation, evidence, claim = fire_rate(0.5)
    claim = replace(claim, feature=0)
    meeting = expectation.meeting(evidence, claim)
    fired = firing_tokens(expectation, evidence, claim)
    null = null_of(expectation, evidence, claim)
    others = [f for f in np.flatnonzero(fired) if f != 0]
    assert (null.near, null.near_meeting) == (len(others), sum(bool(meeting[f]) for f in others))


def test_a_claim_of_silence_needs_a_positive_control():
    """silent_on's bound lies under the rate that but_fires_on shows; fire_rate and activation at_most have none."""
    quiet, loud = rows(14, "the old ball"), rows(24, "a red ball", red=3)
    given = {"prompts": quiet, "but_fires_on": loud}
    for bound, weak in ((0.2, False), (0.85, False), (0.99, True)):
        spec, evidence = toy_spec("silent_on", {"rate": {"at_most": bound}}, given)
        assert says_little(judge(spec, evidence)) is weak, bound
    few = toy_spec("silent_on", {}, {"prompts": quiet, "but_fires_on": [*loud[:3], *rows(21, "an old ball")]})
    assert says_little(judge(*few))
    often = toy_spec("fire_rate", {"rate": {"at_most": 0.9}}, {"prompts": [*loud[:7], *quiet, *quiet]})
    small = toy_spec("activation", {"median": {"at_most": 1e9}}, {"prompts": loud})
    assert [reasons(judge(*one))[0][0] for one in (often, small)] == [Reason.VACUOUS] * 2


def test_the_mean_activation_is_a_rival_of_fidelity():
    """A bound on the mse over the variance of the activations is met without an SAE; one under it is not."""
    text = " ".join(f"w{i}" for i in range(24))
    given = {"prompts": rows(10, text, **{f"w{i}": 1 + i % 3 for i in range(24)})}
    spec, evidence = toy_spec("reconstruction", {"mse": {"at_most": 1e9}}, given)
    loose = judge(spec, evidence)
    assert says_little(loose)
    blocks = spec.expectation.blocks(evidence, spec.claim)
    h = evidence.codes("prompts")
    counted = h.counted()
    n, of_mean = counted.sum(), (h.sum_h[:, Kind.TEXT].sum(0) ** 2).sum() / counted.sum()
    variance = (h.hh[counted].sum() - of_mean) / n / h.d_in
    assert float(mse_of_mean(blocks.total())[0]) == pytest.approx(variance)
    tight, _ = toy_spec("reconstruction", {"mse": {"at_most": variance * 0.999}}, given)
    both, _ = toy_spec("reconstruction", {"mse": {"at_most": 1e9}, "fvu": {"at_most": 0.9}}, given)
    assert not says_little(judge(tight, evidence))
    assert not says_little(judge(both, evidence))


@pytest.mark.parametrize(("alpha", "warned"), [(0.05, False), (0.1, False), (0.11, True), (0.5, True)])
def test_a_loose_alpha_is_a_warning(alpha, warned):
    """At half, every second claim about nothing is met."""
    spec, evidence = toy_spec("fire_rate", {}, {"prompts": rows(20, "a red ball", red=3)}, alpha=alpha)
    assert any(line.startswith("alpha ") for line in judge(spec, evidence).warnings) is warned


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
    assert any("meet this bound, too" in warning for warning in record["warnings"])
    assert project.pytest("-q", "--strict").returncode == 0
    assert project.pytest("-q", "-o", "interp_fail_vacuous=true").returncode == 1
    done = project.pytest("-q", "--fail-vacuous")
    assert done.returncode == 1
    assert "meet this bound, too" in done.stdout
    assert project.results()["records"][0]["reason"] == "vacuous"
