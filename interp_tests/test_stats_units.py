"""Which prompts are one unit, and what ranks, normal tails and limits are to the last digit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.codes import Pooled
from harness.stats.auroc import SignedCodes, in_order, joined, weighted_auroc_of_all
from harness.stats.contrast import mean_of_all
from harness.stats.intervals import (
    auroc_limits,
    auroc_needed,
    clopper_pearson,
    mean_limits,
    newcombe_auroc,
    rate_inside,
    rate_limits,
    welch_limits,
)
from harness.stats.permutation import doubled_midranks, normal_p, normal_tail, rank_sum, stratified_p
from harness.stats.units import Filling, Grouping, alone, by_unit, design_of_words, kept
from interp_tests.labelled import design_by, units_of

pytestmark = pytest.mark.filterwarnings("error")


def pooled(rows, lengths=None):
    """A table of [n_prompts, d_sae] as pooled values."""
    table = np.asarray(rows, float)
    feature, prompt = np.nonzero(table.T)
    ptr = np.r_[0, np.cumsum(np.bincount(feature, minlength=table.shape[1]))].astype(np.int64)
    each = np.ones(len(table), np.int64) if lengths is None else np.asarray(lengths, np.int64)
    return Pooled(ptr, prompt.astype(np.int32), table.T[feature, prompt], each)


def dense(found):
    return np.stack([found.column(f) for f in range(found.d_sae)], axis=1).tolist()


def test_a_prompt_that_is_left_out_is_in_no_unit():
    """-1, whether or not it shares a template; the others are numbered without a gap."""
    use = np.array([True, False, True, True])
    assert units_of([None] * 4).tolist() == [0, 1, 2, 3]
    assert units_of([None] * 4, use).tolist() == [0, -1, 1, 2]
    assert units_of(["a", "b", "a", None], use).tolist() == [0, -1, 0, 1]
    assert kept(units_of([None] * 4, use)).tolist() == [0, 1, 2]
    assert {units_of([None] * 2, None if u is None else u[:2]).dtype for u in (None, use)} == {np.dtype(np.int64)}


def test_a_prompt_stands_for_its_unit_where_it_can_be_used():
    """The lowest rank of those with a counted token; of a whole unit all count. Units without any are gone."""
    unit, rank = np.array([0, 0, 1, 1, 2]), np.array([4, 1, 3, 2, 0])
    found = Grouping(unit, rank, np.array([False, False, True, True, False]))
    assert found.n == 3
    assert found.units().tolist() == [-1, 0, 1, 1, 2]
    assert found.units(np.array([True, False, True, False, False])).tolist() == [0, -1, 1, -1, -1]
    assert found.units(np.zeros(5, bool)).tolist() == [-1] * 5
    assert alone(3).units().tolist() == [0, 1, 2]


def test_sides_are_numbered_alone_and_groups_are_seen():
    """A group of one name on both sides is two units: each side has its own."""
    both = design_by(["a", "b", "b"], ["b", "a"])
    assert (both.positive.tolist(), both.negative.tolist(), both.n) == ([0, 1, 1], [0, 1], 4)
    assert (both.grouped, both.n_frames, both.unit.tolist()) == (True, 0, [0, 1, 1, 2, 3])
    without = design_by([None, None], [None, None], None, np.array([False, True]))
    assert (without.grouped, without.unit.tolist(), without.n) == (False, [0, 1, -1, 2], 3)


def test_words_in_frames_have_one_prompt_for_each_frame():
    """Of two prompts for one word in one frame the lower rank stands; a word that lacks a frame is left out."""
    mine = Filling(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1]), np.array([3, 2, 0, 1, 4]))
    others = Filling(np.array([0, 0, 1, 1]), np.array([1, 0, 0, 1]), np.arange(4))
    found = design_of_words(mine, others)
    assert (found.positive.tolist(), found.negative.tolist()) == ([-1, 0, 0, 1, 1], [0, 0, 1, 1])
    assert [side.tolist() for side in found.frames] == [[-1, 0, 1, 0, 1], [1, 0, 0, 1]]
    assert (found.n_positive, found.n_negative, found.n_frames, found.grouped) == (2, 2, 2, True)
    lacking = design_of_words(mine, others, None, np.array([True, True, True, False]))
    assert (lacking.n_positive, lacking.n_negative, lacking.negative.tolist()) == (2, 1, [0, 0, -1, -1])


def test_a_unit_is_the_mean_of_its_prompts():
    """Silence counts as 0; the length is the mean one, rounded; what is left out is in no mean."""
    table = pooled([[4.0, 0.0, 1.0], [2.0, 0.0, 0.0], [8.0, 0.0, 3.0], [9.0, 9.0, 9.0]], lengths=[10, 13, 5, 99])
    found = by_unit(table, np.array([0, 0, 1, -1]))
    assert dense(found) == [[3.0, 0.0, 0.5], [8.0, 0.0, 3.0]]
    assert found.lengths.tolist() == [12, 5]
    assert found.lengths.dtype == np.int64
    assert dense(by_unit(table, np.array([1, 0, -1, 1])))[1] == [6.5, 4.5, 5.0]
    assert by_unit(table, np.arange(4)) is table, "each its own: nothing to do"
    assert dense(by_unit(table, np.array([3, 2, 1, 0])))[0] == [9.0, 9.0, 9.0], "as many units, in another order"
    assert dense(by_unit(table, np.array([0, 1, -1, -1]))) == [[4.0, 0.0, 1.0], [2.0, 0.0, 0.0]]


def test_means_and_auroc_without_prompts_are_nan():
    none, some = pooled(np.zeros((0, 2))), pooled([[1.0, 0.0], [2.0, 0.0]])
    assert np.isnan(mean_of_all(none)).tolist() == [True, True]
    for one, other in ((none, some), (some, none), (none, none)):
        weights = np.ones((1, one.n_prompts)), np.ones((1, other.n_prompts))
        assert np.isnan(weighted_auroc_of_all(one, other, *weights)).tolist() == [[True, True]]


def test_signed_codes_and_other_widths_are_refused_in_words():
    with pytest.raises(SignedCodes, match=r"^AUROC from sparse codes needs activations of 0 or more; these codes are"):
        in_order(np.array([0]), np.array([-1.0]), np.array([0]))
    in_order(np.array([0]), np.array([0.0]), np.array([0]))
    with pytest.raises(ValueError, match=r"^codes of different widths: 2 and 3 features$"):
        joined(pooled([[1.0, 1.0]]), pooled([[1.0, 1.0, 1.0]]))


def test_doubled_midranks_are_twice_the_ranks_from_one():
    found = doubled_midranks(np.array([3.0, 1.0, 3.0, 2.0]))
    assert (found.tolist(), found.dtype) == ([7, 2, 7, 4], np.dtype(np.int64))
    with pytest.raises(ValueError, match=r"^ranks need finite values$"):
        doubled_midranks(np.array([1.0, math.nan]))
    with pytest.raises(ValueError, match=r"^a rank sum needs values on both sides$"):
        rank_sum(np.array([1.0]), np.array([]))


def test_the_normal_tail_is_that_of_the_normal_distribution():
    """With half a rank's correction, a whole doubled one; no spread, no p."""
    for observed, mean, variance in ((10.0, 4.0, 9.0), (3.0, 4.0, 0.5), (4.5, 4.0, 1.0)):
        expected = scipy_stats.norm.sf((observed - mean - 1) / math.sqrt(variance))
        assert normal_tail(observed, mean, variance) == pytest.approx(expected)
    assert normal_tail(10.0, 4.0, 0.0) == 1.0
    same = rank_sum(np.ones(3), np.ones(4))
    assert normal_p([same]) == 1.0
    assert stratified_p([same]).value == 1.0
    assert stratified_p([same]).exact is True


def test_counting_that_would_take_too_long_is_not_exact():
    """60 strata of 60 against 60: the normal approximation, and it says so."""
    rng = np.random.default_rng(0)
    strata = [rank_sum(rng.random(60), rng.random(60)) for _ in range(60)]
    found = stratified_p(strata)
    assert found.exact is False
    assert found.value == normal_p(strata)


@given(st.sampled_from([0.55, 0.7, 0.9]), st.integers(5, 40), st.integers(5, 40), st.sampled_from([0.05, 0.01]))
@settings(max_examples=40, deadline=None)
def test_the_auroc_that_is_needed_is_the_least_whose_limit_reaches_the_bound(low, n_pos, n_neg, tail):
    """Its own lower limit is the bound, an AUROC under it falls short; the most for an upper bound is its mirror."""
    least, _ = auroc_needed(low, math.inf, n_pos, n_neg, tail)
    if least <= 1:
        assert newcombe_auroc(least, n_pos, n_neg, tail)[0] == pytest.approx(low, abs=1e-9)
        assert newcombe_auroc(least - 0.01, n_pos, n_neg, tail)[0] < low
    else:
        assert newcombe_auroc(1.0, n_pos, n_neg, tail)[0] < low
    mirrored = auroc_needed(-math.inf, 1 - low, n_pos, n_neg, tail)[1]
    assert mirrored == pytest.approx(1 - least)
    assert auroc_needed(-math.inf, math.inf, n_pos, n_neg, tail) == (0.0, 1.0)


@pytest.mark.parametrize(("n", "needed"), [(5, 0.985), (10, 0.9), (20, 0.835)])
def test_what_a_default_bound_needs_is_what_the_docs_say(n, needed):
    """5 against 5 show .7 from .985 on, 10 from .897, 20 from .835."""
    assert auroc_needed(0.7, math.inf, n, n, 0.05)[0] == pytest.approx(needed, abs=0.005)


@given(st.integers(1, 30), st.floats(0, 1), st.sampled_from([(0.7, 2.0), (-1.0, 0.2), (0.3, 0.8), (-1.0, 2.0)]))
@settings(max_examples=60, deadline=None)
def test_rates_inside_a_bound_are_those_whose_limits_are(n, share, bound):
    """Whole and fractional counts, held to the limits themselves; a share at the edge may fall on either side."""
    low, high = bound
    counts = np.array([share * n, round(share * n), 0, n], float)
    for k, inside in zip(counts, rate_inside(counts, n, low, high, 0.05), strict=True):
        low1, high1 = clopper_pearson(float(k), n, 0.05)
        if min(abs(low1 - low), abs(high1 - high)) > 1e-9:
            assert bool(inside) == ((low <= 0 or low1 >= low) and (high >= 1 or high1 <= high)), (k, low1, high1)


@pytest.mark.parametrize(("auroc", "n_pos", "n_neg"), [(0.5, 8, 8), (0.8, 5, 20), (0.95, 30, 12)])
@pytest.mark.parametrize("tail", [0.05, 0.025])
def test_newcombes_limits_solve_their_own_equation(auroc, n_pos, n_neg, tail):
    """At each limit |theta - auroc| is z standard errors, on either side; at 0 and 1 one side is the end."""
    z, n = scipy_stats.norm.isf(tail), (n_pos + n_neg) / 2
    for theta in newcombe_auroc(auroc, n_pos, n_neg, tail):
        terms = 2 * n - 1 - (3 * n - 3) / ((2 - theta) * (1 + theta))
        assert abs(theta - auroc) == pytest.approx(z * math.sqrt(theta * (1 - theta) * terms / (n_pos * n_neg)))
    low, high = newcombe_auroc(auroc, n_pos, n_neg, tail)
    assert low < auroc < high
    assert newcombe_auroc(1.0, n_pos, n_neg, tail)[1] == 1.0
    assert newcombe_auroc(0.0, n_pos, n_neg, tail)[0] == 0.0
    found = auroc_limits(auroc, n_pos, n_neg, 0.05)
    assert (found.low, found.high) == newcombe_auroc(auroc, n_pos, n_neg, 0.025)


def test_a_rate_has_the_exact_limits_of_both_kinds():
    """One-sided at alpha, two-sided at 95 %."""
    found = rate_limits(3, 10, 0.1)
    exact = scipy_stats.binomtest(3, 10).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert (found.low1, found.high1) == clopper_pearson(3, 10, 0.1)
    assert found.value == 0.3


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("level", [1.0, 0.1])  # the variance of equal tenths is not 0 in floating point
def test_sides_that_do_not_vary_say_nothing_of_other_prompts(n, level):
    """A difference of ties has no limits, paired or not; one value that differs gives it some."""
    ties, other = np.full(n, level), np.full(n + 1, 3 * level)
    for found in (welch_limits(other, ties, 0.05), mean_limits(other, 0.05)):
        assert math.isfinite(found.value)
        assert (found.low1, found.high1, found.low, found.high) == (-math.inf, math.inf, -math.inf, math.inf)
    vary = other.copy()
    vary[0] += level
    for found in (welch_limits(vary, ties, 0.05), welch_limits(ties, vary, 0.05), mean_limits(vary, 0.05)):
        assert found.low < found.value < found.high
        assert math.isfinite(found.low1 + found.high1)
