"""docs/writing-specs.md and README.md: every block of YAML in them is right."""

import re
import shutil
from pathlib import Path

import pytest

from harness.language.check import check
from harness.language.specs import load
from harness.spec import Spec

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "writing-specs.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCKS = [
    block
    for page in (PAGE, README)
    for block in re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
]
HEAD = "subjects: [tiny-gemma2]\n"
CLAIM = "  - {{id: about-{0}, feature: 1, fires_more: {{prompts: {0}, than: prompts/near-misses.yaml#color_talk}}}}\n"


def whole_suite(block):
    """A block is a suite, some sets, or a list of specs; what it leaves out is put around it."""
    if block.startswith("prompts:"):
        sets = re.findall(r"^  (\w+):", block, flags=re.MULTILINE)
        return HEAD + block + "expect:\n" + "".join(CLAIM.format(name) for name in sets)
    color = "prompts:\n  color: prompts/categories.yaml#color\n"
    if "mse-on-text" in block:  # README quotes the claims of a suite with these sets
        others = {"number": "number", "code": "code", "text": "!code"}
        color += "".join(f'  {name}: "prompts/categories.yaml#{key}"\n' for name, key in others.items())
    return block if "expect:" in block else HEAD + color + "expect:\n" + block


def test_the_page_has_blocks():
    """The page shows YAML, and the pattern finds it."""
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_of_yaml_loads(block, tmp_path):
    """What a reader copies from the page is read without a mistake."""
    shutil.copytree(ROOT / "specs" / "prompts", tmp_path / "specs" / "prompts")
    shutil.copyfile(ROOT / "specs" / "subjects.yaml", tmp_path / "specs" / "subjects.yaml")
    path = tmp_path / "specs" / "page.yaml"
    path.write_text(whole_suite(block))
    assert check(tmp_path, [path]) == []
    assert all(isinstance(item, Spec) for item in load(tmp_path, [path]).items)
