"""`interp draft`: found on one half, tested on the other, with a bound that the first half alone decides."""

import contextlib
import io
import json
import math
import random
import re
import shlex
import shutil
import sys
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli import main
from harness.drafting import bound_of
from harness.expectations.comparing import Comparison
from harness.heldout import is_in, split
from harness.inputs import Prompt
from harness.keys import code_key, prompt_key
from harness.language.check import check
from harness.language.sets import resolve_reference
from harness.language.specs import load
from harness.session import default_store
from harness.stats.intervals import newcombe_auroc
from harness.store import Store
from interp_tests.command import enter, interp
from interp_tests.labelled import design_by as design_of
from interp_tests.language_root import codes_of, prompts_of
from interp_tests.project import REPO, make_project

SETS = ("prompts/categories.yaml#color", "prompts/categories.yaml#!color")
WRITTEN = "specs/tiny/color-draft.yaml"
DATE = r"\d{4}-\d\d-\d\d"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the shipped categories, and one suite drafted in it from color against the rest."""
    root = tmp_path_factory.mktemp("draft")
    made = make_project(root / "project", root / "store.sqlite")
    (made.root / "specs/prompts").mkdir()
    for name in ("categories.yaml", "code-test.txt"):
        shutil.copy(REPO / "specs/prompts" / name, made.root / "specs/prompts")
    return made


@pytest.fixture(scope="module")
def drafted(project):
    """What `interp draft --json` said, and which prompts its store held afterwards."""
    with pytest.MonkeyPatch.context() as here:
        enter(project, here)
        rows = run_quietly("draft", *SETS, "--subject", "tiny", "--n", "3", "--json")
        prompts = [p for ref in SETS for p in resolve_reference(project.root, ref).prompts]
        (subject,) = {s.subject for s in load(project.root, [project.root / WRITTEN]).items}
        keys = {prompt_key(p): p for p in prompts}
        read = Store(default_store()).get(code_key(subject), set(keys))
        return rows, {keys[key] for key in read}, prompts


def run_quietly(*args):
    """The JSON that a command prints."""
    out = io.StringIO()
    with (
        patch.object(sys, "argv", ["interp", *args]),
        contextlib.redirect_stdout(out),
        pytest.raises(SystemExit) as left,
    ):
        main()
    assert left.value.code == 0
    return json.loads(out.getvalue())


def test_the_suite_passes_check_and_is_one_family(project, drafted):
    """No mistake, a claim for each row, corrected together, with date, n and numbers above each."""
    rows, _, _ = drafted
    path = project.root / WRITTEN
    assert check(project.root, [path]) == []
    loaded = load(project.root, [path])
    assert [s.features for s in loaded.items] == [(row["feature"],) for row in rows]
    assert [s.expectation.auroc.at_least for s in loaded.items] == [row["bound"] for row in rows]
    assert [len(f.members) for f in loaded.families] == [3]
    remarks = re.findall(
        r"^  # (\d{4}-\d\d-\d\d), discovery half, (\d+) against (\d+): AUROC ([\d.]+),", path.read_text(), re.MULTILINE
    )
    assert [(int(a), int(b), float(auroc)) for _, a, b, auroc in remarks] == [
        (*row["n"], round(row["auroc"], 3)) for row in rows
    ]


def test_the_test_half_is_neither_read_nor_shared(project, drafted):
    """Drafting reads the discovery half and nothing else; claims are tested on the other, so that none is leaked."""
    _, read, prompts = drafted
    discovery = {p for p in prompts if is_in("discovery", p)}
    assert 0 < len(discovery) < len(prompts)
    assert read == discovery
    for spec in load(project.root, [project.root / WRITTEN]).items:
        tested = {p for s in spec.sets.values() for p in s.prompts}
        assert tested == set(prompts) - discovery
        assert set(spec.discovered_on.prompts) == discovery


def test_the_first_claim_holds_and_a_wrong_feature_fails(project, drafted):
    """A real run on the half that was not read: the first claim is met, and with another feature's number it fails."""
    rows, _, _ = drafted
    path = project.root / WRITTEN
    right = path.read_text()
    (project.root / "specs/wrong.yaml").write_text(
        right.replace(f"feature: {rows[0]['feature']}\n", "feature: 3\n", 1).replace("family: tiny", "family: wrong")
    )
    project.pytest("-q")
    outcomes = project.outcomes()
    name = f"color-f{rows[0]['feature']}"
    assert outcomes[f"tiny/color-draft::{name}"] == "met"
    assert outcomes[f"wrong::{name}"] in ("unmet", "inconclusive")
    records = {r["id"]: r for r in project.results()["records"]}
    assert records[f"tiny/color-draft::{name}"]["reason"] != "leaked"
    (project.root / "specs/wrong.yaml").unlink()


def test_a_suite_is_not_overwritten_and_a_leak_is_seen(project, drafted, monkeypatch, capsys):
    """A second draft of that place is refused; the discovery half put in the test half's place is leaked."""
    enter(project, monkeypatch)
    code, _, err = interp(capsys, "draft", *SETS, "--subject", "tiny")
    assert (code, "file_exists" in err) == (2, True)
    leaking = project.root / "specs/leaking.yaml"
    leaking.write_text((project.root / WRITTEN).read_text().replace("half: test", "half: discovery"))
    code, out, _ = interp(capsys, "check", str(leaking))
    leaking.unlink()
    assert (code, out.count("inconclusive: leaked")) == (1, 3)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("prompts/few.txt", SETS[1]), 2, "too_few_to_draft"),
        (("prompts/long.txt", SETS[1]), 2, "unlike_lengths"),
        ((SETS[0], SETS[0], "--out", "specs/same.yaml"), 2, "overlapping_sets"),
        (("prompts/categories.yaml#colour", SETS[1]), 2, "Did you mean 'color'?"),
        ((SETS[1], SETS[0], "--out", "x.yaml"), 2, "bad_place"),
        (("prompts/twins.txt", "prompts/others.txt"), 1, "nothing was written"),
    ],
)
def test_what_cannot_be_drafted_writes_nothing(args, code, says, project, monkeypatch, capsys):
    """One message, no file: too few prompts, lengths that decide alone, one set twice, nothing that differs."""
    enter(project, monkeypatch)
    folder = project.root / "specs/prompts"
    (folder / "few.txt").write_text("A red ball.\nA blue door.\nA green hat.\n")
    words = "the ball garden hill bridge house aunt lay rolled down over old red cat sun road tree".split()
    drawn = np.random.default_rng(0).choice(words, (30, 24))
    (folder / "long.txt").write_text("".join(" ".join(line) + "\n" for line in drawn))
    (folder / "twins.txt").write_text("".join(f"{'x' * i}\n" for i in range(1, 80, 2)))
    (folder / "others.txt").write_text("".join(f"{'x' * i}\n" for i in range(2, 81, 2)))
    before = sorted((project.root / "specs").rglob("*.yaml"))
    found, _, err = interp(capsys, "draft", *args, "--subject", "tiny")
    assert (found, says in err) == (code, True), err
    assert sorted((project.root / "specs").rglob("*.yaml")) == before


def test_random_halves_of_one_set_are_hardly_ever_met(project, drafted, monkeypatch):
    """Of 12 null pairs nothing, or next to nothing, is claimed; what is, is called as good as chance and is not met."""
    enter(project, monkeypatch)
    texts = [p.text for p in drafted[2]]
    rng, rows = random.Random(0), []
    for number in range(12):
        rng.shuffle(texts)
        for side, part in (("a", texts[:96]), ("b", texts[96:])):
            (project.root / f"specs/prompts/null-{number}{side}.txt").write_text("\n".join(part) + "\n")
        pair = (f"prompts/null-{number}a.txt", f"prompts/null-{number}b.txt")
        with contextlib.suppress(AssertionError):  # exit code 1: nothing to claim, nothing written
            rows += run_quietly("draft", *pair, "-s", "tiny", "--json", "--out", f"specs/null/pair-{number}.yaml")
    made = [row for row in rows if row["claim"]]
    assert all(row["p_of_best"] > 0.05 for row in made)
    if not made:
        return
    project.pytest("-q", "-k", "null and not family")
    outcomes = [r["outcome"] for r in project.results()["records"] if r["id"].startswith("null/")]
    shutil.rmtree(project.root / "specs/null")
    assert len(outcomes) == len(made)
    assert outcomes.count("met") <= len(outcomes) / 10


def comparison(auroc, n_positive, n_negative):
    """A comparison of which only what the bound reads is there."""
    design = design_of([None] * n_positive, [None] * n_negative)
    return Comparison(design, None, None, np.array([auroc]))


@settings(deadline=None)
@given(st.floats(0.5, 1), st.integers(5, 60), st.integers(5, 60), st.integers(5, 60), st.integers(5, 60))
def test_the_bound_is_the_documented_formula(auroc, n, m, n_test, m_test):
    """Rounded down from a - hypot(a - L, a - M), below both limits of the AUROC itself, and lower for fewer prompts."""
    found = comparison(auroc, n, m)
    bound = bound_of(found, design_of([None] * n_test, [None] * m_test), 0)
    low, again = newcombe_auroc(auroc, n, m, 0.05)[0], newcombe_auroc(auroc, n_test, m_test, 0.05)[0]
    reached = max(0.0, auroc - math.sqrt((auroc - low) ** 2 + (auroc - again) ** 2))
    exact = newcombe_auroc(reached, n_test, m_test, 0.05)[0]
    assert exact - 0.01 - 1e-9 <= bound <= exact + 1e-9
    assert bound <= min(low, again)
    assert bound_of(found, design_of([None] * 5, [None] * 5), 0) <= bound


@pytest.mark.parametrize("shift", [0.7, 1.5, 2.5])
def test_a_feature_chosen_in_advance_reaches_its_bound_on_other_prompts(shift):
    """Over 400 seeded draws of two halves of 12 against 40, at least 90 % of AUROCs have their limit over the bound."""
    rng = np.random.default_rng(5)
    tested = design_of([None] * 12, [None] * 40)

    def auroc():
        a, b = rng.normal(shift, 1, 12), rng.normal(0, 1, 40)
        return float(np.mean(a[:, None] > b))

    kept = [
        newcombe_auroc(auroc(), 12, 40, 0.05)[0] >= bound_of(comparison(auroc(), 12, 40), tested, 0) for _ in range(400)
    ]
    assert np.mean(kept) >= 0.9


def test_halves_are_those_of_the_hash_and_appending_moves_none(tmp_path):
    """Both halves make up the set, agree with `heldout.split`, and stay where they were when prompts are appended."""
    texts = [f"The {word} ball." for word in "red blue green old new big small odd round flat".split()]

    def half(name, known):
        return [p.text for p in prompts_of(tmp_path, f"{{use: all, half: {name}}}\n  all: {json.dumps(known)}")]

    found, tested = half("discovery", texts), half("test", texts)
    assert sorted(found + tested) == sorted(texts)
    assert found == [p.text for p in split([Prompt(t) for t in texts], "half")[0]]
    assert [t for t in half("test", [*texts, "A new one.", "And one more."]) if t in texts] == tested


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        ("{use: prompts/words.yaml#color, half: tset}", "unknown_value"),
        ("{prompts: [a, b], half: test}", "unknown_key"),
        ("{use: one, half: HALF}", "empty_set"),
    ],
)
def test_a_half_that_is_none_is_a_mistake(definition, code, tmp_path):
    """A misspelt half, one of a form that has none, and one without a prompt."""
    empty = "discovery" if is_in("test", Prompt("alone")) else "test"
    text = (
        f"subjects: [small]\nprompts:\n  one: [alone]\n  mine: {definition.replace('HALF', empty)}\nexpect:\n"
        "  - {id: a, feature: 1, fires_more: {prompts: mine, than: prompts/words.yaml#number}}\n"
    )
    assert code in codes_of(tmp_path, text)


def test_the_documented_draft_is_what_comes_out(tmp_path, monkeypatch, capsys):
    """docs/writing-specs.md: its command line writes its block, letter for letter but for the date."""
    page = (REPO / "docs/writing-specs.md").read_text()
    (command,) = re.findall(r"^    interp (draft .*)$", page, re.MULTILINE)
    shutil.copytree(REPO / "specs/prompts", tmp_path / "specs/prompts")
    shutil.copyfile(REPO / "specs/subjects.yaml", tmp_path / "specs/subjects.yaml")
    shutil.copytree(REPO / "harness/zoo/tiny_gemma2", tmp_path / "harness/zoo/tiny_gemma2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "store.sqlite"))
    code, _, err = interp(capsys, *shlex.split(command))
    assert code == 0, err
    written = re.sub(DATE, "DATE", (tmp_path / "specs/tiny-gemma2/color-draft.yaml").read_text())
    (shown,) = [re.sub(DATE, "DATE", b) for b in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "half: test" in b]
    assert shown == written
    assert written.count("DATE") == 4
