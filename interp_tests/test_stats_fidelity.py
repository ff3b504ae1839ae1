"""Reconstruction metrics from sums, against the vectors themselves."""

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Kind
from harness.expectations.toy import codes_from_dense, sums_of
from harness.stats import fidelity
from harness.stats.fidelity import (
    METRICS,
    blocks_of_codes,
    blocks_of_sums,
    jackknife,
    jackknife_limits,
    ratio_limits,
    tail_of_ratio,
    value_of,
)
from interp_tests.labelled import units_of
from interp_tests.plain_twins import fidelity as twin
from interp_tests.plain_twins import limits as twin_limits

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
TWINS = {"mse": twin.mse, "fvu": twin.fvu, "cosine": twin.cosine, "norm_ratio": twin.norm_ratio}


def made(seed, sizes=(3, 1, 5, 2), shift=4.0, d_in=3, d_sae=6, specials=True, sinks=False):
    """Prompts of unequal lengths whose activations have a mean far from 0, with one special token each."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    prompt = np.repeat(np.arange(len(sizes)), sizes)
    h = (rng.normal(size=(n, d_in)) * [1, 2, 5] + shift).astype(np.float32).astype(float)
    r = h + rng.normal(size=(n, d_in)) * 0.5
    dense = rng.random((n, d_sae)) * (rng.random((n, d_sae)) < 0.4)
    kind = np.full(n, Kind.TEXT, np.uint8)
    if specials:
        kind[np.flatnonzero(np.diff(prompt, prepend=-1))[[0, 2]]] = Kind.SPECIAL
    sink = (rng.random(n) < 0.3) & (np.arange(n) > 0) if sinks else np.zeros(n, bool)
    return codes_from_dense(dense, h, r, prompt, len(sizes), kind, sink), h, r, dense


@SETTINGS
@given(st.integers(0, 10_000), st.sampled_from(list(TWINS)), st.sampled_from(["ignored", "counted", "with sinks"]))
def test_a_metric_is_that_of_the_vectors(seed, name, policy):
    """Every metric from the sums equals the one from h and r, with specials and sinks counted or not."""
    codes, h, r, _ = made(seed, sinks=True)
    counted = codes.counted("text", "counted" if policy == "counted" else "ignored")
    counted |= codes.left_out_sinks() if policy == "with sinks" else False
    blocks = blocks_of_codes(codes, counted, units_of([None] * 4))
    assert value_of(METRICS[name], blocks) == pytest.approx(TWINS[name](h[counted].tolist(), r[counted].tolist()))


@pytest.mark.parametrize("name", TWINS)
def test_a_metric_of_other_vectors_differs(name):
    """The comparison above can fail: another reconstruction has another value, under every metric."""
    codes, h, r, _ = made(0)
    counted = codes.counted("text", "counted")
    found = value_of(METRICS[name], blocks_of_codes(codes, counted, units_of([None] * 4)))
    other = r + np.array([0.5, -2.0, 1.0])
    assert found != pytest.approx(TWINS[name](h.tolist(), other.tolist()), rel=1e-3)


def test_fvu_is_around_the_mean_and_not_around_zero():
    """With a mean far from 0, dividing by sum h.h would flatter 10-fold; so would the mean over dimensions."""
    codes, h, r, _ = made(3, shift=40.0, specials=False)
    blocks = blocks_of_codes(codes, codes.counted(), units_of([None] * 4))
    around_zero = ((h - r) ** 2).sum() / (h**2).sum()
    one_mean = ((h - r) ** 2).sum() / ((h - h.mean()) ** 2).sum()
    assert value_of(fidelity.fvu, blocks) == pytest.approx(twin.fvu(h.tolist(), r.tolist()))
    assert value_of(fidelity.fvu, blocks) > 10 * around_zero
    assert value_of(fidelity.fvu, blocks) != pytest.approx(one_mean, rel=1e-3)


def test_a_single_token_or_constant_activations_have_no_fvu():
    """No variance, no fraction of it: NaN, never 0 or 1."""
    for h in (np.array([[1.0, 2.0]]), np.tile([[1.0, 2.0]], (5, 1))):
        codes = codes_from_dense(np.ones((len(h), 2)), h, h + 0.1, np.zeros(len(h), int), 1)
        blocks = blocks_of_codes(codes, codes.counted(), units_of([None]))
        assert math.isnan(value_of(fidelity.fvu, blocks))
        assert value_of(fidelity.mse, blocks) == pytest.approx(0.01)


def test_a_zero_reconstruction_has_cosine_zero():
    """A token that the SAE gives nothing for has nothing in common with its activation."""
    codes = codes_from_dense(np.ones((2, 2)), np.array([[1.0, 2], [2, 1]]), np.array([[0.0, 0], [2, 1]]), [0, 0], 1)
    assert value_of(fidelity.cosine, blocks_of_codes(codes, codes.counted(), units_of([None]))) == pytest.approx(0.5)


def test_l0_counts_non_zero_features():
    """L0 is the mean number of non-zero features of a counted token."""
    codes, _, _, dense = made(5)
    counted = codes.counted()
    blocks = blocks_of_codes(codes, counted, units_of([None] * 4))
    assert value_of(fidelity.l0, blocks) == pytest.approx(twin.l0(dense[counted].tolist()))
    assert value_of(fidelity.l0, blocks) != pytest.approx(twin.l0(dense.tolist()))


@pytest.mark.parametrize("name", TWINS)
def test_streaming_sums_give_the_same_numbers(name):
    """A corpus in blocks equals the same tokens as prompts."""
    codes, _, _, _ = made(7)
    wanted = value_of(METRICS[name], blocks_of_codes(codes, codes.counted(), units_of([None] * 4)))
    assert value_of(METRICS[name], blocks_of_sums(sums_of(codes).counting())) == pytest.approx(wanted)


@SETTINGS
@given(st.integers(0, 10_000), st.sampled_from(list(TWINS)))
def test_the_jackknife_leaves_out_one_prompt_at_a_time(seed, name):
    """Its standard error equals recomputing the metric from the vectors without each prompt."""
    from scipy import stats

    codes, h, r, _ = made(seed, sizes=(4, 2, 5, 3, 6), specials=False)
    limits = jackknife(METRICS[name], blocks_of_codes(codes, codes.counted(), units_of([None] * 5)), 0.05)
    tokens = [[(h[t].tolist(), r[t].tolist()) for t in np.flatnonzero(codes.prompt == p)] for p in range(5)]
    t = stats.t.ppf(0.95, 4), stats.t.ppf(0.975, 4)

    def limit(sign, quantile):
        def statistic(parts):
            return TWINS[name](*zip(*chain.from_iterable(parts), strict=True))

        return twin_limits.jackknife_limit(statistic, tokens, sign, quantile, name != "cosine")

    assert (limits.low, limits.high) == pytest.approx((limit(-1, t[1]), limit(1, t[1])), rel=1e-6)
    assert (limits.low1, limits.high1) == pytest.approx((limit(-1, t[0]), limit(1, t[0])), rel=1e-6)
    assert limits.high > limits.high1
    assert limits.low < limits.low1


def test_limits_are_wider_on_the_side_of_a_heavy_tail():
    """One block far above the others: the upper limit lies further away than the lower one, on the logarithm too;
    where none stands out, as far. A mirror of the blocks is a mirror of the limits of a number of either sign."""
    n = np.full(20, 100.0)
    alike, apart = np.tile([9.0, 11.0], 10), np.r_[np.full(19, 8.0), 48.0]
    even, odd = (ratio_limits(fired, n, 0.05) for fired in (alike, apart))
    assert math.log(even.high1 / even.value) == pytest.approx(math.log(even.value / even.low1))
    assert math.log(odd.high1 / odd.value) > 1.5 * math.log(odd.value / odd.low1)
    left_out = (apart.sum() - apart) / 1900
    up, down = (jackknife_limits(sign * 0.1, sign * left_out, 0.05) for sign in (1, -1))
    assert (down.low1, down.high1) == pytest.approx((-up.high1, -up.low1))
    assert tail_of_ratio(apart, n) > 1 > tail_of_ratio(alike, n) == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [10, 20, 60])
@pytest.mark.parametrize("sigma", [0.15, 0.4, 0.6])
def test_limits_of_a_skewed_mean_hold_alpha(n_blocks, sigma):
    """4,000 draws of lognormal block means whose truth is the bound: neither limit passes it in more than .075, where
    t limits of the number itself reach .11; without skew in .06 at most."""
    rng = np.random.default_rng(n_blocks)
    fired, n = np.exp(sigma * rng.standard_normal((4000, n_blocks)) - sigma**2 / 2), np.ones(n_blocks)
    found = [ratio_limits(one, n, 0.05) for one in fired]
    under, over = (np.mean(side) for side in zip(*((x.high1 <= 1, x.low1 >= 1) for x in found), strict=True))
    assert max(under, over) <= (0.06 if sigma < 0.4 else 0.08)


def test_the_jackknife_is_over_prompts_and_not_over_tokens():
    """The comparison above can fail: taking each token for a unit gives other limits."""
    codes, _, _, _ = made(11, sizes=(4, 2, 5, 3, 6), specials=False)
    by_prompt = jackknife(fidelity.fvu, blocks_of_codes(codes, codes.counted(), units_of([None] * 5)), 0.05)
    h_codes = codes_from_dense(
        np.ones((20, 1)), *made(11, sizes=(4, 2, 5, 3, 6), specials=False)[1:3], np.arange(20), 20
    )
    by_token = jackknife(fidelity.fvu, blocks_of_codes(h_codes, h_codes.counted(), units_of([None] * 20)), 0.05)
    assert by_token.value == pytest.approx(by_prompt.value)
    assert by_token.high != pytest.approx(by_prompt.high, rel=1e-3)


def test_a_difference_is_paired_by_prompt():
    """Two subjects on the same prompts: errors that go together cancel."""
    a, b = made(13, sizes=(6,) * 8)[0], made(13, sizes=(6,) * 8)[0]
    blocks = [blocks_of_codes(c, c.counted(), units_of([None] * 8)) for c in (a, b)]
    limits = jackknife(fidelity.fvu, blocks[0], 0.05, blocks[1])
    assert (limits.value, limits.low, limits.high) == pytest.approx((0, 0, 0), abs=1e-12)
    other = blocks_of_codes(made(14, sizes=(6,) * 8)[0], a.counted(), units_of([None] * 8))
    assert jackknife(fidelity.fvu, blocks[0], 0.05, other).high > 1e-3


def test_unequal_blocks_are_not_paired():
    """Another number of blocks is an error, not a silent misalignment."""
    blocks = [blocks_of_sums(sums_of(made(1, sizes=s)[0]).counting()) for s in ((3, 3, 3), (3, 3, 3, 3))]
    with pytest.raises(ValueError, match="3 and 4 blocks"):
        jackknife(fidelity.mse, blocks[0], 0.05, blocks[1])


def test_density_limits_widen_when_firings_stand_together():
    """Ten firings spread over ten blocks say more than ten in one block."""
    n = np.full(10, 100.0)
    spread, together = np.ones(10), np.r_[10.0, np.zeros(9)]
    a, b = ratio_limits(spread, n, 0.05), ratio_limits(together, n, 0.05)
    assert a.value == b.value == pytest.approx(0.01)
    assert a.high == pytest.approx(0.01)
    assert b.high > 0.02


def test_templates_are_the_blocks_where_prompts_share_one():
    """Two prompts of one template are one block."""
    codes, _, _, _ = made(17)
    blocks = blocks_of_codes(codes, codes.counted("text", "counted"), units_of(["a", "a", None, "b"]))
    assert blocks.n.tolist() == [4, 5, 2]
