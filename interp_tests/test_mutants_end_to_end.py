"""pytest --mutate and interp mutate in a repository with specs, on the real tiny model."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import harness.reports
from harness.digests import MODEL_FILES, TOKENIZER_FILES, files_digest
from interp_tests.project import PLAIN, make_project

SCHEMA = json.loads((Path(harness.reports.__file__).parent / "results.schema.json").read_text())
GOOD = """\
- id: good
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain, auroc: {at_least: .95}}
  scope: sample
"""
LOOSE = """\
- id: loose
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain, auroc: {at_least: .501}}
  scope: sample
"""
FIDELITY = """\
- id: reconstructs
  reconstruction: {prompts: plain, fvu: {at_most: .3}}
  scope: sample
"""
THINGS = ["car", "hat", "pen", "box", "cup", "bag"]
COLORS = ["white", "black", "gray", "gold", "red", "blue"]
OTHERS = ["old", "new", "big", "small", "first", "last"]
FOUND = {
    "found": [f"The {color} {thing} was here." for color, thing in zip(COLORS, THINGS, strict=True)],
    "found_plain": [f"The {other} {thing} was here." for other, thing in zip(OTHERS, THINGS, strict=True)],
}
VACUOUS = FIDELITY.replace("reconstructs", "vacuous").replace("fvu: {at_most: .3}", "cosine: {at_least: -.99}")
LABELS = ("wrong_feature", "swapped_sets", "shuffled_labels")
READ = ("shuffled_decoder", "random_sae", "one_layer_off")


IMPORTS = (
    "import sys, pytest; code = int(pytest.main(['-q', '-p', 'no:cacheprovider', '{option}'])); "
    "heavy = [m for m in ('torch', 'transformers', 'sae_lens', 'scipy.stats') if m in sys.modules]; "
    "print('EXIT', code, 'HEAVY', heavy)"
)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """(project, what pytest --mutate printed, its results) of one cold run; the others are warm."""
    root = tmp_path_factory.mktemp("mutants")
    made = make_project(root / "repo", root / "store.sqlite")
    made.suite("color", GOOD + LOOSE + FIDELITY + VACUOUS, prompts=FOUND)
    done = made.pytest("-q", "--mutate")
    assert done.returncode == 0, done.stdout + done.stderr
    return made, done.stdout, made.results()


@pytest.fixture
def project(tmp_path, first):
    """Another repository with the same evidence."""
    made = make_project(tmp_path / "repo", Path(first[0].env["INTERP_STORE"]))
    made.suite("color", GOOD + LOOSE + FIDELITY + VACUOUS, prompts=FOUND)
    return made


def fates(results):
    return {
        r["id"].split("::")[1]: r["mutants"] and {t["mutant"]: t["fate"] for t in r["mutants"]}
        for r in results["records"]
    }


def test_mutate_gives_every_mutant_its_fate(first):
    """A good claim kills what applies, a loose one exchanged sets only; exit 0 all the same (in the fixture)."""
    found = fates(first[2])
    assert [found["good"][name] for name in LABELS] == ["killed"] * 3
    assert [found["loose"][name] for name in LABELS] == ["survived", "killed", "survived"]
    assert found["loose"]["shuffled_decoder"] == "not_applicable"
    assert [found["reconstructs"][name] for name in LABELS] == ["not_applicable"] * 3
    assert found["reconstructs"]["shuffled_decoder"] == "killed"
    assert [found["vacuous"][name] for name in READ] == ["survived"] * 3


def test_the_score_is_in_all_reports(first):
    """killed of applicable, per suite, in results.json (as its schema says), the terminal and summary.md."""
    project, printed, results = first
    Draft202012Validator(SCHEMA).validate(results)
    (row,) = results["mutants"]
    counted = [fate for one in fates(results).values() for fate in one.values()]
    assert row["killed"] == counted.count("killed")
    assert row["applicable"] == counted.count("killed") + counted.count("survived")
    assert row["kill_nothing"] == ["color::vacuous"]
    shown = f"{row['killed']} of {row['applicable']} mutants killed"
    summary = (project.root / "reports/runs" / results["run"]["id"] / "summary.md").read_text()
    assert f"mutants: color: {shown}" in printed
    assert "kills no mutant: color::vacuous" in printed
    assert shown in summary
    assert "to kill shuffled" in summary


def test_derived_subjects_are_read_once_for_all_claims_in_one_load(first):
    """The cold run loaded the model once, and each SAE read each prompt once."""
    capture = first[2]["capture"]
    assert sum(one["loads"] for one in capture.values()) == 1
    assert {name: one["prompts"] for name, one in capture.items()} == {
        "tiny": 28,
        "tiny (random SAE)": 28,
        "tiny (one layer off)": 28,
        "tiny (shuffled decoder)": len(PLAIN),
    }


def test_without_mutate_nothing_is_said_of_mutants(project):
    """A plain run has null in its records, and no word in its summary."""
    done = project.pytest("-q")
    assert set(fates(project.results()).values()) == {None}
    assert project.results()["mutants"] == []
    assert "mutant" not in done.stdout
    assert "mutant" not in (project.root / "reports/latest/summary.md").read_text().casefold()


def test_strict_and_mutate_fail_what_kills_nothing(project):
    """With both, a met claim that no mutant breaks is inconclusive: vacuous, and its text says what to assert."""
    project.suite("color", GOOD + FIDELITY + VACUOUS, prompts=FOUND)
    done = project.pytest("-q", "--fail-vacuous", "--mutate")
    assert done.returncode == 1
    outcomes = {r["id"]: (r["outcome"], r["reason"]) for r in project.results()["records"]}
    assert outcomes["color::vacuous"] == ("inconclusive", "vacuous")
    assert outcomes["color::good"] == ("met", None)
    assert outcomes["color::reconstructs"] == ("met", None)
    assert "shuffled_decoder: meets the claim; to kill it: tighten the bound" in done.stdout
    assert project.pytest("-q", "--fail-vacuous").returncode == 0, "and without mutants it is met"


def test_mutants_are_the_same_under_xdist(project, first):
    """-n 2 on a warm store changes nothing but the number of processes, and reads nothing."""
    done = project.pytest("-q", "--mutate", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert fates(project.results()) == fates(first[2])
    assert project.results()["capture"] == {}
    assert "mutants: color:" in done.stdout


def test_the_command_says_what_pytest_says(project, first):
    """interp mutate --json has the fates of the run; its table has a line a claim; --fail-vacuous is exit 1."""
    command = [sys.executable, "-m", "harness", "mutate"]
    done = project.run([*command, "--json"])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert fates({"records": told["claims"]}) == fates(first[2])
    assert told["suites"] == first[2]["mutants"]
    table = project.run([*command, "--fail-vacuous", "specs/color.yaml"])
    assert table.returncode == 1
    (line,) = [line for line in table.stdout.splitlines() if line.startswith("color::good")]
    assert line.split()[1:4] == ["killed"] * 3
    (project.root / "specs/broken.yaml").write_text("title: x\nexpekt: []\n")
    assert project.run(command).returncode == 2


def test_without_weights_only_stored_evidence_is_mutated_without_torch(tmp_path):
    """Evidence in the store and no weights: labels and features are judged, by --mutate-stored without torch; what
    must be read is not run, and says why."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    pins = [files_digest(project.root / "zoo/model", files) for files in (MODEL_FILES, TOKENIZER_FILES)]
    subjects = project.root / "specs/subjects.yaml"
    pinned = f"{{path: zoo/model, digest: {pins[0]}, tokenizer_digest: {pins[1]}}}"
    subjects.write_text(subjects.read_text().replace("{path: zoo/model}", pinned))
    project.suite("color", GOOD, prompts=FOUND)
    assert project.pytest("-q").returncode == 0
    shutil.rmtree(project.root / "zoo/model")
    stored, asked = (
        project.run([sys.executable, "-c", IMPORTS.format(option=option)]) for option in ("--mutate-stored", "--mutate")
    )
    assert "EXIT 0 HEAVY []" in stored.stdout, stored.stdout + stored.stderr
    assert "EXIT 0 HEAVY ['torch'" in asked.stdout, "and the proof can fail"
    found = {t["mutant"]: t for t in project.results()["records"][0]["mutants"]}
    assert [found[name]["fate"] for name in LABELS] == ["killed"] * 3
    assert [found[name]["fate"] for name in READ] == ["not_applicable", "not_run", "not_run"]
    assert "weights_missing" in found["random_sae"]["note"]
    assert {fault["subject"] for fault in project.results()["run"]["faults"]} == {
        "tiny (random SAE)",
        "tiny (one layer off)",
    }
    for done in (stored, asked):
        assert "3 of 3 mutants killed" in done.stdout
        assert "2 not run" in done.stdout
