"""Power: against writing out every sample, and against the verdicts themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.intervals import clopper_pearson
from harness.stats.permutation import midrank_p, normal_p, rank_sum, stratified_p
from harness.stats.power import DRAWS, _tails, auroc_power, rate_power, within_power
from interp_tests.plain_twins import power as twin

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
NOISE = 4 * 0.5 / np.sqrt(DRAWS)  # four standard errors of a share of DRAWS, at its widest


@pytest.mark.parametrize(
    ("positive", "negative", "n_pos", "n_neg"),
    [
        ((3.0, 2.0, 0.0), (0.0, 1.0, 0.0), 4, 4),
        ((3.0, 2.5, 1.0), (0.0, 2.0), 3, 5),
        ((1.0, 1.0), (0.0, 0.0, 1.0), 4, 5),
    ],
)
def test_the_power_of_an_auroc_is_that_of_all_samples(positive, negative, n_pos, n_neg):
    """Seeded draws against every sample with replacement, p by listing all choices; other bounds give other powers."""
    exact = {low: twin.all_draws(positive, negative, n_pos, n_neg, low, 0.1) for low in (0.6, 0.95)}
    for low, wanted in exact.items():
        found = auroc_power(np.array(positive), np.array(negative), n_pos, n_neg, low, 0.1)
        assert found == pytest.approx(wanted, abs=NOISE)
    assert exact[0.6] > exact[0.95]


def test_the_power_over_shared_templates_is_that_of_all_samples():
    """Whole strata are drawn, as many as asked for; more of them have more power."""
    strata = [((3.0, 2.0), (0.0, 1.0)), ((1.0,), (0.0, 0.5, 0.0)), ((0.0, 2.0), (1.0, 0.0))]
    arrays = [(np.array(a), np.array(b)) for a, b in strata]
    wanted = {n: twin.all_draws_within(strata, n, 0.8, 0.05) for n in (2, 3, 4)}
    for n, exact in wanted.items():
        assert within_power(arrays, n, 0.8, 0.05) == pytest.approx(exact, abs=NOISE)
    assert wanted[2] < wanted[4]


@SETTINGS
@given(
    st.floats(0, 1),
    st.integers(1, 40),
    st.sampled_from([(0.8, np.inf), (-np.inf, 0.2), (0.3, 0.9), (0.0, 1.0), (1.0, np.inf), (-np.inf, 0.0)]),
    st.sampled_from([0.05, 0.2]),
)
def test_the_power_of_a_rate_is_the_chance_of_the_counts_that_are_met(rate, n, bound, alpha):
    """Counts are met where their one-sided limits lie inside the bound."""
    low, high = bound

    def met(k):
        low1, high1 = clopper_pearson(k, n, alpha)
        return (low <= 0 or low1 >= low - 1e-12) and (high >= 1 or high1 <= high + 1e-12)

    assert rate_power(rate, n, low, high, alpha) == pytest.approx(twin.rate_power(rate, n, met), abs=1e-9)


def test_rates_that_cannot_be_shown_have_no_power():
    """13 of 13 does not show .8, 14 of 14 does; silence under .05 takes 59."""
    assert rate_power(1.0, 13, 0.8, np.inf, 0.05) == 0
    assert rate_power(1.0, 14, 0.8, np.inf, 0.05) == 1
    assert [rate_power(0.0, n, -np.inf, 0.05, 0.05) for n in (58, 59)] == [0, 1]
    assert rate_power(0.9, 0, 0.8, np.inf, 0.05) == 0


def test_tied_and_separated_data_have_power_none_and_one():
    """Constant activations never differ, and complete separation always does where n suffices."""
    same, apart = np.full(6, 2.0), np.full(6, 3.0)
    assert auroc_power(same, same, 20, 20, 0.75, 0.05) == 0
    assert auroc_power(np.zeros(6), np.zeros(6), 20, 20, 0.5, 0.05) == 0
    assert auroc_power(apart, same, 5, 5, 0.75, 0.05) == 1
    assert auroc_power(apart, same, 2, 2, 0.75, 0.05) == 0
    assert within_power([(same, same)], 8, 0.6, 0.05) == 0


def test_the_shortcut_of_a_tiny_normal_p_decides_as_counting_does():
    """Where the normal approximation says alpha / 100, the exact p is under alpha: 8 designs, 300 draws each."""
    rng = np.random.default_rng(1)
    taken = 0
    for n, m in [(5, 5), (5, 20), (5, 40), (8, 8), (10, 20), (20, 20), (6, 60), (30, 10)]:
        for _ in range(300):
            a = np.where(rng.random(n) < rng.uniform(0.2, 1), rng.lognormal(0.5, 1, n), 0)
            b = np.where(rng.random(m) < rng.uniform(0, 0.6), rng.lognormal(0, 1, m), 0)
            ranked = [rank_sum(a, b)]
            if normal_p(ranked) <= 0.05 / 100:
                taken += 1
                assert stratified_p(ranked).value <= 0.05
    assert taken > 100


def test_power_is_the_share_of_new_samples_that_are_met():
    """Drawn from a wide population instead of from 200 of its units: power at 8 against 12 agrees within 12 points."""
    rng = np.random.default_rng(4)

    def activations(n, share):
        return np.where(rng.random(n) < share, rng.lognormal(0, 1, n), 0.0)

    found = auroc_power(activations(200, 0.85), activations(200, 0.3), 8, 12, 0.75, 0.05)
    met = 0
    for _ in range(400):
        a, b = activations(8, 0.85), activations(12, 0.3)
        reached = (np.sign(a[:, None] - b[None, :]) + 1).mean() / 2 >= 0.75
        met += reached and midrank_p(a, b).value <= 0.05
    assert 0.2 < found < 0.95
    assert abs(found - met / 400) < 0.12


@pytest.mark.parametrize("n", [2, 7, 30])
def test_the_p_of_drawn_strata_is_that_of_their_convolution(n):
    """From transforms to 1e-12, whatever is drawn how often; another draw has another p."""
    rng = np.random.default_rng(n)
    strata = [rank_sum(rng.integers(0, 3, 1 + i % 3) + 0.5, rng.integers(0, 4, 5 + i).astype(float)) for i in range(9)]
    drawn = rng.integers(0, len(strata), (20, n))
    tail = _tails(strata, n)
    found = [tail(one) for one in drawn]
    assert found == pytest.approx([stratified_p([strata[i] for i in one]).value for one in drawn], abs=1e-12)
    assert len({round(p, 9) for p in found}) > 1
