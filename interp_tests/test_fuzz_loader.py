"""Whatever bytes or trees stand in a file, loading gives specs or mistakes; what is valid comes back as it was."""

import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.heldout import plain
from harness.inputs import Prompt
from harness.language.scalars import in_quotes
from harness.language.specs import load
from harness.spec import Spec
from interp_tests.fuzz_loader import PLACES, load_bytes
from interp_tests.hostile import FILES
from interp_tests.language_root import copy_root

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)
sets = st.lists(texts, min_size=1, max_size=6, unique_by=lambda text: plain(Prompt(text)))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from([10**40, "id", "a"])
)
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(max_size=6), t, max_size=4))
KEYS = [
    "title",
    "subjects",
    "prompts",
    "expect",
    "models",
    "saes",
    "corpora",
    "about",
    "tags",
    "text",
    "group",
    "prompts",
]
headed = st.dictionaries(st.sampled_from(KEYS), trees, max_size=4)
claims = st.fixed_dictionaries(
    {"id": names, "feature": st.integers(0, 1023)},
    optional={
        "why": texts,
        "owner": texts,
        "severity": st.sampled_from(["fail", "warn"]),
        "pool": st.sampled_from(["max", "mean", "last"]),
        "scope": st.sampled_from(["sample", "population"]),
        "alpha": st.floats(0.001, 0.5),
        "xfail": texts,
        "tags": st.lists(st.sampled_from(["color", "slow_one"]), unique=True),
    },
)
kinds = st.sampled_from(
    [("fires_more", {"prompts": "a", "than": "b"}), ("fire_rate", {"prompts": "a", "rate": {"at_least": 0.5}})]
)
suites = st.tuples(
    st.lists(st.tuples(claims, kinds), min_size=1, max_size=4, unique_by=lambda c: c[0]["id"]), sets, sets
)


@pytest.fixture(scope="module")
def root():
    folder = Path(tempfile.mkdtemp())
    yield copy_root(folder)
    shutil.rmtree(folder)


def mutated(draw):
    """A hostile file, cut, doubled or with bytes of another in it."""
    raw = draw(st.sampled_from([raw for raw, _, _ in FILES.values() if len(raw) < 2000]))
    other = draw(st.binary(max_size=20) | st.sampled_from([raw[:200] for raw, _, _ in FILES.values()]))
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + other + raw[draw(st.integers(at, len(raw))) :]


@pytest.mark.parametrize("place", PLACES)
@given(raw=st.binary(max_size=200) | st.composite(mutated)())
@settings(max_examples=20, deadline=None)
def test_any_bytes_give_specs_or_mistakes(root, place, raw):
    """Bytes, and hostile files with other bytes in them, as every kind of file."""
    load_bytes(root, place, raw)


@pytest.mark.parametrize("place", PLACES)
@given(tree=headed | trees)
@settings(max_examples=20, deadline=None)
def test_any_tree_gives_specs_or_mistakes(root, place, tree):
    """Values of every type, nested, under keys that exist."""
    load_bytes(root, place, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "replace"))


@given(suite=suites)
@settings(max_examples=40, deadline=None)
def test_a_valid_suite_comes_back_as_it_was(root, suite):
    """Two ways of writing one suite (one line; blocks with all in quotes) give equal specs, but for their places."""
    entries, here, there = suite
    stands = {plain(Prompt(text)) for text in here}
    there = [text for text in there if plain(Prompt(text)) not in stands] or ["something else altogether"]
    data = {
        "subjects": ["small"],
        "prompts": {"a": here, "b": there},
        "expect": [{**claim, kind: body} for claim, (kind, body) in entries],
    }
    one, other = specs(root, flow(data)), specs(root, quoted(data))
    assert [s.id for s in one] == [f"a::{claim['id']}" for claim, _ in entries]
    assert [told(s) for s in one] == [told(s) for s in other]
    assert [tuple(p.text for p in s.sets["prompts"].prompts) for s in one] == [tuple(here)] * len(one)
    assert [s.why for s in one] == [claim.get("why", "") for claim, _ in entries]
    assert [s.features for s in one] == [(claim["feature"],) for claim, _ in entries]


def flow(value):
    """One line of YAML, as our own writer quotes texts."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_quotes(key)}: {flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return in_quotes(value) if isinstance(value, str) else repr(value)


def quoted(data):
    """PyYAML's block style with every scalar in quotes and everything beyond ASCII escaped."""
    return yaml.dump(data, sort_keys=False, default_flow_style=False, default_style='"')


def specs(root, text):
    path = root / "specs/a.yaml"
    path.write_bytes(text.encode())
    try:
        items = load(root, [path]).items
    finally:
        path.unlink()
    assert all(isinstance(item, Spec) for item in items), [str(e) for i in items for e in getattr(i, "errors", ())]
    return items


def told(spec):
    return {f.name: getattr(spec, f.name) for f in fields(spec) if f.name not in ("source", "text")}
