"""YAML as reviewers mean it: 1.2 rules, places, safe tags, bounds."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.language.loader import compose, decoded
from harness.language.mistakes import Mistakes
from harness.language.nodes import TextFile, plain_value
from harness.language.scalars import in_quotes, read_plain


def read(text):
    return compose(TextFile("f.yaml", text))


@pytest.mark.parametrize(
    "text", ["no", "on", "yes", "off", "12:30", "007", "2024-01-01", "1_000", "0b1", "0777", "=", "n"]
)
def test_what_looks_like_a_word_stays_text(text):
    """YAML 1.1's truth values, base-60 times, dates and octals are text."""
    assert read_plain(text) == text


@pytest.mark.parametrize("text", ["no", "on", "yes", "12:30", "2024-01-01", "1_000", "0b1", "0777"])
def test_the_rules_differ_from_those_of_pyyaml(text):
    """The check above can fail: PyYAML's own rules (1.1) read each of these as something else."""
    assert yaml.safe_load(text) != text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), (".9", 0.9), ("1.", 1.0), ("-0.5", -0.5), ("+3", 3), ("0", 0), ("-12", -12),
        ("0o17", 15), ("0x1F", 31), ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        (".inf", math.inf), ("-.INF", -math.inf),
    ],
)  # fmt: skip
def test_numbers_truth_values_and_null_are_those_of_yaml_1_2(text, value):
    """Each scalar of the core schema has its value, and its type."""
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)


def test_a_quoted_scalar_is_text_whatever_it_says():
    """Quotes and !!str keep a number text; .nan is a number that equals nothing."""
    assert plain_value(read('["42", \'1e-3\', !!str 42, ! 42, "true"]')) == ["42", "1e-3", "42", "42", "true"]
    assert math.isnan(read_plain(".nan"))


def test_a_number_of_any_length_is_read_without_a_crash():
    """int() refuses more than 4,300 digits; such a text stays text."""
    assert read_plain("9" * 5000) == "9" * 5000


def test_every_value_and_key_has_its_place():
    """Lines and columns count from 1, in characters, also behind letters of several bytes."""
    node = read("title: é\nexpect:\n  - {id: 'ü', feature: 3}\n")
    assert str(node.value["expect"].value[0].value["feature"].source) == "f.yaml:3:24"
    assert str(node.value["expect"].value[0].key_source("feature")) == "f.yaml:3:15"
    assert str(node.value["title"].source) == "f.yaml:1:8"


def test_aliases_of_values_are_read():
    """An anchor and its alias are one value, written once."""
    assert plain_value(read("a: &x {low: 1}\nb: *x\n")) == {"a": {"low": 1}, "b": {"low": 1}}


def test_an_anchor_inside_itself_is_an_error():
    """A value cannot contain itself."""
    with pytest.raises(Mistakes, match="unknown_alias"):
        read("a: &x [*x]\n")


@pytest.mark.parametrize("depth", [30, 31])
def test_depth_is_bounded_whether_written_or_aliased(depth):
    """30 levels are read, 31 are not; a chain of aliases does not get around it."""
    written = "[" * depth + "]" * depth
    aliased = f"- &a {'[' * 20}{']' * 20}\n- {'[' * (depth - 21)}*a{']' * (depth - 21)}\n"
    for text in (written, aliased):
        if depth == 30:
            read(text)
        else:
            with pytest.raises(SpecError, match="too_deep"):
                read(text)


def test_deep_nesting_of_a_whole_file_is_an_error_and_not_a_crash():
    """100,000 brackets would overflow the stack of a recursive reader."""
    with pytest.raises(SpecError, match="too_deep"):
        read("[" * 100_000)


def test_the_dumped_values_come_back():
    """What PyYAML writes for plain data is read as the same data, dates in quotes and all."""
    data = {"a": [1, 2.5, True, None, "no", "12:30", "2024-01-01"], "b": {"c": "x: y", "d": "- z", "e": "#"}}
    assert plain_value(read(yaml.safe_dump(data))) == data


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_a_text_in_our_quotes_is_read_as_that_text(text):
    """The mend that an error shows is right: pasted into a list, it gives the text back."""
    assert read(f"- {in_quotes(text)}").value[0].value == text


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_mistake(raw):
    """Decoding gives a text without BOM or NUL, or a SpecError with a place in the file."""
    file = mistake = None
    try:
        file = decoded(raw, "f.yaml")
    except SpecError as error:
        mistake = error
    if file is not None:
        assert file.text.encode() == raw
    else:
        assert mistake.code in {"not_utf8", "byte_order_mark", "nul"}
        assert mistake.source.line <= raw.count(b"\n") + 1
