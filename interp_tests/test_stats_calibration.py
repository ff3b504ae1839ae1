"""The error rates that the verdicts promise, on simulated prompts with seeded draws."""

from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest

from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, row
from harness.stats.intervals import newcombe_auroc
from harness.stats.permutation import midrank_p
from harness.verdict import Reason
from interp_tests.plain_twins.ranks import auroc

DRAWS = 800
SLACK = 3 * np.sqrt(0.05 * 0.95 / DRAWS)


def activations(rng, n, share):
    """Zero-inflated lognormal: silent on most prompts, and skewed where it fires."""
    return np.where(rng.random(n) < share, rng.lognormal(0, 1, n), 0.0)


@pytest.mark.parametrize(("n_pos", "n_neg"), [(5, 5), (5, 20), (12, 12)])
def test_a_true_null_is_rejected_at_most_as_often_as_alpha(n_pos, n_neg):
    """Both sets alike: p <= .05 in at most 5 % of draws, up to simulation error."""
    rng = np.random.default_rng(n_pos + n_neg)
    p = [midrank_p(activations(rng, n_pos, 0.4), activations(rng, n_neg, 0.4)).value for _ in range(DRAWS)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + SLACK


def test_a_real_difference_is_found():
    """The check above can fail: where positives fire and negatives do not, most draws are significant."""
    rng = np.random.default_rng(0)
    p = [midrank_p(activations(rng, 5, 0.95), activations(rng, 20, 0.1)).value for _ in range(200)]
    assert np.mean(np.array(p) <= 0.05) > 0.9


def test_newcombe_covers_the_true_auroc():
    """At 8 against 12 and a true AUROC of .87, 95 % limits hold it in at least 93 % of draws; Wald's in fewer."""
    rng = np.random.default_rng(1)
    covered = wald = 0
    truth = 0.8687  # P(N(1.586, 1) > N(0, 1)) = Phi(1.586 / sqrt 2) = Phi(1.1215)
    for _ in range(DRAWS):
        found = auroc(rng.normal(1.586, 1, 8), rng.normal(0, 1, 12))
        low, high = newcombe_auroc(found, 8, 12, 0.025)
        covered += low <= truth <= high
        q1, q2 = found / (2 - found), 2 * found**2 / (1 + found)
        error = np.sqrt((found * (1 - found) + 7 * (q1 - found**2) + 11 * (q2 - found**2)) / 96)
        wald += abs(found - truth) <= 1.96 * error
    assert covered / DRAWS >= 0.93
    assert wald < covered


def judged(n, share_a, share_b, draws):
    """The share of each verdict on seeded claims about n against n prompts."""
    rng = np.random.default_rng(1000 * n + draws)
    kind = kinds()["fires_more"].model_validate({"prompts": "prompts", "than": "than"})
    words = Counter()
    for _ in range(draws):
        sides = {
            role: [row(f"{role} n{i}", **{role: v}) for i, v in enumerate(activations(rng, n, share).tolist())]
            for role, share in (("prompts", share_a), ("than", share_b))
        }
        verdict = kind.judge(evidence_of_rows(**sides), Claim(feature=0))
        words[verdict.word if verdict.reason is Reason.TOO_FEW_PROMPTS else str(verdict.outcome)] += 1
    return {word: count / draws for word, count in words.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("n_pos", "n_neg", "rejected"), [(5, 5, 0.020), (5, 20, 0.040), (20, 20, 0.046)])
def test_the_printed_error_rates_are_those_of_simulation(n_pos, n_neg, rejected):
    """docs/statistics.md: p <= .05 of 4,000 nulls that fire on 40 %."""
    rng = np.random.default_rng(n_pos * n_neg)
    p = [midrank_p(activations(rng, n_pos, 0.4), activations(rng, n_neg, 0.4)).value <= 0.05 for _ in range(4000)]
    assert abs(np.mean(p) - rejected) <= 3 * np.sqrt(2 * rejected * (1 - rejected) / 4000) + 0.0005


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 8, 10, 20])
def test_null_claims_are_seldom_met_and_true_ones_seldom_unmet(n):
    """The whole verdict at n a side: at most 5 % of nulls met and of true claims unmet, up to simulation error."""
    draws = 400
    slack = 3 * np.sqrt(0.05 * 0.95 / draws)
    for share in (0.4, 0.8):
        assert judged(n, share, share, draws).get("met", 0) <= 0.05 + slack
    true = judged(n, 0.95, 0.1, draws)
    assert true.get("unmet", 0) <= 0.05 + slack
    assert true["met"] >= {5: 0.4, 8: 0.55, 10: 0.6, 20: 0.9}[n]


@pytest.mark.slow
@pytest.mark.parametrize(("n_pos", "n_neg"), [(5, 5), (10, 10), (10, 40), (20, 20)])
def test_a_truth_on_the_default_bound_is_met_in_at_most_alpha(n_pos, n_neg):
    """True AUROC .7: at most 5 % of 400 claims are met, up to simulation error; with .95 about half or more are."""
    kind, draws = kinds()["fires_more"].model_validate({"prompts": "prompts", "than": "than"}), 400
    rng, met = np.random.default_rng(n_pos + n_neg), {}
    for truth in (0.7, 0.95):
        shift = np.sqrt(2) * NormalDist().inv_cdf(truth)
        met[truth] = 0
        for _ in range(draws):
            sides = {
                role: [
                    row(f"{role}{i} a{i} b{i}", **{f"{role}{i}": v}) for i, v in enumerate(np.exp(rng.normal(at, 1, n)))
                ]
                for role, at, n in (("prompts", shift, n_pos), ("than", 0, n_neg))
            }
            met[truth] += str(kind.judge(evidence_of_rows(**sides), Claim(feature=0)).outcome) == "met"
    assert met[0.7] / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)
    assert met[0.95] / draws > 0.45


@pytest.mark.slow
def test_three_a_side_decide_nothing_whatever_the_effect():
    """The smallest p of 3 against 3 is .05 and the fewest are 5: null and true claims are both could-not-tell."""
    for shares in ((0.4, 0.4), (1.0, 0.0)):
        assert judged(3, *shares, 100) == {"inconclusive: too_few_prompts": 1.0}


@pytest.mark.slow
def test_more_negatives_are_cheap_power():
    """Fires on 95 % against 10 %: 5 against 20 finds it in over 95 % of draws, 5 against 5 in under 92 %."""
    power = {}
    for n_neg in (5, 20):
        rng = np.random.default_rng(n_neg)
        p = [midrank_p(activations(rng, 5, 0.95), activations(rng, n_neg, 0.1)).value for _ in range(1000)]
        power[n_neg] = np.mean(np.array(p) <= 0.05)
    assert power[5] < 0.92
    assert power[20] > 0.95


@pytest.mark.slow
def test_tokens_taken_for_prompts_reject_too_many_nulls():
    """The partner that fails: 8 prompts of 6 alike tokens a side, tokens as units, reject over 10 % of true nulls."""
    rng = np.random.default_rng(3)
    rejected = {"tokens": [], "prompts": []}
    for _ in range(400):
        a, b = (rng.normal(size=(8, 1)) + rng.normal(size=(8, 6)) for _ in range(2))
        rejected["tokens"].append(midrank_p(a.ravel(), b.ravel()).value <= 0.05)
        rejected["prompts"].append(midrank_p(a.max(1), b.max(1)).value <= 0.05)
    assert np.mean(rejected["tokens"]) > 0.10
    assert np.mean(rejected["prompts"]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
