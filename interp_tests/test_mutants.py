"""Mutants of evidence: what a good claim kills, what a vacuous one lets live, and what counts at all."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import concat, split
from harness.expectations import kinds
from harness.expectations.base import Accepted
from harness.expectations.toy import evidence_of, evidence_of_rows, row, rows, scattered, toy_codes
from harness.mutants import MUTANTS, Case, applicable, derived_specs
from harness.mutants.moved_marks import moved_marks
from harness.mutants.score import kills_nothing, score, with_trials
from harness.mutants.shuffled_labels import deal, variants
from harness.mutants.wrong_feature import tokens_fired
from harness.mutants.wrong_feature import variants as wrong_features
from harness.vacuity import failing_vacuous, says_little
from harness.verdict import Fate, Outcome, Reason, Trial, Verdict
from interp_tests.labelled import design_by
from interp_tests.mutant_cases import COLOR, MARKED, PLAIN, compared, fates, toy_spec, trials

TEXT = " ".join(f"w{i}" for i in range(24))
NEAR = {f"w{i}": 1 + i % 3 for i in range(24)}
FAR = {f"w{i}": 9 + i % 3 for i in range(24)}


def reconstructed(fvu, values):
    return toy_spec("reconstruction", {"fvu": {"at_most": fvu}}, {"prompts": rows(10, TEXT, **values)})


def test_a_good_comparison_kills_what_the_store_can_show():
    """A color claim fails of another feature, with its sets exchanged, and in random splits."""
    found = fates(*compared(auroc={"at_least": 0.9}))
    assert {name for name, fate in found.items() if fate == "killed"} == {
        "wrong_feature",
        "swapped_sets",
        "shuffled_labels",
    }


def test_a_vacuous_comparison_lets_all_of_them_live():
    """An AUROC of at least 0, of these prompts only, holds for anything; each survivor comes with its own hint."""
    found = [t for t in trials(*compared(auroc={"at_least": 0}, scope="sample")) if t.fate is Fate.SURVIVED]
    assert [t.mutant for t in found] == ["wrong_feature", "swapped_sets", "shuffled_labels"]
    assert [(t.met, t.tried) for t in found] == [(3, 3), (1, 1), (20, 20)]
    assert [t.hint for t in found] == [MUTANTS[t.mutant].hint for t in found]


def test_marks_are_shuffled_inside_prompts():
    """fires_at has one set: its marks move. A claim that any marks meet lets them."""
    given = {"prompts": scattered(rows(10, MARKED, red=3))}
    good = fates(*toy_spec("fires_at", {}, given))
    vacuous = fates(*toy_spec("fires_at", {"auroc": {"at_least": 0}}, given, scope="sample"))
    assert (good["shuffled_labels"], vacuous["shuffled_labels"]) == ("killed", "survived")
    assert good["swapped_sets"] == "not_applicable"


@pytest.mark.parametrize("mutant", ["shuffled_decoder", "random_sae", "one_layer_off"])
def test_what_is_read_through_a_derived_subject_is_judged_alike(mutant):
    """A tight FVU is broken by a worse reconstruction, a bound of 100 is not."""
    worse = {mutant: evidence_of_rows(prompts=rows(10, TEXT, **FAR))}
    assert fates(*reconstructed(0.12, NEAR), **worse)[mutant] == "killed"
    assert fates(*reconstructed(100, NEAR), **worse)[mutant] == "survived"


def test_what_cannot_be_read_is_not_run(snapshot):
    """Missing evidence of a derived subject is neither a kill nor a survival, and says why."""
    found = {t.mutant: t for t in trials(*reconstructed(0.12, NEAR))}
    assert {found[name].fate for name in ("shuffled_decoder", "random_sae", "one_layer_off")} == {Fate.NOT_RUN}
    assert found["random_sae"].note == snapshot
    assert score(found.values()).applicable == 0


def test_only_what_can_change_the_evidence_applies():
    """fvu reads no feature and no labels; a random SAE has the same L0, and a wrong feature the same density."""
    fvu, _ = reconstructed(0.12, NEAR)
    assert applicable(fvu) == {"shuffled_decoder", "random_sae", "one_layer_off"}
    l0, _ = toy_spec("sparsity", {"l0": {"at_most": 9}}, {"prompts": rows(10, TEXT, **NEAR)})
    assert applicable(l0) == {"one_layer_off"}
    live, _ = toy_spec("sparsity", {"live_features": {"at_most": 9}}, {"prompts": rows(10, TEXT, **NEAR)})
    assert applicable(live) == {"one_layer_off", "random_sae"}
    density, _ = toy_spec("density", {"rate": {"at_most": 0.9}}, {"prompts": rows(10, TEXT, **NEAR)})
    assert applicable(density) == {"one_layer_off", "random_sae"}


def test_a_mutant_that_no_evidence_could_meet_is_not_applicable(snapshot):
    """Silence on 14 prompts that fires on 3: exchanged, 3 prompts can show no silence, so nothing was tested."""
    given = {"prompts": rows(14, PLAIN), "but_fires_on": rows(3, COLOR, red=3)}
    found = {t.mutant: t for t in trials(*toy_spec("silent_on", {}, given))}
    assert found["swapped_sets"].fate is Fate.NOT_APPLICABLE
    assert found["swapped_sets"].note == snapshot
    enough = {**given, "but_fires_on": rows(14, COLOR, red=3)}
    assert fates(*toy_spec("silent_on", {}, enough))["swapped_sets"] == "killed"


def test_a_dead_mutant_kills_nothing():
    """A tautology (fires on at most 90 %) is not saved by a feature that is dead one layer off."""
    given = {"prompts": [*rows(10, COLOR, red=3), *rows(10, COLOR)]}
    dead = {"one_layer_off": evidence_of_rows(prompts=rows(20, COLOR))}
    quiet = toy_spec("fire_rate", {"rate": {"at_most": 0.9}}, given, scope="sample")
    found = {t.mutant: t for t in trials(*quiet, **dead)}["one_layer_off"]
    assert (found.fate, "dead" in found.note) == (Fate.NOT_APPLICABLE, True)
    loud = toy_spec("fire_rate", {"rate": {"at_least": 0.4}}, given, scope="sample")
    assert fates(*loud, **dead)["one_layer_off"] == "killed"


def test_an_underpowered_mutant_is_killed():
    """One that can no longer be shown is noticed, as one that is refuted is."""
    weaker = [*rows(7, COLOR, red=3), *rows(7, COLOR)]
    claim = toy_spec("fire_rate", {"rate": {"at_least": 0.5}}, {"prompts": rows(14, COLOR, red=3)})
    assert fates(*claim, one_layer_off=evidence_of_rows(prompts=weaker))["one_layer_off"] == "killed"


def test_a_baseline_is_held_against_the_mutants_number():
    """unchanged compares the number of the wrong feature, not its name: a tolerance of 1 lets any of them pass."""
    given = {"prompts": rows(10, COLOR, red=3), "than": rows(10, PLAIN)}
    accepted = Accepted(1.0, "2026-11-01", feature=0)
    tight, wide = (
        fates(*toy_spec("unchanged", {"measure": "auroc", "within": {"absolute": w}}, given, accepted=accepted))
        for w in (0.05, 1.0)
    )
    assert [tight[m] for m in ("wrong_feature", "swapped_sets", "shuffled_labels")] == ["killed"] * 3
    assert [wide[m] for m in ("wrong_feature", "swapped_sets", "shuffled_labels")] == ["survived"] * 3


def test_wrong_features_are_the_nearest_in_density():
    """Counted the long way: no live feature that was left out is nearer than one that was taken."""
    spec, evidence = compared()
    fired = Counter()
    for codes in evidence.codes_of.values():
        for token in range(codes.n_tokens):
            if codes.position[token] > 1:  # BOS and a sink stand first
                fired.update(int(f) for f in codes.index[codes.indptr[token] : codes.indptr[token + 1]])
    case = Case(spec, (0,), evidence)
    taken = [v.spec.features[0] for v in wrong_features(case)]
    distance = {f: abs(n - fired[0]) for f, n in fired.items() if f != 0}
    assert {f: int(n) for f, n in enumerate(tokens_fired(case)) if n} == dict(fired)
    assert 0 not in taken
    assert len(set(taken)) == 3
    assert max(distance[f] for f in taken) <= min(d for f, d in distance.items() if f not in taken)


def test_a_claim_about_weights_is_made_of_the_features_that_it_is_compared_with():
    """promotes reads no prompt: its wrong features are drawn from the seeded sample, whose lists are there."""
    kind = kinds()["promotes"]
    example = next(e for e in kind.examples if e.outcome is Outcome.MET)
    spec, _ = toy_spec("promotes", example.fields, {})
    evidence = evidence_of(example)
    sampled = set(evidence.promotions.sampled) - {0}
    taken = [v.spec.features[0] for v in wrong_features(Case(spec, (0,), evidence))]
    assert len(taken) == min(3, len(sampled)) > 0
    assert set(taken) <= sampled
    assert fates(spec, evidence)["wrong_feature"] == "killed"


def test_without_another_live_feature_there_is_no_wrong_one():
    """Codes of one feature only: nothing to exchange it for, and nothing counted."""
    spec, evidence = compared()
    for key, codes in evidence.codes_of.items():
        dense = np.zeros((codes.n_tokens, codes.d_sae))
        dense[:, 0] = codes.token_column(0)
        token, feature = np.nonzero(dense)
        indptr = np.r_[0, np.cumsum(np.count_nonzero(dense, axis=1))]
        alone = replace(codes, indptr=indptr, index=feature.astype(np.int32), value=dense[token, feature])
        evidence.codes_of[key] = alone
    assert fates(spec, evidence)["wrong_feature"] == "not_applicable"


def shuffled(name):
    spec, evidence = compared(name)
    return [[p.text for p in v.spec.sets["prompts"].prompts] for v in variants(Case(spec, (0,), evidence))]


def test_shuffles_are_seeded_by_the_claim():
    """The same twenty draws each time, all different, and other ones for another claim."""
    assert shuffled("suite::claim") == shuffled("suite::claim")
    assert shuffled("suite::claim") != shuffled("suite::other")
    assert len({tuple(draw) for draw in shuffled("suite::claim")}) == 20


def test_a_draw_carries_each_prompts_own_codes():
    """Whatever set a prompt is dealt to, its codes go with it."""
    spec, evidence = compared()
    fires = {p.text for p in spec.sets["prompts"].prompts}
    assert evidence.pooled("prompts", spec.claim).column(0).all()
    assert not evidence.pooled("than", spec.claim).column(0).any()
    for variant in list(variants(Case(spec, (0,), evidence)))[:5]:
        for role, prompts in variant.spec.sets.items():
            pooled = variant.evidence.pooled(role, spec.claim)
            assert [bool(v) for v in pooled.column(0)] == [p.text in fires for p in prompts.prompts]


GROUPS = st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(first=GROUPS, second=GROUPS, seed=st.integers(0, 99))
def test_units_stay_together_when_they_are_dealt(first, second, seed):
    """As many units a side as before, also where both sides name a group alike."""
    dealt = deal(design_by(first, second), np.random.default_rng(seed)).tolist()
    before = [0] * len(first) + [1] * len(second)
    groups = [*first, *second]
    units = {(s, g if g is not None else i) for i, (s, g) in enumerate(zip(before, groups, strict=True))}
    new = {}
    for i, (was, g, now) in enumerate(zip(before, groups, dealt, strict=True)):
        new.setdefault((was, g if g is not None else i), set()).add(now)
    assert all(len(sides) == 1 for sides in new.values())
    assert sum(sides == {0} for sides in new.values()) == sum(s == 0 for s, _ in units)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), marked=st.sets(st.integers(0, 5), min_size=1))
def test_moved_marks_are_as_many_and_as_long(seed, marked):
    """Each mark keeps its number of tokens, and lies on whole tokens of its prompt."""
    words = [f"[[w{i}]]" if i in marked else f"w{i}" for i in range(6)]
    codes, _ = toy_codes([row(" ".join(words))])
    text = [(int(a), int(b)) for a, b in zip(codes.start, codes.end, strict=True) if a >= 0]
    marks = tuple(text[i] for i in sorted(marked))
    (moved,) = moved_marks(codes, codes.counted(), [marks], np.random.default_rng(seed))
    assert len(moved) == len(set(moved)) == len(marks)
    assert set(moved) <= set(text)


def test_a_run_of_marked_tokens_moves_as_one():
    """A mark over two tokens stays a mark over two that stand together, and every place for it comes up."""
    codes, _ = toy_codes([row("a b c d")])
    places = {moved_marks(codes, codes.counted(), [((0, 3),)], np.random.default_rng(s))[0] for s in range(60)}
    assert places == {((0, 3),), ((2, 5),), ((4, 7),)}


def test_split_codes_join_again():
    """The codes of each prompt by itself, joined, are the codes; in another order they are not."""
    codes, _ = toy_codes(rows(4, COLOR, red=3))
    again, turned = concat(split(codes)), concat(split(codes)[::-1])
    for name in ("indptr", "index", "value", "hh", "sum_h", "prompt"):
        assert np.array_equal(getattr(again, name), getattr(codes, name))
    assert again.token == codes.token
    assert turned.token != codes.token


def trial(fate, name="wrong_feature"):
    return Trial(name, fate)


def test_what_does_not_apply_counts_on_neither_side():
    """Three killed, one survived: 3 of 4, whatever was not applicable or not run; limits as by the binomial tail."""
    counted = [trial(Fate.KILLED)] * 3 + [trial(Fate.SURVIVED)]
    found = score([*counted, *[trial(Fate.NOT_APPLICABLE)] * 5, *[trial(Fate.NOT_RUN)] * 2])
    assert (found.killed, found.applicable, found.not_run) == (3, 4, 2)
    assert (found.low, found.high) == (score(counted).low, score(counted).high)
    at_low = 4 * found.low**3 * (1 - found.low) + found.low**4
    assert at_low == pytest.approx(0.025)
    assert (1 - found.high) ** 4 + 4 * found.high * (1 - found.high) ** 3 + 6 * found.high**2 * (
        1 - found.high
    ) ** 2 + 4 * found.high**3 * (1 - found.high) == pytest.approx(0.025)
    assert score([]).low is None


def test_a_claim_that_kills_nothing_says_little(snapshot):
    """All survivors: vacuous, with their names; nothing that applies: vacuous, too. One kill, or none tried: fine."""
    met = Verdict(Outcome.MET, "fires more")
    bad = with_trials(met, (trial(Fate.SURVIVED), trial(Fate.NOT_RUN, "random_sae")))
    none = with_trials(met, (trial(Fate.NOT_APPLICABLE),))
    for verdict in (bad, none):
        failed = failing_vacuous(verdict)
        assert (verdict.outcome, failed.outcome, failed.reason) == (Outcome.MET, Outcome.INCONCLUSIVE, Reason.VACUOUS)
        assert failed.finding == snapshot
    rival = (trial(Fate.SURVIVED, "random_sae"), trial(Fate.KILLED))
    assert not says_little(with_trials(met, rival))
    assert says_little(with_trials(met, rival, {"random_sae"}))
    assert not says_little(with_trials(met, (trial(Fate.KILLED, "random_sae"),), {"random_sae"}))
    unread = (trial(Fate.NOT_APPLICABLE), trial(Fate.NOT_RUN))
    for fine in ((trial(Fate.SURVIVED), trial(Fate.KILLED)), (trial(Fate.NOT_RUN),), unread):
        assert not kills_nothing(fine)
        assert not says_little(with_trials(met, fine))


def test_a_kind_that_raises_is_no_kill():
    """A crash in judging a mutant is a fault of the harness: not run, with what was raised."""
    spec, evidence = reconstructed(0.12, NEAR)
    (found,) = [t for t in trials(spec, evidence, random_sae=evidence_of_rows()) if t.mutant == "random_sae"]
    assert found.fate is Fate.NOT_RUN
    assert "KeyError" in found.note


def test_subjects_that_share_the_sae_are_derived_together():
    """A claim about two models through one SAE keeps one SAE in its mutants; a subject with its own keeps that."""
    spec, _ = compared()
    same = replace(spec.subject, name="adapted", model=replace(spec.subject.model, location="zoo/other"))
    own = replace(same, name="own", sae=replace(same.sae, location="zoo/own"))
    for changed in derived_specs(replace(spec, others={"adapted": same, "own": own})):
        assert changed.subject.sae == changed.others["adapted"].sae
        assert changed.subject.hook == changed.others["adapted"].hook
        assert changed.others["own"] == own
        assert changed.others["adapted"] != same
