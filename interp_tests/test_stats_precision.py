"""The limits of a precision: against the definition, their symmetry, and how often a truth on the bound is met."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from harness.stats.precision import precision_limits, precision_shown, score_statistic
from interp_tests.plain_twins import limits as twin

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)
N = st.integers(2, 40)
Z = 1.6448536269514722


@pytest.mark.parametrize(("k_pos", "n_pos", "k_neg", "n_neg"), [(20, 24, 2, 24), (9, 10, 1, 30), (12, 14, 5, 14)])
def test_the_limit_is_that_of_trying_every_pair_of_rates(k_pos, n_pos, k_neg, n_neg):
    """The likeliest rates by search instead of by formula, the limit by a grid of hundredths."""
    found = precision_limits(k_pos / n_pos, n_pos, k_neg / n_neg, n_neg, 0.05).low1
    assert found == pytest.approx(twin.precision_score_limit(k_pos, n_pos, k_neg, n_neg, Z), abs=0.011)
    other = precision_limits((k_pos - 2) / n_pos, n_pos, k_neg / n_neg, n_neg, 0.05).low1
    assert abs(found - other) > 0.011, "counts that differ have limits that differ"


@SETTINGS
@given(st.data(), N, N)
def test_limits_bracket_the_precision_and_mirror_each_other(data, n_pos, n_neg):
    """low <= value <= high; with the sets exchanged the limits are one less the others; wider at 95 % two-sided."""
    k_pos, k_neg = data.draw(st.integers(0, n_pos)), data.draw(st.integers(0, n_neg))
    if not k_pos and not k_neg:
        return
    found = precision_limits(k_pos / n_pos, n_pos, k_neg / n_neg, n_neg, 0.05)
    assert found.low - 1e-9 <= found.low1 <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high1 <= found.high + 1e-9
    swapped = precision_limits(k_neg / n_neg, n_neg, k_pos / n_pos, n_pos, 0.05)
    assert (swapped.low1, swapped.high1) == pytest.approx((1 - found.high1, 1 - found.low1), abs=1e-9)


@SETTINGS
@given(st.data(), N, N)
def test_more_hits_and_fewer_false_ones_raise_the_limit(data, n_pos, n_neg):
    """Monotone in both counts."""
    k_pos, k_neg = data.draw(st.integers(1, n_pos)), data.draw(st.integers(0, n_neg))

    def low(hits, false):
        return precision_limits(hits / n_pos, n_pos, false / n_neg, n_neg, 0.05).low1

    assert low(k_pos, k_neg) >= low(k_pos - 1, k_neg) - 1e-9 if k_pos > 1 or k_neg else True
    if k_neg:
        assert low(k_pos, k_neg - 1) >= low(k_pos, k_neg) - 1e-9


@SETTINGS
@given(st.data(), N, N, st.sampled_from([0.6, 0.8, 0.9]))
def test_what_is_shown_is_what_the_limit_reaches(data, n_pos, n_neg, least):
    """The shortcut of the statistic at the bound, against the limit itself."""
    k_pos, k_neg = data.draw(st.integers(1, n_pos)), data.draw(st.integers(0, n_neg))
    limit = precision_limits(k_pos / n_pos, n_pos, k_neg / n_neg, n_neg, 0.05).low1
    if abs(limit - least) > 1e-6:
        assert precision_shown(k_pos / n_pos, n_pos, k_neg / n_neg, n_neg, least, 0.05) == (limit >= least)


def test_nothing_detected_has_no_precision():
    found = precision_limits(0.0, 10, 0.0, 10, 0.05)
    assert math.isnan(found.value)
    assert (found.low1, found.high1) == (0.0, 1.0)


def met(n_pos, n_neg, tpr, fpr, least):
    """The exact chance that a claim of a precision of `least` is met, over all counts."""
    total = 0.0
    for i in range(n_pos + 1):
        for j in range(n_neg + 1):
            if (i or j) and score_statistic(i / n_pos, n_pos, j / n_neg, n_neg, least) >= Z:
                total += binom.pmf(i, n_pos, tpr) * binom.pmf(j, n_neg, fpr)
    return total


@pytest.mark.parametrize("n", [10, 14, 24])
def test_a_truth_on_the_bound_is_met_in_about_alpha(n):
    """Exact, over all counts: at most .062 for a precision of .8, whatever the recall."""
    assert max(met(n, n, tpr, tpr / 4, 0.8) for tpr in (0.2, 0.4, 0.6, 0.8, 0.95)) <= 0.062


def test_a_precise_detector_is_shown_to_be_one_at_24_a_side():
    """True precision .95: the claim of .8 is met in .5 to .87 of all samples where it detects .6 and more."""
    power = [met(24, 24, tpr, tpr * 0.05 / 0.95, 0.8) for tpr in (0.6, 0.8, 0.95)]
    assert min(power) >= 0.5
    assert np.all(np.diff(power) > 0)
