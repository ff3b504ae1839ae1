"""Kept verdicts: a claim is judged once, and again as soon as anything that its verdict depends on is another."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness import kept
from harness.errors import EnvironmentFault, Source
from harness.expectations.base import Claim
from harness.inputs import Corpus, Filled, Picture, Prompt, PromptSet, Subject
from harness.kept import DAYS, Kept, code_digest
from harness.rechecking import lacks_recheck, not_rechecked
from harness.reports.exhibits import Card
from harness.runlog import WHOLE_SUBJECT, RunLog
from harness.running import Runner
from harness.spec import Attribution, Baseline, Best, Calibration, Spec
from harness.stats.noise import Noise
from harness.store import MemoryStore, Store
from harness.store.packs import Row
from harness.verdict import Measurement, Outcome, Verdict
from interp_tests.project import make_project
from interp_tests.report_cases import SUBJECT, spec
from interp_tests.test_plugin import FOUND, MET, TOO_FEW, UNMET

COLOR = PromptSet("color", (Prompt("a red ball", ((2, 5),)), Prompt("a blue car")))
PLAIN = PromptSet("plain", (Prompt("a ball"), Prompt("a car")))
OTHER = replace(SUBJECT, name="other", max_tokens=64)
SPEC = spec(sets={"prompts": COLOR, "than": PLAIN})
NOISE = Noise(0.1, 0.1, 0.1, 0.1, 0.1)
# One other value of every field of a Spec.
OTHERS = {
    "id": "tiny-gemma2/color::another",
    "suite": "another",
    "subject": OTHER,
    "expectation": type("Another", (type(SPEC.expectation),), {"kind": "silent_on"})(),
    "claim": replace(SPEC.claim, alpha=0.01),
    "source": Source("specs/moved.yaml", 3, 1),
    "sets": {"prompts": PLAIN, "than": COLOR},
    "corpora": {"corpus": Corpus("text", "text.txt", "c" * 64)},
    "others": {"other": OTHER},
    "features": (18,),
    "best": Best(COLOR, PLAIN),
    "together": "all",
    "discovered_on": PLAIN,
    "attributed_to": Attribution("color adjectives", "https://example.org/267"),
    "severity": "warn",
    "xfail": "known",
    "why": "because",
    "owner": "@someone",
    "tags": ("a",),
    "family": "words",
    "q": 0.1,
    "text": "other YAML",
    "baseline": Baseline("rate", 0.5, 8, "", 17, "2026-01-01", "run", "d" * 64, {}, Source("b.yaml", 1, 1)),
    "calibration": Calibration("2026-01-01", 8, 80, NOISE, "bfloat16", NOISE, {}),
    "loosened_because": "it was too tight",
    "shortcut_accepted": "both sets end without a period",
}
SAYS_NOTHING = {"source", "severity", "why", "owner", "tags", "family", "q", "text", "loosened_because"}
VERDICT = Verdict(Outcome.MET, "fires more", Measurement("AUROC", 0.9, 16, low=float("-inf"), high=1.0), p=0.01)


def kept_in(tmp_path, store=None):
    runner = Runner(store or MemoryStore(), RunLog(tmp_path / "run.jsonl"))
    runner.ensure([])
    runner._standing.planned.add(SPEC.id)
    return Kept(runner)


NO_CARD = Card()


def put(mine, spec, card=NO_CARD):
    mine.put(spec, VERDICT, card)
    mine.write()


@pytest.mark.parametrize("name", [field.name for field in fields(Spec)])
def test_every_field_of_a_claim_is_in_its_key_or_says_nothing_of_its_verdict(tmp_path, name):
    """Another value is another key, except of what a verdict does not depend on."""
    mine = kept_in(tmp_path)
    same = mine.key(SPEC) == mine.key(replace(SPEC, **{name: OTHERS[name]}))
    assert same == (name in SAYS_NOTHING)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("a red ball"),
        Prompt("a red ball", ((0, 1),)),
        Prompt("a red ball", ((2, 5),), group="g"),
        Prompt("a red ball", ((2, 5),), truncate=True),
        Prompt("a red ball", ((2, 5),), image=Picture("a.png", "e" * 64)),
        Prompt("a red ball", ((2, 5),), attention="prefix"),
        Prompt("a red ball", ((2, 5),), chat="user"),
        Prompt("a red ball", ((2, 5),), filled=(Filled("slot", 0, "red"),)),
    ],
)
def test_a_prompt_read_or_grouped_otherwise_is_another_key(tmp_path, prompt):
    mine = kept_in(tmp_path)
    edited = replace(COLOR, prompts=(prompt, COLOR.prompts[1]))
    turned = replace(COLOR, prompts=COLOR.prompts[::-1])
    keys = {mine.key(replace(SPEC, sets={"prompts": one, "than": PLAIN})) for one in (COLOR, edited, turned)}
    assert len(keys) == 3


@pytest.mark.parametrize("kind", [Claim, Prompt, Subject, Corpus, Baseline, Calibration, Noise])
def test_what_is_put_into_words_says_all_of_itself(kind):
    """The key takes these by their repr, from which no field that makes two of them different may be missing."""
    assert all(field.repr for field in fields(kind) if field.compare)


def test_other_code_and_other_libraries_are_another_key(tmp_path, monkeypatch):
    """One letter more in any module, or another numpy."""
    keys = [kept_in(tmp_path).key(SPEC)]
    for name, changed in (
        ("installed_version", lambda package: "0"),
        ("_modules", lambda: [("judging.py", b"def judge")]),
        ("_modules", lambda: [("judging.py", b"def judge ")]),
    ):
        monkeypatch.setattr(kept, name, changed)
        code_digest.cache_clear()
        keys.append(kept_in(tmp_path).key(SPEC))
    code_digest.cache_clear()
    assert len(set(keys)) == 4


def test_a_verdict_comes_back_as_it_was_put_with_what_json_has_no_word_for(tmp_path):
    mine = kept_in(tmp_path)
    assert mine.find(SPEC) is None
    card = Card('{"sets":[]}', ("prompts",), (("prompts", 1),))
    put(mine, SPEC, card)
    found = mine.find(SPEC)
    assert (found.verdict, found.card) == (VERDICT, card)
    assert mine.find(replace(SPEC, features=(18,))) is None


def test_a_subject_that_failed_in_this_run_is_judged_by_nobody(tmp_path):
    """Weights that are not what they were: an earlier run's verdict says nothing about them."""
    mine = kept_in(tmp_path)
    put(mine, SPEC)
    assert mine.find(SPEC) is not None
    mine.runner.log.note_fault(mine.runner.code_key(SUBJECT), WHOLE_SUBJECT, EnvironmentFault("weights_changed", "no"))
    assert mine.find(SPEC) is None


def test_a_claim_that_was_not_planned_has_no_verdict(tmp_path):
    """Nobody has looked whether its evidence is there."""
    mine = kept_in(tmp_path)
    stranger = replace(SPEC, id="unplanned")
    put(mine, stranger)
    assert mine.find(stranger) is None


def test_verdicts_of_long_ago_are_dropped_when_one_is_written(tmp_path, monkeypatch):
    mine = kept_in(tmp_path)
    put(mine, SPEC)
    late = Kept(mine.runner)
    now = kept.time.time()
    monkeypatch.setattr(kept.time, "time", lambda: now + (DAYS - 1) * 86400)
    put(late, replace(SPEC, features=(18,)))
    assert late.find(SPEC) is not None
    later = Kept(mine.runner)
    monkeypatch.setattr(kept.time, "time", lambda: now + (DAYS + 1) * 86400)
    put(later, replace(SPEC, features=(19,)))
    assert later.find(SPEC) is None


def test_a_store_that_takes_no_more_loses_nothing_but_time(tmp_path, monkeypatch):
    mine = kept_in(tmp_path)

    def full(*args):
        raise EnvironmentFault("store_not_writable", "full")

    monkeypatch.setattr(mine.runner.store, "put_verdicts", full)
    put(mine, SPEC)
    assert mine.find(SPEC) is None


def test_what_may_be_judged_better_elsewhere_is_told_apart():
    """A fragile verdict that nobody could judge in float32."""
    assert lacks_recheck(not_rechecked(VERDICT, "no weights"))
    assert not lacks_recheck(VERDICT)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Claims of each outcome, judged once in a store of their own."""
    root = tmp_path_factory.mktemp("kept")
    made = make_project(root / "repo", root / "store.sqlite")
    made.suite("color", MET + UNMET + TOO_FEW, prompts=FOUND)
    made.first = made.pytest("-q")
    made.told, made.controls = records(made), controls_of(made)[0]
    return made


def records(project):
    return [
        {name: value for name, value in record.items() if name not in ("seconds", "kept", "evidence")}
        for record in project.results()["records"]
    ]


def kept_of(project):
    return {record["id"].partition("::")[2]: record["kept"] for record in project.results()["records"]}


def cards(project):
    page = (project.root / "reports/latest/index.html").read_text()
    return json.loads("{" + page[page.index('"cards":') : page.index(',"pictures":')] + "}")


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "distributed"])
def test_a_second_run_says_the_same_and_judges_nothing(project, options):
    """Records, cards and exit code; what was judged before any evidence was read is judged again."""
    before = cards(project)
    done = project.pytest("-q", *options)
    assert (done.returncode, records(project), cards(project)) == (project.first.returncode, project.told, before)
    assert kept_of(project) == {"holds": True, "fails": True, "three": False}
    assert "2 verdicts are an earlier run's" in done.stdout
    assert "an earlier run's" not in project.first.stdout


def controls_of(project):
    """Those of the last run, without where they are from, and whether any and all are an earlier run's."""
    told = project.results()["controls"]
    kept = {control.pop("kept") for control in told}
    return told, kept


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "distributed"])
def test_controls_are_an_earlier_runs_where_every_verdict_beside_them_is(project, options):
    """They are in every run, and say of the same verdicts the same."""
    project.pytest("-q", *options)
    told, kept = controls_of(project)
    assert (told, kept) == (project.controls, {True})
    assert {"planted", "permuted_labels"} <= {control["name"] for control in told}


def test_other_claims_have_other_controls(project):
    """Half of the claims, all of them kept: what is drawn from them was not drawn before."""
    project.pytest("-q", "-k", "holds")
    assert kept_of(project) == {"holds": True}
    assert controls_of(project)[1] == {False}


def test_controls_are_made_anew_beside_a_claim_that_is_judged_anew(project):
    path = project.root / "specs/color.yaml"
    text = path.read_text()
    path.write_text(text.replace("than: plain}", "than: plain, auroc: {at_least: 0.99998}}", 1))
    project.pytest("-q")
    path.write_text(text)
    assert kept_of(project) == {"holds": False, "fails": True, "three": False}
    assert controls_of(project)[1] == {False}


def test_mutants_have_controls_of_their_own_day(project):
    """They are judged in every run."""
    project.pytest("-q", "--mutate-stored")
    assert controls_of(project) == (project.controls, {False})


BROKEN = """
from dataclasses import replace
from harness.expectations.fires_more import FiresMore
from harness.verdict import Outcome
honest = FiresMore._parts
FiresMore._parts = lambda self, *given: [replace(part, outcome=Outcome.MET) for part in honest(self, *given)]
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "distributed"])
def test_a_judge_that_was_broken_leaves_no_verdict_behind(tmp_path, project, options):
    """All is met, the controls say so, and the next run, by a judge that was mended, says what is true."""
    store = shutil.copy(project.env["INTERP_STORE"], tmp_path)  # its evidence; the claims are none of its own
    made = make_project(tmp_path / "repo", Path(store))
    made.suite("broken", MET + UNMET, prompts=FOUND)
    conftest = made.root / "conftest.py"
    sound = conftest.read_text()
    conftest.write_text(sound + BROKEN)
    made.pytest("-q", *options)
    assert set(made.outcomes().values()) == {"met"}
    assert made.results()["run"]["invalid"]
    conftest.write_text(sound)
    made.pytest("-q", *options)
    assert kept_of(made) == {"holds": False, "fails": False}
    assert set(made.outcomes().values()) == {"met", "unmet"}


def test_no_store_judges_anew(project):
    project.pytest("-q", "--no-store")
    assert kept_of(project) == {"holds": False, "fails": False, "three": False}
    assert records(project) == project.told


def test_an_edited_bound_is_judged_and_the_others_are_not(project, tmp_path):
    """A stricter bound on one claim; then the text of another's reason, which changes no verdict."""
    path = project.root / "specs/color.yaml"
    text = path.read_text()
    path.write_text(text.replace("than: plain}", "than: plain, auroc: {at_least: 0.99999}}", 1))
    project.pytest("-q")
    assert kept_of(project) == {"holds": False, "fails": True, "three": False}
    path.write_text(text.replace("- id: fails", "- id: fails\n    why: nobody knows"))
    project.pytest("-q")
    path.write_text(text)
    assert kept_of(project) == {"holds": True, "fails": True, "three": False}


def test_a_kept_verdict_is_not_given_out_without_its_evidence(project):
    """One row of codes gone, and the weights too: could not be run, though the verdict is in the store."""
    with closing(sqlite3.connect(project.env["INTERP_STORE"])) as raw, raw:
        raw.execute("DELETE FROM codes WHERE rowid = (SELECT min(rowid) FROM codes)")
    gone = project.root / "zoo/gone"
    (project.root / "zoo/model").rename(gone)
    try:
        done = project.pytest("-q")
    finally:
        gone.rename(project.root / "zoo/model")
    assert done.returncode == 1
    assert kept_of(project) == dict.fromkeys(("holds", "fails", "three"), False)
    project.pytest("-q")
    assert records(project) == project.told


def test_mutants_of_a_kept_verdict_are_tried(project):
    """As of one that was judged in this run."""
    project.pytest("-q", "--mutate-stored")
    tried = {record["id"]: record["mutants"] for record in project.results()["records"]}
    assert kept_of(project)["holds"]
    assert json.dumps(tried["color::holds"]).count("killed") > 0


def test_a_store_from_before_verdicts_were_kept_takes_them(tmp_path):
    """Layout 3: read-only it has none and is read on; opened to write it is given the table."""
    path = tmp_path / "store.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("DROP TABLE verdicts")
        old.execute("PRAGMA user_version=3")
    assert Store(path, read_only=True).get_verdicts("code", ["key"]) == {}
    store = Store(path)
    store.put_verdicts([("code", "key", b"value")])
    assert store.get_verdicts("code", ["key"]) == {"key": b"value"}
    assert store.stats()["verdicts"]["rows"] == 1


def test_a_pack_brings_no_verdict(tmp_path):
    """Evidence travels between machines; what was made of it is judged where it arrives."""
    with pytest.raises(ValidationError, match="table"):
        Row.model_validate({"table": "verdicts", "code_key": "c", "key": "k", "bytes": 1, "sha256": "0" * 64})
