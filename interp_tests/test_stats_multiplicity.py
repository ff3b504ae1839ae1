"""Benjamini and Hochberg's q against its definition, and what must hold of it whatever the p are."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.stats.multiplicity import benjamini_hochberg
from interp_tests.plain_twins.multiplicity import q_values, rejected

P = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]))
MANY = st.lists(P, min_size=1, max_size=12)


def test_a_worked_example():
    """Four p by hand: 4 x .01, 4/2 x .02, then 4/3 x .04 capped by 4/4 x .05."""
    assert benjamini_hochberg([0.05, 0.01, 0.04, 0.02]) == pytest.approx([0.05, 0.04, 0.05, 0.04])


def test_no_correction_is_another_number():
    """The example above can fail: the p themselves, and Bonferroni's, are not its q."""
    p = [0.05, 0.01, 0.04, 0.02]
    assert benjamini_hochberg(p) != pytest.approx(p)
    assert benjamini_hochberg(p) != pytest.approx([min(1.0, 4 * each) for each in p])


@given(MANY)
def test_q_is_what_the_definition_counts(p):
    """The running minimum from the largest p is the minimum over all larger ones."""
    assert benjamini_hochberg(p) == pytest.approx(q_values(p))


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12), st.integers(1, 99))
def test_a_q_within_the_level_is_what_the_step_up_procedure_reports(thousandths, percent):
    """q <= level where, in exact fractions, the procedure of 1995 rejects at that level."""
    p, level = [Fraction(each, 1000) for each in thousandths], Fraction(percent, 100)
    exact = q_values(p)
    assert [q <= level for q in exact] == rejected(p, level)
    assert benjamini_hochberg([float(each) for each in p]) == pytest.approx([float(q) for q in exact])


@given(MANY)
@example([0.173, 0.1, 0.1])  # .173 * 3 / 3 is less than .173 in floating point
def test_q_is_at_least_p_and_at_most_1_and_in_the_order_of_p(p):
    """To the last bit: rounding must not make a corrected number smaller than the one it corrects."""
    q = benjamini_hochberg(p)
    assert all(mine <= its <= 1 for mine, its in zip(p, q, strict=True))
    pairs = sorted(zip(p, q, strict=True))
    assert [its for _, its in pairs] == sorted(q)


@given(st.data())
def test_the_order_of_the_members_changes_nothing(data):
    """q belongs to a member, wherever it stands."""
    p = data.draw(MANY)
    order = data.draw(st.permutations(range(len(p))))
    q = benjamini_hochberg(p)
    assert benjamini_hochberg([p[i] for i in order]) == [q[i] for i in order]


@given(MANY, st.data())
def test_a_smaller_p_never_gives_a_larger_q(p, data):
    """Better evidence of one member does no member harm."""
    i = data.draw(st.integers(0, len(p) - 1))
    better = [*p[:i], data.draw(st.floats(0, p[i])), *p[i + 1 :]]
    before, after = benjamini_hochberg(p), benjamini_hochberg(better)
    assert all(new <= old or math.isclose(new, old) for new, old in zip(after, before, strict=True))


@given(P)
def test_a_family_of_one_has_q_equal_to_p(p):
    """Nothing to correct."""
    assert benjamini_hochberg([p]) == [p]


@given(MANY)
def test_one_that_could_not_be_measured_never_helps(p):
    """Another member with p = 1 leaves no q smaller."""
    assert all(
        new >= old or math.isclose(new, old)
        for old, new in zip(benjamini_hochberg(p), benjamini_hochberg([*p, 1.0]), strict=False)
    )


@pytest.mark.parametrize("p", [math.nan, -0.01, 1.01, math.inf])
def test_what_is_no_probability_is_refused(p):
    """A NaN would pass for a small p, since no comparison holds for it."""
    with pytest.raises(ValueError, match="probability"):
        benjamini_hochberg([0.01, p])


def test_no_members_have_no_q():
    """An empty list is answered with one."""
    assert benjamini_hochberg([]) == []
