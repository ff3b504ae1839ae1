"""From no baseline to a changed number, as a reviewer meets it: pytest and `interp accept` in a project of its own."""

import datetime
import json
import sys

import pytest
import yaml
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from harness import keys
from harness.cli import app
from harness.language.specs import load
from harness.reports.record import Run
from harness.reports.write import write_run
from harness.session import open_session
from harness.spec import Spec
from harness.store import Store
from interp_tests.project import COLOR, PLAIN, make_project

CLAIMS = """\
- id: separates
  feature: 3
  unchanged: {measure: auroc, prompts: color, than: plain}
- id: reconstructs
  unchanged: {measure: fvu, prompts: color}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("evidence") / "store.sqlite"


@pytest.fixture
def project(tmp_path, store, monkeypatch):
    """A project with two claims, in which this process stands."""
    made = make_project(tmp_path / "repo", store)
    made.suite("drift", CLAIMS)
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("INTERP_CACHE", made.env["INTERP_CACHE"])
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("INTERP_REPORTS", raising=False)
    return made


@pytest.fixture
def accepted(project):
    """The same, with the baselines of a first run."""
    judge(project)
    assert interp("accept", "latest").exit_code == 0
    return project


def judge(project):
    """One run as the plugin makes it, in this process: a tenth of what a fresh one costs."""
    items = load(project.root).items
    specs = [item for item in items if isinstance(item, Spec)]
    shared = project.root.parent / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "run.jsonl").unlink(missing_ok=True)
    session = open_session(specs, Store(project.env["INTERP_STORE"]), shared, lambda spec: True, lambda line: None)
    records = [session.record(item) for item in items]
    run = Run.now(datetime.datetime.now(datetime.UTC), "judge", True, records, {}, root=project.root)
    assert write_run(run, project.root / "reports") is None


def interp(*args):
    return CliRunner().invoke(app, list(args))


def record(project, name="drift::reconstructs"):
    return next(r for r in project.results()["records"] if r["id"] == name)


def baselines(project, suite="drift"):
    return yaml.safe_load((project.root / f"specs/measured/{suite}.yaml").read_text())


def perturbed(project, name="W_enc"):
    """One weight of the SAE on disk is another; its pins, if any, are not."""
    path = project.root / "zoo/sae/sae_weights.safetensors"
    weights = load_file(path)
    weights[name] = weights[name].copy()
    weights[name][0, 0] += 1.0
    save_file(weights, path)


def test_no_baseline_then_accepted_then_met(project):
    """Red with the number and the command; after `interp accept` green, and the file says what it was read with."""
    assert project.pytest("-q").returncode == 1
    first = record(project)
    assert (first["outcome"], first["reason"]) == ("inconclusive", "no_baseline")
    done = project.run([sys.executable, "-m", "harness", "accept", "latest"], CI="")
    assert done.returncode == 0, done.stderr
    assert "2 set, 0 kept, 0 refused" in done.stdout
    assert "drift::reconstructs  fvu      none -> " in done.stdout
    entry = baselines(project)["reconstructs"]
    assert entry["value"] == first["measurement"]["value"]
    assert entry["claim"] == first["acceptable"]["claim"]
    assert {"weights", "tokenizer", "sae", "device", "torch", "transformers"} <= entry["read_with"].keys()
    again = project.pytest("-q")
    assert again.returncode == 0, again.stdout
    assert set(project.outcomes().values()) == {"met"}


def test_other_weights_are_named_and_never_held_against_the_old_number(accepted):
    """One SAE weight on disk differs: inconclusive for both claims, and the finding names the SAE, not the model."""
    perturbed(accepted)
    judge(accepted)
    for name in ("drift::reconstructs", "drift::separates"):
        found = record(accepted, name)
        assert found["reason"] == "no_baseline"
        assert "other weights" in found["finding"]
        assert "sae " in found["finding"]
        assert "weights " not in found["finding"].replace("other weights", "")


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "met"), (1.5, "unmet")], ids=["same", "other"])
def test_a_library_that_computes_otherwise_is_seen(accepted, monkeypatch, factor, outcome):
    """Versions alone do not invalidate a baseline; where the numbers move with them, unmet names the version."""
    upgrade(monkeypatch, factor)
    judge(accepted)
    found = record(accepted)
    assert found["outcome"] == outcome
    moved = f"is now 99.{factor}" in found["finding"]
    assert moved == (outcome == "unmet")
    assert found["evidence"]["from_store"] == 0, "and it was read again"


def upgrade(monkeypatch, factor):
    """Another torch by name, and one weight of the SAE, once loaded, that is not what its file says."""
    from harness.capture import engine

    version, load_sae = keys.installed_version, engine.load_sae

    def loaded(*given):
        sae = load_sae(*given)
        sae.W_dec.data[3, 0] *= factor
        return sae

    monkeypatch.setattr(keys, "installed_version", lambda name: f"99.{factor}" if name == "torch" else version(name))
    monkeypatch.setattr(engine, "load_sae", loaded)


def test_an_edited_claim_has_no_baseline_and_a_moved_bar_keeps_it(accepted):
    """Other prompts are another number; another tolerance, why or severity is not."""
    path = accepted.root / "specs/drift.yaml"
    text = path.read_text()
    path.write_text(text.replace("prompts: color}", "prompts: color, within: .5}\n    why: it should"))
    judge(accepted)
    assert set(accepted.outcomes().values()) == {"met"}
    path.write_text(text.replace("prompts: color}", "prompts: plain}"))
    judge(accepted)
    found = record(accepted)
    assert found["reason"] == "no_baseline"
    assert "the claim has been edited" in found["finding"]


def test_accept_refuses_what_was_edited_after_the_run(accepted):
    """A run's number belongs to the claim that it was measured for; the other claim of the run is kept."""
    path = accepted.root / "specs/drift.yaml"
    path.write_text(path.read_text().replace("prompts: color}", "prompts: plain}"))
    before = baselines(accepted)
    done = interp("accept", "latest")
    assert done.exit_code == 1
    assert "refused: drift::reconstructs: the claim has been edited" in done.stdout
    assert "0 set, 1 kept, 1 refused" in done.stdout
    assert baselines(accepted) == before


def test_accept_refuses_what_was_not_run(project):
    """A subject without weights measured nothing."""
    project.suite("nowhere", "- {id: gone, unchanged: {measure: fvu, prompts: color}}\n", subjects="gone")
    judge(project)
    done = interp("accept", "latest")
    assert done.exit_code == 1
    assert "refused: nowhere::gone: not run" in done.stdout
    assert not (project.root / "specs/measured/nowhere.yaml").exists()
    assert set(baselines(project)) == {"separates", "reconstructs"}


def test_accept_is_for_people(project, monkeypatch):
    """With CI set nothing is written and the exit code is 2, whatever the options."""
    judge(project)
    monkeypatch.setenv("CI", "true")
    for options in ([], ["--dry-run"], ["--only-new"]):
        done = interp("accept", "latest", *options)
        assert done.exit_code == 2
        assert "CI is set" in done.stderr
    assert not (project.root / "specs/measured").exists()


def test_only_new_and_dry_run_and_a_second_accept(accepted):
    """--dry-run writes nothing; --only-new leaves old baselines; what did not change is not written again."""
    perturbed(accepted)
    with (accepted.root / "specs/drift.yaml").open("a") as file:
        file.write("  - {id: sparse, unchanged: {measure: l0, prompts: color}}\n")
    judge(accepted)
    before = baselines(accepted)
    dry = interp("accept", "latest", "--dry-run", "--json")
    shown = {row["claim"]: row for row in json.loads(dry.stdout)["changed"]}
    assert baselines(accepted) == before
    assert (shown["drift::sparse"]["why"], shown["drift::reconstructs"]["why"]) == ("new", "sae moved")
    old, new = shown["drift::reconstructs"]["old"], shown["drift::reconstructs"]["new"]
    assert shown["drift::reconstructs"]["change"] == pytest.approx((new - old) / old)
    assert "1 set, 2 kept" in interp("accept", "latest", "--only-new").stdout
    assert {name: baselines(accepted)[name] for name in before} == before
    assert "2 set, 1 kept" in interp("accept", "latest").stdout
    text = (accepted.root / "specs/measured/drift.yaml").read_text()
    assert "0 set, 3 kept" in interp("accept", "latest").stdout
    assert (accepted.root / "specs/measured/drift.yaml").read_text() == text


def test_a_run_is_named_by_its_id_or_its_file(project):
    """An id, a folder and a file name the same run; anything else is a usage error that names the newest runs."""
    judge(project)
    run = project.results()["run"]["id"]
    for named in (run, f"reports/runs/{run}", f"reports/runs/{run}/results.json"):
        done = interp("accept", named, "--dry-run", "--json")
        assert json.loads(done.stdout)["run"] == run
    wrong = interp("accept", "yesterday")
    assert wrong.exit_code == 2
    assert run in wrong.stderr
    (project.root / "other.json").write_text("{}")
    assert interp("accept", "other.json").exit_code == 2


def test_unused_baselines_are_reported_by_check_and_by_the_run(accepted):
    """A claim that is gone leaves its baseline behind, and both say so; while it is there, nobody does."""
    for named in ([], ["specs/drift.yaml"], ["specs/measured/drift.yaml"], ["specs"]):
        assert "used by no claim" not in interp("check", *named).stdout
    path = accepted.root / "specs/drift.yaml"
    path.write_text(path.read_text().replace("id: separates", "id: parts"))
    line = "the baseline of 'drift::separates' is used by no claim"
    assert line in interp("check").stdout
    assert line in interp("check", "specs/drift.yaml").stdout
    assert line in interp("check", "specs/measured/drift.yaml").stdout
    assert line in accepted.pytest("-q").stdout


def test_a_broken_file_of_baselines_is_one_red_test(accepted):
    """A number that became text is a mistake with its place, and no claim is held against it."""
    path = accepted.root / "specs/measured/drift.yaml"
    path.write_text(path.read_text().replace("  value: ", "  value: about ", 1))
    done = interp("check")
    assert done.exit_code == 2
    assert "specs/measured/drift.yaml:" in done.stdout
    assert "wrong_type" in done.stdout
    judge(accepted)
    assert accepted.outcomes()["measured/drift"] == "not_run"
    assert accepted.outcomes()["drift::reconstructs"] == "inconclusive"
    assert interp("accept", "latest").exit_code == 2


def test_prompts_in_another_order_are_the_same_claim(accepted):
    """The digest of a claim is that of its prompts, whatever their order and the set's name."""
    swapped = {"color": COLOR[::-1], "hues": PLAIN}
    accepted.suite("drift", CLAIMS.replace("than: plain", "than: hues"), prompts=swapped)
    judge(accepted)
    assert set(accepted.outcomes().values()) == {"met"}
