"""Ranks, their stability, medians, units and token lists, against looking at one feature at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Pooled
from harness.stats.levels import excess_over, max_of_all
from harness.stats.ranking import (
    among_strongest,
    ranks_in_prompts,
    ranks_of,
    scores_of_all,
    share_among_top,
)
from harness.stats.units import by_unit
from interp_tests.labelled import units_of
from interp_tests.plain_twins import pooling as twin_pooling
from interp_tests.plain_twins import ranks as twin

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)
VALUES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.5])


def table(width=5, least=1, most=6):
    return st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=least, max_size=most)


@SETTINGS
@given(table())
def test_ranks_inside_a_prompt_count_the_stronger_features(rows):
    """The rank of a firing feature is 1 + the stronger ones, ties sharing their mean."""
    dense = np.array(rows)
    pooled = Pooled.from_dense(dense)
    for prompt, feature, rank in zip(pooled.prompt, pooled.features(), ranks_in_prompts(pooled), strict=True):
        firing = [v for v in dense[prompt] if v]
        assert rank == twin.rank_among(firing, firing.index(dense[prompt, feature]))


@SETTINGS
@given(table(), st.integers(1, 5))
def test_the_strongest_are_those_that_rank(rows, n):
    """1 exactly where a firing feature's rank is n or better."""
    dense = np.array(rows)
    found = among_strongest(Pooled.from_dense(dense), n).dense()
    for i, row in enumerate(rows):
        firing = [v for v in row if v]
        wanted = [float(v != 0 and twin.rank_among(firing, firing.index(v)) <= n) for v in row]
        assert found[i].tolist() == wanted


@SETTINGS
@given(st.lists(st.sampled_from([0.1, 0.5, 0.5, 0.9, -1.0]), min_size=1, max_size=9))
def test_a_rank_counts_the_higher_scores(scores):
    """Ranks over features, ties sharing their mean."""
    assert ranks_of(np.array(scores)).tolist() == [twin.rank_among(scores, i) for i in range(len(scores))]


def test_a_score_that_is_not_a_number_ranks_last():
    """NaN is below everything."""
    assert ranks_of(np.array([np.nan, 0.1, -5.0])).tolist() == [3.0, 1.0, 2.0]


@SETTINGS
@given(table(4), table(4), st.sampled_from(["auroc", "mean", "rate"]))
def test_scores_are_those_of_each_feature(positive, negative, by):
    """What ranks the features: AUROC, or the difference of means or of firing rates."""
    a, b = np.array(positive), np.array(negative)
    ones = np.ones((1, len(a))), np.ones((1, len(b)))
    found = scores_of_all(Pooled.from_dense(a), Pooled.from_dense(b), by, *ones)[0]
    of = {
        "auroc": lambda f: twin.auroc(a[:, f], b[:, f]),
        "mean": lambda f: a[:, f].mean() - b[:, f].mean(),
        "rate": lambda f: (a[:, f] != 0).mean() - (b[:, f] != 0).mean(),
    }[by]
    np.testing.assert_allclose(found, [of(f) for f in range(4)], atol=1e-12)


@pytest.mark.parametrize("by", ["auroc", "mean", "rate"])
def test_stability_is_the_share_of_resamples(by):
    """The same seeded draws, each resample written out row by row and ranked from scratch."""
    rng = np.random.default_rng(5)
    a, b = rng.random((6, 7)) * (rng.random((6, 7)) < 0.6), rng.random((6, 7)) * (rng.random((6, 7)) < 0.5)
    found = share_among_top(Pooled.from_dense(a), Pooled.from_dense(b), by, 2, 23, seed=9)
    draws = np.random.default_rng(9)
    w_pos = draws.multinomial(6, np.full(6, 1 / 6), 23)
    w_neg = draws.multinomial(6, np.full(6, 1 / 6), 23)
    seen = np.zeros(7)
    for wp, wn in zip(w_pos, w_neg, strict=True):
        p, n = np.repeat(a, wp, axis=0), np.repeat(b, wn, axis=0)
        scores = [
            {
                "auroc": twin.auroc(p[:, f], n[:, f]),
                "mean": p[:, f].mean() - n[:, f].mean(),
                "rate": (p[:, f] != 0).mean() - (n[:, f] != 0).mean(),
            }[by]
            for f in range(7)
        ]
        scores = np.round(scores, 12).tolist()
        seen += [twin.rank_among(scores, f) <= 2 for f in range(7)]
    np.testing.assert_allclose(found, seen / 23)
    assert not np.allclose(found, share_among_top(Pooled.from_dense(b), Pooled.from_dense(a), by, 2, 23, seed=9))


@SETTINGS
@given(table(3), st.data())
def test_a_template_counts_with_the_mean_of_its_prompts(rows, data):
    """by_unit gives the mean of each template, silent prompts as 0, in order of appearance."""
    groups = data.draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=len(rows), max_size=len(rows)))
    dense = np.array(rows)
    found = by_unit(Pooled.from_dense(dense), units_of(groups)).dense()
    for f in range(3):
        assert found[:, f].tolist() == pytest.approx(twin_pooling.unit_means(dense[:, f].tolist(), groups))


def test_prompts_that_are_left_out_are_no_units():
    """Unit -1 neither counts nor lends its value."""
    units = units_of(["a", "a", None, None], np.array([True, False, False, True]))
    assert units.tolist() == [0, -1, -1, 1]
    assert by_unit(Pooled.from_dense(np.array([[1.0], [5.0], [7.0], [0.0]])), units).dense().tolist() == [[1.0], [0.0]]


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_what_stands_out_is_ranked_by_excess_over_its_own_largest_value(seed, n):
    """Prompt by prompt against sorting plain lists; what exceeds nothing has no rank; another `than`, other ranks."""
    rng = np.random.default_rng(seed)
    tables = [rng.integers(0, 5, (rows, 5)).astype(float) for rows in (6, 4)]
    here, there = (Pooled.from_dense(one) for one in tables)
    found = among_strongest(excess_over(here, max_of_all(there)), n)
    for row, values in enumerate(tables[0].tolist()):
        excess = [v - max(column) for v, column in zip(values, tables[1].T.tolist(), strict=True)]
        for feature, own in enumerate(excess):
            above, ties = sum(x > own for x in excess), sum(x == own for x in excess)
            wanted = own > 0 and above + (ties + 1) / 2 <= n
            assert (found.column(feature)[row] > 0) == wanted
