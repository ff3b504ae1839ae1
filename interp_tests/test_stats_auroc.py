"""AUROC and permutation p of all features at once, against counting pairs and enumerating choices."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.codes import Pooled
from harness.stats.auroc import SignedCodes, auroc_of_all, auroc_within_all, stacked, weighted_auroc_of_all
from harness.stats.contrast import contrast
from harness.stats.permutation import (
    doubled_midranks,
    midrank_p,
    null_distribution,
    rank_sum,
    smallest_p,
    stratified_p,
)
from interp_tests.plain_twins import ranks as twin

VALUES = st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.5, 7.25])
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def table(n_features=3, most=7):
    """Rows of pooled values, many silent, many tied."""
    return st.lists(st.lists(VALUES, min_size=n_features, max_size=n_features), min_size=1, max_size=most)


@SETTINGS
@given(table(), table())
@example([[0, 0, 0]], [[0, 0, 0]])
@example([[1, 0, 2]], [[1, 2, 0]])
def test_auroc_is_the_share_of_pairs(positive, negative):
    """AUROC of every feature equals the share of pairs won, ties half."""
    a, b = np.array(positive, float), np.array(negative, float)
    found = auroc_of_all(Pooled.from_dense(a), Pooled.from_dense(b))
    wanted = [twin.auroc(a[:, f], b[:, f]) for f in range(a.shape[1])]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_auroc_of_the_other_direction_differs():
    """The comparison above can fail: a shifted set has another AUROC the other way round."""
    a, b = Pooled.from_dense(np.array([[3.0], [2.0], [0.0]])), Pooled.from_dense(np.array([[1.0], [0.0]]))
    assert auroc_of_all(a, b)[0] == pytest.approx(twin.auroc([3, 2, 0], [1, 0]))
    assert auroc_of_all(b, a)[0] != pytest.approx(twin.auroc([3, 2, 0], [1, 0]))


@SETTINGS
@given(st.data(), table(), table())
def test_weighted_auroc_is_that_of_repeated_rows(data, positive, negative):
    """A row that counts twice is a row that stands there twice."""
    a, b = np.array(positive, float), np.array(negative, float)
    counts = [data.draw(st.lists(st.integers(0, 3), min_size=len(x), max_size=len(x))) for x in (a, b)]
    weights = [[max(c, int(i == 0 and not any(cs))) for i, c in enumerate(cs)] for cs in counts]
    w = [np.array([x], float) for x in weights]
    found = weighted_auroc_of_all(Pooled.from_dense(a), Pooled.from_dense(b), *w)[0]
    wanted = [twin.weighted_auroc(a[:, f], b[:, f], *weights) for f in range(a.shape[1])]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@SETTINGS
@given(st.lists(st.tuples(table(2, 4), table(2, 4)), min_size=1, max_size=4))
def test_auroc_inside_strata_is_the_mean_of_each(strata):
    """The stratified AUROC is the plain mean of the AUROC inside each stratum, for every feature."""
    rows = [(row, i, side) for i, pair in enumerate(strata) for side, rows in enumerate(pair) for row in rows]
    values = np.array([r[0] for r in rows], float)
    stratum, positive = np.array([r[1] for r in rows]), np.array([r[2] == 0 for r in rows])
    found = auroc_within_all(Pooled.from_dense(values), positive, stratum, len(strata))
    for f in range(2):
        sides = [([r[f] for r in p], [r[f] for r in n]) for p, n in strata]
        assert found[f] == pytest.approx(twin.mean_auroc_within(sides))


def test_a_row_left_out_of_the_strata_changes_nothing():
    """Rows with stratum -1 are not looked at."""
    values = np.array([[3.0], [0.0], [1.0], [9.0]])
    positive, stratum = np.array([True, False, False, False]), np.array([0, 0, 0, -1])
    assert auroc_within_all(Pooled.from_dense(values), positive, stratum, 1)[0] == 1.0
    assert auroc_within_all(Pooled.from_dense(values), positive, np.array([0, 0, 0, 0]), 1)[0] < 1.0


def test_a_stratum_without_one_side_is_refused():
    """A stratum with positives only has no AUROC."""
    with pytest.raises(ValueError, match="both sides"):
        auroc_within_all(Pooled.from_dense(np.ones((2, 1))), np.array([True, True]), np.array([0, 0]), 1)


def test_signed_codes_are_refused_by_name():
    """Values below 0 are no activations that silence lies under."""
    with pytest.raises(SignedCodes, match="signed"):
        auroc_of_all(Pooled.from_dense(np.array([[-1.0]])), Pooled.from_dense(np.array([[1.0]])))


def test_codes_of_other_widths_are_refused_with_both_shapes():
    """A width mismatch names both shapes."""
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(1, 4\)"):
        contrast(Pooled.from_dense(np.ones((2, 3))), Pooled.from_dense(np.ones((1, 4))))


def test_an_empty_side_has_no_auroc():
    """Without prompts the AUROC is NaN, never .5 and never 0."""
    empty = Pooled.from_dense(np.zeros((0, 2)))
    assert np.isnan(auroc_of_all(empty, Pooled.from_dense(np.ones((3, 2))))).all()


@SETTINGS
@given(table(), table())
def test_a_contrast_holds_means_and_rates(positive, negative):
    """Means count silence as 0, rates count values that are not 0."""
    a, b = np.array(positive, float), np.array(negative, float)
    found = contrast(Pooled.from_dense(a), Pooled.from_dense(b))
    np.testing.assert_allclose(found.mean_difference, a.mean(0) - b.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.rate_difference, (a != 0).mean(0) - (b != 0).mean(0), atol=1e-12)


@SETTINGS
@given(table(2, 4), table(2, 4))
def test_stacked_rows_follow_each_other(first, second):
    """Two sets as one: the dense tables one below the other."""
    a, b = np.array(first, float), np.array(second, float)
    joined = stacked(Pooled.from_dense(a), Pooled.from_dense(b))
    np.testing.assert_array_equal(joined.dense(), np.vstack([a, b]))


SIDES = st.lists(VALUES, min_size=1, max_size=5)


@SETTINGS
@given(SIDES, SIDES)
@example([1.0] * 5, [1.0] * 5)
@example([7.25], [0.0])
@example([0.0, 0.0, 2.5], [0.0, 0.5, 1.0, 1.0])
def test_p_is_the_share_of_choices_as_extreme(positive, negative):
    """The exact p equals enumerating every choice of positives, ties or not."""
    found = midrank_p(np.array(positive), np.array(negative))
    assert found.exact
    assert found.value == pytest.approx(twin.permutation_p(positive, negative))


def test_p_of_the_wrong_direction_differs():
    """One-sided: the best case one way is the worst the other."""
    assert midrank_p(np.array([3.0, 4.0]), np.array([1.0, 2.0])).value == pytest.approx(1 / 6)
    assert midrank_p(np.array([1.0, 2.0]), np.array([3.0, 4.0])).value == pytest.approx(1.0)


@SETTINGS
@given(
    st.lists(
        st.tuples(st.lists(VALUES, min_size=1, max_size=2), st.lists(VALUES, min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_p_inside_strata_enumerates_each(strata):
    """Labels permuted inside each stratum: the convolution equals the product of all choices."""
    found = stratified_p([rank_sum(np.array(p), np.array(n)) for p, n in strata])
    assert found.value == pytest.approx(twin.stratified_permutation_p(strata))


def test_p_of_all_tied_values_is_one():
    """Constant data says nothing."""
    assert midrank_p(np.full(8, 2.0), np.full(9, 2.0)).value == 1.0
    assert midrank_p(np.zeros(8), np.zeros(9)).value == 1.0


@pytest.mark.parametrize(("n_pos", "n_neg", "floor"), [(3, 3, 0.05), (5, 5, 1 / 252), (8, 8, 1 / 12870)])
def test_the_floor_is_reached_by_perfect_separation(n_pos, n_neg, floor):
    """1 / C(n, n_pos) is the p of a feature that fires on all positives and no negative."""
    assert smallest_p(n_pos, n_neg) == pytest.approx(floor)
    separated = midrank_p(1.0 + np.arange(n_pos), np.zeros(n_neg))
    assert separated.value == pytest.approx(floor)
    assert midrank_p(np.arange(n_pos) * 1.0, np.zeros(n_neg)).value > floor


def test_the_null_depends_only_on_the_tie_pattern():
    """Other values in the same order give the same, remembered distribution."""
    null_distribution.cache_clear()
    midrank_p(np.array([3.0, 5.0, 0.0]), np.array([0.0, 1.0]))
    midrank_p(np.array([0.0, 9.0, 2.0]), np.array([0.7, 0.0]))
    assert null_distribution.cache_info().misses == 1
    midrank_p(np.array([9.0, 9.0, 2.0]), np.array([0.7, 0.0]))
    assert null_distribution.cache_info().misses == 2


def test_large_samples_are_labelled_as_approximate():
    """50 a side is exact; far above it the normal is used, says so, and agrees with the exact one in the bulk."""
    rng = np.random.default_rng(0)
    a, b = rng.random(50) + 0.15, rng.random(50)
    exact = midrank_p(a, b)
    assert exact.exact
    from scipy.stats import mannwhitneyu

    assert exact.value == pytest.approx(mannwhitneyu(a, b, alternative="greater", method="exact").pvalue, rel=1e-9)
    many = midrank_p(np.r_[a, rng.random(150)], np.r_[b, rng.random(150)])
    assert not many.exact
    assert 0 < many.value < 1


def test_the_normal_is_tie_corrected():
    """Above the exact limit, with many ties, p equals scipy's tie-corrected asymptotic one."""
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 400, 300) / 7 * (rng.random(300) < 0.8), rng.integers(0, 390, 300) / 7
    found = midrank_p(a, b)
    assert not found.exact
    assert found.value == pytest.approx(mannwhitneyu(a, b, alternative="greater", method="asymptotic").pvalue, rel=1e-6)


def test_ranks_refuse_what_is_not_finite():
    """NaN and infinity have no rank."""
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            doubled_midranks(np.array([1.0, bad]))


def test_a_rank_sum_needs_both_sides():
    """An empty side is an error, not a p of 1."""
    with pytest.raises(ValueError, match="both sides"):
        midrank_p(np.zeros(0), np.ones(3))
