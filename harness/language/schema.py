"""specs/suite.schema.json: what an editor can check while a suite is written, from the models and the kinds.

A schema sees one file: names of sets, subjects and features, and texts that YAML misreads, are beyond it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from harness.expectations import kinds
from harness.expectations.base import Expectation
from harness.language.models import FeatureSource, SpecKeys, SuiteKeys
from harness.language.prompts import MAX_PROMPTS
from harness.language.setforms import ATTENTIONS, CHATS, HALVES
from harness.language.shelves import SET_NAME
from harness.language.tags import RESERVED, TAG

Schema = dict[str, Any]
_LIMITS = ("at_least", "at_most", "between")
_TEXTS: Schema = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "pattern": "\\S"},
    "minItems": 1,
    "maxItems": MAX_PROMPTS,
    "uniqueItems": True,
}
_WORDS: Schema = {**_TEXTS, "items": {"type": "string"}}
_MARKS: Schema = {"type": "boolean", "description": "Read [[spans]] in the texts as marks; text is literal without it."}
_READ: Schema = {
    "attention": {"enum": [*ATTENTIONS], "description": "Which tokens see which; causal for text, prefix for pictures."}
}
_CHAT: Schema = {"enum": [*CHATS], "description": "Said by this role, inside the model's own chat template."}
_CODE: Schema = {"type": "boolean", "description": "Code: punctuation and case tell two prompts apart."}
_TEXT_ONLY: Schema = {"chat": _CHAT, "code": _CODE}
_HALF: Schema = {
    "enum": [*HALVES],
    "description": "The half of its prompts, by hash, that features are found on (discovery) or tested on (test).",
}
_CAPTION: Schema = {
    "type": "string",
    "minLength": 1,
    "pattern": "\\S",
    "description": "The text read with each picture; {folder} and {name} stand for the picture's.",
}
_FILE: Schema = {"type": "string", "pattern": "^images/", "description": "A picture under specs/images."}
_FILES: Schema = {
    "anyOf": [_FILE, {"type": "array", "items": _FILE, "minItems": 1, "uniqueItems": True}],
    "description": "Pictures under specs/images, one prompt each.",
}
_FOLDER: Schema = {"type": "string", "pattern": "^images", "description": "A folder under specs/images."}
_PER_FOLDER: Schema = {"type": "integer", "minimum": 1, "description": "The first so many pictures of each sub-folder."}
_TRUNCATE: Schema = {"type": "boolean", "description": "Cut prompts at the subject's max_tokens."}


def schema_text() -> str:
    """The file's content: stable, two spaces, a newline at the end."""
    return json.dumps(suite_schema(), indent=2, ensure_ascii=False) + "\n"


def suite_schema() -> Schema:
    """JSON Schema (2020-12) of a suite file."""
    models: list[type[BaseModel]] = [SuiteKeys, SpecKeys, FeatureSource, *kinds().values()]
    _, found = models_json_schema([(m, "validation") for m in models], ref_template="#/$defs/{model}")
    defs: Schema = {name: _tidied(part) for name, part in found["$defs"].items()}
    suite, own = defs.pop("SuiteKeys"), defs.pop("SpecKeys")
    suite["properties"]["prompts"] = _prompts()
    suite["properties"]["expect"] = _claims()
    for part in (suite, own):
        part["properties"]["tags"]["items"] = _tag()
    whole: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A suite of claims about features",
        **suite,
        "required": ["expect"],
        "$defs": dict(sorted({**defs, "Spec": _spec(own), "Set": _set()}.items())),
    }
    text = json.dumps(whole)  # Edit, for one, is what a value is read as; in YAML it has a form of its own
    return {**whole, "$defs": {name: one for name, one in whole["$defs"].items() if f'"#/$defs/{name}"' in text}}


def _tidied(part: Any) -> Any:
    """Without pydantic's titles and nulls, and with what bounds demand beyond their fields."""
    if isinstance(part, list):
        return [_tidied(p) for p in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidied(value) for key, value in part.items() if not _is_noise(key, value)}
    branches = [b for b in tidy.pop("anyOf", ()) if b != {"type": "null"}]
    if branches:
        tidy = {**tidy, **branches[0]} if len(branches) == 1 else {**tidy, "anyOf": branches}
    if set(_LIMITS) <= set(tidy.get("properties", ())):
        tidy["oneOf"] = [{"required": [limit]} for limit in _LIMITS]
    return tidy


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _claims() -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/Spec"},
        "description": "The claims, one test each.",
    }


def _spec(own: Schema) -> Schema:
    """An entry of `expect:`: its keys, exactly one kind, a feature where the kind reads one."""
    known = kinds()
    found_on = own["properties"]["discovered_on"]
    found_on["anyOf"].append({"$ref": "#/$defs/FeatureSource"})
    return {
        **own,
        "properties": own["properties"] | {name: _of_kind(kind) for name, kind in known.items()},
        "oneOf": [{"required": [name]} for name in known],
        "allOf": [
            *(_feature_rule(kind) for kind in known.values() if kind.reads_feature is not None),
            _ID_RULE,
            _family_rule(name for name, kind in known.items() if kind.gives_p),
        ],
        "dependentRequired": {"together": ["features"], "q": ["family"]},
        "not": {"required": ["feature", "features"]},
    }


_ID_RULE: Schema = {
    "anyOf": [
        {"required": ["id"]},
        {"required": ["feature"], "properties": {"feature": {"type": "object"}}},
    ]
}


def _family_rule(kinds_with_p: Iterable[str]) -> Schema:
    """A member of a family has a p."""
    has_p = {"anyOf": [{"required": [name]} for name in kinds_with_p], "properties": {"scope": {"const": "population"}}}
    return {"if": {"required": ["family"]}, "then": has_p}


def _of_kind(kind: type[Expectation]) -> Schema:
    return {"$ref": f"#/$defs/{kind.__name__}", "description": kind.summary()}


def _feature_rule(kind: type[Expectation]) -> Schema:
    given: Schema = {"anyOf": [{"required": ["feature"]}, {"required": ["features"]}]}
    if kind.reads_decoder:
        given["properties"] = {"feature": {"type": "integer"}}
    return {"if": {"required": [kind.kind]}, "then": given if kind.reads_feature else {"not": given}}


def _tag() -> Schema:
    return {"type": "string", "pattern": f"^{TAG.pattern}$", "not": {"enum": sorted(RESERVED)}}


def _prompts() -> Schema:
    return {
        "type": "object",
        "description": "Named sets of prompts.",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{SET_NAME.pattern}$"},
        "additionalProperties": {"$ref": "#/$defs/Set"},
    }


def _set() -> Schema:
    """A definition under `prompts:`; the forms are told apart by their first key."""
    reference: Schema = {
        "type": "string",
        "minLength": 1,
        "description": "file.yaml#set, file.yaml#!set, file.txt or a set of this file.",
    }
    used = {
        "anyOf": [reference, {"type": "array", "items": reference, "minItems": 1}],
        "description": "The set, or several, that this one is made of.",
    }
    texts = {**_TEXTS, "description": "Prompts, verbatim."}
    return {
        "description": "A list of prompts, a reference, or a mapping with prompts, template, use, images or folder.",
        "anyOf": [
            reference,
            texts,
            _closed(
                {"prompts": texts, "marks": _MARKS, "truncate": _TRUNCATE, **_READ, "chat": _CHAT, "code": _CODE},
                "prompts",
            ),
            _closed({"use": used, "half": _HALF, "truncate": _TRUNCATE, **_READ, **_TEXT_ONLY}, "use"),
            _closed({"images": _FILES, "caption": _CAPTION, **_READ}, "images", "caption"),
            _closed({"folder": _FOLDER, "caption": _CAPTION, "per_folder": _PER_FOLDER, **_READ}, "folder", "caption"),
            _template(),
        ],
    }


def _closed(properties: Schema, *needed: str) -> Schema:
    return {"type": "object", "properties": properties, "required": [*needed], "additionalProperties": False}


def _template() -> Schema:
    group = {
        "enum": ["template", "prompt"],
        "default": "template",
        "description": "What one unit of evidence is: all prompts of a template, or each prompt.",
    }
    sentence = {
        "anyOf": [{"type": "string", "minLength": 1}, _TEXTS],
        "description": "The sentence with {slots}, or several; every combination of words is a prompt.",
    }
    return {
        "type": "object",
        "description": "A sentence with {slots}; every other key is a slot with its words.",
        "properties": {"template": sentence, "group": group, "marks": _MARKS, "truncate": _TRUNCATE},
        "required": ["template"],
        "additionalProperties": _WORDS,
    }
