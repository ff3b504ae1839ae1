"""What statistics give at their edges: nothing to count, exactly at a bound, the last feature and the last token."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.codes import Kind, Pooled
from harness.expectations.toy import codes_from_dense, sums_of, toy_codes
from harness.stats.auroc import auroc_within_all, weighted_auroc_of_all
from harness.stats.company import cosines_with, jaccard_with
from harness.stats.contrast import mean_of_all, rate_gap, rate_of_all
from harness.stats.detectors import diffmean_scores, folds_of
from harness.stats.fidelity import (
    METRICS,
    blocks_of_codes,
    blocks_of_sums,
    jackknife,
    ratio_limits,
    value_of,
)
from harness.stats.intervals import Limits, binomial_tail, median_limits
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.noise import noise_between
from harness.stats.ranking import (
    _resampled,
    ranks_in_prompts,
    ranks_of,
    scores_of_all,
    share_among_strongest,
    share_among_top,
)
from harness.stats.tokens import share_of_all, strongest_tokens_of_all
from harness.stats.transfer.aligned import AlignedRule
from harness.stats.transfer.bands import MOST_L0_RATIO, band_of
from harness.stats.transfer.conditions import condition, strength_of_all
from harness.stats.transfer.pairs import Pairs
from harness.stats.transfer.reach import fewest_pictures, fewest_prompts
from harness.stats.transfer.residuals import residual_cosines
from harness.stats.within import marked_units

# A division by 0 that a statistic means is silent; no run may print numpy's warnings among its findings.
pytestmark = pytest.mark.filterwarnings("error")


def codes_of(dense, prompt=None, kind=None, h=None, r=None):
    """Codes of [n_tokens, d_sae], each token a prompt unless said otherwise."""
    dense = np.asarray(dense, float)
    rows = np.arange(len(dense)) if prompt is None else np.asarray(prompt)
    h = np.ones((len(dense), 2)) if h is None else np.asarray(h, float)
    return codes_from_dense(dense, h, h if r is None else np.asarray(r, float), rows, int(rows.max()) + 1, kind)


def no_prompts(d_sae=3):
    return Pooled(np.zeros(d_sae + 1, np.int64), np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64))


def silent(n_prompts, d_sae=3):
    return Pooled(np.zeros(d_sae + 1, np.int64), np.zeros(0, np.int32), np.zeros(0), np.ones(n_prompts, np.int64))


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.99])
def test_the_tail_of_a_binomial_counts_k_itself(n, p):
    """P(X >= k) for every k, against SciPy."""
    found = [binomial_tail(k, n, p) for k in range(n + 1)]
    assert found == pytest.approx(scipy_stats.binom.sf(np.arange(n + 1) - 1, n, p), rel=1e-9)


def test_without_prompts_there_is_no_rate_and_no_mean():
    """NaN for each feature: 0 would be a claim."""
    assert np.isnan(rate_of_all(no_prompts())).tolist() == [True] * 3
    assert np.isnan(mean_of_all(no_prompts())).tolist() == [True] * 3
    assert np.isnan(share_among_strongest(no_prompts(), 2, 5)).tolist() == [True] * 3


def test_silent_prompts_have_a_rate_of_nought_and_nobody_among_their_strongest():
    """A feature that does not fire is not among the strongest, however few there are."""
    assert rate_of_all(silent(4)).tolist() == [0.0] * 3
    assert share_among_strongest(silent(4), 2, 5).tolist() == [0.0] * 3
    assert ranks_in_prompts(silent(4)).tolist() == []


def test_a_gap_between_rates_is_rounded_to_twelve_digits():
    assert rate_gap(np.array([4 / 6, 0.5 + 1.4e-12]), np.array([1 / 6, 0.0])).tolist() == [0.5, 0.500000000001]


def test_one_prompt_gives_no_limits_and_two_give_some():
    """Of every metric, and of a rate over blocks."""
    two = codes_of(
        np.ones((4, 2)), [0, 0, 1, 1], h=[[3, 1], [1, 2], [2, 5], [4, 4]], r=[[3, 0], [1, 1], [2, 4], [3, 3]]
    )
    for metric in METRICS.values():
        one = jackknife(metric, blocks_of_codes(two, two.prompt == 0, np.array([0, -1])), 0.05)
        assert one == Limits(one.value, -math.inf, math.inf, -math.inf, math.inf)
        both = jackknife(metric, blocks_of_codes(two, two.counted(), np.array([0, 1])), 0.05)
        assert all(math.isfinite(getattr(both, field.name)) for field in fields(Limits))


def test_a_rate_over_blocks_has_the_jackknifes_limits():
    """Two blocks by hand: left out, they give 1 and .5, so the standard error is .25; one block gives none."""
    found = ratio_limits(np.array([1.0, 2.0]), np.array([2.0, 2.0]), 0.05)
    far = np.exp(scipy_stats.t.ppf([0.95, 0.975], 1) * 0.25 / 0.75)
    expected = Limits(0.75, 0.75 / far[0], 0.75 * far[0], 0.75 / far[1], 0.75 * far[1])
    assert [getattr(found, f.name) for f in fields(Limits)] == pytest.approx(
        [getattr(expected, f.name) for f in fields(Limits)]
    )
    uneven = ratio_limits(np.array([1.0, 4.0]), np.array([2.0, 8.0]), 0.05)
    assert uneven.low == uneven.high == 0.5, "left out, both give .5"
    alone = Limits(0.5, -math.inf, math.inf, -math.inf, math.inf)
    assert ratio_limits(np.array([1.0]), np.array([2.0]), 0.05) == alone
    assert math.isnan(ratio_limits(np.array([0.0]), np.array([0.0]), 0.05).value)


def test_blocks_without_tokens_are_left_out_and_none_has_no_value():
    empty = codes_of(np.ones((3, 2)), [0, 0, 1], kind=np.array([Kind.TEXT, Kind.TEXT, Kind.SPECIAL], np.uint8))
    sums = blocks_of_sums(sums_of(empty).counting())
    assert (sums.n.tolist(), sums.n.dtype) == ([2.0], np.float64)
    none = blocks_of_codes(empty, empty.counted(), np.array([-1, -1]))
    assert math.isnan(value_of(METRICS["mse"], none))
    assert blocks_of_codes(empty, empty.counted(), np.array([0, 1])).n.tolist() == [2.0, 0.0], "the last one too"


def test_blocks_that_hold_no_tokens_give_no_number_and_no_warning():
    """Neither in all nor where the only block with tokens is left out."""
    empty = codes_of(np.ones((3, 2)), [0, 0, 1], kind=np.array([Kind.TEXT, Kind.TEXT, Kind.SPECIAL], np.uint8))
    blocks = blocks_of_codes(empty, empty.counted(), np.array([0, 1]))
    none = blocks_of_codes(empty, np.zeros(3, bool), np.array([0, 1]))
    for metric in METRICS.values():
        assert math.isnan(value_of(metric, none))
        found = jackknife(metric, blocks, 0.05)
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_a_reconstruction_of_a_silent_residual_is_infinitely_long():
    zero = codes_of([[1.0, 0.0]], h=[[0.0, 0.0]], r=[[0.5, 0.0]])
    assert value_of(METRICS["norm_ratio"], blocks_of_codes(zero, zero.counted(), np.array([0]))) == math.inf


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_activations_that_are_alike_but_for_rounding_have_no_fvu(size):
    """Whatever their size; three that differ in the second digit have one."""
    alike = codes_of(np.ones((7, 2)), h=np.full((7, 2), 0.1 * size), r=np.zeros((7, 2)))
    assert math.isnan(value_of(METRICS["fvu"], blocks_of_codes(alike, alike.counted(), np.arange(7))))
    h = np.array([[0.10, 0.10], [0.11, 0.10], [0.12, 0.10]]) * size
    other = codes_of(np.ones((3, 2)), h=h, r=np.zeros((3, 2)))
    assert value_of(METRICS["fvu"], blocks_of_codes(other, other.counted(), np.arange(3))) > 1


def test_a_reconstruction_of_nothing_points_nowhere():
    """Cosine 0 where only the reconstruction is 0, however small the activation; NaN where both are; 0 stored as a
    value is no firing."""
    small = codes_of([[1.0, 0.0]], h=[[0.5, 0.0]], r=[[0.0, 0.0]])
    assert value_of(METRICS["cosine"], blocks_of_codes(small, small.counted(), np.array([0]))) == 0.0
    nothing = codes_of([[1.0, 0.0]], h=[[0.0, 0.0]], r=[[0.0, 0.0]])
    blocks = blocks_of_codes(nothing, nothing.counted(), np.array([0]))
    assert math.isnan(value_of(METRICS["cosine"], blocks))
    assert math.isnan(value_of(METRICS["fvu"], blocks))
    stored = replace(
        small, indptr=np.array([0, 2]), index=np.array([0, 1], np.int32), value=np.array([1, 0], np.float32)
    )
    assert value_of(METRICS["l0"], blocks_of_codes(stored, stored.counted(), np.array([0]))) == 1.0


def test_activations_that_are_all_alike_have_no_fvu_and_nothing_has_a_ratio_over_0():
    """NaN, and no warning: a checkpoint of zeros is told by the kinds."""
    flat = codes_of(np.ones((3, 2)))
    blocks = blocks_of_codes(flat, flat.counted(), np.arange(3))
    assert math.isnan(jackknife(METRICS["fvu"], blocks, 0.05).value)
    same = jackknife(METRICS["mse"], blocks, 0.05, blocks, "ratio")
    assert math.isnan(same.value), "0 over 0"
    other = codes_of(np.ones((3, 2)), r=np.zeros((3, 2)))
    ratio = jackknife(METRICS["mse"], blocks_of_codes(other, other.counted(), np.arange(3)), 0.05, blocks, "ratio")
    assert math.isnan(ratio.value), "1 over 0"
    turned = jackknife(METRICS["mse"], blocks, 0.05, blocks_of_codes(other, other.counted(), np.arange(3)), "ratio")
    assert turned.value == 0.0, "0 over 1"


def test_a_median_of_nothing_is_nan():
    assert math.isnan(median_limits(np.zeros(0), 0.05).value)
    assert median_limits(np.array([3.0, 1.0, 2.0]), 0.05).value == 2.0


def test_readings_of_other_tokens_or_another_sae_are_refused():
    one = codes_of(np.ones((2, 3)))
    with pytest.raises(ValueError, match="two readings can only be compared token by token, through one SAE"):
        noise_between(one, codes_of(np.ones((2, 4))), np.ones(2, bool))


def test_where_no_firing_is_in_both_readings_no_activation_moved():
    """All firings flipped; there is no token whose value could be compared."""
    one, other = codes_of([[1, 0], [1, 0]]), codes_of([[0, 1], [0, 1]])
    found = noise_between(one, other, np.ones(2, bool))
    assert (found.flips, found.single, found.mean, found.l0) == (2.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("tokens", "moved"), [(4, 0.0), (5, 0.5)])
def test_a_mean_is_compared_from_five_tokens_on(tokens, moved):
    found = noise_between(
        codes_of(np.full((tokens, 1), 2.0)), codes_of(np.full((tokens, 1), 3.0)), np.ones(tokens, bool)
    )
    assert found.mean == moved
    assert found.single == 0.5


def test_features_that_never_fire_keep_nobody_company():
    """0 for each, the last one too; and a decoder row of zeros has a cosine of 0 with all."""
    for _ in range(3):  # the memory that is taken anew must not be what answers
        np.full(64, np.nan)
        codes = codes_of([[1, 1, 0, 0], [1, 0, 0, 0]])
        assert jaccard_with(codes, codes.counted(), 0).tolist() == [1.0, 0.5, 0.0, 0.0]
        assert jaccard_with(codes, codes.counted(), 2).tolist() == [0.0, 0.0, 0.0, 0.0]
        decoder = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], np.float32)
        found = cosines_with(decoder, [0])
        assert found.dtype == np.float64
        assert found[0].tolist() == pytest.approx([1.0, 0.0, math.sqrt(0.5)])


def test_diffmean_pools_by_the_strongest_token_unless_told():
    codes, _ = toy_codes([[("a", 1.0), ("b", 2.0)], [("c", 0.0), ("d", 3.0)], [("e", 1.0)], [("f", 0.0)]])
    h = np.random.default_rng(0).normal(size=(codes.n_tokens, 3))
    given = h, codes, codes.counted(), np.array([True, True, False, False]), np.array([0, 1, 0, 1])
    assert diffmean_scores(*given).tolist() == diffmean_scores(*given, "max").tolist()
    assert diffmean_scores(*given).tolist() != diffmean_scores(*given, "mean").tolist()


def test_the_strongest_tokens_are_those_that_fire():
    """A feature without any has no share; a value below 0 is no firing, and 0 none either."""
    codes = codes_of([[1, 0, -1], [2, 0, 0], [3, 0, 0]])
    found = strongest_tokens_of_all(codes, np.ones(3, bool), np.array([0, 1, 1]), 5)
    assert [found.of(f)[0].tolist() for f in range(3)] == [[1, 0], [], []]
    assert found.of(0)[1].tolist() == [3.0, 1.0]
    share = share_of_all(found, np.array([False, True]))
    assert share.dtype == np.float64
    assert share[0] == 0.5
    assert np.isnan(share[1:]).all()


@pytest.mark.parametrize(
    ("given", "band"),
    [
        ((0.5, 0.0, None), "degraded"),
        ((0.5, -0.001, None), "does_not_transfer"),
        ((0.9, 0.9, MOST_L0_RATIO), "excellent"),
        ((0.9, 0.9, MOST_L0_RATIO + 0.01), "does_not_transfer"),
        ((0.9, 0.7, None), "works"),
        ((0.9, 0.7 - 2e-12, None), "degraded"),
    ],
)
def test_a_band_holds_its_own_bounds(given, band):
    """An explained variance of 0 and twice the L0 may still transfer; a drop is rounded to twelve digits."""
    assert band_of(*given) == band


def test_the_strength_of_no_tokens_is_nan():
    """No counted token: no mean to speak of, and no warning."""
    codes = codes_of([[1, 0], [2, 0]], kind=np.full(2, Kind.SPECIAL, np.uint8))
    found = strength_of_all(condition(codes, codes.counted("text")))
    assert np.isnan(found.mean).all()
    assert found.firing.tolist() == [0.0, 0.0]
    assert found.firing.dtype == np.float64


def test_a_vector_of_zeros_has_no_cosine():
    base, adapted = np.array([[0, 0], [3, 4]], np.float32), np.array([[1, 0], [3, 4]], np.float32)
    found = residual_cosines(base, adapted, Pairs(np.array([0, 1]), np.array([0, 1])))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0)
    big = np.full((1, 2), 2e19, np.float32)  # its square is no float32
    assert residual_cosines(big, big, Pairs(np.array([0]), np.array([0]))).tolist() == pytest.approx([1.0])


def test_the_fewest_prompts_of_a_class_that_no_number_shows():
    """None, not the largest that was tried; a class that one prompt shows needs one."""
    assert fewest_prompts("no such class") is None
    assert fewest_prompts("lost") == 59
    without = AlignedRule(limits=False)
    assert (fewest_prompts("shifted", without), fewest_pictures(without)) == (1, 1)
    assert fewest_pictures(AlignedRule(seen_above=1.0)) is None
    rule = AlignedRule()
    assert fewest_pictures() == next(n for n in range(1, 99) if rule.alpha ** (1 / n) >= rule.seen_above)


def test_a_mean_auroc_needs_strata_and_both_sides_in_each():
    """NaN for each feature without any; a stratum of one side is a mistake of whoever asks."""
    pooled = silent(3)
    assert np.isnan(auroc_within_all(pooled, np.ones(3, bool), np.full(3, -1), 0)).tolist() == [True] * 3
    with pytest.raises(ValueError, match=r"^every stratum needs rows of both sides$"):
        auroc_within_all(pooled, np.array([True, False, True]), np.array([0, 0, 1]), 2)
    found = auroc_within_all(pooled, np.array([True, False, True]), np.array([0, 0, -1]), 1)
    assert (found.dtype, found.tolist()) == (np.float64, [0.5] * 3)


def test_units_are_dealt_to_the_folds_in_turn_from_the_first():
    """Positives and negatives each for themselves; a template goes where its first prompt went."""
    side = np.array([True, True, False, True, True, True, True, False, True])
    assert folds_of(side, np.arange(9)).tolist() == [0, 1, 0, 2, 3, 4, 0, 1, 1]
    assert folds_of(side, np.array([0, 0, 1, 2, 2, 3, 4, 1, 5])).tolist() == [0, 0, 0, 1, 1, 2, 3, 0, 4]
    assert folds_of(side, np.arange(9)).dtype == np.int64


def test_what_is_no_probability_is_named_and_nothing_else():
    with pytest.raises(ValueError, match=r"^p is a probability; got \[-0.1, 1.5\]$"):
        benjamini_hochberg([0.0, -0.1, 0.5, 1.5, 1.0])
    assert benjamini_hochberg([0.0, 1.0]) == [0.0, 1.0]


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_weighted_means_are_those_of_counting_each_row_as_often(seed):
    """Under several weightings at once, silence as 0; and the share at the top is the same when sorted anew."""
    rng = np.random.default_rng(seed)
    tables = [np.round(rng.random((n, 4)) * (rng.random((n, 4)) < 0.6), 1) for n in (5, 3)]
    positive, negative = (codes_of(one).pooled(np.ones(len(one), bool), "max") for one in tables)
    weights = [rng.integers(0, 4, (6, len(one))) + 0.0 for one in tables]
    for one in weights:
        one[:, 0] += 1
    found = scores_of_all(positive, negative, "mean", *weights)
    for at in range(6):
        means = [np.repeat(t, w[at].astype(int), axis=0).mean(0) for t, w in zip(tables, weights, strict=True)]
        assert found[at].tolist() == pytest.approx((means[0] - means[1]).tolist(), abs=1e-6)
    joined_once = share_among_top(positive, negative, "auroc", 2, 20)
    drawn = list(_resampled(5, 3, 20, seed=0))
    anew = sum((ranks_of(s) <= 2) for w in drawn for s in weighted_auroc_of_all(positive, negative, *w)) / 20
    assert joined_once.tolist() == anew.tolist()


def after_marks(words, marks):
    codes, _ = toy_codes([[(word, 1.0) for word in one.split()] for one in words])
    return codes, marked_units(codes, codes.counted(), marks)


def test_the_token_after_a_mark_is_the_next_of_its_prompt():
    """Not that of the next prompt, not one that is marked itself, not of a prompt without unmarked tokens; and a mark
    on the very last token has none."""
    words = ["red ball rolls", "a red", "red blue ball", "red", "tall red tree", "the end red"]
    marks = [((0, 3),), ((2, 5),), ((0, 3), (4, 8)), ((0, 3),), ((5, 8),), ((8, 11),)]
    codes, found = after_marks(words, marks)
    assert [codes.token[t] for t in found.after] == ["ball", "ball", "tree"]
    assert [int(codes.prompt[t]) for t in found.after] == [0, 2, 4]
    assert found.after.dtype == np.int64
    codes, found = after_marks(["a ball", "red roof"], [((0, 1),), ((0, 3),)])
    assert [codes.token[t] for t in found.after] == ["ball", "roof"], (
        "the first and the very last token of a prompt too"
    )


def test_a_span_holds_the_tokens_that_it_overlaps():
    """A token that begins where the span ends is outside; a span of two tokens is one unit."""
    _, found = after_marks(["redball here and there"], [((0, 8),)])
    assert found.marked.tolist() == [True, False, False, False]
    _, found = after_marks(["one two three four"], [((0, 7),)])
    assert (int(found.marked.sum()), len(found.marked)) == (1, 3)


def test_uncounted_tokens_have_no_unit():
    _, found = after_marks(["red ball"], [((0, 3),)])
    assert found.unit.tolist() == [-1, -1, 0, 1], "a toy begins with BOS and a sink"
