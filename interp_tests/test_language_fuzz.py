"""Whatever stands in a file, loading it gives items with mistakes, and never an exception."""

import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.expectations import kinds
from harness.language.loader import compose
from harness.language.mistakes import Mistakes
from harness.language.models import ModelEntry, SaeEntry, SpecKeys, SuiteKeys
from harness.language.nodes import TextFile
from harness.language.specs import Loaded, load
from harness.spec import Broken, Spec
from interp_tests.language_root import copy_root

PLACES = ["suite.yaml", "subjects.yaml", "prompts/fuzz.yaml", "prompts/fuzz.jsonl"]
SNIPPETS = [*"[]{}#'\"|>\t\n\r\u2028é", "  - ", "- ", ": ", "&a ", "*a ", "[[", "]]", "<<: ", "!!str ", ".nan", "0x1f"]
SNIPPETS += ["expect:\n", "prompts:\n", "subjects: [small]\n", "fires_more", "template", "use", "marks: true"]
SNIPPETS += ["prompts/words.yaml#!color"]
NAMES = [*SpecKeys.model_fields, *SuiteKeys.model_fields, *ModelEntry.model_fields, *SaeEntry.model_fields]
NAMES += [
    "best",
    "use",
    "template",
    "marks",
    "truncate",
    "group",
    "auroc",
    "at_least",
    "between",
    "over",
    "model",
    "sae",
]
WORDS = [
    "color",
    "small",
    "other",
    "max",
    "{x}",
    "[[a]]",
    "a\0b",
    "x.yaml#",
    "#",
    "../x.txt",
    "/etc",
    "a" * 300 + ".txt",
]
WORDS += ["", "prompts/words.yaml#color", "prompts/code.txt", "prompts/ring.yaml#here", "blocks.3.hook_resid_post"]
KINDS = list(kinds())
NAMES += [name for kind in kinds().values() for name in kind.model_fields]
SECTIONS = ["models", "saes", "subjects", "corpora"]

scalars = st.none() | st.booleans() | st.integers(-3, 3000) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
keys = st.sampled_from([*NAMES, *KINDS]) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)
claims = {
    name: values | st.fixed_dictionaries({}, optional=dict.fromkeys(kind.model_fields, values))
    for name, kind in kinds().items()
}
entries = st.fixed_dictionaries({}, optional=dict.fromkeys([*SpecKeys.model_fields, "prompts"], values) | claims)
one_kind = st.one_of([st.fixed_dictionaries({"id": st.just("a"), name: claim}) for name, claim in claims.items()])
suites = st.fixed_dictionaries(
    {"expect": st.lists(one_kind | entries | values, max_size=3)},
    optional={
        "subjects": values | st.just(["small"]),
        "prompts": st.dictionaries(st.sampled_from(["color", "a"]), values),
        "title": values,
        "tags": values,
    },
)
named = st.dictionaries(st.sampled_from(["small", "a"]), values)
allow_lists = st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, named | values))
texts = st.lists(st.sampled_from(SNIPPETS), max_size=30).map("".join)


@pytest.fixture(scope="module")
def root():
    folder = Path(tempfile.mkdtemp())
    yield copy_root(folder)
    shutil.rmtree(folder)


def check_loaded(loaded):
    assert isinstance(loaded, Loaded)
    ids = [item.id for item in loaded.items]
    assert len(ids) == len(set(ids))
    for item in loaded.items:
        assert isinstance(item, Spec | Broken)
        assert not isinstance(item, Broken) or item.errors
        assert all(e.source.line >= 1 and e.source.column >= 1 and e.message for e in getattr(item, "errors", ()))


def load_with(root, place, raw):
    """Load with one file replaced, alone and among all the others."""
    path = root / "specs" / place
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(raw)
    try:
        check_loaded(load(root))
        check_loaded(load(root, [path]))
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


@pytest.mark.parametrize("place", PLACES)
@given(raw=st.binary(max_size=300) | texts.map(str.encode))
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_any_file_give_items(root, place, raw):
    """Bytes and broken YAML, as a suite, as subjects.yaml, as a prompt file."""
    load_with(root, place, raw)


@given(data=suites)
@settings(max_examples=200, deadline=None)
def test_any_values_under_the_right_keys_give_items(root, data):
    """Values of every type where a suite expects others."""
    load_with(root, "suite.yaml", yaml.safe_dump(data, sort_keys=False).encode())


@given(data=allow_lists)
@settings(max_examples=100, deadline=None)
def test_any_values_in_subjects_yaml_give_items(root, data):
    """Values of every type where subjects.yaml expects others."""
    load_with(root, "subjects.yaml", yaml.safe_dump(data, sort_keys=False).encode())


@given(text=st.text(max_size=80) | texts)
def test_any_text_is_a_document_or_a_mistake(text):
    """The reader itself raises SpecError or Mistakes only."""
    try:
        node = compose(TextFile("f.yaml", text))
    except (SpecError, Mistakes):
        return
    assert node.size >= 1
