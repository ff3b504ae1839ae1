"""`interp explain` and what `interp check` says before anything runs: on a warm store, a cold one, and none."""

import json

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.language.specs import load
from harness.session import open_session
from harness.store import Store
from interp_tests.project import COLOR, PLAIN, make_project

CLAIMS = """\
- id: separates
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
- id: most-fire
  features: [3]
  fire_rate: {prompts: both, rate: {at_least: .05}}
- id: three
  feature: 3
  fires_more: {prompts: few, than: plain}
- id: thirteen
  feature: 3
  severity: warn
  silent_on: {prompts: plain, but_fires_on: color}
"""
THINGS = ("car", "hat", "pen", "box", "cup", "bag")
COLORS, OTHERS = ("white", "black", "gray", "gold", "red", "blue"), ("old", "new", "big", "small", "first", "last")
SETS = {
    "found": [f"The {color} {thing} was here." for color, thing in zip(COLORS, THINGS, strict=True)],
    "found_plain": [f"The {other} {thing} was here." for other, thing in zip(OTHERS, THINGS, strict=True)],
    "few": COLOR[:3],
    "both": {"use": ["color", "plain"]},
}


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A project whose evidence is in the store: one model load for all tests here."""
    made = make_project(tmp_path_factory.mktemp("project") / "repo", tmp_path_factory.mktemp("store") / "store.sqlite")
    made.suite("first", CLAIMS, prompts=SETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        patch.setenv("INTERP_CACHE", made.env["INTERP_CACHE"])
        specs = list(load(made.root).items)
        shared = made.root.parent / "shared"
        shared.mkdir()
        open_session(specs, Store(made.env["INTERP_STORE"]), shared, lambda spec: True, print).prepare()
    return made


@pytest.fixture
def here(warm, monkeypatch):
    monkeypatch.chdir(warm.root)
    for name, value in warm.env.items():
        monkeypatch.setenv(name, value)
    return warm


def interp(*args):
    return CliRunner().invoke(app, list(args))


def test_a_warm_claim_is_explained_with_its_verdict_and_power(here):
    """What it claims, its sets, that nothing is to be read, its smallest p, how it stands now, and the power."""
    done = interp("explain", "separates")
    assert done.exit_code == 0, done.output
    assert "fires_more: The feature fires more on `prompts` than on `than`." in done.stdout
    assert "auroc: bound at least .75" in done.stdout
    assert "28 prompts through tiny: 28 in the store, nothing to be read" in done.stdout
    assert "8e-5 (alpha .05)" in done.stdout
    found = json.loads(interp("explain", "first::separates", "--json").stdout)
    assert found["smallest_p"] == pytest.approx(1 / 12870)
    assert found["decidable"] is True
    assert found["verdict"].split(":")[0] in ("met", "unmet", "inconclusive")
    assert 0 <= found["power"][0]["power"] <= 1
    assert found["sets"]["prompts"] == {"name": "color", "prompts": 8, "units": 8}


def test_the_power_is_that_of_the_effect_in_the_store(here):
    """Of a rate: the exact power at the share seen; the addition, if there is one, takes it to .8."""
    found = json.loads(interp("explain", "most-fire", "--json").stdout)
    assert found["smallest_p"] == pytest.approx(0.05**16)
    (power,) = found["power"]
    assert power["n"] == 16
    assert power["add"] is None or power["add"]["power"] >= 0.8


def test_a_cold_claim_says_what_is_to_be_read_and_reads_nothing(here, tmp_path, monkeypatch):
    """Another store: all prompts are to be read, the static facts stand, and there is no verdict."""
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "cold.sqlite"))
    done = interp("explain", "separates")
    assert done.exit_code == 0, done.output
    assert "0 in the store, 28 to be read" in done.stdout
    assert "now         not known: the store lacks" in done.stdout
    found = json.loads(interp("explain", "separates", "--json").stdout)
    assert (found["verdict"], found["power"]) == (None, [])
    assert found["smallest_p"] == pytest.approx(1 / 12870)


def test_a_claim_that_can_never_be_met_is_explained_as_such(here):
    """3 against 8: why, and how many more, with no power."""
    done = interp("explain", "three")
    assert "can never" in done.stdout
    assert "Add 2 to few" in done.stdout
    found = json.loads(interp("explain", "three", "--json").stdout)
    assert (found["decidable"], found["verdict"]) == (False, "inconclusive: too_few_prompts")


@pytest.mark.parametrize(
    ("name", "says"), [("seperates", "Did you mean 'first::separates'?"), ("e", "is the end of 2 ids"), ("", "4 ids")]
)
def test_a_name_that_is_no_spec_is_one_message(here, name, says):
    """A slip gets the nearest id, an ending of several gets them all; exit code 2 and no traceback."""
    done = interp("explain", name)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_a_broken_claim_is_not_explained(here):
    """Its first mistake is, with the place."""
    path = here.suite("wrong", "- id: typo\n  feature: 3\n  fires_mor: {prompts: color, than: plain}\n")
    try:
        done = interp("explain", "typo")
    finally:
        path.unlink()
    assert done.exit_code == 2
    assert "cannot be read" in done.output or "no spec is called" in done.output


def test_check_has_a_section_for_each_claim_that_nothing_can_decide(here):
    """The place, the spec, why, what it has and what would do; the summary counts them apart from mistakes."""
    done = interp("check")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "first::three can never be met" in line)
    assert lines[at].startswith("specs/first.yaml:")
    assert lines[at + 1].startswith("    inconclusive: too_few_prompts: 3 prompts cannot show this")
    assert lines[at + 2].strip() == "has 3, would do: 5"
    assert "first::thirteen can never be met (severity: warn)" in done.stdout
    assert "has 8, would do: 14" in done.stdout
    assert lines[-1] == "4 specs read, 0 mistakes, 2 that no evidence can decide"


def test_check_says_the_same_as_json(here):
    """Plain keys beside those of a mistake."""
    found = {one["spec"]: one for one in json.loads(interp("check", "--json").stdout)}
    assert set(found) == {"first::three", "first::thirteen"}
    assert found["first::three"]["would_do"] == {"n": 5, "add": 2, "to": "few"}
    assert found["first::thirteen"]["would_do"] == {"n": 14, "add": 6, "to": "plain"}
    assert found["first::three"]["reason"] == "too_few_prompts"
    assert found["first::three"]["message"].startswith("too_few_prompts: 3 prompts cannot show this")


def test_what_check_warns_of_stands_beside_the_document(here):
    """Of the files, not of a claim: in the text, and under --json on stderr, where it does not spoil the document."""
    path = here.root / "specs/subjects.yaml"
    before = path.read_text()
    path.write_text(before.replace("models:\n", "models:\n  far: {hub: example/far, revision: unpinned}\n"))
    try:
        text, document = interp("check"), interp("check", "--json")
    finally:
        path.write_text(before)
    (warning,) = [line for line in text.stdout.splitlines() if line.startswith("warning: ")]
    assert "far" in warning
    assert document.stderr.strip() == warning
    assert {one["code"] for one in json.loads(document.stdout)} == {"inconclusive"}


def test_a_claim_that_only_warns_counts_under_strict(here, tmp_path):
    """An undecidable claim with severity: warn does not turn the check red; --strict does; six more prompts mend it."""
    only = here.root / "specs/warns.yaml"
    claim = "- id: silent\n  feature: 3\n  severity: warn\n  silent_on: {prompts: plain, but_fires_on: color}\n"
    try:
        here.suite("warns", claim)
        assert interp("check", str(only)).exit_code == 0
        assert interp("check", str(only), "--strict").exit_code == 1
        here.suite("warns", claim, prompts={"plain": [*PLAIN, *SETS["found_plain"]]})
        assert interp("check", str(only), "--strict").exit_code == 0
    finally:
        only.unlink()
