"""docs/guarantees.md holds true: each promise names a test that exists, and the count that the test tries."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs/guarantees.md"
ROW = re.compile(
    r"^\| (?P<promise>[^|]+) \| `(?P<file>interp_tests/\w+\.py)::(?P<test>\w+)` \| (?P<count>[\d,]+)[^|]* \|$"
)


def rows():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and "::" in line]
    return [(line, ROW.match(line)) for line in lines]


def tried(test):
    """How often a test is run: the product of its tables, and of its Hypothesis examples."""
    count = 1
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            count *= len(mark.args[1])
    hypothesis = getattr(test, "_hypothesis_internal_use_settings", None)
    return count * (hypothesis.max_examples if hypothesis and hasattr(test, "hypothesis") else 1)


@pytest.mark.parametrize(("line", "row"), rows(), ids=lambda one: one["test"] if isinstance(one, re.Match) else "")
def test_each_promise_has_its_test_and_its_count(line, row):
    """The test exists under that name, and its tables are as long as the page says."""
    assert row is not None, f"this row has another form than `| promise | test | count |`: {line}"
    module = importlib.import_module(row["file"].removesuffix(".py").replace("/", "."))
    assert tried(getattr(module, row["test"])) == int(row["count"].replace(",", ""))


def test_there_are_promises():
    """The check above can fail: the page has rows, under headings."""
    assert len(rows()) >= 20
    assert PAGE.read_text().count("\n## ") >= 3


def test_the_count_is_that_of_the_tables():
    """Tables multiply; a test without one counts as one."""

    @pytest.mark.parametrize("a", [1, 2, 3])
    @pytest.mark.parametrize("b", "xy")
    def two_tables(a, b):
        pass

    assert (tried(two_tables), tried(test_there_are_promises)) == (6, 1)
