"""Intervals against their definitions, and the sample sizes that follow from them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.expectations.bounds import Bound
from harness.expectations.rates import reachable
from harness.stats.intervals import (
    clopper_pearson,
    mean_limits,
    median_limits,
    newcombe_auroc,
    rate_limits,
    welch_limits,
)
from interp_tests.plain_twins import limits as twin

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@SETTINGS
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.025, 0.05]))
def test_clopper_pearson_solves_the_binomial_tails(counts, tail):
    """Its limits are the rates at which the observed count becomes as unlikely as the tail."""
    k, n = counts
    assert clopper_pearson(k, n, tail) == pytest.approx(twin.clopper_pearson(k, n, tail), abs=1e-9)


def test_clopper_pearson_is_wider_than_the_wald_interval():
    """The comparison above can fail: the textbook normal interval has other limits."""
    low, high = clopper_pearson(18, 20, 0.025)
    half = 1.96 * math.sqrt(0.9 * 0.1 / 20)
    assert low != pytest.approx(0.9 - half, abs=1e-2)
    assert high < 0.9 + half


@SETTINGS
@given(st.integers(1, 30), st.floats(0, 1), st.floats(0, 1))
def test_a_fractional_count_lies_between_its_neighbours(n, share, tail_share):
    """Templates that fire in part: the limits grow with the count."""
    k, tail = share * n, 0.01 + 0.04 * tail_share
    low, high = clopper_pearson(k, n, tail)
    below, above = clopper_pearson(math.floor(k), n, tail), clopper_pearson(math.ceil(k), n, tail)
    assert below[0] - 1e-9 <= low <= above[0] + 1e-9
    assert below[1] - 1e-9 <= high <= above[1] + 1e-9
    assert low <= k / n + 1e-12 <= high + 1e-9


def test_no_prompts_have_no_rate():
    """0 of 0 is NaN within [0, 1]."""
    limits = rate_limits(0, 0, 0.05)
    assert math.isnan(limits.value)
    assert (limits.low, limits.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("bound", "n"),
    [
        (Bound(at_least=0.8), 14),
        (Bound(at_most=0.05), 59),
        (Bound(at_most=0.1), 29),
        (Bound(at_most=0.2), 14),
        (Bound(at_least=0.9), 29),
    ],
)
def test_the_known_sample_sizes(bound, n):
    """A rate of .8 needs 14 of 14, silence under .05 needs 0 of 59; one prompt fewer cannot show it."""
    assert reachable(bound, n, 0.05)
    assert not reachable(bound, n - 1, 0.05)


@pytest.mark.parametrize("n", [5, 20, 60])
def test_what_is_reachable_is_what_the_limits_say(n):
    """The closed form agrees with trying every count."""
    for bound in (Bound(at_least=0.8), Bound(at_most=0.15), Bound(between=(0.3, 0.8))):
        tried = any(
            bound.low <= low and high <= bound.high
            for low, high in (twin.clopper_pearson(k, n, 0.05) for k in range(n + 1))
            if bound.between
        ) or any(
            (bound.at_least is not None and twin.clopper_pearson(k, n, 0.05)[0] >= bound.low)
            or (bound.at_most is not None and twin.clopper_pearson(k, n, 0.05)[1] <= bound.high)
            for k in range(n + 1)
        )
        assert reachable(bound, n, 0.05) == tried


@SETTINGS
@given(st.floats(0, 1), st.integers(2, 40), st.integers(2, 40))
def test_newcombe_inverts_the_score(auroc, n_pos, n_neg):
    """Its limits are the most distant AUROCs whose z-score is within z, on a fine grid."""
    found = newcombe_auroc(auroc, n_pos, n_neg, 0.025)
    assert found == pytest.approx(twin.newcombe(auroc, n_pos, n_neg, 1.959964), abs=1.5e-4)


def test_newcombe_is_not_the_plain_wald_interval():
    """The comparison above can fail: Hanley and McNeil's own interval leaves [0, 1] at an AUROC of .97."""
    low, high = newcombe_auroc(0.97, 10, 10, 0.025)
    half = 1.96 * math.sqrt(twin.hanley_mcneil_variance(0.97, 10, 10))
    assert 0.97 + half > 1 > high
    assert low < 0.97 - half


TENTHS = st.lists(st.integers(0, 100).map(lambda i: i / 10), min_size=2, max_size=12)


@SETTINGS
@given(TENTHS, TENTHS)
def test_welch_limits_are_scipys(a, b):
    """The difference of means, its unequal-variance limits, against scipy.stats."""
    from scipy import stats

    found = welch_limits(np.array(a), np.array(b), 0.05)
    assert found.value == pytest.approx(np.mean(a) - np.mean(b))
    if min(np.ptp(a), np.ptp(b)) > 0:
        wanted = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-6, abs=1e-6)
        one_sided = stats.ttest_ind(a, b, equal_var=False, alternative="greater").confidence_interval(0.95)
        assert found.low1 == pytest.approx(one_sided.low, rel=1e-6, abs=1e-6)


FEW_VALUES = st.lists(st.integers(0, 2).map(lambda i: i / 10), min_size=2, max_size=6)


@SETTINGS
@given(FEW_VALUES, FEW_VALUES, st.sampled_from([0.01, 0.05, 0.3]))
def test_welch_limits_are_those_of_the_plain_twin(a, b, alpha):
    """On few values, most of them ties: where neither side varies, no limit is finite."""
    from scipy.stats import t

    found = welch_limits(np.array(a), np.array(b), alpha)
    for tail, limits in ((alpha, (found.low1, found.high1)), (0.025, (found.low, found.high))):
        value, *wanted = twin.welch(a, b, tail, t.ppf)
        assert found.value == pytest.approx(value, abs=1e-12)
        assert limits == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_welch_is_not_the_pooled_interval():
    """Unequal variances and sizes: the pooled t interval is another."""
    from scipy import stats

    a, b = [1.0, 9.0, 5.0, 30.0], [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    pooled = stats.ttest_ind(a, b, equal_var=True).confidence_interval(0.95)
    assert welch_limits(np.array(a), np.array(b), 0.05).low != pytest.approx(pooled.low, rel=0.05)


def test_mean_limits_are_students():
    """A mean with t limits."""
    from scipy import stats

    x = np.array([1.0, 4.0, 2.5, 8.0])
    wanted = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    found = mean_limits(x, 0.05)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


@SETTINGS
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=25))
def test_median_limits_are_order_statistics(values):
    """Lower limits against their definition; upper ones by symmetry."""
    found = median_limits(np.array(values), 0.05)
    assert found.low1 == twin.median_lower_limit(values, 0.05)
    assert found.high == -twin.median_lower_limit([-v for v in values], 0.025)


def test_five_values_give_the_median_a_limit_and_four_do_not():
    """2^-5 is under .05, 2^-4 is not."""
    assert median_limits(np.arange(5.0), 0.05).low1 == 0.0
    assert median_limits(np.arange(4.0), 0.05).low1 == -math.inf
