"""`interp check --against`: what a change lowers is listed, and needs a reason that the change itself gives."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli import app
from harness.expectations.bounds import Bound
from harness.language.specs import load
from harness.loosening import _wider, compared
from interp_tests.language_root import HEAD, copy_root

WORDS = (
    "apple bridge candle desert engine forest garden hammer island jacket kettle ladder market needle orchard pencil "
    "quarry river saddle tunnel valley window yard zebra autumn bottle copper dinner envelope feather"
).split()
SPEC = """\
  - id: beats
    feature: 1
    discovered_on: found
    fires_more: {prompts: reds, than: plains, auroc: {at_least: .9}}
"""
SAME = """\
  - id: same
    unchanged: {measure: fvu, prompts: color, within: .02}
"""
MANY = "".join(
    f"  {name}: [{', '.join(f'{name} {word} {i}.' for i, word in enumerate(WORDS))}]\n" for name in ("reds", "plains")
)
TOP = HEAD + MANY + "  found: [Red is a color., Blue is one too.]\nexpect:\n"
BASELINE = """\
"same":
  measure: "fvu"
  value: 0.125
  n: 20
  date: "2026-11-01"
  run: "20261101T000000Z-abcd"
  claim: "{claim}"
  read_with:
    sae: "one"
"""
# What is changed in the suite, and the words that the listing must have.
LOWER = {
    "a wider bound": ("at_least: .9}", "at_least: .8}", "auroc (at least 0.9) is (at least 0.8)"),
    "a bound of the other form": ("at_least: .9}", "between: [.6, 1]}", "between 0.6 and 1"),
    "severity": ("feature: 1", "feature: 1\n    severity: warn", "severity fail is warn"),
    "xfail": ("feature: 1", "feature: 1\n    xfail: it does not", "xfail added (it does not)"),
    "scope": ("feature: 1", "feature: 1\n    scope: sample", "scope population is sample"),
    "alpha": ("feature: 1", "feature: 1\n    alpha: .1", "alpha 0.05 is 0.1"),
    "held-out evidence": ("    discovered_on: found\n", "", "discovered_on is gone"),
    "held-out evidence for the author's word": (
        "discovered_on: found",
        "discovered_on: {label: color, from: a page}",
        "discovered_on is only the author's word",
    ),
    "another kind": (
        "fires_more: {prompts: reds, than: plains, auroc: {at_least: .9}}",
        "activation: {prompts: color, median: {at_least: 1}}",
        "it was fires_more, and is activation",
    ),
    "a tolerance": ("within: .02", "within: .1", "within 0.02 is 0.1"),
    "a renamed claim that is lowered": (
        "id: beats\n    feature: 1",
        "id: wins\n    severity: warn\n    feature: 1",
        "severity fail is warn",
    ),
}
NOT_LOWER = {
    "a tighter bound": ("at_least: .9}", "at_least: .93}"),
    "a bound that cuts off more": ("at_least: .9}", "between: [.9, 1]}"),
    "another reason": ("feature: 1", "feature: 1\n    why: because"),
    "a renamed claim": ("id: beats", "id: wins"),
    "a smaller alpha": ("feature: 1", "feature: 1\n    alpha: .01"),
    "a tighter tolerance": ("within: .02", "within: .01"),
}


def git(root, *args):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *args], cwd=root, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A checkout with one suite of two claims, committed as the branch `before`."""
    root = copy_root(tmp_path / "repo")
    write(root, TOP + SPEC + SAME)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    git(root, "branch", "before")
    monkeypatch.chdir(root)
    return root


def write(root, text, name="suite"):
    (root / "specs" / f"{name}.yaml").write_text(text)


def check(*args):
    done = CliRunner().invoke(app, ["check", "specs/suite.yaml", "--against", "before", "--json", *args])
    return done.exit_code, json.loads(done.stdout)


def lower(*args):
    code, found = check(*args)
    return code, [one for one in found if one["code"] == "loosened"]


@pytest.mark.parametrize(("old", "new", "words"), LOWER.values(), ids=LOWER)
def test_a_lower_bar_is_listed_and_needs_a_reason(repo, old, new, words):
    """Exit 1 with the claim, its place and what became of its bar; with loosened_because it is listed, and exit 0."""
    text = TOP + SPEC + SAME
    assert old in text
    write(repo, text.replace(old, new))
    code, (found,) = lower()
    assert code == 1
    assert words in found["message"]
    assert found["because"] is None
    assert found["file"] == "specs/suite.yaml"
    kind = "    unchanged:" if "within" in new else "    feature: 1"
    write(repo, text.replace(old, new).replace(kind, f"    loosened_because: measured twice\n{kind}"))
    code, (found,) = lower()
    assert (code, found["because"]) == (0, "measured twice")


@pytest.mark.parametrize(("old", "new"), NOT_LOWER.values(), ids=NOT_LOWER)
def test_a_bar_that_is_not_lower_is_not_listed(repo, old, new):
    """Tightening, renaming and explaining need no reason."""
    text = TOP + SPEC + SAME
    assert old in text
    write(repo, text.replace(old, new))
    assert lower() == (0, [])


def test_a_reason_explains_one_change_only(repo):
    """What stood there before the change is no reason for it."""
    text = TOP + SPEC.replace("feature: 1", "feature: 1\n    loosened_because: once") + SAME
    write(repo, text)
    git(repo, "commit", "-qam", "second")
    git(repo, "branch", "-f", "before")
    write(repo, text.replace(".9", ".8"))
    code, (found,) = lower()
    assert (code, found["because"]) == (1, None)
    write(repo, text.replace(".9", ".8").replace("once", "again"))
    assert lower()[0] == 0


def test_a_claim_that_is_gone_needs_a_reason_of_its_suite(repo, snapshot):
    """The head of the suite says why; without it, exit 1."""
    write(repo, TOP + SAME)
    code, (found,) = lower()
    assert code == 1
    assert found["message"] == snapshot
    write(repo, "loosened_because: it was the wrong feature\n" + TOP + SAME)
    code, (found,) = lower()
    assert (code, found["because"]) == (0, "it was the wrong feature")


def test_a_suite_that_is_gone_cannot_say_why(repo, snapshot):
    """All of its claims are listed, and the check fails; moved to another file, none is."""
    (repo / "specs/suite.yaml").rename(repo / "specs/other.yaml")
    done = CliRunner().invoke(app, ["check", "--against", "before", "--json"])
    assert [one for one in json.loads(done.stdout) if one["code"] == "loosened"] == []
    write(repo, TOP + SAME, "other")
    done = CliRunner().invoke(app, ["check", "--against", "before", "--json"])
    found = [one for one in json.loads(done.stdout) if one["code"] == "loosened"]
    (gone,) = found
    assert gone["message"] == snapshot


def test_a_baseline_that_changed_is_a_lower_bar(repo, snapshot):
    """Another number, or none, where there was one; a first one is not."""
    measured = repo / "specs/measured/suite.yaml"
    measured.parent.mkdir()
    measured.write_text(BASELINE.format(claim="a" * 64))
    assert lower() == (0, [])
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "accepted")
    git(repo, "branch", "-f", "before")
    measured.write_text(BASELINE.format(claim="a" * 64).replace("0.125", "0.25"))
    code, (found,) = lower()
    assert code == 1
    assert found["message"] == snapshot
    measured.unlink()
    assert lower()[1][0]["message"] == snapshot


def test_the_list_for_a_reader_counts_the_lower_bars(repo):
    """Without --json: a line each, and the last line says how many."""
    write(repo, TOP + SPEC.replace(".9", ".8") + SAME)
    done = CliRunner().invoke(app, ["check", "specs/suite.yaml", "--against", "before"])
    assert "specs/suite.yaml:9:5: loosened: suite::beats: auroc" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 specs read, 0 mistakes, 1 lower bar"


def test_a_ref_that_is_none_is_a_usage_error(repo):
    """Exit 2 with the name, also for one that looks like an option; a commit without specs/ has lowered nothing."""
    for ref in ("nowhere", "--all"):
        done = CliRunner().invoke(app, ["check", "specs/suite.yaml", f"--against={ref}"])
        assert done.exit_code == 2
        assert ref in done.stderr
    git(repo, "checkout", "-q", "--orphan", "empty")
    git(repo, "rm", "-rq", "--cached", ".")
    git(repo, "commit", "-qm", "nothing", "--allow-empty")
    assert CliRunner().invoke(app, ["check", "specs/suite.yaml", "--against", "empty"]).exit_code == 0


def test_the_checkout_is_left_alone(repo):
    """Nothing is checked out: the working tree and the index stay as they are."""
    write(repo, TOP + SAME)
    state = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repo, capture_output=True, text=True, check=True
    ).stdout
    lower()
    after = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repo, capture_output=True, text=True, check=True
    ).stdout
    assert state == after == " M specs/suite.yaml\n"


def test_a_specs_folder_held_against_itself_lowers_nothing(repo):
    """The same files twice are the same bars."""
    loaded = load(repo, [repo / "specs/suite.yaml"])
    assert len(loaded.items) == 2
    assert list(compared(loaded, loaded)) == []


NUMBERS = st.integers(0, 4)
BOUNDS = st.one_of(
    NUMBERS.map(lambda x: Bound(at_least=x)),
    NUMBERS.map(lambda x: Bound(at_most=x)),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: Bound(between=tuple(sorted(pair)))),
)


@given(BOUNDS, BOUNDS)
def test_wider_means_that_some_number_passes_that_did_not(was, now):
    """Held against trying: -1, 0, .5, ... 5 stand for all numbers, since limits are 0 to 4."""
    tried = [x / 2 for x in range(-2, 11)]
    assert _wider(was, now) == any(now.holds(x) and not was.holds(x) for x in tried)


@pytest.mark.parametrize(
    ("now", "words"),
    [("", "family colors is left"), ("    family: colors\n    q: .1\n", "q 0.05 is 0.1")],
    ids=["left", "a higher q"],
)
def test_leaving_a_family_or_raising_its_q_lowers_the_bar(repo, now, words):
    """What was corrected before, and at which level; a lower q is not listed."""
    before = (TOP + SPEC).replace("    feature: 1\n", "    feature: 1\n    family: colors\n")
    write(repo, before)
    old = load(repo, [repo / "specs/suite.yaml"])
    write(repo, before.replace("    family: colors\n", now))
    (found,) = compared(old, load(repo, [repo / "specs/suite.yaml"]))
    assert found.what == (words,)
    write(repo, before.replace("    family: colors\n", "    family: colors\n    q: .01\n"))
    assert list(compared(old, load(repo, [repo / "specs/suite.yaml"]))) == []
