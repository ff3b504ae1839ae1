"""`interp explain` and what `interp check` says before anything runs: on a warm store, a cold one, and none."""

import dataclasses
import json
import shutil

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.language.specs import load
from harness.reports.write import write_run
from harness.session import open_session
from harness.store import Store
from interp_tests import report_cases as cases
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
    monkeypatch.delenv("INTERP_REPORTS", raising=False)
    for name, value in warm.env.items():
        monkeypatch.setenv(name, value)
    return warm


def interp(*args):
    return CliRunner().invoke(app, list(args))


def test_a_warm_claim_is_explained_with_its_verdict_and_power(here):
    """What it claims, its sets, that nothing is to be read, its smallest p, how it stands now, and the power."""
    done = interp("explain", "separates")
    assert done.exit_code == 0, done.output
    assert (
        "claims      The feature fires more on color (8 prompts) than on plain (8 prompts): AUROC at least .7; "
        "decided at alpha .05; a prompt counts with its strongest text token; the feature is the one that is best by "
        "AUROC on found (6 prompts) against found_plain (6 prompts).\n"
    ) in done.stdout
    assert "costs       nothing: no model is loaded" in done.stdout
    assert "here        tiny on cpu, float32: nothing missing" in done.stdout
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
    letters = sum(map(len, [*COLOR, *PLAIN, *SETS["found"], *SETS["found_plain"]]))
    costs = f"1 model load; 28 prompts (about {letters // 4} tokens); seconds unknown on this machine"
    assert f"costs       {costs}" in done.stdout
    assert "now         not known: the store lacks" in done.stdout
    found = json.loads(interp("explain", "separates", "--json").stdout)
    assert (found["verdict"], found["power"]) == (None, [])
    assert (found["cost"]["loads"], found["cost"]["prompts"], found["cost"]["seconds"]) == (1, 28, None)
    assert found["cost"]["subjects"] == [{"subject": "tiny", "device": "cpu", "missing": []}]
    assert found["smallest_p"] == pytest.approx(1 / 12870)


def test_a_claim_that_can_never_be_met_is_explained_as_such(here):
    """3 against 8: why, and how many more, with no power."""
    done = interp("explain", "three")
    assert "can never" in done.stdout
    assert "Add 2 to few" in done.stdout
    found = json.loads(interp("explain", "three", "--json").stdout)
    assert (found["decidable"], found["verdict"]) == (False, "inconclusive: too_few_prompts")


def with_capture(here, name, capture):
    """A run in reports/ that read so much."""
    run = dataclasses.replace(cases.run([cases.record(cases.MET)], capture=capture), id=name)
    assert write_run(run, here.root / "reports") is None


def test_seconds_are_at_the_rate_of_the_last_run_that_read_the_subject(here, tmp_path, monkeypatch):
    """A load, and the tokens guessed at; of a run that read others, or nothing, there is no rate."""
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "cold.sqlite"))
    counts = {"loads": 2, "prompts": 10, "tokens": 1000, "batches": 2, "seconds": 20.0, "load_seconds": 8.0}
    try:
        with_capture(here, "1", {"tiny": counts})
        with_capture(here, "2", {"other": {**counts, "seconds": 1.0}})
        with_capture(here, "3", {})
        done = interp("explain", "separates")
        found = json.loads(interp("explain", "separates", "--json").stdout)["cost"]
    finally:
        shutil.rmtree(here.root / "reports")
    assert found["seconds"] == pytest.approx(8 / 2 + found["text_tokens"] * 20 / 1000, abs=0.05)
    assert "about 8 s, at the rate of the last run that read" in done.stdout


BESIDE = """\
- id: beside
  features: [3, 5]
  together: any
  discovered_on: [found]
  xfail: It is not known yet.
  family: many
  pool: mean
  fires_more: {prompts: color, than: plain, mean_difference: {at_least: 2}}
- {id: needs-a-gpu, subjects: [tiny-gpu], severity: warn, feature: 3, fire_rate: {prompts: both, rate: {at_least: .05}}}
"""


def test_what_stands_beside_a_claim_is_said_where_it_is_not_default(here, monkeypatch):
    """Discovery set, expected failure, family and severity; a GPU that is not here is named as doctor names it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = here.suite("beside", BESIDE, prompts=SETS)
    try:
        first, second = interp("explain", "beside::beside").stdout, interp("explain", "needs-a-gpu").stdout
        found = json.loads(interp("explain", "beside::beside", "--json").stdout)
    finally:
        path.unlink()
    assert "At least one of features 3 and 5 fires more on color (8 prompts)" in first
    assert "mean activation minus that on the others at least 2; decided at alpha .05 shared by 2 features" in first
    assert "a prompt counts with the mean over each text token" in first
    assert "found on    found: 6 prompts" in first
    assert "expected to be unmet: It is not known yet." in first
    assert "many: corrected with its other claims" in first
    assert "severity" not in first
    assert (found["family"], found["severity"], found["discovered_on"]) == ("many", "fail", "found")
    assert "severity    warn" in second
    assert "tiny-gpu on cuda, float32: a cuda device missing" in second


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("seperates", "Did you mean 'first::separates'?"),
        ("e", "is the end of 2 ids"),
        ("", "4 ids"),
        ("specs/first.yaml", "is the place of 4 claims; name one: first::separates, first::most-fire, first::three, "),
        ("first", "is the place of 4 claims"),
    ],
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


def test_what_cannot_be_read_is_no_name_to_try(here):
    """A file with mistakes is named where it is asked for; elsewhere it is counted, and not among the valid ids."""
    paths = [here.suite(name, "- id: x\n  feature: 3\n  fires_mor: {prompts: color}\n") for name in ("odd", "odder")]
    try:
        other, asked = interp("explain", "xyzzy").output, interp("explain", "specs/odd.yaml").output
    finally:
        for path in paths:
            path.unlink()
    assert "Valid: first::separates, first::most-fire, first::three, first::thirteen." in other
    assert other.rstrip().endswith("2 files have mistakes: `interp check`.")
    assert "odd::x cannot be read: " in asked
    assert "files have mistakes" not in interp("explain", "xyzzy").output


@pytest.mark.parametrize(
    ("path", "says"), [("", "an empty path names no suite"), ("zoo", "no suite in zoo; suites are")]
)
def test_a_check_that_read_nothing_is_not_green(here, path, says):
    """An empty path and a folder without a suite: exit code 2, and no word of all of specs/."""
    done = interp("check", path)
    assert done.exit_code == 2
    assert says in done.output
    assert interp("check", "specs/first.yaml").exit_code == 1, "which holds a claim that nothing can decide"


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


def test_check_says_the_same_as_json(here, snapshot):
    """Plain keys beside those of a mistake."""
    found = {one["spec"]: one for one in json.loads(interp("check", "--json").stdout)}
    assert set(found) == {"first::three", "first::thirteen"}
    assert found["first::three"]["would_do"] == {"n": 5, "add": 2, "to": "few"}
    assert found["first::thirteen"]["would_do"] == {"n": 14, "add": 6, "to": "plain"}
    assert found["first::three"]["reason"] == "too_few_prompts"
    assert found["first::three"]["message"] == snapshot


def test_what_check_warns_of_stands_beside_the_document(here):
    """Of the files, not of a claim: in the text, and under --json on stderr, where it does not spoil the document."""
    path = here.root / "specs/subjects.yaml"
    before = path.read_text()
    path.write_text(before.replace("models:\n", "models:\n  far: {hub: example/far, revision: unpinned}\n"))
    try:
        text, document = interp("check"), interp("check", "--json")
    finally:
        path.write_text(before)
    warnings = [line for line in text.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2, "weights that the claims use, by name; how many others there are"
    assert document.stderr.splitlines() == warnings
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
