"""specs/suite.schema.json: in step with the models, true of every suite, and as strict as one file allows."""

import json
from pathlib import Path

import jsonschema
import pytest

from harness.errors import SpecError
from harness.expectations import kinds
from harness.language.loader import read_yaml
from harness.language.mistakes import Mistakes
from harness.language.models import SpecKeys, SuiteKeys
from harness.language.nodes import plain_value
from harness.language.schema import schema_text, suite_schema
from harness.language.specs import load
from harness.spec import Broken
from interp_tests.bad_spec_cases import CASES, FOLDER, stored_codes
from interp_tests.language_root import codes_of as codes_in_suite

ROOT = Path(__file__).resolve().parents[1]
CHECKER = jsonschema.Draft202012Validator(suite_schema())
SPECS = ROOT / "specs"
NO_SUITES = {SPECS / "prompts", SPECS / "measured"}
SUITES = [p for p in sorted(SPECS.rglob("*.yaml")) if p.name != "subjects.yaml" and not NO_SUITES & set(p.parents)]
OTHER_FILES = ("subjects_", "prompts_")

EVERYTHING = """
title: All forms
subjects: [small]
owner: me
tags: [color]
prompts:
  listed: ["a red hat", "[[not]] marked"]
  shared: prompts/words.yaml#color
  others: prompts/words.yaml#!color
  code: prompts/code.txt
  joined: {use: [prompts/words.yaml#animal, prompts/words.yaml#number], truncate: true}
  marked: {marks: true, prompts: ["a [[warm]] hat"], truncate: true}
  made: {template: "a {color} {thing}", color: [red, blue], thing: [hat], group: prompt, marks: false}
expect:
  - id: a
    why: because
    feature: 1
    subjects: [small, other]
    pool: last
    tokens: all
    special_tokens: counted
    scope: sample
    alpha: .01
    severity: warn
    xfail: known not to hold
    owner: you
    tags: [warm]
    discovered_on: [listed, code]
    fires_more: {prompts: shared, than: {use: others, truncate: true}, auroc: {between: [.8, 1]}}
  - feature: {best: {prompts: shared, than: others, by: rate}}
    fires_more: {prompts: [marked, made], than: joined, mean_difference: {at_least: 1e-3}}
  - {id: c, features: [1, 2], together: any, family: f, q: .1, fires_more: {prompts: shared, than: joined}}
"""

# What a schema of one file cannot see, by code.
BEYOND = {
    "bad_json": "the line stands in another file",
    "bad_marks": "brackets must balance, which no regular expression says",
    "bad_reference": "a text is a text",
    "chat_with_pictures": "it takes following names",
    "circular_set": "it takes following names",
    "different_q": "members are compared across entries and files",
    "different_sae": "SAEs stand in specs/subjects.yaml",
    "duplicate_id": "ids are compared across entries",
    "duplicate_prompt": "across sets and files; within one list the schema sees it",
    "empty_set": "the file that is referred to is empty; an empty list the schema sees",
    "feature_out_of_range": "d_sae stands in specs/subjects.yaml",
    "keywords_match_nothing": "words are looked for in the prompts",
    "list_of_sets": "names are texts like any other",
    "no_pictures": "what sets hold is not seen",
    "no_set_named": "a reference is a text",
    "no_subject": "the suite or the spec may say it",
    "not_a_picture": "a path is a text",
    "nothing_shared": "models and SAEs stand in specs/subjects.yaml",
    "nul": "an escape makes it",
    "outside_specs": "a path is a text",
    "overlapping_sets": "prompts are compared across sets",
    "same_subject": "two values are compared",
    "vacuous_bound": "a metric's scale, and the width of an SAE, are no part of a bound's grammar",
    "template_brace": "slots are named in the text of the template",
    "text_after_hash": "YAML dropped it before the schema looks",
    "trailing_break": "a text may hold line breaks; whether its list writes them all alike is no shape",
    "text_only_subject": "models stand in specs/subjects.yaml",
    "too_many_prompts": "the product of the slots",
    "true_by_construction": "the pool stands beside the kind",
    "unfit_prompts": "prompts are edited, and compared with their edits",
    "unknown_corpus": "corpora stand in specs/subjects.yaml",
    "unknown_file": "it takes looking at the disk",
    "unknown_set": "sets are named by the file itself",
    "unknown_slot": "slots are named by the set itself",
    "unknown_subject": "subjects stand in specs/subjects.yaml",
    "unused_slot": "slots are named in the text of the template",
}
BEYOND_CASES = {
    "bad_jsonl": "the lines stand in another file",
    "bound_is_nan": "JSON has no NaN",
    "bound_wrong_way_round": "two values are compared",
    "broken_shared_file": "the mistakes stand in another file",
    "edits_keep_swapped": "two values are compared",
    "edits_pinned_in_rate": "two values are compared",
    "edits_rate_in_search": "two values are compared",
    "edits_twice": "an edit with its words and one without are the same edit",
    "prompt_is_anchor": "YAML dropped the anchor before the schema looks",
}


def values_of(path):
    """The file's values, or None where it is no YAML of ours at all."""
    try:
        return plain_value(read_yaml(path, path.name))
    except (SpecError, Mistakes):
        return None


def readable_cases():
    suites = [case for case in CASES if not case.startswith(OTHER_FILES)]
    return [case for case in suites if values_of(FOLDER / f"{case}.yaml") is not None]


def codes_of(case):
    return stored_codes().get(case, set())


def is_beyond(case):
    return case in BEYOND_CASES or codes_of(case) <= BEYOND.keys()


def test_the_schema_is_a_schema():
    """It is valid JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(suite_schema())


def test_the_file_is_in_step_with_the_models():
    """`interp schema > specs/suite.schema.json` writes what is there."""
    assert (SPECS / "suite.schema.json").read_text() == schema_text()


def complaints(path):
    return [f"{path.name}: {e.json_path}: {e.message}" for e in CHECKER.iter_errors(values_of(path))]


def test_every_shipped_suite_obeys_the_schema():
    """What load() reads without a mistake, an editor underlines nowhere."""
    assert not [item.id for item in load(ROOT).items if isinstance(item, Broken)]
    assert [line for path in SUITES for line in complaints(path)] == []


def test_a_suite_with_every_form_obeys_the_schema(tmp_path):
    """Sets in all their forms, references in all theirs, and each key beside a kind."""
    path = tmp_path / "all.yaml"
    path.write_text(EVERYTHING)
    assert codes_in_suite(tmp_path, EVERYTHING) == []
    assert complaints(path) == []


@pytest.mark.parametrize("case", [c for c in readable_cases() if not is_beyond(c)])
def test_the_schema_refuses_what_one_file_shows_to_be_wrong(case):
    """Each wrong file whose mistakes stand in its own values is refused."""
    assert list(CHECKER.iter_errors(values_of(FOLDER / f"{case}.yaml")))


@pytest.mark.parametrize("case", sorted(BEYOND_CASES))
def test_what_is_listed_as_beyond_the_schema_is_beyond_it(case):
    """A case leaves the list as soon as the schema sees it."""
    assert not list(CHECKER.iter_errors(values_of(FOLDER / f"{case}.yaml")))


def test_every_code_listed_as_beyond_has_a_case_that_passes_the_schema():
    """No reason stands in the list for nothing."""
    passing = [c for c in readable_cases() if not list(CHECKER.iter_errors(values_of(FOLDER / f"{c}.yaml")))]
    assert BEYOND.keys() <= {code for case in passing for code in codes_of(case)}


def test_every_key_and_kind_has_a_description():
    """The editor's help has a sentence for each."""
    schema = json.loads(schema_text())
    spec = schema["$defs"]["Spec"]["properties"]
    assert {*SpecKeys.model_fields, *kinds()} == spec.keys()
    assert SuiteKeys.model_fields.keys() == schema["properties"].keys()
    undescribed = [name for name, part in {**spec, **schema["properties"]}.items() if not part.get("description")]
    undescribed += [
        f"{kind}.{name}"
        for kind, model in kinds().items()
        for name, part in schema["$defs"][model.__name__]["properties"].items()
        if not part.get("description")
    ]
    assert undescribed == []


def test_every_key_of_every_form_has_a_description():
    """Those of edits, sets and bounds too: whatever an editor can be pointed at."""
    schema = suite_schema()
    assert list(without_words(schema)) == []
    del schema["$defs"]["Bound"]["properties"]["between"]["description"]
    assert list(without_words(schema)) == ["between"], "the check can fail"


def without_words(part):
    """The keys without a sentence, of all objects at any depth; rules (`if`, `then`) name keys, and describe none."""
    if isinstance(part, dict):
        keys = part.get("properties", {}) if part.get("type") == "object" else {}
        yield from (name for name, one in keys.items() if not one.get("description"))
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from without_words(each)


def test_no_definition_stands_there_unused():
    """What nothing refers to is read by nobody."""
    text = schema_text()
    assert [name for name in suite_schema()["$defs"] if f'"#/$defs/{name}"' not in text] == []
