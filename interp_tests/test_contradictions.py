"""Two claims that cannot both hold are named, with both places; claims that can are left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli import app
from harness.contradictions import contradictions, lines
from harness.language.specs import load
from interp_tests.language_root import HEAD, load_suite, specs_of

MORE = "fires_more: {prompts: color, than: others}"
LESS = "fires_more: {prompts: others, than: color}"
OFTEN = "fire_rate: {prompts: color, rate: {at_least: .9}}"
SILENT = "silent_on: {prompts: color, but_fires_on: others}"
ONE_NUMBER_TWICE = {
    "sets exchanged": (MORE, LESS),
    "sets exchanged, at a bound near chance": (
        MORE.replace("others}", "others, auroc: {at_least: .51}}"),
        LESS.replace("color}", "color, auroc: {at_least: .51}}"),
    ),
    "a mean difference of either sign": (
        MORE.replace("others}", "others, auroc: {at_least: .51}, mean_difference: {at_least: 1}}"),
        LESS.replace("color}", "color, auroc: {at_least: .51}, mean_difference: {between: [-.9, -.5]}}"),
    ),
    "often and silent": (OFTEN, SILENT),
    "one kind, disjoint bounds": (OFTEN, OFTEN.replace("at_least: .9", "at_most: .8")),
    "a kind of the whole SAE": (
        "reconstruction: {prompts: color, fvu: {at_most: .1}}",
        "reconstruction: {prompts: color, fvu: {at_least: .2}}",
    ),
    "one set under two names": (OFTEN, SILENT.replace("prompts: color", "prompts: prompts/words.yaml#color")),
}
CAN_BOTH_HOLD = {
    "the same claim": (MORE, MORE),
    "bounds that touch": (OFTEN, OFTEN.replace("at_least: .9", "at_most: .9")),
    "other prompts": (OFTEN, SILENT.replace("color", "x").replace("others", "color").replace("x", "others")),
    "another number of one kind": (
        "reconstruction: {prompts: color, fvu: {at_most: .1}}",
        "reconstruction: {prompts: color, cosine: {at_least: .9}}",
    ),
}
ASIDE = {
    "another feature": "feature: 2",
    "another subject": "subjects: [other]",
    "another pool": "pool: last",
    "an expected failure": "xfail: it does not",
    "any of two features": "features: [1, 2]\n    together: any",
}


def entry(name, claim, beside=""):
    about = "" if "reconstruction" in claim or "feature" in beside else "feature: 1\n    "
    return f"  - id: {name}\n    {about}{beside}{chr(10) + '    ' if beside else ''}{claim}\n"


def found_in(root, *entries):
    return contradictions(specs_of(root, HEAD + "expect:\n" + "".join(entries)))


@pytest.mark.parametrize("claims", ONE_NUMBER_TWICE.values(), ids=ONE_NUMBER_TWICE)
def test_disjoint_bounds_on_one_number_contradict(tmp_path, claims):
    """One pair, named once, with the file and line of both."""
    (one,) = found_in(tmp_path, *map(entry, "ab", claims))
    assert (one.one.id, one.other.id) == ("suite::a", "suite::b")
    assert str(one.one.source) in str(one)
    assert str(one.other.source) in str(one)


@pytest.mark.parametrize("claims", CAN_BOTH_HOLD.values(), ids=CAN_BOTH_HOLD)
def test_claims_that_can_both_hold_are_left_alone(tmp_path, claims):
    """Bounds that share a point, other prompts, other numbers."""
    assert found_in(tmp_path, *map(entry, "ab", claims)) == []


@pytest.mark.parametrize("beside", ASIDE.values(), ids=ASIDE)
def test_another_subject_feature_or_reading_is_another_number(tmp_path, beside):
    """The pair that contradicts above does not, once one of the two is about something else."""
    assert found_in(tmp_path, entry("a", OFTEN), entry("b", SILENT, beside)) == []


def test_each_claim_is_named_with_the_first_that_it_excludes(tmp_path):
    """Three claims of which no two can hold are two pairs, and the later of each excludes one more."""
    bounds = ["at_least: .9", "between: [.4, .6]", "at_most: .1"]
    found = found_in(
        tmp_path, *(entry(n, OFTEN.replace("at_least: .9", b)) for n, b in zip("abc", bounds, strict=True))
    )
    assert [(c.one.id[-1], c.other.id[-1], c.more) for c in found] == [("a", "b", 1), ("a", "c", 1)]
    assert str(found[0]).endswith("so one of the two cannot hold; suite::b contradicts 1 more")


def test_many_pairs_are_counted(tmp_path):
    """Of 30 claims that exclude one, 20 are shown."""
    often, seldom = OFTEN, OFTEN.replace("at_least: .9", "at_most: .1")
    found = found_in(tmp_path, entry("a", often), *(entry(f"b{n}", seldom) for n in range(30)))
    assert (len(found), len(lines(found))) == (30, 21)
    assert lines(found)[-1] == "10 more pairs of claims contradict each other"
    assert lines(found[:20]) == [*map(str, found[:20])]


# From 0 to 1 is no claim: such a bound excludes nothing.
RANGE = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).filter(lambda ends: ends != [0, 20])


@given(st.integers(11, 20), st.integers(11, 20))
def test_exchanged_sets_contradict_where_no_auroc_satisfies_both(tmp_path_factory, first, second):
    """Counted the long way: no AUROC on a grid of twentieths is over one bound with its mirror over the other."""
    claims = [
        f"fires_more: {{prompts: {a}, than: {b}, auroc: {{at_least: {low / 20}}}}}"
        for (a, b), low in zip((("color", "others"), ("others", "color")), (first, second), strict=True)
    ]
    root = tmp_path_factory.mktemp("root")
    possible = any(first <= k and second <= 20 - k for k in range(21))
    found = found_in(root, *(entry(name, claim, "scope: sample") for name, claim in zip("ab", claims, strict=True)))
    assert bool(found) == (not possible)


@given(st.lists(RANGE, max_size=12))
def test_many_claims_on_one_number_contradict_where_they_share_none(tmp_path_factory, ranges):
    """Counted the long way: each claim with the first, in the order of the file, whose range lies apart."""
    claims = [f"fire_rate: {{prompts: color, rate: {{between: [{low / 20}, {high / 20}]}}}}" for low, high in ranges]
    entries = [entry(f"c{i:02}", claim) for i, claim in enumerate(claims)]
    apart = {i: [j for j, b in enumerate(ranges) if a[1] < b[0] or b[1] < a[0]] for i, a in enumerate(ranges)}
    pairs = sorted({(min(i, js[0]), max(i, js[0])) for i, js in apart.items() if js})
    expected = [(f"c{i:02}", f"c{j:02}", len(apart[j]) - 1) for i, j in pairs]
    found = found_in(tmp_path_factory.mktemp("root"), *entries) if entries else []
    assert [(c.one.id.rpartition(":")[2], c.other.id.rpartition(":")[2], c.more) for c in found] == expected


def test_check_warns_with_both_places_and_stays_green(tmp_path, monkeypatch):
    """A contradiction is a warning: the files are right, and which of the two is wrong the run will say."""
    load_suite(tmp_path, HEAD + "expect:\n" + entry("a", MORE) + entry("b", LESS))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["check", "specs/suite.yaml"])
    (line,) = [line for line in done.stdout.splitlines() if "contradict" in line]
    assert line.startswith("warning: specs/suite.yaml:6:5: suite::a and suite::b at specs/suite.yaml:9:5 contradict")
    listed = CliRunner().invoke(app, ["check", "specs/suite.yaml", "--json"])
    (one,) = json.loads(listed.stdout)
    assert (done.exit_code, listed.exit_code) == (0, 0)
    assert (one["code"], one["file"], one["line"], one["column"]) == ("contradiction", "specs/suite.yaml", 6, 5)
    assert one["message"] in line
    assert (one["specs"], one["nearest"]) == (["suite::a", "suite::b"], [])
    assert done.stdout.splitlines()[-1] == "2 specs read, 0 mistakes"
    agreeing = HEAD + "expect:\n" + entry("a", MORE) + entry("b", MORE)
    load_suite(tmp_path, agreeing)
    assert "contradict" not in CliRunner().invoke(app, ["check", "specs/suite.yaml"]).stdout
    assert json.loads(CliRunner().invoke(app, ["check", "specs/suite.yaml", "--json"]).stdout) == []


def test_the_suites_that_ship_contradict_nothing():
    """Our own claims can hold together."""
    from interp_tests.project import REPO

    assert contradictions(item for item in load(REPO).items if hasattr(item, "expectation")) == []
