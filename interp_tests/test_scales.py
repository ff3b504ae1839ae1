"""Bounds that exclude nothing: each metric has a scale, and a bound around all of it is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.expectations import kinds
from harness.expectations.bounds import Bound, RelativeBound, ShareBound
from harness.expectations.scales import RANKS, SCALES, Scale, scale_of, vacuous_bounds, vacuous_ranks
from interp_tests.bad_spec_cases import FOLDER
from interp_tests.language_root import codes_of

NUMBERS = st.floats(-5, 5)


def bound_fields():
    for kind, model in kinds().items():
        for name, info in model.model_fields.items():
            if "Bound" in str(info.annotation):
                yield kind, name


@pytest.mark.parametrize(("kind", "name"), list(bound_fields()))
def test_every_bound_of_every_kind_has_a_scale(kind, name):
    """A metric without one could be bounded by anything."""
    assert name in SCALES


def test_no_scale_is_of_nothing():
    """A metric that no kind has any more leaves the table."""
    assert {name for _, name in bound_fields()} == SCALES.keys()


@given(st.sampled_from(sorted(SCALES)), st.sampled_from(["at_least", "at_most", "between"]), NUMBERS, NUMBERS, NUMBERS)
def test_a_bound_that_some_value_of_the_scale_misses_is_no_vacuous_one(name, limit, low, high, value):
    """Of any value on the scale outside a bound; and a bound that is not vacuous has such a value at an end of it."""
    scale, edges = SCALES[name], sorted((low, high))
    bound = Bound.model_validate({limit: edges if limit == "between" else low})
    inside = min(max(value, scale.low), scale.high)
    if not bound.holds(inside):
        assert not scale.holds_all(bound)
    if not scale.holds_all(bound):
        assert not (bound.holds(scale.low) and bound.holds(scale.high))


def test_a_default_excludes_something():
    """No kind is vacuous as it comes."""
    for model in kinds().values():
        for name, info in model.model_fields.items():
            if isinstance(info.default, Bound):
                assert not scale_of(name, info.default).holds_all(info.default), (model.kind, name)


def test_a_number_over_anothers_has_another_scale():
    """A difference has no ends, a ratio begins at 0: an fvu at most 1 worse than another subject's says something."""
    difference = RelativeBound.model_validate({"over": {"subject": "b"}, "at_most": 1})
    ratio = RelativeBound.model_validate({"over": {"subject": "b", "by": "ratio"}, "at_most": 1})
    assert scale_of("fvu", difference) == Scale()
    assert scale_of("fvu", ratio) == Scale(low=0)
    assert scale_of("fvu", RelativeBound(at_most=1)).high == 1


def test_a_share_of_another_package_runs_from_0_to_1():
    """A kind that the table does not know: its shares have their scale by their type."""
    assert scale_of("reached", ShareBound(at_least=0)).holds_all(ShareBound(at_least=0))
    assert not scale_of("reached", Bound(at_least=0)).holds_all(Bound(at_least=0))


@pytest.mark.parametrize(("top", "found"), [(1023, 0), (1024, 1), (5000, 1)])
def test_a_rank_that_all_features_reach_excludes_nothing(top, found):
    """The width of the SAE decides, of the narrowest where a claim is made of several."""
    claim = kinds()["distinguishes"].model_validate({"prompts": "a", "than": "b", "top": top})
    assert len(list(vacuous_ranks(claim, 1024))) == found
    assert set(RANKS) & kinds()["distinguishes"].model_fields.keys() == {"top"}


@pytest.mark.parametrize(
    ("pattern", "is_any"),
    [
        (".*", True),
        (".+", True),
        (r"\w*|\W*", True),
        (r"[\s\S]+", True),
        (".", False),
        (r"\w+", False),
        ("red|.", False),
    ],
)
def test_a_pattern_that_every_token_matches_is_about_none(pattern, is_any):
    """Words, numbers, signs and letters of other scripts are tried."""
    claim = kinds()["top_tokens"].model_validate({"prompts": "a", "pattern": pattern})
    assert [name for name, _ in vacuous_bounds(claim)] == ["pattern"] * is_any


def test_every_claim_of_the_case_is_refused_and_its_neighbour_is_not(tmp_path):
    """Each line of the case alone is an error; with a bound just inside the scale it is none."""
    text = (FOLDER / "vacuous_bound.yaml").read_text()
    head, _, claims = text.partition("expect:\n")
    for number, line in enumerate(claims.splitlines()):
        assert codes_of(tmp_path / str(number), f"{head}expect:\n{line}\n") == ["vacuous_bound"], line
    inside = claims.replace("at_least: 0}", "at_least: .7}").replace("at_most: 1}", "at_most: .6}")
    changes = {"[0, 1]": "[0, .9]", "-1000": "2", "-1}": ".1}", "at_least: .5}": "at_least: .6}", "-5}": "5}"}
    changes |= {
        "1024": "1023",
        '".*"': "red",
        '"[\\\\s\\\\S]+"': "red",
        "within: 5": "within: .05",
        "absolute: 1": "absolute: .1",
    }
    changes |= {"lift: {at_least: .7}": "lift: {at_least: 2}"}
    for vacuous, fine in changes.items():
        inside = inside.replace(vacuous, fine)
    assert codes_of(tmp_path / "inside", f"{head}expect:\n{inside}") == []
