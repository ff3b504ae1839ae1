"""Marked tokens against unmarked ones inside a prompt, and detectors held against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Kind
from harness.expectations.toy import codes_from_dense, toy_codes
from harness.stats.detectors import (
    RIDGE,
    diffmean_scores,
    folds_of,
    own_word_scores,
    paired_auroc,
    paired_limits,
    ridge_scores,
    token_bags,
)
from harness.stats.intervals import auroc_needed, newcombe_auroc
from harness.stats.within import marked_tokens, marked_units
from interp_tests.plain_twins import detectors as twin_detectors
from interp_tests.plain_twins import limits as twin_limits
from interp_tests.plain_twins import pooling as twin_pooling
from interp_tests.plain_twins import ranks as twin

SETTINGS = settings(max_examples=50, deadline=None, derandomize=True, database=None)
WORDS = st.tuples(st.sampled_from(["red", "a", "ball"]), st.sampled_from([0.0, 0.0, 1.0, 2.5, 4.0]))
PROMPT = st.lists(WORDS, min_size=1, max_size=5)


def marks_of(data, row):
    """Up to two spans of whole words, and where the words stand."""
    starts = np.cumsum([0, *(len(w) + 1 for w, _ in row)])[:-1].tolist()
    first = data.draw(st.integers(0, len(row) - 1))
    last = data.draw(st.integers(first, min(first + 1, len(row) - 1)))
    spans = [(starts[first], starts[last] + len(row[last][0]))]
    if last + 1 < len(row) and data.draw(st.booleans()):
        spans.append((starts[-1], starts[-1] + len(row[-1][0])))
    return tuple(spans)


@SETTINGS
@given(st.lists(PROMPT, min_size=1, max_size=3), st.data())
def test_marked_spans_are_units_inside_their_prompt(rows, data):
    """Mean AUROC and exact p against going through each prompt's tokens, a span counting once with its max."""
    marks = [marks_of(data, row) for row in rows]
    codes, _ = toy_codes(rows)
    counted = codes.counted()
    found = marked_units(codes, counted, marks)
    strata = []
    for i in range(len(rows)):
        own = np.flatnonzero(codes.prompt == i)
        tokens = [(codes.start[t], codes.end[t], float(codes.token_column(0)[t]), counted[t]) for t in own]
        marked, unmarked = twin_pooling.within_prompt(tokens, marks[i])
        if marked and unmarked:
            strata.append((marked, unmarked))
    assert found.n == len(strata)
    if strata:
        assert found.auroc_of_all()[0] == pytest.approx(twin.mean_auroc_within(strata))
        assert found.p(0).value == pytest.approx(twin.stratified_permutation_p(strata))
        assert found.auroc_by_prompt(0).tolist() == pytest.approx([twin.auroc(*s) for s in strata])
        assert found.firing(0, True) == (sum(v != 0 for m, _ in strata for v in m), sum(len(m) for m, _ in strata))


def test_prompts_of_one_template_are_one_unit():
    """AUROC is averaged inside a template first, and its worst prompt stands for it in p."""
    rows = [[("red", 3.0), ("a", 0.0), ("b", 0.0)], [("red", 1.0), ("a", 2.0), ("b", 0.0)], [("red", 2.0), ("a", 0.0)]]
    codes, _ = toy_codes(rows)
    marks = [((0, 3),)] * 3
    alone = marked_units(codes, codes.counted(), marks)
    shared = marked_units(codes, codes.counted(), marks, np.array([0, 0, 1]))
    assert (alone.n, shared.n) == (3, 2)
    assert alone.auroc_of_all()[0] == pytest.approx((1 + 0.5 + 1) / 3)
    assert shared.auroc_of_all()[0] == pytest.approx(((1 + 0.5) / 2 + 1) / 2)
    worst = [([1.0], [2.0, 0.0]), ([2.0], [0.0])]
    assert shared.p(0).value == pytest.approx(twin.stratified_permutation_p(worst))
    assert alone.p(0).value < shared.p(0).value
    assert shared.auroc_by_template(0) == pytest.approx([(1 + 0.5) / 2, 1])


def test_a_span_of_two_tokens_is_one_unit():
    """Counting its tokens one by one would give another AUROC."""
    row = [("dark", 0.0), ("red", 3.0), ("ball", 1.0)]
    codes, _ = toy_codes([row])
    one = marked_units(codes, codes.counted(), [((0, 8),)])
    assert one.auroc_of_all()[0] == 1.0
    assert twin.auroc([0.0, 3.0], [1.0]) == 0.5


def test_a_token_that_a_mark_touches_is_marked():
    """Tokens with a leading space overlap the mark of the word; the neighbours, and tokens without offsets, do not."""
    codes, _ = toy_codes([[("red", 1.0), ("ball", 0.0), ("rolled", 0.0)]])
    assert marked_tokens(codes, [((4, 8),)]).tolist() == [-1, -1, -1, 0, -1]
    assert marked_tokens(codes, [((3, 5),)]).tolist() == [-1, -1, -1, 0, -1]
    assert marked_tokens(codes, [((0, 5),)]).tolist() == [-1, -1, 0, 0, -1]


def test_the_token_after_a_mark_is_looked_at():
    """Only where it is counted and unmarked, and in the same prompt."""
    rows = [[("red", 0.0), ("ball", 2.0)], [("a", 0.0), ("red", 1.0)]]
    codes, _ = toy_codes(rows)
    found = marked_units(codes, codes.counted(), [((0, 3),), ((2, 5),)])
    assert found.firing_after(0) == (1, 1)


def test_prompts_marked_from_end_to_end_are_left_out():
    """Nothing unmarked, nothing to compare with."""
    codes, _ = toy_codes([[("red", 1.0)], [("red", 1.0), ("ball", 0.0)], [("old", 0.0)]])
    found = marked_units(codes, codes.counted(), [((0, 3),), ((0, 3),), ()])
    assert found.prompt.tolist() == [1]
    assert found.n == 1


SCORES = st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.5, 7.0]), min_size=3, max_size=8)


@SETTINGS
@given(st.data())
def test_a_paired_difference_is_exact(data):
    """AUROC difference and p equal trying all 2^n exchanges of the two scores."""
    n = data.draw(st.integers(2, 8))
    first, second = (data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0]), min_size=n, max_size=n)) for _ in "ab")
    positive = [True, *data.draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2)), False]
    difference, p = paired_auroc(np.array(first), np.array(second), np.array(positive))
    assert difference == pytest.approx(twin.paired_difference(first, second, positive))
    assert p.value == pytest.approx(twin.exchange_p(first, second, positive))


def test_a_paired_difference_has_a_direction():
    """A perfect score against a useless one: small p one way, 1 the other."""
    positive = np.arange(12) < 6
    perfect, useless = np.where(positive, 5.0, 0.0), np.tile([1.0, 2.0], 6)
    assert paired_auroc(perfect, useless, positive)[1].value < 0.02
    assert paired_auroc(useless, perfect, positive)[1].value > 0.98


def test_a_score_against_itself_differs_by_nothing():
    """No difference, p 1."""
    positive = np.arange(8) < 4
    score = np.random.default_rng(0).random(8)
    assert paired_auroc(score, score, positive) == (0.0, pytest.approx(paired_auroc(score, score, positive)[1]))
    assert paired_auroc(score, score, positive)[1].value == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_paired_limits_are_zous(seed):
    """Against loops; and a score against itself has limits of both signs around 0."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 5, 14) + np.arange(14) // 5, rng.integers(0, 5, 14)
    positive = np.arange(14) >= 6
    found = paired_limits(first.astype(float), second.astype(float), positive, 0.05)
    plain = twin_detectors.paired_limits(first, second, positive, lambda a: newcombe_auroc(a, 8, 6, 0.05))
    assert (found.value, found.low1, found.high1) == pytest.approx(plain)
    same = paired_limits(first.astype(float), first.astype(float), positive, 0.05)
    assert same.value == 0
    assert same.low1 <= 0 <= same.high1


def test_the_lower_paired_limit_is_rarely_over_nothing():
    """Two scores as good as each other, correlated or not: at alpha .05 the lower limit is over 0 in under .08 of 400
    draws at 10 and 20 a side; where the first is far better it nearly always is."""
    rng = np.random.default_rng(0)

    def over(n, shared, shift):
        hits = 0
        positive = np.arange(2 * n) < n
        for _ in range(400):
            common = rng.normal(size=2 * n)
            one, two = (np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=2 * n) for _ in "ab")
            hits += paired_limits(one + (1 + shift) * positive, two + positive, positive, 0.05).low1 > 0
        return hits / 400

    assert all(over(n, shared, 0) <= 0.08 for n in (10, 20) for shared in (0, 0.5))
    assert over(20, 0.5, 3) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high", "m", "n"), [(0.7, 1, 10, 10), (0.6, 1, 5, 20), (0.51, 0.9, 20, 20)])
def test_the_auroc_needed_is_the_one_whose_limits_are_inside(low, high, m, n):
    """Against trying each AUROC of a grid."""
    least, most = auroc_needed(low, high, m, n, 0.05)
    plain = twin_limits.auroc_needed(low, high, m, n, 1.6448536)
    assert least == pytest.approx(plain[0], abs=0.0055)
    assert min(most, 1) == pytest.approx(plain[1], abs=0.0055)


def test_a_paired_difference_needs_both_sides():
    """Only positives cannot be told from anything."""
    with pytest.raises(ValueError, match="both sides"):
        paired_auroc(np.ones(3), np.ones(3), np.ones(3, bool))


@SETTINGS
@given(st.lists(PROMPT, min_size=1, max_size=6), st.sampled_from(["max", "mean", "last"]), st.data())
def test_a_list_of_own_words_is_fitted_on_other_units(rows, pool, data):
    """Against going through every token; words of one unit only keep their own activation."""
    codes, _ = toy_codes(rows)
    unit = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    value, counted = codes.token_column(0).astype(np.float64), codes.counted()
    found, once = own_word_scores(value, codes, counted, unit, pool)
    plain = twin_detectors.own_words(value, codes.token_id, codes.prompt, counted, unit, pool)
    assert found == pytest.approx(plain, abs=1e-8)
    if len(set(unit.tolist())) == 1:
        assert once.all()


@pytest.mark.parametrize("seed", range(4))
def test_the_dual_ridge_is_the_primal_one(seed):
    """Closed form over prompts equals the normal equations over words, folds left out, unequal classes."""
    rng = np.random.default_rng(seed)
    X = (rng.random((14, 9)) < 0.4).astype(float)
    positive = np.arange(14) < 5
    fold = folds_of(positive, np.arange(14), 4)
    found = ridge_scores(X, positive, fold)
    np.testing.assert_allclose(found, twin_detectors.ridge(X, positive, fold, RIDGE), rtol=1e-6, atol=1e-9)
    assert not np.allclose(found, twin_detectors.ridge(X, positive, fold, 10 * RIDGE), rtol=1e-2)


@pytest.mark.parametrize("pool", ["max", "mean", "last"])
def test_diffmean_is_fitted_on_the_other_folds(pool):
    """The same as going through prompts and tokens one by one; fitting on all of them differs."""
    rng = np.random.default_rng(2)
    prompt = np.repeat(np.arange(9), [2, 3, 1, 4, 2, 2, 3, 1, 2])
    h = rng.normal(size=(20, 4)) + 3
    positive = np.arange(9) < 4
    kind = np.where(rng.random(20) < 0.15, Kind.SPECIAL, Kind.TEXT).astype(np.uint8)
    kind[[5, 17]] = Kind.TEXT
    codes = codes_from_dense(np.ones((20, 1)), h, h, prompt, 9, kind)
    fold = folds_of(positive, np.arange(9), 3)
    found = diffmean_scores(h, codes, codes.counted(), positive, fold, pool)
    wanted = twin_detectors.diffmean(h, prompt, codes.counted(), positive, fold, pool)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert not np.allclose(found, diffmean_scores(h, codes, codes.counted(), ~positive, fold, pool))


def test_a_baseline_without_signal_is_at_chance():
    """Left-out prompts with noise for words: AUROC near .5, which a fit on its own test prompts would not be."""
    rng = np.random.default_rng(3)
    aurocs = []
    for _ in range(40):
        X = (rng.random((40, 60)) < 0.2).astype(float)
        positive = np.arange(40) < 20
        score = ridge_scores(X, positive, folds_of(positive, np.arange(40)))
        aurocs.append(twin.auroc(score[:20], score[20:]))
    assert abs(np.mean(aurocs) - 0.5) < 0.06


def test_folds_keep_templates_together_and_both_sides_in_each():
    """Prompts of one template share a fold; every fold has positives and negatives left to train on."""
    positive = np.arange(20) < 10
    unit = np.r_[np.repeat(np.arange(5), 2), np.arange(10) + 5]
    fold = folds_of(positive, unit)
    assert all(len(set(fold[unit == u])) == 1 for u in unit)
    assert all(positive[fold != k].any() and (~positive)[fold != k].any() for k in range(5))
    assert len(set(fold[positive])) == 5


def test_bags_hold_the_counted_tokens_once():
    """Presence of each token id, rows of length 1; uncounted tokens are not in the bag."""
    codes, _ = toy_codes([[("red", 1.0), ("red", 0.0), ("ball", 0.0)], [("old", 0.0)]])
    counted = codes.counted()
    vocabulary = np.unique(codes.token_id[counted]).tolist()
    bags = token_bags(codes, counted, vocabulary)
    assert np.linalg.norm(bags, axis=1).tolist() == pytest.approx([1.0, 1.0])
    assert np.count_nonzero(bags, axis=1).tolist() == [2, 1]
