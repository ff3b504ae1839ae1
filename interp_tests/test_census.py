"""The census of all features between two models: the notebook's tables, and what `transfer_census` counts."""

from dataclasses import replace

import numpy as np
import pytest

from harness.census import OtherWidth, census_of, strongest_tokens
from harness.codes import Kind
from harness.expectations.toy import D_SAE, codes_from_dense, evidence_of_rows, row, rows, toy_codes
from harness.explore import OpenSubject, census
from harness.stats.transfer.aligned import AlignedRule
from harness.stats.transfer.ratio import RatioRule
from interp_tests.plain_twins import transfer as twin

TEXT = "the red ball rolled away from the old green house"
PICTURES = [tuple((t, 4.0 if t == "<image>" else 0.0) for t, _ in row(f"<image> <image> photo n{i}")) for i in range(6)]


@pytest.fixture
def codes():
    found = evidence_of_rows(**{
        "prompts": rows(60, TEXT, red=3, old=1),
        "prompts@b": rows(60, TEXT, house=3),
        "images@b": PICTURES,
    })  # fmt: skip
    return [found.codes("prompts"), found.codes("prompts", "b"), found.codes("images", "b")]


def dense(codes, counted):
    return np.stack([codes.token_column(f)[counted] for f in range(D_SAE)], axis=1).astype(float)


@pytest.mark.parametrize("special_tokens", ["ignored", "counted"])
def test_conditions_are_counted_one_by_one(codes, special_tokens):
    """Prompts, tokens, live features and the mean activation of each condition, under both policies."""
    found = census_of(*codes, special_tokens=special_tokens)
    names = ["base_text", "adapted_text", "adapted_pictures", "adapted_image_tokens"]
    kinds = [[Kind.TEXT], [Kind.TEXT], [Kind.TEXT, Kind.IMAGE], [Kind.IMAGE]]
    assert list(found.conditions) == names
    for name, one, chosen in zip(names, [*codes, codes[2]], kinds, strict=True):
        special = [Kind.SPECIAL] if special_tokens == "counted" and name != "adapted_image_tokens" else []
        sinks = one.sink & (special_tokens == "ignored" or name == "adapted_image_tokens")
        values = dense(one, np.isin(one.kind, [*chosen, *special]) & ~sinks)
        summary = found.conditions[name]
        assert (summary.prompts, summary.tokens) == (one.n_prompts, len(values))
        assert summary.live_features == (values > 0).any(axis=0).sum()
        assert summary.mean_activation == pytest.approx(values.mean())


def test_every_feature_stands_in_one_category(codes):
    """Categories part the features; the reachable classes are those of 60 prompts and 6 pictures."""
    for method in ("aligned", "ratio_of_means"):
        found = census_of(*codes, method=method)
        assert sorted(f for features in found.categories.values() for f in features) == list(range(D_SAE))
        assert sum(found.counts.values()) == D_SAE
    assert census_of(*codes).reachable >= {"lost", "new_vision"}
    assert "new_vision" not in census_of(*codes[:2]).reachable


def test_a_ratio_census_with_specials_counted_is_the_notebooks(codes):
    """All tokens of everything, as the notebook pools them, give the notebook's lists."""
    found = census_of(*codes, method="ratio_of_means", special_tokens="counted")
    told = twin.by_ratio(*(twin.tensor(dense(c, np.ones(c.n_tokens, bool))) for c in codes))
    assert {name: list(found.categories[name]) for name in told} == told
    ignored = census_of(*codes, method="ratio_of_means")
    assert {name: list(ignored.categories[name]) for name in told} != told


def test_rows_are_the_notebooks_columns(codes):
    """Means, maxima and ratios of a feature over all tokens of each condition."""
    found = census_of(*codes, method="ratio_of_means", special_tokens="counted")
    for line in found.rows():
        values = [dense(c, np.ones(c.n_tokens, bool))[:, line.feature] for c in codes]
        g, t, m = (v.mean() for v in values)
        assert (line.base_text_mean, line.adapted_text_mean, line.adapted_pictures_mean) == pytest.approx((g, t, m))
        maxima = line.base_text_max, line.adapted_text_max, line.adapted_pictures_max
        assert maxima == pytest.approx(tuple(v.max() for v in values))
        assert line.transfer_ratio == pytest.approx(t / (g + 1e-6))
        assert line.boost_over_text == pytest.approx(m / (t + 1e-6))
        assert line.boost_over_base == pytest.approx(m / (g + 1e-6))
        assert line.feature in found.categories[line.category]


def test_rows_are_limited_per_category_and_leave_the_undecided_out(codes):
    """The first of each category by number; without pictures there are no boosts."""
    found = census_of(*codes[:2])
    kept = {n: f for n, f in found.categories.items() if n not in ("dead", "indeterminate")}
    assert [r.feature for r in found.rows(limit=1)] == [features[0] for features in kept.values() if features]
    assert len(found.rows()) == sum(map(len, kept.values())) < D_SAE
    assert all(r.boost_over_text is None and r.adapted_pictures_max is None for r in found.rows())


def test_examples_are_the_strongest_where_their_category_is_at_home(codes):
    """new_vision by its mean on pictures, new_text on adapted text, all others on the base's text."""
    found = census_of(*codes, method="ratio_of_means")
    homes = {"new_vision": "adapted_pictures", "new_text": "adapted_text"}
    for name, features in found.categories.items():
        mean = found.strength[homes.get(name, "base_text")].mean
        wanted = sorted(features, key=lambda f, m=mean: (-m[f], f))[:2]
        assert found.strongest(name, 2) == tuple(wanted)
    assert census_of(*codes[:2]).strongest("new_vision") == ()
    assert census_of(*codes[:2]).analyses()
    analyses = found.analyses(2)
    assert {a.row.category for a in analyses} <= found.categories.keys() - {"dead", "unclassified"}
    assert [a.row.feature for a in analyses] == [f for n in found.categories for f in found.strongest(n, 2)
                                                 if n not in ("dead", "unclassified")]  # fmt: skip


def test_new_features_are_ranked_where_they_are_new():
    """Silent in the base, so the base's means could not rank them: the greater number comes first by what is seen."""
    nothing, faint_and_strong = np.zeros((4, 4)), np.tile([1.0, 5.0, 0.0, 0.0], (4, 1))
    text, pictures = np.tile([0.0, 0.0, 1.0, 5.0], (4, 1)), faint_and_strong
    sides = [codes_from_dense(d, np.ones((4, 2)), np.ones((4, 2)), np.arange(4), 4) for d in (nothing, text, pictures)]
    found = census_of(*sides, method="ratio_of_means")
    assert (found.categories["new_vision"], found.categories["new_text"]) == ((0, 1), (2, 3))
    assert (found.strongest("new_vision"), found.strongest("new_text")) == ((1, 0), (3, 2))


def test_top_tokens_leave_out_special_blank_and_silent_ones():
    """The strongest text tokens in order; <bos> at 50 and a blank at 9 are not among them."""
    one = [("red", 3.0), (" ", 9.0), ("hat", 0.0), ("blue", 4.0), ("red", 2.0)]
    found, _ = toy_codes([one])
    assert strongest_tokens(found, 0) == (("blue", 4.0), ("red", 3.0), ("red", 2.0))
    assert strongest_tokens(found, 0, 1) == (("blue", 4.0),)
    assert max(found.token_column(0)) == 50


def test_a_census_between_open_subjects_reads_both(codes):
    """explore.census hands prompts to both models and pictures to the adapted one only."""
    asked = []

    def reads(name, text, pictures=None):
        def read(prompts):
            asked.append((name, len(prompts)))
            return pictures if len(prompts) == 6 else text

        return OpenSubject(read)

    texts = [" ".join(f"w{i}x{j}" for j in range(9)) for i in range(60)]  # no near copies: 60 units
    found = census(reads("base", codes[0]), reads("adapted", codes[1], codes[2]), texts, images=["a"] * 6)
    assert sorted(asked) == [("adapted", 6), ("adapted", 60), ("base", 60)]
    assert found.counts == census_of(*codes).counts


def test_codes_that_cannot_be_compared_are_refused(codes):
    """Another width, another tokenizer, the other method's rule: each says what is wrong."""
    narrow, _ = toy_codes(rows(60, TEXT.replace("red", "blue")))
    wide = replace(codes[1], d_sae=D_SAE + 1)
    with pytest.raises(OtherWidth, match=f"{D_SAE} and {D_SAE + 1} features"):
        census_of(codes[0], wide)
    with pytest.raises(ValueError, match="'red' in one model, 'blue' in the other"):
        census_of(codes[0], narrow)
    for method, rule in (("aligned", RatioRule()), ("ratio_of_means", AlignedRule()), ("other", None)):
        with pytest.raises(ValueError, match=method):
            census_of(*codes, method=method, rule=rule)
