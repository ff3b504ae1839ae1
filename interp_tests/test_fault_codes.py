"""docs/faults.md against the source: each code that a fault can have, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAKERS = {"EnvironmentFault", "unforeseen", "_explained", "_fault"}  # the last two: the store's, which gives a code


def codes_in_source():
    """First arguments of what makes a fault, and what is given to a name `code` on the way to one."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        tree = ast.parse(path.read_text())
        makes = "EnvironmentFault(" in path.read_text()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in MAKERS and node.args:
                yield from words(node.args[0])
            elif makes and isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["code"]:
                yield from words(node.value)


def called(node):
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def words(node):
    found = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    return (n.value for n in found if isinstance(n, ast.Constant) and isinstance(n.value, str))


def codes_in_docs():
    cells = re.findall(r"^\| (`[^|]+`) \|", (ROOT / "docs/faults.md").read_text(), flags=re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)]


def test_docs_list_every_fault_once_and_no_other():
    """A code that a user reads in a failure can be looked up."""
    source, listed = set(codes_in_source()), codes_in_docs()
    assert len(source) > 60
    assert sorted(listed) == sorted(source)
