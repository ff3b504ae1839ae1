"""A small repository to read specs from: two subjects, three sets of words, some code."""

import shutil
from pathlib import Path

from harness.language.specs import load
from harness.spec import Broken

ROOT_OF_CASES = Path(__file__).with_name("bad_specs") / "_root"
HEAD = "subjects: [small]\nprompts:\n  color: prompts/words.yaml#color\n  others: prompts/words.yaml#!color\n"


def copy_root(folder: Path) -> Path:
    shutil.copytree(ROOT_OF_CASES, folder, dirs_exist_ok=True)
    return folder


def load_suite(root: Path, text: str, name: str = "suite"):
    """What load() makes of one suite in a small repository."""
    path = copy_root(root) / "specs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return load(root, [path])


def specs_of(root: Path, text: str):
    """The specs of one suite, which must be right."""
    items = load_suite(root, text).items
    assert not [str(e) for item in items if isinstance(item, Broken) for e in item.errors]
    return items


def prompts_of(root: Path, definition: str):
    """The prompts of one set definition, as YAML behind `mine:`."""
    suite = f"subjects: [small]\nprompts:\n  mine: {definition}\n" + (
        "expect:\n  - {id: a, feature: 1, fires_more: {prompts: mine, than: prompts/words.yaml#number}}\n"
    )
    return specs_of(root, suite)[0].sets["prompts"].prompts


def codes_of(root: Path, text: str):
    """The codes of every mistake in one suite, in order."""
    return [e.code for item in load_suite(root, text).items if isinstance(item, Broken) for e in item.errors]
