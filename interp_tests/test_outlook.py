"""What would decide a claim: power at the effect seen, and the prompts that would raise it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.outlook import STEPS, cheapest
from harness.expectations.toy import evidence_of_rows, row, rows
from harness.inputs import Prompt, PromptSet
from harness.judging import _judge_feature, with_outlook
from harness.stats.power import ENOUGH, rate_power
from harness.verdict import Outcome, Reason
from interp_tests.test_heldout import spec_of

CLAIM = Claim(feature=0)


def values(*numbers):
    return [row(f"a red n{i}", red=v) for i, v in enumerate(numbers)]


def judged(kind, evidence, **fields):
    """As a spec about feature 0 is judged."""
    expectation = kinds()[kind].model_validate({**{role: role for role in evidence.sets}, **fields})
    spec = dataclasses.replace(spec_of(evidence, []), expectation=expectation, discovered_on=None)
    return with_outlook(spec, _judge_feature(spec, evidence, 0), evidence)


def asked(kind, evidence, claim=CLAIM, **fields):
    return kinds()[kind].model_validate({**{role: role for role in evidence.sets}, **fields}).outlook(evidence, claim)


def test_an_underpowered_comparison_says_its_power_and_what_would_do():
    """AUROC .93 from 7 against 7 does not show .7: the power, and more prompts raise it to .8."""
    evidence = evidence_of_rows(prompts=values(5, 4, 3, 6, 0, 2, 7), than=values(0, 1, 0, 2.5, 0, 0, 0))
    verdict = judged("fires_more", evidence)
    assert verdict.reason is Reason.UNDERPOWERED
    power = next(m for m in verdict.also if m.name == "power at this effect")
    assert power.n == 14
    assert power.value < ENOUGH
    add = verdict.details["power"]["add"]
    assert add["power"] >= ENOUGH
    assert sum(add["more"].values()) >= 1
    assert set(add["more"]) <= {"prompts", "than"}
    assert all(f"{n} more of {name}" in verdict.details["needs"] for name, n in add["more"].items())


def test_a_decided_claim_is_not_asked_for_its_power_in_a_run():
    """Power is for could-not-tell: met and unmet verdicts stay as they were, and cost nothing more."""
    met = judged("fires_more", evidence_of_rows(prompts=rows(20, "a red b", red=3), than=rows(20, "a dim b")))
    assert met.outcome is Outcome.MET
    assert "power" not in met.details


def test_an_effect_beyond_its_bound_is_helped_by_no_number_of_prompts(snapshot):
    """An AUROC of .6 never shows .7, and it says so; a share of .5 never shows .8."""
    evidence = evidence_of_rows(prompts=values(3, 0, 1, 0, 2), than=values(0, 1.5, 0, 2.5, 0))
    found = asked("fires_more", evidence, auroc={"at_least": 0.7})
    assert found.addition is None
    assert found.needed == snapshot
    rate = asked("fire_rate", evidence_of_rows(prompts=values(*[3, 0] * 10)))
    assert rate.addition is None
    assert rate.power < 0.05


def test_an_underpowered_rate_names_the_first_n_that_would_do(snapshot):
    """22 of 24 may or may not be .8: the n is the first whose exact power is .8, counted up one by one."""
    verdict = judged("fire_rate", evidence_of_rows(prompts=values(*[3] * 22, 0, 0)))
    assert verdict.reason is Reason.UNDERPOWERED
    more = verdict.details["power"]["add"]["more"]["prompts"]
    powers = [rate_power(22 / 24, 24 + k, 0.8, np.inf, 0.05) for k in range(more + 1)]
    assert [p >= ENOUGH for p in powers] == [False] * more + [True]
    assert verdict.details["needs"] == snapshot


def test_silence_and_ranks_have_an_outlook_as_other_rates_have():
    """silent_on and top_feature: 1 of 20 firing, and 19 of 20 ranking, with the exact power of that rate."""
    one = values(3, *[0] * 19)
    silent = asked("silent_on", evidence_of_rows(prompts=one, but_fires_on=values(3, 3)))
    assert silent.power == pytest.approx(rate_power(1 / 20, 20, -np.inf, 0.2, 0.05))
    ranks = evidence_of_rows(prompts=values(*[9] * 19, 0), than=values(*[0] * 20))
    top = asked("top_feature", ranks, among=1, rate={"at_least": 0.8})
    assert top.power == pytest.approx(rate_power(19 / 20, 20, 0.8, np.inf, 0.05))


def test_marked_tokens_have_an_outlook_over_prompts():
    """A feature that is right in most prompts gains power with prompts; one right in all has it."""
    text = "the [[red]] ball rolled away from the old green house"
    right = asked("fires_at", evidence_of_rows(prompts=rows(9, text, red=3)))
    assert right.power == 1
    mixed = [*rows(7, text, red=3), *rows(3, text, red=3, ball=4)]
    some = asked("fires_at", evidence_of_rows(prompts=mixed))
    assert some.n == 10
    assert 0 < some.power < 1


def test_groups_are_what_more_is_needed_of():
    """Where prompts share groups the unit that is added is a group."""
    texts = [values(3, 2), values(1, 0), values(0, 2), values(2, 0), values(4, 1)]
    evidence = evidence_of_rows(prompts=[r for t in texts for r in t], than=[r for t in texts for r in reversed(t)])
    sets = {
        role: PromptSet(role, tuple(Prompt(p.text, group=f"t{i // 2}") for i, p in enumerate(s.prompts)))
        for role, s in evidence.sets.items()
    }
    found = asked("fires_more", dataclasses.replace(evidence, sets=sets), auroc={"at_least": 0.5})
    assert found.unit == "groups"
    assert found.n == 10


def test_a_claim_of_these_prompts_only_has_no_power():
    """scope: sample is decided by the number itself."""
    evidence = evidence_of_rows(prompts=rows(6, "a red b", red=3), than=rows(6, "a dim b"))
    assert asked("fires_more", evidence, dataclasses.replace(CLAIM, scope="sample")) is None


def test_a_range_has_the_power_of_both_limits():
    """AUROC 1 is never under .9; .75 is shown to lie between .55 and .95 by 40 a side, and needs more at 6."""
    apart = evidence_of_rows(prompts=rows(40, "a red b", red=3), than=rows(40, "a dim b"))
    assert asked("fires_more", apart, auroc={"between": [0.6, 0.9]}).power == 0
    half = [*values(*[2] * 20), *values(*[0] * 20)]
    mixed = evidence_of_rows(prompts=half, than=values(*[0] * 40))
    assert asked("fires_more", mixed, auroc={"between": [0.55, 0.95]}).power > ENOUGH


def test_the_cheapest_addition_is_the_smallest_total():
    """Of ways that do, the fewest prompts in all; ties go to the last set; none where none does."""
    only_both = cheapest(lambda k: float(min(k) >= 3), ["a", "b"])
    assert only_both.more == {"a": 3, "b": 3}
    either = cheapest(lambda k: float(max(k) >= 6), ["a", "b"])
    assert either.more == {"b": 6}
    assert cheapest(lambda k: float(k[0] >= 4), ["a", "b"]).more == {"a": 4}
    assert cheapest(lambda k: float(sum(k) > 2 * STEPS[-1]), ["a", "b"]) is None
    assert cheapest(lambda k: float(k[0] >= 5), ["both"]).more == {"both": 5}


def test_the_smallest_p_is_known_from_the_sets():
    """1 / C(10, 5) for 5 against 5, .8^14 for a rate from 14 prompts, nothing for these prompts only."""
    sets = evidence_of_rows(prompts=values(*[1] * 5), than=values(*[0] * 5)).sets
    more = kinds()["fires_more"].model_validate({"prompts": "prompts", "than": "than"})
    assert more.smallest_p(sets, CLAIM) == pytest.approx(1 / 252)
    assert more.smallest_p(sets, dataclasses.replace(CLAIM, scope="sample")) is None
    rate = kinds()["fire_rate"].model_validate({"prompts": "prompts"})
    assert rate.smallest_p(evidence_of_rows(prompts=values(*[1] * 14)).sets, CLAIM) == pytest.approx(0.8**14)


CONSTANT = {
    "fires_more": ({"prompts": values(*[2] * 20), "than": values(*[2] * 20)}, {}, Outcome.UNMET),
    "distinguishes": ({"prompts": values(*[2] * 10), "than": values(*[2] * 10)}, {"top": 1}, Outcome.UNMET),
    "fire_rate": ({"prompts": values(*[2] * 14)}, {}, Outcome.MET),
    "activation": ({"prompts": values(*[2] * 8)}, {"median": {"at_least": 2}}, Outcome.MET),
    "fires_at": ({"prompts": rows(20, "the [[red]] old ball", the=2, red=2, old=2, ball=2)}, {}, Outcome.INCONCLUSIVE),
}


@pytest.mark.parametrize("kind", CONSTANT)
def test_constant_activations_have_a_clear_verdict(kind):
    """All values tied: no comparison is won, a rate and a median are what they are, and nothing is not a number."""
    sets, fields, outcome = CONSTANT[kind]
    verdict = judged(kind, evidence_of_rows(**sets), **fields)
    assert verdict.outcome is outcome, verdict.finding
    assert np.isfinite(verdict.measurement.value)
    assert "nan" not in verdict.finding


@pytest.mark.parametrize("kind", ["fires_more", "distinguishes", "beats_keywords"])
def test_too_few_firing_prompts_compare_nothing(kind, snapshot):
    """4 firing prompts of 20 are too sparse, with how many more would do; and 5 are compared."""
    texts = [f"a red n{i} m{i}" for i in range(20)]

    def evidence(firing):
        made = [row(t, red=3.0 + i if i < firing else 0) for i, t in enumerate(texts)]
        return evidence_of_rows(prompts=made[:10], than=made[10:])

    sparse = judged(kind, evidence(4))
    assert sparse.reason is Reason.TOO_SPARSE
    assert sparse.finding == snapshot
    assert judged(kind, evidence(5)).reason is not Reason.TOO_SPARSE


def test_a_feature_that_ranks_far_off_is_unmet_however_seldom_it_fires():
    """Silence is what a rank is lost by: at 4 firing prompts of 20 and the last rank, more prompts are no mend."""
    made = [row(f"a red n{i} m{i}", red=3.0 if i >= 16 else 0) for i in range(20)]
    verdict = judged("distinguishes", evidence_of_rows(prompts=made[:10], than=made[10:]), top=1)
    assert verdict.outcome is Outcome.UNMET


NUMBERS = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0]), min_size=5, max_size=10)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(NUMBERS, NUMBERS)
def test_no_claim_is_unmet_while_its_number_reaches_the_bound(a, b):
    """A number inside its bound that chance may explain is could-not-tell, never unmet; met needs the limit."""
    for kind, evidence in (
        ("fires_more", evidence_of_rows(prompts=values(*a), than=values(*b))),
        ("fire_rate", evidence_of_rows(prompts=values(*a, *b))),
    ):
        verdict = judged(kind, evidence)
        if verdict.outcome is Outcome.UNMET:
            assert not Bound.model_validate({"at_least": 0.7 if kind == "fires_more" else 0.8}).holds(
                verdict.measurement.value
            )
        if verdict.outcome is Outcome.MET:
            assert verdict.measurement.value > 0.8
            assert verdict.p is None or verdict.p <= 0.05
