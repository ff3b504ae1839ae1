"""Power: against writing out every sample, and against the limits themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.intervals import clopper_pearson, newcombe_auroc
from harness.stats.power import DRAWS, auroc_power, mean_power, rate_power
from interp_tests.plain_twins import limits as twin_limits
from interp_tests.plain_twins import power as twin

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
NOISE = 4 * 0.5 / np.sqrt(DRAWS)  # four standard errors of a share of DRAWS, at its widest
OPEN = np.inf


@pytest.mark.parametrize(
    ("positive", "negative", "n_pos", "n_neg"),
    [
        ((3.0, 2.0, 0.0), (0.0, 1.0, 0.0), 4, 4),
        ((3.0, 2.5, 1.0), (0.0, 2.0), 3, 5),
        ((1.0, 1.0), (0.0, 0.0, 1.0), 4, 5),
    ],
)
def test_the_power_of_an_auroc_is_that_of_all_samples(positive, negative, n_pos, n_neg):
    """Seeded draws against every sample with replacement, limits by a grid; other bounds give other powers."""
    known = {}

    def shows(low):
        def met(auroc):
            if auroc not in known:
                known[auroc] = twin_limits.newcombe(auroc, n_pos, n_neg, 1.2815515655446004)[0]
            return known[auroc] >= low

        return met

    exact = {low: twin.all_draws(positive, negative, n_pos, n_neg, shows(low)) for low in (0.4, 0.7)}
    for low, wanted in exact.items():
        found = auroc_power(np.array(positive), np.array(negative), n_pos, n_neg, low, OPEN, 0.1)
        assert found == pytest.approx(wanted, abs=NOISE)
    assert exact[0.4] > exact[0.7]


def test_the_power_of_a_mean_of_aurocs_is_that_of_all_samples():
    """Whole templates are drawn, as many as asked for; a template that is always right helps the more there are."""
    values = (1.0, 1.0, 0.75)
    wanted = {
        n: twin.all_means(values, n, lambda mean, n=n: clopper_pearson(mean * n, n, 0.05)[0] >= 0.5) for n in (5, 7)
    }
    for n, exact in wanted.items():
        assert mean_power(np.array(values), n, 0.5, OPEN, 0.05) == pytest.approx(exact, abs=NOISE)
    assert 0 < wanted[5] < wanted[7]


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
    assert auroc_power(same, same, 20, 20, 0.7, OPEN, 0.05) == 0
    assert auroc_power(np.zeros(6), np.zeros(6), 20, 20, 0.5, OPEN, 0.05) == 0
    assert auroc_power(apart, same, 5, 5, 0.7, OPEN, 0.05) == 1
    assert auroc_power(apart, same, 4, 4, 0.7, OPEN, 0.05) == 0
    assert mean_power(np.full(3, 0.5), 8, 0.6, OPEN, 0.05) == 0
    assert [mean_power(np.ones(3), n, 0.7, OPEN, 0.05) for n in (8, 9)] == [0, 1]


def test_a_range_needs_both_limits():
    """All values alike: an AUROC of .5 is inside .3 to .7 at 20 a side, but not at 5, and never above .5."""
    same = np.ones(4)
    assert auroc_power(same, same, 20, 20, 0.3, 0.7, 0.05) == 1
    assert auroc_power(same, same, 5, 5, 0.3, 0.7, 0.05) == 0
    assert auroc_power(same, same, 200, 200, 0.51, 0.7, 0.05) == 0
    assert mean_power(np.full(2, 0.5), 40, 0.3, 0.7, 0.05) == 1
    assert mean_power(np.full(2, 0.5), 8, 0.3, 0.7, 0.05) == 0


def test_power_is_the_share_of_new_samples_that_are_met():
    """Drawn from a wide population instead of from 200 of its units: power at 8 against 12 agrees within 12 points."""
    rng = np.random.default_rng(4)

    def activations(n, share):
        return np.where(rng.random(n) < share, rng.lognormal(0, 1, n), 0.0)

    found = auroc_power(activations(200, 0.9), activations(200, 0.15), 8, 12, 0.7, OPEN, 0.05)
    met = 0
    for _ in range(400):
        a, b = activations(8, 0.9), activations(12, 0.15)
        met += newcombe_auroc((np.sign(a[:, None] - b[None, :]) + 1).mean() / 2, 8, 12, 0.05)[0] >= 0.7
    assert 0.2 < found < 0.95
    assert abs(found - met / 400) < 0.12
