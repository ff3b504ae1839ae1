"""Names in documents and editors: docs/statistics.md's exist, and every key of the schema has its hover text."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/statistics.md").read_text()
SCHEMA = json.loads((ROOT / "specs/suite.schema.json").read_text())
PATHS = sorted(set(re.findall(r"`((?:harness|interp_tests)/[\w./]+)`", PAGE)))
LINKS = sorted(set(re.findall(r"\]\(([\w.-]+\.md)", PAGE)))


def undescribed(node, path="", conditional=False):
    """Keys of `properties` without a description. Conditions (if, then, a rule of allOf) repeat keys that have one."""
    if isinstance(node, list):
        for i, one in enumerate(node):
            yield from undescribed(one, f"{path}[{i}]", conditional)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        inside = conditional or name in ("if", "then", "else", "not", "allOf")
        if name == "properties" and not inside:
            yield from (f"{path}/{key}" for key, one in value.items() if "description" not in one)
        yield from undescribed(value, f"{path}/{name}", inside)


def test_every_key_has_its_hover_text():
    """An editor shows a sentence for each key of a suite, a set, a claim and a kind."""
    text = json.dumps(SCHEMA)
    shown = {name: one for name, one in SCHEMA["$defs"].items() if f'"#/$defs/{name}"' in text}
    assert shown.keys() >= {"Spec", "Set"}
    assert list(undescribed({**SCHEMA, "$defs": shown})) == []


def test_a_key_without_a_description_is_found():
    """The search can fail: one taken away is named."""
    less = json.loads(json.dumps(SCHEMA))
    name, properties = next((n, d["properties"]) for n, d in less["$defs"].items() if "properties" in d)
    key = next(iter(properties))
    properties[key].pop("description", None)
    assert f"/$defs/{name}/{key}" in list(undescribed(less))


@pytest.mark.parametrize("name", [*PATHS, *(f"docs/{link}" for link in LINKS)])
def test_what_the_statistics_page_names_is_there(name):
    """Files in code and in links."""
    assert (ROOT / name).exists()


def test_the_statistics_page_names_files():
    """The patterns find them."""
    assert len(PATHS) >= 3
    assert LINKS
