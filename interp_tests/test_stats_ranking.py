"""Ranks, their stability, medians, units and token lists, against looking at one feature at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Pooled
from harness.expectations.toy import codes_from_dense
from harness.stats.firing import live_of_all, not_finite_tokens, tokens_firing_of_all
from harness.stats.levels import detected, max_of_all, median_firing_of_all
from harness.stats.ranking import (
    _among_highest,
    among_strongest,
    ranks_in_prompts,
    ranks_of,
    scores_of_all,
    share_among_strongest,
    share_among_top,
)
from harness.stats.tokens import share_of_all, strongest_tokens_of_all
from harness.stats.units import by_unit, design_of, units_of
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
@pytest.mark.parametrize("paired", [False, True])
def test_stability_is_the_share_of_resamples(by, paired):
    """The same seeded draws, each resample written out row by row and ranked from scratch."""
    rng = np.random.default_rng(5)
    a, b = rng.random((6, 7)) * (rng.random((6, 7)) < 0.6), rng.random((6, 7)) * (rng.random((6, 7)) < 0.5)
    found = share_among_top(Pooled.from_dense(a), Pooled.from_dense(b), by, 2, 23, paired, seed=9)
    draws = np.random.default_rng(9)
    w_pos = draws.multinomial(6, np.full(6, 1 / 6), 23)
    w_neg = w_pos if paired else draws.multinomial(6, np.full(6, 1 / 6), 23)
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
    assert not np.allclose(
        found, share_among_top(Pooled.from_dense(b), Pooled.from_dense(a), by, 2, 23, paired, seed=9)
    )


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


def test_sets_are_compared_within_templates_only_where_all_are_shared():
    """All templates on both sides: within. One prompt without a template, or another template: by template."""
    assert design_of(["a", "b", "a"], ["b", "a"]).within
    assert design_of(["a", "b", "a"], ["b", "a"]).n == 2
    assert not design_of(["a", "b"], ["b", "c"]).within
    assert not design_of(["a", None], ["a", None]).within
    assert not design_of([None], [None]).within
    assert design_of(["a", "a", "b"], ["c"]).n == 3


@SETTINGS
@given(table(4))
def test_medians_and_maxima_are_over_the_prompts_that_fire(rows):
    """The median leaves silence out; where a feature never fires it is NaN, and its maximum 0."""
    dense = np.array(rows)
    pooled = Pooled.from_dense(dense)
    medians, largest = median_firing_of_all(pooled), max_of_all(pooled)
    for f in range(4):
        firing = [v for v in dense[:, f] if v]
        assert largest[f] == max(firing, default=0.0)
        assert medians[f] == twin.median(firing) if firing else np.isnan(medians[f])


@SETTINGS
@given(table(3), st.lists(st.sampled_from([0.0, 0.5, 1.2]), min_size=3, max_size=3))
def test_detection_is_strictly_above_the_threshold(rows, threshold):
    """A value at its threshold is no detection."""
    dense = np.array(rows)
    found = detected(Pooled.from_dense(dense), np.array(threshold)).dense()
    assert found.tolist() == (dense > threshold).astype(float).tolist()


def as_tokens(rows, tokens=None):
    dense = np.array(rows)
    h = np.ones((len(dense), 2))
    return codes_from_dense(dense, h, h, np.zeros(len(dense), int), 1)


@SETTINGS
@given(table(3, most=12), st.data())
def test_the_strongest_tokens_are_distinct_and_in_order(rows, data):
    """Per feature the n distinct tokens of the highest maximum, as a plain dictionary gives them."""
    letters = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(rows), max_size=len(rows)))
    used = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    codes = as_tokens(rows)
    types = np.array([ord(c) - 97 for c in letters])
    found = strongest_tokens_of_all(codes, used, types, 2)
    matches = np.array([True, False, True, False])
    shares = share_of_all(found, matches)
    for f in range(3):
        kept = [(c, float(np.float32(row[f]))) for c, row, u in zip(letters, rows, used, strict=True) if u]
        wanted = twin_pooling.strongest([c for c, _ in kept], [v for _, v in kept], 2)
        kind, value = found.of(f)
        assert [(chr(97 + k), v) for k, v in zip(kind, value, strict=True)] == wanted
        hits = [c in "ac" for c, _ in wanted]
        assert shares[f] == sum(hits) / len(hits) if hits else np.isnan(shares[f])


def test_what_is_alive_fires_on_a_counted_token():
    """A feature that fires on uncounted tokens only is not live, and its firings there are not counted."""
    codes = as_tokens([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]])
    counted = np.array([False, True])
    assert live_of_all(codes, counted).tolist() == [True, False, False]
    assert tokens_firing_of_all(codes, np.array([True, True])).tolist() == [2, 1, 0]
    assert tokens_firing_of_all(codes, counted).tolist() == [1, 0, 0]


def test_a_broken_token_is_found_by_its_code_and_by_its_norm():
    """NaN in a code, or in a norm where the code is silent; only counted tokens are looked at."""
    import dataclasses

    codes = as_tokens([[1.0], [2.0], [0.0], [0.0]])
    broken = dataclasses.replace(codes, value=np.array([1.0, np.nan], np.float32), hh=np.array([1, 1, np.inf, 1.0]))
    assert not_finite_tokens(codes, np.ones(4, bool)).tolist() == []
    assert not_finite_tokens(broken, np.ones(4, bool)).tolist() == [1, 2]
    assert not_finite_tokens(broken, np.array([True, False, True, True])).tolist() == [2]


def test_the_strongest_stay_so_in_the_share_of_resamples():
    """The same seeded draws, each resample written out row by row; silent features never rank."""
    rng = np.random.default_rng(2)
    dense = np.where(rng.random((6, 5)) < 0.5, rng.integers(1, 5, (6, 5)) / 4, 0.0)  # sums are exact, ties too
    dense[:, 4] = 0
    found = share_among_strongest(Pooled.from_dense(dense), 2, 60, seed=3)
    drawn = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), 60)
    seen = np.zeros(5)
    for counts in drawn:
        rows = [dense[i] for i, k in enumerate(counts) for _ in range(k)]
        means = [float(sum(r[f] for r in rows)) for f in range(5)]
        seen += [m > 0 and twin.rank_among(means, f) <= 2 for f, m in enumerate(means)]
    assert found.tolist() == (seen / 60).tolist()
    assert found[4] == 0
    assert any(0 < share < 1 for share in found[:4])


@pytest.mark.parametrize(("d_sae", "top"), [(9, 2), (40, 3), (40, 30), (3, 3), (3, 7)])
def test_those_among_the_highest_are_those_of_a_whole_sort(d_sae, top):
    """Ties at the border come in together or stay out together."""
    score = np.random.default_rng(d_sae).integers(0, 2 * d_sae, (20, d_sae)).astype(float)
    assert _among_highest(score, top).tolist() == [(ranks_of(row) <= top).tolist() for row in score]


def test_a_feature_that_leads_everywhere_keeps_its_rank_in_every_resample():
    """Share 1 for it, and less for one that leads by a single prompt."""
    steady, lucky = np.full(8, 2.0), np.r_[20.0, np.zeros(7)]
    first = share_among_strongest(Pooled.from_dense(np.c_[steady, np.full(8, 1.0)]), 1, 200)
    second = share_among_strongest(Pooled.from_dense(np.c_[steady, lucky]), 1, 200)
    assert first.tolist() == [1, 0]
    assert 0.2 < second[0] < 0.8
