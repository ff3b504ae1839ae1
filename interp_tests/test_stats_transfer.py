"""Transfer of all features at once, against the notebook's rule told again and against definitions."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codes import Kind
from harness.expectations.toy import codes_from_dense
from harness.stats.auroc import SignedCodes
from harness.stats.intervals import rate_limits
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, aligned
from harness.stats.transfer.conditions import condition, rates_of_all, strength_of_all
from harness.stats.transfer.pairs import Misaligned, PairSums, aligned_tokens, pair_sums, scale_of_all
from harness.stats.transfer.ratio import RATIO_CLASSES, RatioRule, ratio_of_means
from harness.stats.transfer.reach import fewest_pictures, fewest_prompts, reachable_classes
from harness.stats.transfer.residuals import residual_cosines
from interp_tests.labelled import grouping_of
from interp_tests.plain_twins import transfer as twin

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
VALUES = st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.1, 0.125, 1.0, 2.5, 7.0, 10.0])


def made(dense, prompt=None, kind=None, token_id=None, groups=None):
    """A condition from dense activations, [n_tokens, d_sae]; each token a prompt unless said otherwise."""
    dense = np.asarray(dense, float)
    rows = np.arange(len(dense)) if prompt is None else np.asarray(prompt)
    h = np.ones((len(dense), 2))
    codes = codes_from_dense(dense, h, h, rows, int(rows.max()) + 1, kind)
    if token_id is not None:
        codes = dataclasses.replace(codes, token_id=np.asarray(token_id, np.int32), token=tuple(map(str, token_id)))
    return condition(codes, codes.counted("all"), None if groups is None else grouping_of(groups))


def by_class(found, names):
    return {name: np.flatnonzero(found.classes == number).tolist() for number, name in enumerate(names)}


def table(n_features=8, most=12):
    return st.lists(st.lists(VALUES, min_size=n_features, max_size=n_features), min_size=1, max_size=most)


@SETTINGS
@given(table(), table(), table())
def test_ratio_of_means_is_the_notebooks_rule(base, text, pictures):
    """Each of the notebook's four lists comes out the same, ties at its thresholds too."""
    found = by_class(ratio_of_means(made(base), made(text), made(pictures)), RATIO_CLASSES)
    wanted = twin.by_ratio(*(twin.tensor(rows) for rows in (base, text, pictures)))
    assert {name: found[name] for name in wanted} == wanted


@SETTINGS
@given(table(), table(), table(), st.integers(0, 999))
def test_the_five_thresholds_mean_what_the_notebooks_do(base, text, pictures, seed):
    """Other thresholds give the notebook's lists under the same thresholds."""
    rng = np.random.default_rng(seed)
    numbers = [float(rng.choice(n)) for n in ([0.5, 0.7, 0.9], [0.1, 0.3], [0.0, 0.1, 1.0], [0.1, 0.5], [1.0, 3.0])]
    found = by_class(ratio_of_means(made(base), made(text), made(pictures), RatioRule(*numbers)), RATIO_CLASSES)
    wanted = twin.by_ratio(*(twin.tensor(rows) for rows in (base, text, pictures)), *numbers)
    assert {name: found[name] for name in wanted} == wanted


CRAFTED = {  # (base, adapted text, pictures), ten tokens each
    "equal means on other tokens": ([1, 1, 0, 0], [0, 0, 1, 1], [0], "stable"),
    "on pictures and on text, silent in the base": ([0], [5, 5], [5, 5], "new_vision"),
    "on adapted text only": ([0], [5], [0], "new_text"),
    "half as strong": ([4, 4], [2, 2], [0], "shifted"),
    "at .3 of the base, which single precision puts a little above": ([10], [3], [0], "shifted"),
    "under .3 of the base": ([10], [2.9], [0], "unclassified"),
    "lost": ([5, 5], [0], [0], "unclassified"),
    "boosted by pictures, active in the base": ([1], [0], [90] * 9, "unclassified"),
    "below the level everywhere": ([0.05] * 9, [0.05] * 9, [0.05] * 9, "dead"),
    "not over three times the base's faint mean": ([0.09] * 9, [0.2], [0], "unclassified"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_the_order_of_the_notebooks_rules(case):
    """Each crafted feature falls where the notebook's rules, in their order, put it; the twin agrees."""
    *given_values, wanted = CRAFTED[case]
    columns = [np.pad(np.array(v, float), (0, 10 - len(v)))[:, None] for v in given_values]
    found = ratio_of_means(*(made(c) for c in columns))
    assert RATIO_CLASSES[found.classes[0]] == wanted
    told = twin.by_ratio(*(twin.tensor(c.tolist()) for c in columns))
    assert [name for name, features in told.items() if features] == [wanted] * (wanted in told)


@pytest.mark.parametrize(
    ("rule", "values", "wanted"),
    [
        (RatioRule(stability=0.5), ([4], [2], [0]), "shifted"),
        (RatioRule(shift=0.5), ([4], [2], [0]), "unclassified"),
        (RatioRule(activation=0.5), ([0.5], [0.5], [0.5]), "dead"),
        (RatioRule(active_share=0.5), ([1, 0], [1, 0], [0, 0]), "dead"),
        (RatioRule(activation=1, factor=4), ([1], [4], [0]), "unclassified"),
        (RatioRule(activation=1, factor=4), ([1], [0], [4]), "unclassified"),
    ],
)
def test_thresholds_are_exceeded_and_never_merely_reached(rule, values, wanted):
    """At exactly its threshold a feature is on the lower side, as in the notebook."""
    columns = [np.array(v, float)[:, None] for v in values]
    assert RATIO_CLASSES[ratio_of_means(*map(made, columns), rule).classes[0]] == wanted
    told = twin.by_ratio(*(twin.tensor(c.tolist()) for c in columns), *dataclasses.astuple(rule))
    assert [name for name, features in told.items() if features] == [wanted] * (wanted in told)


def test_counting_a_special_token_in_one_model_changes_the_ratio():
    """One <bos> in the base only, at 50 times a token's activation, turns stable into unclassified."""
    dense, kind = np.full((11, 1), 1.0), np.full(11, Kind.TEXT, np.uint8)
    dense[0], kind[0] = 50.0, Kind.SPECIAL
    codes = made(dense, kind=kind).codes
    without = condition(codes, codes.counted())
    with_bos = condition(codes, codes.counted("text", "counted"))
    assert RATIO_CLASSES[ratio_of_means(without, without).classes[0]] == "stable"
    assert RATIO_CLASSES[ratio_of_means(with_bos, without).classes[0]] == "unclassified"


def planted(seed, n_prompts, n_images=30, noise=0.05):
    """Twelve features of known behaviour on two models, three tokens a prompt; and image tokens, two a picture."""
    rng = np.random.default_rng(seed)
    n = 3 * n_prompts
    x = rng.lognormal(0, 1, (n, 12)) * (rng.random((n, 12)) < 0.6)
    y = x * np.exp(rng.normal(0, noise, x.shape))
    y[:, 1] *= 2
    y[:, 2] = np.roll(x[:, 2], 1) * (x[:, 2] == 0)
    y[:, 3], x[:, 4], y[:, 5], x[:, 5] = 0, 0, 0, 0
    y[:, 6] *= np.exp(rng.normal(0.2, 0.5, n))
    x[:, 7], y[:, 7] = 0, 0
    x[3:, 8], y[3:, 8] = 0, 0
    x[:, 9], y[:, 9] = ((x[:, 9] > 0) * (1 + 2 * (rng.random(n) < 0.5)) for _ in range(2))
    y[:, 10], x[:, 10] = rng.lognormal(0, 1, n), rng.lognormal(0, 1, n)
    y[:-1, 11] = 0
    images = rng.lognormal(0, 1, (2 * n_images, 12)) * (rng.random((2 * n_images, 12)) < 0.5)
    images[:, 7] = 0
    return x, y, images, np.repeat(np.arange(n_prompts), 3), np.repeat(np.arange(n_images), 2)


@SETTINGS
@given(st.integers(0, 9999), st.sampled_from([2, 5, 14, 30, 61]), st.sampled_from([1, 5, 30]))
def test_aligned_classes_are_those_of_the_definitions(seed, n_prompts, n_images):
    """The class of every feature is the one that its own values give, one feature at a time."""
    x, y, images, prompt, picture = planted(seed, n_prompts, n_images)
    found = aligned(made(x, prompt), made(y, prompt), made(images, picture))
    own, pictures = dict(enumerate(range(n_prompts))), dict(enumerate(range(n_images)))
    for f in range(12):
        on_images = (images[:, f].tolist(), picture.tolist(), pictures)
        wanted = twin.by_alignment(x[:, f].tolist(), y[:, f].tolist(), prompt.tolist(), own, on_images)
        assert ALIGNED_CLASSES[found.classes[f]] == wanted, f


def test_every_class_is_reached_by_what_was_planted():
    """61 prompts and 30 pictures show each class on the feature that was made for it, so no class is untested."""
    x, y, images, prompt, picture = planted(1, 61)
    found = [ALIGNED_CLASSES[c] for c in aligned(made(x, prompt), made(y, prompt), made(images, picture)).classes]
    wanted = ["stable", "rescaled", "shifted", "lost", "new_text", "new_vision", "indeterminate", "dead"]
    assert found[:8] == wanted
    assert found[9] == "between"  # the same places; of what it varies by, a part is shared
    assert set(found) == set(ALIGNED_CLASSES)


def test_either_place_or_pattern_alone_makes_a_feature_shifted():
    """A few strong tokens in common give r near 1 at a Jaccard of .2; the same places can have unrelated strengths."""
    prompt, own = np.repeat(np.arange(20), 10), {i: i for i in range(20)}
    strong = np.tile([50.0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 20)
    first, second = (strong + np.tile(np.eye(10)[k] + np.eye(10)[k + 2], 20) for k in (1, 2))
    places = np.tile([1.0, 2, 0, 0, 0, 0, 0, 0, 0, 0], 20), np.tile([2.0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 20)
    by_strength = np.tile([9.0, 1, 5, 3, 0, 0, 0, 0, 0, 0], 20), np.tile([1.0, 9, 3, 5, 0, 0, 0, 0, 0, 0], 20)
    wanted = ["shifted", "between", "shifted"]
    for (x, y), name in zip([(first, second), places, by_strength], wanted, strict=True):
        found = aligned(made(x[:, None], prompt), made(y[:, None], prompt))
        assert ALIGNED_CLASSES[found.classes[0]] == name
        assert twin.by_alignment(x.tolist(), y.tolist(), prompt.tolist(), own) == name
    places_only = aligned(made(first[:, None], prompt), made(second[:, None], prompt))
    assert places_only.pearson[0] > 0.9
    assert places_only.jaccard[0] < 0.3


def test_in_between_is_undecided_until_the_limits_exclude_both_classes():
    """The same feature: on 8 prompts no pattern, on 14 limits that still reach into a class, on 61 in between."""
    for n_prompts, wanted in ((8, "indeterminate"), (14, "indeterminate"), (61, "between")):
        x, y, _, prompt, _ = planted(1, n_prompts)
        found = aligned(made(x[:, 9:10], prompt), made(y[:, 9:10], prompt))
        assert ALIGNED_CLASSES[found.classes[0]] == wanted
        assert bool(found.not_alike[0] & found.not_unlike[0]) is (wanted == "between")


UNDER_STABLE = {  # by kind, what becomes of x: Jaccard .6, or r .8, over many prompts
    "drops tokens": lambda rng, x, units: x * (rng.random(x.shape) < 0.6),
    "drops prompts": lambda rng, x, units: x * (rng.random((units, 1, x.shape[2])) < 0.6),
    "other tokens as well": lambda rng, x, units: x + 0.75 * lognormal(rng, x.shape),
}


def lognormal(rng, shape, rate=0.2):
    return rng.lognormal(0, 0.5, shape) * (rng.random(shape) < rate)


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNDER_STABLE)
@pytest.mark.parametrize("n_prompts", [12, 15, 20, 50])
def test_features_on_the_bound_of_stable_are_called_stable_at_most_alpha_of_the_time(kind, n_prompts):
    """1,600 draws of features on the bound, ten tokens a prompt: the exact lower limit of the share that comes out
    alike does not exceed alpha. By the estimates alone more than twice as many do."""
    rng = np.random.default_rng(n_prompts)
    called, prompt = {True: 0, False: 0}, np.repeat(np.arange(n_prompts), 10)
    for _ in range(4):
        x = lognormal(rng, (n_prompts, 10, 400))
        y = UNDER_STABLE[kind](rng, x, n_prompts)
        both = [made(one.reshape(len(prompt), 400), prompt) for one in (x, y)]
        for limits in called:
            called[limits] += int(aligned(*both, rule=AlignedRule(limits=limits)).alike.sum())
    assert rate_limits(called[True], 1600, 0.001).low1 <= 0.05
    assert called[False] > 2 * called[True]


def test_one_firing_prompt_of_two_hundred_is_not_silence():
    """The upper limit of its rate is under .05, and still: silent means no firing prompt."""
    x, y = np.arange(1.0, 201)[:, None], np.zeros((200, 1))
    y[7] = 2.0
    assert ALIGNED_CLASSES[aligned(made(x), made(y)).classes[0]] == "indeterminate"
    assert aligned(made(x), made(y)).adapted.rates.high[0] < 0.05
    assert ALIGNED_CLASSES[aligned(made(x), made(y * 0)).classes[0]] == "lost"
    pictures = made(np.ones((9, 1)))
    for base, adapted in ((y, y * 0), (y * 0, y)):
        assert ALIGNED_CLASSES[aligned(made(base), made(adapted), pictures).classes[0]] == "indeterminate"
    assert ALIGNED_CLASSES[aligned(made(y * 0), made(y * 0), pictures).classes[0]] == "new_vision"


def test_other_tokens_at_equal_rates_are_shifted_where_the_ratio_says_stable():
    """What the ratio cannot see: the same activations on other tokens."""
    x, _, _, prompt, _ = planted(3, 61)
    other = np.roll(x[:, :1], 1, axis=0) * (x[:, :1] == 0) + 0.0
    a, b = made(x[:, :1] * 1.0, prompt), made(other * x[:, :1].sum() / other.sum(), prompt)
    assert ALIGNED_CLASSES[aligned(a, b).classes[0]] == "shifted"
    assert RATIO_CLASSES[ratio_of_means(a, b).classes[0]] == "stable"
    assert ALIGNED_CLASSES[aligned(a, a).classes[0]] == "stable"


@SETTINGS
@given(st.integers(0, 9999))
def test_pair_statistics_are_those_of_the_values(seed):
    """Jaccard, Pearson and the summed minima and maxima equal those of the values themselves."""
    x, y, _, prompt, _ = planted(seed, 9)
    a, b = made(x, prompt), made(y, prompt)
    sums = pair_sums(a, b, aligned_tokens(a, b))
    x, y = a.codes, b.codes
    for f in range(12):
        u, v = (c.token_column(f).astype(float).tolist() for c in (x, y))
        np.testing.assert_allclose(sums.jaccard()[f], twin.jaccard(u, v))
        np.testing.assert_allclose(sums.pearson()[f], twin.pearson(u, v), atol=1e-9)
        assert sums.smaller[f] == pytest.approx(sum(map(min, u, v)), abs=1e-9)
        assert sums.larger[f] == pytest.approx(sum(map(max, u, v)), abs=1e-9)
    both = slice(0, 3)
    assert (sums.overlap()[both] <= 1).all()
    assert sums.pearson()[2] < 0.9  # and on other tokens the equality above would not hold by itself


def test_pair_sums_of_parts_add_up():
    """The sums of two halves are the sums of the whole, and not those of one half."""
    x, y, _, prompt, _ = planted(0, 10)
    a, b = made(x, prompt), made(y, prompt)
    pairs = aligned_tokens(a, b)
    halves = [type(pairs)(pairs.base[part], pairs.adapted[part]) for part in (slice(0, 13), slice(13, None))]
    whole, added = pair_sums(a, b, pairs), pair_sums(a, b, halves[0]) + pair_sums(a, b, halves[1])
    for field in dataclasses.fields(PairSums):
        np.testing.assert_allclose(getattr(added, field.name), getattr(whole, field.name))
    assert not np.allclose(pair_sums(a, b, halves[0]).sxy, whole.sxy)


@SETTINGS
@given(st.integers(0, 9999), st.integers(1, 6))
def test_scale_is_a_t_interval_over_templates(seed, n_templates):
    """Tokens are averaged inside a prompt, prompts inside a template, and t limits are those of the template means."""
    x, y, _, prompt, _ = planted(seed, 12)
    template = {i: i % n_templates for i in range(12)}
    groups = [f"t{template[i]}" for i in range(12)]
    a, b = made(x, prompt, groups=groups), made(y, prompt, groups=groups)
    scale = scale_of_all(a, b, aligned_tokens(a, b), 0.05)
    for f in (0, 1, 6, 7):
        u, v = (c.codes.token_column(f).astype(float).tolist() for c in (a, b))
        logs = twin.log_ratios(u, v, prompt.tolist(), template)
        wanted = twin.mean_limits(logs, 0.05, twin.t_quantile)
        np.testing.assert_allclose((scale.mean[f], scale.low[f], scale.high[f]), wanted, atol=1e-6)
        assert scale.n[f] == len(logs)


def test_scale_by_token_would_differ_from_scale_by_prompt():
    """The unit is the prompt: one long prompt with another ratio does not outvote the others."""
    x = np.ones((23, 1))
    y = x.copy()
    y[:20] = 3.0
    prompt = [0] * 20 + [1, 2, 3]
    found = scale_of_all(made(x, prompt), made(y, prompt), aligned_tokens(made(x, prompt), made(y, prompt)), 0.05)
    assert found.mean[0] == pytest.approx(math.log(3) / 4)
    assert found.mean[0] != pytest.approx(20 * math.log(3) / 23)


@pytest.mark.parametrize("groups", [[None] * 12, ["a"] * 5 + [None] * 7, ["a", "b", "c"] * 4])
def test_rates_of_all_are_those_of_one_feature_at_a_time(groups):
    """Shares and one-sided limits of every feature equal rate_limits of its own count of units."""
    x, _, _, prompt, _ = planted(5, 12)
    found = rates_of_all(made(x, prompt, groups=groups), 0.05)
    names = {i: g or i for i, g in enumerate(groups)}
    for f in range(12):
        share, n = twin.rate(x[:, f].tolist(), prompt.tolist(), names)
        limits = rate_limits(share * n, n, 0.05)
        assert found.n == n
        np.testing.assert_allclose(
            (found.share[f], found.low[f], found.high[f]), (share, limits.low1, limits.high1), atol=1e-7
        )


def test_tokens_pair_up_by_order_wherever_specials_stand():
    """<bos> in one model only does not move the pairs: it is not counted, and the k-th meets the k-th."""
    kind = np.array([Kind.SPECIAL, Kind.TEXT, Kind.TEXT], np.uint8)
    a = made(np.eye(3)[:, :2], [0, 0, 0], kind, [2, 7, 8])
    b = made(np.eye(3)[1:, :2], [0, 0], kind[1:], [7, 8])
    text = [condition(c.codes, c.codes.counted()) for c in (a, b)]
    pairs = aligned_tokens(*text)
    assert (pairs.base.tolist(), pairs.adapted.tolist()) == ([1, 2], [0, 1])


@pytest.mark.parametrize(
    ("ids", "prompt", "wanted"),
    [
        ([7, 9, 8, 8], [0, 0, 1, 1], (0, 1, ("8", "9"))),
        ([7, 8, 8], [0, 0, 1], (1, 1, ("8", None))),
        ([7, 8, 8, 8, 5], [0, 0, 1, 1, 1], (1, 2, (None, "5"))),
        ([7, 8, 8, 8], [0, 0, 0, 1], (0, 2, (None, "8"))),
    ],
)
def test_other_tokens_are_refused_at_the_first_place(ids, prompt, wanted):
    """Models with other tokenizers are not compared; the error says where they part."""
    a, b = (
        made(np.ones((4, 1)), [0, 0, 1, 1], token_id=[7, 8, 8, 8]),
        made(np.ones((len(ids), 1)), prompt, token_id=ids),
    )
    with pytest.raises(Misaligned) as found:
        aligned(a, b)
    assert (found.value.prompt, found.value.place, found.value.tokens) == wanted
    aligned(a, a)


def test_signed_codes_are_refused():
    """Values under 0 have no log ratio, and silence would not be the lowest value."""
    with pytest.raises(SignedCodes):
        aligned(made([[1.0], [-1.0]]), made([[1.0], [1.0]]))


def test_sample_scope_takes_the_numbers_themselves():
    """Without limits, three prompts show what they show; with limits, they show nothing of prompts in general."""
    dense = np.array([[1.0, 2.0], [0.0, 1.0], [2.0, 0.0]])
    a, b = made(dense), made(dense * [1, 0])
    assert [ALIGNED_CLASSES[c] for c in aligned(a, b, rule=AlignedRule(limits=False)).classes] == ["stable", "lost"]
    assert [ALIGNED_CLASSES[c] for c in aligned(a, b).classes] == ["indeterminate", "indeterminate"]


@pytest.mark.parametrize(
    ("n_text", "n_images", "wanted"),
    [
        (1, 99, set()),
        (9, 0, set()),
        (10, 0, {"stable", "rescaled", "shifted", "between"}),
        (24, 15, {"stable", "rescaled", "shifted", "between"}),
        (58, 60, {"stable", "rescaled", "shifted", "between"}),
        (59, 1, {"stable", "rescaled", "shifted", "between", "lost", "new_text"}),
        (59, 2, {"stable", "rescaled", "shifted", "between", "lost", "new_text", "new_vision"}),
    ],
)
def test_which_classes_a_number_of_prompts_can_reach(n_text, n_images, wanted):
    """0 of 59 is the least that shows silence under .05; the notebook's 24 and 15 cannot show anything new."""
    assert reachable_classes(n_text, n_images) == wanted


@pytest.mark.parametrize("name", ["stable", "rescaled", "shifted", "lost", "new_text", "new_vision"])
def test_what_is_said_to_be_reachable_is_reached_and_one_prompt_less_does_not(name):
    """At the stated n the best evidence for a class gives that class; with one prompt less it does not."""
    rule = AlignedRule(silent_below=0.1)
    least = fewest_prompts(name, rule)
    for n, wanted in ((least, True), (least - 1, False)):
        found = [_best_case(name, n, rule)] if n else []
        assert (name in found) is wanted
    assert fewest_pictures(rule) == 2
    assert fewest_prompts("lost") == 59
    assert fewest_prompts("lost", rule) == 29


def _best_case(name, n, rule):
    """A feature on every prompt where the class wants it, and silent elsewhere; it varies, so that r is defined."""
    on = np.stack([np.arange(1.0, 1 + 2 * n) * (np.arange(2 * n) % 2), np.zeros(2 * n)], axis=1)[:, :1]
    on, silent, other = on + 0.0, on * 0, np.roll(on, 1, axis=0)
    sides = {
        "stable": (on, on),
        "rescaled": (on, on * 3),
        "shifted": (on, other),
        "lost": (on, silent),
        "new_text": (silent, on),
        "new_vision": (silent, silent),
    }
    prompt = np.repeat(np.arange(n), 2)
    x, y = sides[name]
    found = aligned(made(x, prompt), made(y, prompt), made(np.ones((5, 1))), rule)
    return ALIGNED_CLASSES[found.classes[0]]


def test_strength_is_over_tokens_with_silence_as_zero():
    """Mean and max over counted tokens; a silent feature has 0, an empty condition NaN and never 0."""
    found = strength_of_all(made([[1.0, 0.0], [3.0, 0.0]]))
    assert (found.mean.tolist(), found.max.tolist(), found.firing.tolist()) == ([2.0, 0.0], [3.0, 0.0], [2.0, 0.0])
    codes = made([[1.0]]).codes
    assert math.isnan(strength_of_all(condition(codes, np.zeros(1, bool))).mean[0])


def test_residual_cosines_are_of_the_paired_tokens():
    """A <bos> in one model only does not move the pairs; vectors of 0 have no cosine, other widths are refused."""
    kind = np.array([Kind.SPECIAL, Kind.TEXT, Kind.TEXT], np.uint8)
    a, b = made(np.eye(3), [0, 0, 0], kind, [2, 7, 8]), made(np.eye(3)[1:], [0, 0], kind[1:], [7, 8])
    pairs = aligned_tokens(*(condition(c.codes, c.codes.counted()) for c in (a, b)))
    h, other = np.array([[9.0, 9], [1, 0], [3, 4]]), np.array([[2.0, 0], [4, 3]])
    np.testing.assert_allclose(residual_cosines(h, other, pairs), [1, 0.96])
    assert math.isnan(residual_cosines(h, other * 0, pairs)[0])
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        residual_cosines(h, np.ones((2, 3)), pairs)
