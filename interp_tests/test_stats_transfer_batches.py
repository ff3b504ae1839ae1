"""A text in batches gives what it gives at once, and the n that is said to decide a feature decides it."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, AlignedTransfer, aligned, aligned_in_batches
from harness.stats.transfer.deciding import MOST_OF_THEM, RARE, deciding
from harness.stats.transfer.pairs import Misaligned
from interp_tests.plain_twins import transfer as twin
from interp_tests.test_stats_transfer import SETTINGS, made, planted

OPEN = ALIGNED_CLASSES.index("indeterminate")


def batches(x, y, prompt, cuts):
    """The rows of both, cut before these prompts; prompts are numbered from 0 in each batch."""
    edges = [0, *cuts, int(prompt.max()) + 1]
    parts = [(prompt >= first) & (prompt < last) for first, last in pairwise(edges)]
    return [(made(x[p], prompt[p] - prompt[p].min()), made(y[p], prompt[p] - prompt[p].min())) for p in parts]


def numbers(found):
    """Every array of a result, by name."""

    def walk(name, value):
        if dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                yield from walk(f"{name}.{one.name}", getattr(value, one.name))
        elif value is not None and not isinstance(value, str):
            yield name, np.asarray(value)

    return dict(walk("", found))


@SETTINGS
@given(st.integers(0, 9999), st.sampled_from([14, 30, 61]), st.sets(st.integers(1, 13), max_size=4))
def test_batches_give_what_all_prompts_at_once_give(seed, n_prompts, cuts):
    """Classes, rates, patterns with their errors and scales are the same wherever the text is cut."""
    x, y, images, prompt, picture = planted(seed, n_prompts)
    seen = made(images, picture)
    whole = numbers(aligned(made(x, prompt), made(y, prompt), seen))
    parts = batches(x, y, prompt, sorted(cuts))
    found = numbers(aligned_in_batches(lambda: iter(parts), seen))
    assert found.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-6, err_msg=name)


def test_without_one_batch_the_errors_are_others():
    """The equality above can fail: a batch fewer is another text."""
    x, y, _, prompt, _ = planted(3, 61)
    parts = batches(x, y, prompt, [20, 40])
    whole, less = (aligned_in_batches(lambda some=some: iter(some)) for some in (parts, parts[:2]))
    assert not np.allclose(whole.pattern.pearson.error[:3], less.pattern.pearson.error[:3])
    assert (whole.n_pairs, less.n_pairs) == (183, 120)


@SETTINGS
@given(st.integers(0, 9999), st.lists(st.integers(1, 29), max_size=3, unique=True))
def test_the_limits_of_batches_are_those_of_leaving_out_each_prompt(seed, cuts):
    """The plain twin holds all prompts in memory and computes both measures again without each of them."""
    x, y, _, prompt, _ = planted(seed, 30)
    parts = batches(x, y, prompt, sorted(cuts))
    found = aligned_in_batches(lambda: iter(parts)).pattern
    own = dict(enumerate(range(30)))
    for f in (0, 2, 9, 10):
        u, v = (made(one, prompt).codes.token_column(f).astype(float).tolist() for one in (x, y))
        *wanted, n = twin.pattern(u, v, prompt.tolist(), own)
        for one, limit in zip((found.jaccard, found.pearson), wanted, strict=True):
            assert one.low(0.05)[f] == pytest.approx(limit(-1, 0.05), abs=1e-6)
            assert one.high(0.025)[f] == pytest.approx(limit(1, 0.025), abs=1e-6)
            assert one.n[f] == n


@pytest.mark.parametrize(("limits", "passes"), [(True, 2), (False, 1)])
def test_a_text_is_read_twice_for_limits_and_once_without(limits, passes):
    """No batch is kept: each pass asks for them again."""
    x, y, _, prompt, _ = planted(0, 14)
    asked = []

    def read():
        asked.append(0)
        return iter(batches(x, y, prompt, [7]))

    aligned_in_batches(read, rule=AlignedRule(limits=limits))
    assert len(asked) == passes


def test_no_text_at_all_is_an_error():
    """Nothing was compared, so no feature is dead or stable."""
    with pytest.raises(ValueError, match="no texts"):
        aligned_in_batches(lambda: iter([]))


def test_a_token_that_differs_is_told_by_its_place_in_the_whole_text():
    """The second batch's first prompt is the third of all."""
    same = made([[1.0], [2.0]], token_id=[5, 6])
    other = made([[1.0], [2.0]], token_id=[7, 6])
    with pytest.raises(Misaligned) as raised:
        aligned_in_batches(lambda: iter([(same, same), (same, other)]))
    assert (raised.value.prompt, raised.value.place, raised.value.tokens) == (2, 0, ("5", "7"))


# What would decide -----------------------------------------------------------------------------------------------


def drawn(seed, n_prompts=40, d_sae=400, tokens=5):
    """Features that keep a share of their tokens between .2 and 1, at .6 to 1.7 of their strength, on few prompts."""
    rng = np.random.default_rng(seed)
    n = n_prompts * tokens
    prompt = np.repeat(np.arange(n_prompts), tokens)
    x = rng.lognormal(0, 0.7, (n, d_sae)) * (rng.random((n, d_sae)) < rng.uniform(0.03, 0.4, d_sae))
    keeps = rng.random((n, d_sae)) < rng.uniform(0.2, 1.05, d_sae)
    elsewhere = rng.lognormal(0, 0.7, (n, d_sae)) * (rng.random((n, d_sae)) < rng.uniform(0, 0.1, d_sae))
    noise = np.exp(rng.normal(0, 0.3, x.shape)) * rng.uniform(0.6, 1.7, d_sae)
    return made(x, prompt), made(np.where(keeps, x * noise, 0) + (x == 0) * elsewhere, prompt)


def repeated(one, times):
    """The same prompts so many times over: equal numbers, and limits as close as that many prompts bring them."""
    return aligned_in_batches(lambda: iter([one] * times))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_prompts_as_are_said_decide_as_many_features_as_are_said(seed):
    """Repeated to that n, 7 in 10 of the features that looked like a class are of it; at a quarter of it fewer are."""
    pair = drawn(seed)
    now = aligned(*pair)
    wanted, n = deciding(now, AlignedRule()), now.base.rates.n
    assert {"stable", "rescaled", "shifted", "between"} <= wanted.keys()
    assert sum(one.features for one in wanted.values()) == (now.classes == OPEN).sum()
    for name, one in wanted.items():
        if one.prompts is None or one.prompts > 400 * n:
            continue
        times = math.ceil(one.prompts / n)
        decided, before = (
            np.sum((now.classes == OPEN) & (repeated(pair, k).classes == ALIGNED_CLASSES.index(name)))
            for k in (times, max(1, times // 4))
        )
        assert decided >= MOST_OF_THEM * one.features - 1, name
        assert before < decided or times < 4, name


def census(base, adapted, images=None):
    found = aligned(base, adapted, images)
    return found, deciding(found, AlignedRule())


def test_a_rate_between_silence_and_firing_is_decided_by_no_number():
    """It fires on 3 of 30 prompts in both models: more prompts like these only make that surer."""
    x = np.zeros((30, 1))
    x[[3, 13, 23]] = 2.0
    found, wanted = census(made(x), made(x))
    assert found.classes[0] == OPEN
    assert wanted[RARE].features == 1
    assert wanted[RARE].prompts is None
    assert repeated((made(x), made(x)), 400).classes[0] == OPEN


def shows_firing(fires, of, n):
    """Whether the exact lower limit of that share reaches .2 at the whole number of firing prompts under n."""
    k = n * fires // of
    return twin.limits(k, n, 0.05)[0] >= 0.2


@pytest.mark.parametrize(("fires", "n", "least"), [(10, 30, 59), (8, 30, 70), (7, 30, 300)])
def test_the_n_of_lost_shows_both_firing_and_silence(fires, n, least):
    """At that n the exact lower limit of the share is .2, at two thirds of it it is not; silence takes 59."""
    x = np.zeros((n, 1))
    x[:fires] = 1.0
    found, wanted = census(made(x), made(x * 0))
    assert found.classes[0] == OPEN
    prompts = wanted["lost"].prompts
    assert prompts >= least
    assert shows_firing(fires, n, prompts + n)
    assert prompts == 59 or not shows_firing(fires, n, prompts * 2 // 3)
    assert wanted["lost"].pictures is None


def test_what_is_new_in_pictures_wants_prompts_for_silence_and_pictures_for_firing():
    """59 prompts without it, and so many pictures that half of them show a rate of .2."""
    pictures = made(np.r_[np.ones((3, 1)), np.zeros((3, 1))])
    found, wanted = census(made(np.zeros((20, 1))), made(np.zeros((20, 1))), pictures)
    assert found.classes[0] == OPEN
    assert wanted["new_vision"].prompts == 59
    assert shows_firing(1, 2, wanted["new_vision"].pictures + 2)
    assert not shows_firing(1, 2, wanted["new_vision"].pictures // 2)


def test_nothing_undecided_wants_nothing():
    """All features decided, or these prompts only: there is no n to name."""
    x = np.r_[np.arange(1.0, 62)][:, None]
    stable = aligned(made(x), made(x))
    assert ALIGNED_CLASSES[stable.classes[0]] == "stable"
    assert deciding(stable, AlignedRule()) == {}
    sample: AlignedTransfer = aligned(made(x[:3]), made(x[:3]), rule=AlignedRule(limits=False))
    assert deciding(sample, AlignedRule(limits=False)) == {}
