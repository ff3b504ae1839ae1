"""What kinds say of silence: dead features and SAEs, sets without a token to count, bounds that a 0 would meet."""

import dataclasses

import numpy as np
import pytest

from harness.expectations import kinds
from harness.expectations.base import Accepted, Claim
from harness.expectations.evidence import Evidence
from harness.expectations.toy import evidence_of_rows, row, rows
from harness.verdict import Outcome, Reason
from interp_tests.test_kinds_rules import CLAIM, COLOR, PLAIN, SAMPLE, claimed


def test_a_feature_that_never_fires_is_dead():
    """Nothing is said of it, in any kind that silence could flatter."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR), than=rows(20, PLAIN))
    for kind in ("fires_more", "distinguishes", "selective", "beats_keywords"):
        assert claimed(kind, evidence).reason is Reason.DEAD
    alone = evidence_of_rows(prompts=rows(20, COLOR))
    assert claimed("fire_rate", alone, rate={"at_most": 0.2}).reason is Reason.DEAD
    assert claimed("fire_rate", alone).outcome is Outcome.UNMET
    assert claimed("activation", alone, median={"at_most": 2}).reason is Reason.DEAD


def test_codes_that_are_all_zero_are_no_evidence():
    """No feature fires on any counted token: the SAE is broken, whatever the claim."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3), than=rows(20, PLAIN))

    def emptied(codes):
        text = codes.kind == 0
        keep = ~text[np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr))]
        indptr = np.r_[0, np.cumsum(np.where(text, 0, np.diff(codes.indptr)))]
        return dataclasses.replace(codes, indptr=indptr, index=codes.index[keep], value=codes.value[keep])

    silent = Evidence(sets=evidence.sets, codes_of={k: emptied(c) for k, c in evidence.codes_of.items()})
    for kind in ("fires_more", "fire_rate"):
        only = {k: v for k, v in silent.sets.items() if kind == "fires_more" or k == "prompts"}
        verdict = claimed(kind, Evidence(sets=only, codes_of=silent.codes_of))
        assert verdict.reason is Reason.DEAD
        assert "no feature at all" in verdict.finding


TEXT = " ".join(f"w{i}" for i in range(24))


def silenced(codes):
    """The same tokens, activations and errors, with no feature left."""
    return dataclasses.replace(codes, indptr=0 * codes.indptr, index=codes.index[:0], value=codes.value[:0])


@pytest.mark.parametrize("which", ["its own SAE", "the other one"])
@pytest.mark.parametrize(
    ("kind", "role", "fields"),
    [
        ("reconstruction", "prompts", {"mse": {"at_most": 900}}),
        ("reconstruction", "corpus", {"mse": {"at_most": 900}}),
        ("reconstruction", "prompts", {"fvu": {"at_most": 900, "over": {"subject": "adapted"}}}),
        ("transfers_sae", "prompts", {"to": "adapted", "band": "degraded"}),
        ("unchanged", "corpus", {"measure": "mse", "within": {"absolute": 900}}),
    ],
)
def test_an_sae_that_never_fires_reconstructs_nothing(kind, role, fields, which):
    """Its bias alone may have a small error: met with a feature that fires, dead where the codes are all zero."""
    both = evidence_of_rows(**{role: rows(10, TEXT), f"{role}@adapted": rows(10, TEXT)})
    side = None if which == "its own SAE" else "adapted"
    codes = {k: silenced(c) if k == (role, side) else c for k, c in both.codes_of.items()}
    sums = {
        k: dataclasses.replace(s, l0=0 * s.l0, fired=0 * s.fired) if k == (role, side) else s
        for k, s in both.sums_of.items()
    }
    silent = dataclasses.replace(both, codes_of=codes, sums_of=sums)
    claim = Claim(accepted=Accepted(1.0, "2026-11-01"))
    reads_both = "adapted" in str(fields)
    expected = (Outcome.INCONCLUSIVE, Reason.DEAD) if reads_both or side is None else (Outcome.MET, None)
    roles = {role: role}
    rule = kinds()[kind].model_validate({**roles, **fields})
    assert rule.judge(both, claim).outcome is Outcome.MET
    verdict = rule.judge(silent, claim)
    assert (verdict.outcome, verdict.reason) == expected


def test_what_fires_where_silence_is_claimed_is_refuted_not_dead():
    """Firing on 14 of 14 prompts and not on but_fires_on is unmet, since it lives; silent on both, it may be dead."""
    fires = evidence_of_rows(prompts=rows(14, COLOR, red=3), but_fires_on=rows(3, PLAIN))
    assert claimed("silent_on", fires).outcome is Outcome.UNMET
    nowhere = evidence_of_rows(prompts=rows(14, COLOR), but_fires_on=rows(3, PLAIN))
    assert claimed("silent_on", nowhere).reason is Reason.DEAD


def test_a_prompt_without_a_counted_token_is_no_unit(snapshot):
    """It pools to 0 but is not in n, and a warning says so."""
    evidence = evidence_of_rows(prompts=[*rows(14, COLOR, red=3), ()])
    verdict = claimed("fire_rate", evidence)
    assert (verdict.outcome, verdict.measurement.n) == (Outcome.MET, 14)
    assert verdict.warnings == snapshot
    thirteen = evidence_of_rows(prompts=[*rows(13, COLOR, red=3), ()])
    assert claimed("fire_rate", thirteen).reason is Reason.TOO_FEW_PROMPTS


@pytest.mark.parametrize(
    ("kind", "rate", "warns"),
    [
        ("silent_on", {"at_most": 0.2}, True),
        ("fire_rate", {"at_most": 0.2}, True),
        ("fire_rate", {"between": [0, 0.9]}, True),
        ("fire_rate", {"at_least": 0.8}, False),
    ],
)
def test_silence_in_a_topk_sae_is_being_outcompeted(kind, rate, warns):
    """Claims of silence say so there; a claim of firing does not, and none does on another SAE."""
    sets = {"prompts": [*rows(1, COLOR, red=3), *rows(29, COLOR)]}
    if kind == "silent_on":
        sets["but_fires_on"] = rows(3, COLOR, red=3)
    topk, other = (
        claimed(kind, evidence_of_rows(**sets), dataclasses.replace(CLAIM, sae_is_topk=is_topk), rate=rate).warnings
        for is_topk in (True, False)
    )
    assert any("other features won" in warning for warning in topk) == warns
    assert other == ()


@pytest.mark.parametrize("bound", [{"at_most": 0.2}, {"between": [0, 0.2]}])
def test_a_rank_that_silence_would_have_needs_a_feature_that_fires(bound):
    """A dead or mistyped number is never among the strongest; one that fires, and does not rank, meets the claim."""
    silent = evidence_of_rows(prompts=rows(20, COLOR))
    assert claimed("top_feature", silent, among=1, rate=bound).reason is Reason.DEAD
    assert claimed("top_feature", silent, SAMPLE, among=1, rate=bound).reason is Reason.DEAD
    weak = evidence_of_rows(prompts=rows(20, COLOR, red=0.1))
    assert claimed("top_feature", weak, among=1, rate=bound).outcome is Outcome.MET
    assert claimed("top_feature", silent, among=1).outcome is Outcome.UNMET


@pytest.mark.parametrize(
    ("kind", "fields", "side"),
    [
        ("fire_rate", {"rate": {"between": [0.01, 1]}}, "high"),
        ("fire_rate", {"rate": {"between": [0, 0.5]}}, "low"),
        ("fire_rate", {"rate": {"at_least": 0}}, "high"),
        ("density", {"rate": {"between": [0.01, 0.02]}}, "high"),
        ("top_feature", {"rate": {"between": [0.1, 0.2]}}, "high"),
        ("activation", {"median": {"between": [1, 9]}}, "high"),
        ("activation", {"median": {"between": [0, 9]}}, "low"),
        ("activation", {"median": {"at_least": 0.01}, "mean": {"at_most": 1000}}, "high"),
        ("activation", {"median": {"at_most": 3}, "mean": {"at_most": 1000}}, "low"),
        ("selective", {"than": "p", "precision": {"at_most": 0.5}}, "low"),
        ("selective", {"than": "p", "precision": {"between": [0, 0.5]}}, "low"),
        ("selective", {"than": "p", "precision": {"at_most": 0.5}, "recall": {"at_least": 0.1}}, "high"),
        ("promotes", {"tokens": ["a"], "share": {"between": [0, 0.5]}}, "low"),
        ("top_tokens", {"tokens": ["a"], "share": {"between": [0.2, 1]}}, "high"),
        ("top_tokens", {"tokens": ["a"], "share": {"at_most": 0.2}, "lift": {"at_most": 2}}, "low"),
    ],
)
def test_a_bound_that_excludes_silence_is_gated_by_its_null(kind, fields, side):
    """Of several bounds that must all hold, one that asks for firing is enough."""
    given = fields if kind == "promotes" else {"prompts": "p", **fields}
    assert kinds()[kind].model_validate(given).side() == side


def test_short_prompts_are_a_confound_where_silence_is_claimed(snapshot):
    """The other direction: one word leaves a feature little to fire on. Longer prompts speak for the claim."""
    long, words = "the red ball rolled over the hill", [row(f"w{i}") for i in range(14)]
    evidence = evidence_of_rows(prompts=words, but_fires_on=rows(5, long, red=3))
    verdict = claimed("silent_on", evidence)
    assert verdict.reason is Reason.LENGTH_CONFOUND
    assert verdict.finding == snapshot
    assert claimed("silent_on", evidence, dataclasses.replace(CLAIM, pool="mean")).outcome is Outcome.MET
    sample = claimed("silent_on", evidence, SAMPLE)
    assert (sample.outcome, sample.warnings[0]) == (Outcome.MET, snapshot)
    other = evidence_of_rows(prompts=rows(14, long.replace("red", "old")), but_fires_on=rows(5, "the red", red=3))
    assert (claimed("silent_on", other).outcome, claimed("silent_on", other).warnings) == (Outcome.MET, ())
    some = [*rows(7, COLOR, red=3), *rows(7, COLOR + " far off", red=3)]
    near = claimed("silent_on", evidence_of_rows(prompts=rows(14, PLAIN), but_fires_on=some))
    assert (near.outcome, near.warnings[0]) == (Outcome.MET, snapshot)


def test_pooled_values_that_are_all_zero_compare_nothing():
    """`pool: last` where the last token never fires: no effect was refuted, in a sample neither."""
    evidence = evidence_of_rows(prompts=rows(10, COLOR, red=3), than=rows(10, PLAIN))
    for kind, fields in (("fires_more", {}), ("distinguishes", {"top": 8}), ("beats_keywords", {})):
        verdict = claimed(kind, evidence, dataclasses.replace(SAMPLE, pool="last"), **fields)
        assert verdict.reason is Reason.TOO_SPARSE, (kind, verdict.finding)
        assert "`pool: last`" in verdict.finding
        assert claimed(kind, evidence, SAMPLE, **fields).reason is not Reason.TOO_SPARSE


@pytest.mark.parametrize("claim", [CLAIM, SAMPLE], ids=["population", "sample"])
def test_a_set_without_a_counted_token_is_named(claim):
    """More prompts, or a claim of these none only, would not mend it."""
    empty = [(), (), ()]
    for kind, roles in (
        ("fires_more", ("than", "prompts")),
        ("distinguishes", ("prompts", "than")),
        ("beats_keywords", ("than", "prompts")),
        ("selective", ("prompts", "than")),
        ("silent_on", ("prompts", "but_fires_on")),
    ):
        verdict = claimed(kind, evidence_of_rows(**{roles[0]: empty, roles[1]: rows(20, COLOR, red=3)}), claim)
        assert verdict.reason is Reason.TOO_FEW_PROMPTS
        assert f"no prompt of {roles[0]} has a counted token" in verdict.finding
        assert "these no only" not in verdict.finding


def test_silence_on_one_last_token_says_nothing_of_the_prompts():
    """Under `pool: last`, prompts that end with a full stop against some that end with the word: no claim about what
    stands before it. Where both end alike, and under another pool, nothing is said."""
    last = dataclasses.replace(CLAIM, pool="last")

    def ending(word, n, red):
        return [(*[(f"w{i}x{k}", 0.0) for k in range(4)], ("red", red), *word) for i in range(n)]

    fires = [(*one[:-1], (f"red{i % 3}", 3.0)) for i, one in enumerate(ending((), 14, 0.0))]
    stop = evidence_of_rows(prompts=ending([(".", 0.0)], 20, 3.0), but_fires_on=fires)
    alike = evidence_of_rows(prompts=ending([(".", 0.0)], 20, 0.0), but_fires_on=ending([(".", 2.0)], 14, 0.0))
    kind = kinds()["silent_on"].model_validate({"prompts": "prompts", "but_fires_on": "but_fires_on"})
    assert kind.judge(stop, last).outcome is Outcome.MET
    (line,) = kind.weaknesses(stop, last)
    assert "20 of 20 prompts of prompts end with '.'" in line
    assert list(kind.weaknesses(alike, last)) == list(kind.weaknesses(alike, CLAIM)) == []
