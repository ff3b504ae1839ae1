"""The gate as a reviewer meets it: pytest in a repository with specs, in a fresh interpreter."""

import json
import sqlite3
import sys

import pytest

from interp_tests.project import COLOR, PLAIN, make_project

MET = """\
- id: holds
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: color, than: plain}
"""
UNMET = """\
- id: fails
  feature: {best: {prompts: found, than: found_plain}}
  fires_more: {prompts: plain, than: color}
"""
TOO_FEW = """\
- id: three
  feature: 3
  fires_more: {prompts: few, than: plain}
"""
THINGS = ["car", "hat", "pen", "box", "cup", "bag"]
COLORS = ["white", "black", "gray", "gold", "red", "blue"]
OTHERS = ["old", "new", "big", "small", "first", "last"]
FOUND = {
    "found": [f"The {color} {thing} was here." for color, thing in zip(COLORS, THINGS, strict=True)],
    "found_plain": [f"The {other} {thing} was here." for other, thing in zip(OTHERS, THINGS, strict=True)],
    "few": COLOR[:3],
}


@pytest.fixture(scope="session")
def warm_store(tmp_path_factory):
    """One store for all tests that do not ask for a cold one."""
    return tmp_path_factory.mktemp("evidence") / "store.sqlite"


@pytest.fixture
def project(tmp_path, warm_store):
    return make_project(tmp_path / "repo", warm_store)


@pytest.fixture
def cold_project(tmp_path):
    return make_project(tmp_path / "repo", tmp_path / "cold.sqlite")


def summary_lines(done, word):
    return [line for line in done.stdout.splitlines() if line.startswith(word)]


def test_a_met_claim_passes_and_leaves_a_report(project):
    """One spec from YAML to report: exit 0, a record with its n, and the files."""
    project.suite("color", MET, prompts=FOUND)
    done = project.pytest("-q")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = project.results()["records"]
    assert record["outcome"] == "met"
    assert record["measurement"]["n"] == 16
    assert {"results.json", "results.csv", "summary.md"} <= {
        p.name for p in (project.root / "reports/latest").iterdir()
    }


def test_an_unmet_claim_fails_with_the_finding_first(project):
    """pytest's short summary prints the finding; no traceback of ours; the rerun command is there."""
    project.suite("color", UNMET, prompts=FOUND)
    done = project.pytest("-q", COLUMNS="200")
    assert done.returncode == 1
    (line,) = summary_lines(done, "FAILED")
    assert "AUROC" in line
    assert "harness/" not in done.stdout.split("short test summary")[0].split("claims")[0]
    assert 'pytest "interp_tests/test_specs.py::test_spec[color::fails]"' in done.stdout


def test_could_not_tell_is_not_a_pass(project):
    """Three prompts cannot carry a claim about prompts in general: the test fails with its own word."""
    project.suite("color", TOO_FEW, prompts=FOUND)
    assert project.pytest("-q").returncode == 1
    (record,) = project.results()["records"]
    assert (record["outcome"], record["reason"]) == ("inconclusive", "too_few_prompts")


def test_warn_passes_with_a_line(project):
    """severity warn: exit 0, and the summary still says what was found."""
    project.suite("color", UNMET + "  severity: warn\n" + MET, prompts=FOUND)
    done = project.pytest("-q")
    assert done.returncode == 0, done.stdout
    assert project.outcomes() == {"color::fails": "unmet", "color::holds": "met"}
    assert "warn" in done.stdout


@pytest.mark.parametrize(("claim", "code"), [(UNMET, 0), (MET, 1), (TOO_FEW, 1)], ids=["unmet", "met", "inconclusive"])
def test_xfail_covers_unmet_only(project, claim, code):
    """An expected failure that holds, or that could not be decided, is red."""
    project.suite("color", claim + "  xfail: known to be false\n", prompts=FOUND)
    project.suite("other", MET, prompts=FOUND)
    assert project.pytest("-q").returncode == code


def test_a_broken_file_is_one_red_test_beside_the_green_ones(project):
    """A file that cannot be read fails alone, and its error says where."""
    project.suite("color", MET, prompts=FOUND)
    (project.root / "specs/broken.yaml").write_text("title: x\nexpekt: []\n")
    done = project.pytest("-q")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "specs/broken.yaml:2:1" in done.stdout


@pytest.mark.parametrize("select", [("-k", "holds"), ("-m", "color_words")], ids=["-k", "-m"])
def test_a_broken_file_survives_selection(project, select):
    """-k and -m that leave a broken file out still show it red: a typo must not hide a claim."""
    project.suite("color", MET + "  tags: [color_words]\n", prompts=FOUND)
    (project.root / "specs/broken.yaml").write_text("title: x\nexpekt: []\n")
    done = project.pytest("-q", *select)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout


def test_selection_without_a_broken_file_selects(project):
    """-k leaves out what it does not name, when nothing is broken."""
    project.suite("color", MET + UNMET, prompts=FOUND)
    done = project.pytest("-q", "-k", "holds")
    assert done.returncode == 0
    assert "1 passed, 1 deselected" in done.stdout


def test_node_ids_exitfirst_and_last_failed_work(project):
    """pytest's own ways to choose are pytest's own."""
    project.suite("color", UNMET + MET, prompts=FOUND)
    one = project.pytest("-q", "interp_tests/test_specs.py::test_spec[color::holds]")
    assert "1 passed" in one.stdout
    first = project.run([sys.executable, "-m", "pytest", "-q", "-x"])
    assert "1 failed" in first.stdout
    assert "passed" not in first.stdout.splitlines()[-1]
    again = project.run([sys.executable, "-m", "pytest", "-q", "--lf"])
    assert "1 failed" in again.stdout


def test_gpu_specs_are_skipped_plainly_and_fail_when_asked_for(project):
    """A plain run skips them and says how to run them; -m gpu and --require-run fail instead."""
    project.suite("color", MET, prompts=FOUND)
    project.suite("big", MET, subjects="tiny-gpu", prompts=FOUND)
    plain = project.pytest("-q", "-rs")
    assert plain.returncode == 0, plain.stdout
    assert "1 passed, 1 skipped" in plain.stdout
    assert "pytest -m gpu" in plain.stdout
    assert project.pytest("-q", "-m", "gpu").returncode == 1
    assert project.pytest("-q", "--require-run").returncode == 1
    assert project.pytest("-q", INTERP_REQUIRE_RUN="1").returncode == 1
    assert project.pytest("-q", "-m", "not slow", "-k", "big").returncode != 0, "nothing judged is not green"


def test_no_specs_is_not_green(project):
    """A repository without a claim cannot pass the gate."""
    done = project.pytest("-q")
    assert done.returncode != 0
    assert "No claim under specs/" in done.stdout


def test_missing_weights_fail_their_own_specs_only(project):
    """A subject whose weights are gone is one clear message; the other subject's claims are judged."""
    project.suite("color", MET, prompts=FOUND)
    project.suite("gone", MET, subjects="gone", prompts=FOUND)
    done = project.pytest("-q")
    assert done.returncode == 1
    assert project.outcomes() == {"color::holds": "met", "gone::holds": "not_run"}
    assert "weights_missing" in done.stdout
    (fault,) = project.results()["run"]["faults"]
    assert (fault["subject"], fault["code"]) == ("gone", "weights_missing")


def test_a_moved_library_is_named_when_its_evidence_is_read_again(cold_project):
    """Evidence of other versions is a miss, and the run says which version moved."""
    cold_project.suite("color", MET, prompts=FOUND)
    assert "evidence from" not in cold_project.pytest("-q").stdout
    with sqlite3.connect(cold_project.env["INTERP_STORE"]) as store:
        (parts,) = store.execute("SELECT parts FROM versions").fetchone()
        older = json.dumps({**json.loads(parts), "transformers": "5.20.0"})
        store.execute("UPDATE versions SET code_key = 'older', parts = ?", (older,))
        store.execute("UPDATE codes SET code_key = 'older'")
    assert "evidence from transformers 5.20.0, now " in cold_project.pytest("-q").stdout


def test_reports_that_cannot_be_written_are_said(project):
    """Verdicts still print; the run does not end green."""
    project.suite("color", MET, prompts=FOUND)
    (project.root / "reports").write_text("a file where the folder should be")
    done = project.pytest("-q")
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "report" in done.stdout.splitlines()[-2] + done.stdout.splitlines()[-3]


def forty_prompts():
    return [f"{color} number {i} stays here." for i, color in enumerate(COLOR * 5)]


def two_hundred_specs():
    claim = "- id: s{i}\n  feature: {i}\n  fires_more: {{prompts: many, than: plain}}\n  severity: warn\n"
    return "".join(claim.format(i=i) for i in range(200))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_prompt_is_read_once_whatever_the_number_of_specs(cold_project, workers):
    """200 specs over 48 prompts read 48 with one load; again 0; one edited prompt 1; the same under -n 2."""
    many = forty_prompts()
    cold_project.suite("many", two_hundred_specs(), prompts={"many": many})
    counts = []
    for prompts in (many, many, ["An edited prompt is new.", *many[1:]]):
        cold_project.suite("many", two_hundred_specs(), prompts={"many": prompts})
        assert cold_project.pytest("-q", "-n", workers).returncode in (0, 1)
        capture = cold_project.results()["capture"].get("tiny", {"loads": 0, "prompts": 0})
        counts.append((capture["loads"], capture["prompts"]))
    assert counts == [(1, len(many) + len(PLAIN)), (0, 0), (1, 1)]


def test_verdicts_are_the_same_under_xdist(project):
    """-n 2 changes nothing but the number of processes."""
    project.suite("color", MET + UNMET, prompts=FOUND)
    project.pytest("-q")
    alone = project.results()["records"]
    project.pytest("-q", "-n", "2")
    together = project.results()["records"]

    def essence(records):
        return sorted((r["id"], r["outcome"], json.dumps(r["measurement"]), r["p"]) for r in records)

    assert essence(alone) == essence(together)


def test_a_warm_run_imports_no_torch(project):
    """With the evidence in the store, a claim is judged without torch, transformers, sae_lens or scipy.stats."""
    project.suite("color", MET, prompts=FOUND)
    project.pytest("-q")
    script = (
        "import sys, pytest; code = pytest.main(['-q', '-p', 'no:cacheprovider']);"
        "print('HEAVY', code, [m for m in ('torch', 'transformers', 'sae_lens', 'scipy.stats') if m in sys.modules])"
    )
    done = project.run([sys.executable, "-c", script])
    assert "HEAVY 0 []" in done.stdout.replace("ExitCode.OK", "0"), done.stdout
    cold = project.run([sys.executable, "-c", script.replace("'-q'", "'-q', '--no-store'")])
    assert "torch" in cold.stdout, "and the proof can fail"
