"""A run loads each model once: what claims ask for while they are judged is read before the model is let go."""

import shutil

import pytest

from harness.inputs import Prompt, Reading
from harness.keys import code_key, prompt_key
from harness.language.specs import load
from harness.mutants.one_layer_off import derive
from harness.running.inmemory import InMemory
from harness.session import SpecSession, open_session
from harness.store import Store
from harness.verdict import Outcome
from interp_tests.project import REPO, SUBJECTS, make_project

PLACES = ", ".join(f"{side} the {place}" for side in ("in", "near") for place in ("house", "barn", "yard", "shed"))
FAILING = f"""\
prompts:
  animals:
    template: "the {{animal}} slept {{where}}"
    animal: [dog, horse, fox, lamb, goose, rabbit]
    where: [{PLACES}]
expect:
  - id: case
    feature: 407
    holds_under: {{prompts: animals, edits: [case, punctuation], relation: keeps_firing, draws: 40}}
  - id: typo
    feature: 407
    holds_under: {{prompts: animals, edits: [case, typo], relation: keeps_firing, draws: 40, seed: 3}}
"""
HOLDING = """\
prompts:
  animals:
    marks: true
    template: "{start}the [[{animal}]]{end}"
    start: ["", "She saw ", "Nobody heard "]
    animal: [dog, cow, fox, bear]
    end: ["", ".", " in the yard.", " after dark."]
expect:
  - id: position
    feature: 407
    holds_under: {prompts: animals, edits: [swap_within, position], relation: keeps_firing, draws: 40}
"""
HALF = "  tiny-half: {model: tiny, sae: tiny, dtype: bfloat16, device: cpu}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("loads") / "p"
    made = make_project(root, root.parent / "evidence.sqlite")
    (root / "specs/subjects.yaml").write_text(SUBJECTS + HALF)
    for name, subjects, claims in (("edits", "tiny, tiny-half", FAILING), ("holds", "tiny", HOLDING)):
        (root / f"specs/{name}.yaml").write_text(f"title: {name}\nsubjects: [{subjects}]\n{claims}")
    return made


@pytest.fixture
def opened(project, tmp_path, monkeypatch):
    """Opens a session over the claims about some subjects, on a store that is empty the first time."""
    monkeypatch.chdir(project.root)
    items = load(project.root).items

    def session(name, *subjects, suite="edits", mutate="no"):
        (tmp_path / name).mkdir()
        chosen = [s for s in items if s.subject.name in subjects and s.suite == suite]
        store = Store(tmp_path / "evidence.sqlite")
        return open_session(chosen, store, tmp_path / name, lambda spec: True, lambda line: None, mutate=mutate)

    return session


def judged(session):
    """Judge all claims of a session; (verdicts by claim, loads by subject)."""
    verdicts = {spec.id: session.record(spec).verdict for spec in session.selected}
    return verdicts, {name: counts["loads"] for name, counts in session.runner.capture.items()}


def in_their_turn(monkeypatch):
    """Judge every claim when its test comes, as if none asked."""
    monkeypatch.setattr(SpecSession, "_judge_those_that_ask", lambda self, subjects: None)


def test_two_models_with_claims_that_ask_are_loaded_once_each(opened):
    """Claims on two models, all of which shrink, cost one load of each."""
    verdicts, loads = judged(opened("a", "tiny", "tiny-half"))
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.UNMET}
    assert all(verdict.details["asked"] > 0 and "; shrunk" in verdict.finding for verdict in verdicts.values())
    assert loads == {"tiny": 1, "tiny-half": 1}


def test_without_it_they_are_loaded_again_and_find_the_same(opened, monkeypatch, tmp_path):
    """The partner: judged in their turn the claims come out the same. They alternate between the two models, so that
    each is loaded again for each claim."""
    ahead, _ = judged(opened("a", "tiny", "tiny-half"))
    (tmp_path / "evidence.sqlite").unlink()
    in_their_turn(monkeypatch)
    later, loads = judged(opened("b", "tiny", "tiny-half"))
    assert later == ahead
    assert loads == {"tiny": 3, "tiny-half": 3}


def test_what_is_asked_for_of_a_store_that_has_the_examples_costs_one_load(opened, monkeypatch):
    """The examples are there, what shrinking asks for is not: both claims share the model that the first one loads."""
    with monkeypatch.context() as patch:
        in_their_turn(patch)
        opened("a", "tiny").prepare()
    session = opened("b", "tiny")
    verdicts, loads = judged(session)
    assert loads == {"tiny": 1}
    assert sum(verdict.details["asked"] > 0 for verdict in verdicts.values()) == 2


def test_a_model_is_let_go_when_another_is_wanted(opened):
    """One model at a time: asking about another one lets the first go, and after a group is read none is held."""
    session = opened("a", "tiny", "tiny-half")
    session.prepare()
    assert not session.runner._in_memory.holds_one
    ones = {spec.subject.name: spec.subject for spec in session.selected}
    memory = InMemory()
    first = memory.of(ones["tiny"])
    assert memory.of(ones["tiny"]) is first
    assert memory.of(ones["tiny-half"]) is not first
    assert memory.of(ones["tiny"]) is not first


def test_a_model_with_too_few_layers_is_loaded_again(opened):
    """What is in memory was cut off after the layer that was read; a deeper place of the same model loads it anew."""
    session = opened("a", "tiny")
    deep = session.selected[0].subject
    shallow = derive(deep)
    assert shallow.layer < deep.layer

    def ask(subject, text):
        prompt = Prompt(text)
        session.runner.read_aside(Reading(subject, code_key(subject), ((prompt_key(prompt), prompt),)))
        return {name: counts["loads"] for name, counts in session.runner.capture.items()}

    assert ask(shallow, "A red ball.") == {shallow.name: 1}
    assert ask(shallow, "A blue ball.") == {shallow.name: 1}
    assert ask(deep, "A green ball.") == {shallow.name: 1, deep.name: 1}
    assert ask(shallow, "A white ball.") == {shallow.name: 1, deep.name: 1}


def test_mutants_ask_for_nothing(opened):
    """A mutant that is refuted is not shrunk, which would load the model again once it was let go."""
    verdicts, loads = judged(opened("a", "tiny", suite="holds", mutate="all"))
    (verdict,) = verdicts.values()
    assert (verdict.outcome, sum(loads.values())) == (Outcome.MET, 1)
    assert any(trial.fate == "killed" for trial in verdict.mutants)


@pytest.mark.slow
def test_one_process_of_two_reads_what_claims_ask_for(project):
    """Under -n the process that reads a model judges the claims that ask: the others find all of it in the store."""
    ran = project.pytest("-q", "-n", "2", "specs/edits.yaml")
    assert len(project.outcomes()) == 4, ran.stdout + ran.stderr
    assert {name: counts["loads"] for name, counts in project.results()["capture"].items()} == {
        "tiny": 1,
        "tiny-half": 1,
    }


@pytest.mark.slow
def test_the_suites_of_tiny_gemma2_load_it_once(tmp_path):
    """All shipped suites of tiny-gemma2 with an empty store: one load, as results.json shows."""
    made = make_project(tmp_path / "p", tmp_path / "evidence.sqlite")
    shutil.rmtree(made.root / "specs")
    for name in ("specs", "harness/zoo"):
        shutil.copytree(REPO / name, made.root / name)
    ran = made.pytest("-q", "specs/tiny-gemma2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {name: counts["loads"] for name, counts in made.results()["capture"].items()} == {"tiny-gemma2": 1}
