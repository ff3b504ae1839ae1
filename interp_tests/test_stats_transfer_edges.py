"""Classes of transfer exactly at their bounds, and what is left where nothing can be compared."""

import math

import numpy as np
import pytest

from harness.codes import Kind
from harness.expectations.toy import codes_from_dense
from harness.stats.auroc import SignedCodes
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, aligned
from harness.stats.transfer.conditions import condition, rates_of_all
from harness.stats.transfer.ratio import RATIO_CLASSES, ratio_of_means
from harness.stats.transfer.reach import can_be_silent, can_fire, reachable_classes
from interp_tests.plain_twins import transfer as twin

pytestmark = pytest.mark.filterwarnings("error")
SHARES = AlignedRule(limits=False)


def made(dense, prompt=None, kind=None):
    """A condition from [n_tokens, d_sae], each token a prompt unless said otherwise."""
    dense = np.asarray(dense, float)
    rows = np.arange(len(dense)) if prompt is None else np.asarray(prompt)
    h = np.ones((len(dense), 2))
    codes = codes_from_dense(dense, h, h, rows, int(rows.max()) + 1, kind)
    return condition(codes, codes.counted("all"))


def named(found, feature=0):
    return ALIGNED_CLASSES[found.classes[feature]]


@pytest.mark.parametrize("signed", ["base", "adapted", "images"])
def test_signed_codes_are_refused_wherever_they_are(signed):
    """A log ratio and "silence is lowest" need values of 0 or more; an explicit 0 is none below."""
    given = {name: made([[1.0], [0.0]]) for name in ("base", "adapted", "images")}
    aligned(**given)
    given[signed] = made([[-1.0], [1.0]])
    message = r"^transfer is judged on activations of 0 or more; these codes are signed$"
    with pytest.raises(SignedCodes, match=message):
        aligned(**given)


@pytest.mark.parametrize(("ratio", "kept"), [(0.4375, False), (0.5, True), (1.0, True), (2.0, True), (2.25, False)])
def test_a_scale_at_the_ends_of_its_range_is_kept(ratio, kept):
    """Without limits the mean stands for itself: half and twice are no change where those are the bounds."""
    rule = AlignedRule(limits=False, scale=(0.5, 2.0))
    values = np.array([[1.0], [2.0], [4.0]])
    found = aligned(made(values), made(ratio * values), rule=rule)
    assert (bool(found.kept[0]), bool(found.moved[0])) == (kept, not kept)
    assert named(found) == ("stable" if kept else "rescaled")


def firing_on(n, of, value=1.0):
    return [[value] if i < n else [0.0] for i in range(of)]


@pytest.mark.parametrize(("shared", "alike"), [(6, True), (5, False)])
def test_a_pattern_is_alike_from_its_jaccard_on(shared, alike):
    """6 of 10 firing tokens in both are .6; Pearson, over tokens on which either fires, is left out of it here."""
    rule = AlignedRule(limits=False, alike=(0.6, -1.0), unlike=(0.3, -1.0))
    base = made(firing_on(10, 20))
    adapted = made(firing_on(shared, 20))
    found = aligned(base, adapted, rule=rule)
    assert found.jaccard[0] == shared / 10
    assert bool(found.alike[0]) == alike
    assert not found.unlike[0]


@pytest.mark.parametrize(("shared", "unlike"), [(3, False), (2, True), (4, False)])
def test_a_pattern_is_unlike_under_its_jaccard_only(shared, unlike):
    """3 of 10 are .3, which is not under .3; .4 is neither."""
    rule = AlignedRule(limits=False, fires_above=0.1, unlike=(0.3, -1.0))
    found = aligned(made(firing_on(10, 20)), made(firing_on(shared, 20)), rule=rule)
    assert bool(found.unlike[0]) == unlike
    assert not found.alike[0]


def test_pearson_at_its_bounds_counts_like_jaccard():
    """A perfect correlation is alike from 1 on, and not under 1."""
    base, adapted = made([[1.0], [2.0], [3.0], [0.0]]), made([[2.0], [4.0], [6.0], [0.0]])
    found = aligned(base, adapted, rule=AlignedRule(limits=False, alike=(0.6, 1.0), unlike=(0.3, 1.0)))
    assert found.pearson[0] == 1.0
    assert (bool(found.alike[0]), bool(found.unlike[0])) == (True, False)


def test_pearson_does_not_change_with_the_size_of_activations():
    values = np.array([[1.0], [2.0], [0.0], [0.0]]), np.array([[3.0], [1.0], [1.0], [0.0]])
    large = aligned(*map(made, values), rule=SHARES).pearson[0]
    small = aligned(*(made(one * 2.0**-20) for one in values), rule=SHARES).pearson[0]
    assert small == pytest.approx(large)
    assert 0 < large < 1


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("still", ["base", "adapted"])
def test_what_is_constant_but_for_rounding_correlates_with_nothing(still, size):
    """The squares of .1 over 3,000 tokens are not summed exactly: NaN, whatever its size, and 1 once it moves."""
    flat = np.full((3000, 1), 0.1 * size)
    moving = np.linspace(1, 2, 3000)[:, None]
    assert math.isnan(pearson_of(flat, moving, still))
    assert pearson_of(flat * moving, moving, still) == pytest.approx(1)


def pearson_of(flat, moving, still):
    given = {"base": made(moving), "adapted": made(moving), still: made(flat)}
    return aligned(**given, rule=SHARES).pearson[0]


def test_limits_of_a_scale_are_left_out_where_shares_stand_for_themselves():
    """One prompt has no limits: kept without them, open with them."""
    base, adapted = made([[1.0]]), made([[1.0]])
    assert aligned(base, adapted, rule=SHARES).kept[0]
    assert not aligned(base, adapted, rule=AlignedRule()).kept[0]


@pytest.mark.parametrize(("n", "fires"), [(1, True), (0, False)])
def test_a_feature_fires_from_its_rate_on(n, fires):
    """1 of 5 prompts is .2 itself; silent is a rate of 0 whose limit is at most silent_below."""
    found = aligned(made(firing_on(n, 5)), made(firing_on(n, 5)), rule=SHARES)
    assert bool(found.base.fires[0]) == fires
    assert bool(found.adapted.silent[0]) == (not fires)
    assert bool(
        aligned(
            made(firing_on(0, 5)), made(firing_on(0, 5)), rule=AlignedRule(limits=False, silent_below=0.0)
        ).base.silent[0]
    )


def test_what_pictures_showed_is_given_back():
    """images: their own firing; a feature that fires on pictures only is new_vision, and none without pictures."""
    text, pictures = made(firing_on(0, 5)), made(firing_on(4, 5))
    found = aligned(text, text, pictures, rule=SHARES)
    assert named(found) == "new_vision"
    assert found.images.rates.share[0] == 0.8
    assert found.base.rates.share[0] == 0.0
    without = aligned(text, text, rule=SHARES)
    assert (named(without), without.images) == ("dead", None)


def test_where_the_scale_has_no_pairs_it_is_no_number():
    found = aligned(made(firing_on(0, 4)), made(firing_on(4, 4)), rule=SHARES)
    assert math.isnan(found.scale.mean[0])
    assert found.scale.n[0] == 0
    both = aligned(made(firing_on(4, 4)), made(firing_on(4, 4, 2.0)), rule=SHARES)
    assert both.scale.mean[0] == pytest.approx(math.log(2))
    assert (both.scale.low[0], both.scale.high[0]) == (both.scale.mean[0], both.scale.mean[0])


def test_rates_of_no_prompts_are_nan_for_each_feature():
    """Every token is a special one: no prompt is left."""
    codes = codes_from_dense(
        np.ones((2, 3)), np.ones((2, 2)), np.ones((2, 2)), np.arange(2), 2, np.full(2, Kind.SPECIAL, np.uint8)
    )
    found = rates_of_all(condition(codes, codes.counted("text")), 0.05)
    assert np.isnan(found.share).tolist() == [True] * 3


def test_a_prompt_without_counted_tokens_is_no_unit():
    """Of three prompts the middle one holds special tokens only."""
    kind = np.array([Kind.TEXT, Kind.SPECIAL, Kind.TEXT], np.uint8)
    h = np.ones((3, 2))
    codes = codes_from_dense(np.ones((3, 1)), h, h, np.arange(3), 3, kind)
    found = condition(codes, codes.counted("text"))
    assert (found.unit.tolist(), found.n_units, found.n_tokens) == ([0, -1, 1], 2, 2)


def test_limits_of_a_rate_are_whole_at_both_ends():
    """0 of n has the low limit 0, n of n the high limit 1; in between both are inside."""
    found = rates_of_all(made([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]]), 0.05)
    assert found.low.tolist()[1] == 0.0
    assert found.high.tolist()[0] == 1.0
    assert found.low[0] == pytest.approx(0.05 ** (1 / 4))
    assert found.high[1] == pytest.approx(1 - 0.05 ** (1 / 4))
    assert 0 < found.low[2] < 0.25 < found.high[2] < 1
    assert found.low.dtype == found.high.dtype == np.float64


@pytest.mark.parametrize(
    ("n", "rule", "fire", "silent"),
    [
        (0, SHARES, False, False),
        (1, SHARES, True, True),
        (0, AlignedRule(), False, False),
        (1, AlignedRule(), False, False),
        (1, AlignedRule(alpha=0.5, fires_above=0.5, silent_below=0.5), True, True),
        (1, AlignedRule(alpha=0.5, fires_above=0.51, silent_below=0.49), False, False),
    ],
)
def test_what_a_number_of_prompts_can_show(n, rule, fire, silent):
    """Nothing without prompts; the exact limit at n of n, and at 0 of n, may be the bound itself."""
    assert (can_fire(n, rule), can_be_silent(n, rule)) == (fire, silent)


def test_a_pattern_needs_ten_prompts_unless_shares_stand_for_themselves():
    one_fires = AlignedRule(alpha=0.3)
    assert reachable_classes(9, 0, one_fires) == frozenset()
    assert reachable_classes(10, 0, one_fires) == {"stable", "rescaled", "shifted", "between"}
    assert {"stable", "rescaled"} <= reachable_classes(1, 0, SHARES)
    assert reachable_classes(1, 0) == frozenset()
    assert reachable_classes(0, 0, SHARES) == frozenset()


def test_the_ratio_of_two_silent_means_is_nought():
    """A feature that fires in neither model is in neither list of the notebook's; no warning, no leftover memory."""
    for _ in range(3):
        np.full(64, 1.0)
        found = ratio_of_means(made([[0.0, 1.0]]), made([[0.0, 1.0]]), made([[0.0, 0.0]]))
        classes = [RATIO_CLASSES[number] for number in found.classes]
        assert classes[0] not in ("shared", "stable"), classes


def test_a_pattern_is_decided_by_its_limits_over_prompts():
    """14 of 20 in common is a Jaccard of .7 whose lower limit is under .6: neither alike nor surely not so; 140 of 200
    is alike."""
    rule = AlignedRule(alike=(0.6, -2.0), unlike=(0.3, -2.0))
    sides = [(firing_on(n, 2 * n), firing_on(n * 7 // 10, 2 * n)) for n in (20, 200)]
    few, many = (aligned(*map(made, side), rule=rule) for side in sides)
    assert few.jaccard[0] == many.jaccard[0] == 0.7
    assert [bool(mask[0]) for mask in (few.alike, few.not_alike)] == [False, False]
    assert [bool(mask[0]) for mask in (many.alike, many.not_alike)] == [True, False]
    values = [[row[0] for row in side] for side in sides[0]]
    places, strengths, n = twin.pattern(*values, range(40), range(40))
    for one, limit in ((few.pattern.jaccard, places), (few.pattern.pearson, strengths)):
        assert (one.low(0.05)[0], one.high(0.05)[0]) == pytest.approx((limit(-1, 0.05), limit(1, 0.05)), abs=1e-6)
        assert one.low(0.05)[0] != pytest.approx(limit(-1, 0.025), abs=1e-3)
    assert few.pattern.jaccard.n[0] == n == 14  # in the model that has fewer


def test_one_unlike_prompt_of_forty_leaves_a_pattern_alike():
    """Leaving it out leaves two equal models; without an end to the scale that one step would swallow all else."""
    same, other = firing_on(40, 80), firing_on(39, 80)
    found = aligned(made(same), made(other))
    assert found.pattern.pearson.low(0.05)[0] > 0.8
    assert found.pattern.jaccard.low(0.05)[0] > 0.6


def test_few_strong_prompts_decide_a_pattern_less_surely_than_many_alike():
    """Thirty prompts that fire, three of which are fifty times as strong: r rests on three, and has their freedom."""
    rng = np.random.default_rng(0)
    x, noise = np.ones((30, 2)), np.exp(rng.normal(0, 0.2, (30, 2)))
    x[:3, 1] = 50
    found = aligned(made(np.vstack([x, 0 * x])), made(np.vstack([x * noise, 0 * x])))
    assert found.pattern.jaccard.n.tolist() == [30, 30]
    assert found.pattern.pearson.freedom[0] > 20
    assert 1 <= found.pattern.pearson.freedom[1] < 2.5


def test_limits_of_a_pattern_are_over_prompts_and_not_over_tokens():
    """Ten tokens of one prompt are one piece of evidence: the same tokens in one prompt each have narrower limits."""
    dense = [np.array(firing_on(140, 200)), np.array(firing_on(98, 200))]
    rng = np.random.default_rng(0)
    order = rng.permutation(200)
    alone = aligned(*(made(one[order]) for one in dense))
    rows = np.repeat(np.arange(20), 10)
    together = aligned(*(made(one, rows) for one in dense))
    assert alone.jaccard[0] == together.jaccard[0]
    assert alone.pattern.jaccard.error[0] < together.pattern.jaccard.error[0] / 2


@pytest.mark.parametrize(("n", "finite"), [(9, False), (10, True)])
def test_a_pattern_takes_ten_firing_prompts(n, finite):
    """Nine firing prompts among a hundred have no finite limits, whatever the others do."""
    found = aligned(made(firing_on(n, 100)), made(firing_on(n, 100)))
    assert found.pattern.jaccard.n[0] == n
    assert np.isfinite(found.pattern.jaccard.low(0.05)[0]) == finite
