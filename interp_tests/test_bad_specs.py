"""Files that are wrong on purpose, each with the exact messages that a reviewer reads."""

import ast
import re
from pathlib import Path

import pytest

from interp_tests.bad_spec_cases import CASES, FOLDER, as_lines, mistakes_in

ROOT = Path(__file__).resolve().parents[1]
RAISERS = {"SpecError", "error", "key_error"}
# Raised where no file of a case can show it: test_language_files.py and test_hostile_specs.py do.
ELSEWHERE = {"unreadable_file", "too_large", "no_subjects", "wrong_suffix", "bad_file_name", "not_a_suite"}
WRITERS = [ROOT / "harness" / name for name in ("cli/new.py", "drafting.py")]
# Mistakes of a command's flags: test_new.py and test_draft.py show them.
OF_FLAGS = {
    *("missing_flag", "unknown_flag", "kind_not_asked", "bad_place", "file_exists", "not_appended", "undecidable"),
    *("too_few_to_draft", "unlike_lengths"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_says_what_is_wrong_where_and_how_to_mend_it(case, tmp_path):
    """Each case gives exactly the messages that are stored beside it."""
    assert as_lines(mistakes_in(case, tmp_path)) == (FOLDER / f"{case}.txt").read_text()


def test_there_are_enough_cases_and_every_one_fails():
    """At least 50 files with at least 30 distinct codes, none of them right by accident."""
    stored = [(FOLDER / f"{case}.txt").read_text() for case in CASES]
    assert len(stored) >= 50
    assert all(stored)
    assert len(codes_in("".join(stored))) >= 30


def codes_in(text):
    """The codes of stored messages: `file:line:column: code: message`."""
    return set(re.findall(r"^\S+:\d+:\d+: ([a-z0-9_]+): ", text, flags=re.MULTILINE))


def codes_in_source():
    """Every code that harness/language and its two writers can give: first in an error call, or in pydantic's table."""
    for path in [*sorted((ROOT / "harness" / "language").glob("*.py")), *WRITERS]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield from codes_of_call(node)
            elif isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["_CODES"]:
                yield from (value.value for value in node.value.values)


def codes_of_call(node):
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    position = 1 if name == "key_error" else 0
    if name in RAISERS and len(node.args) > position:
        for constant in ast.walk(node.args[position]):
            text = getattr(constant, "value", None)
            if isinstance(constant, ast.Constant) and isinstance(text, str) and re.fullmatch(r"[a-z0-9_]{3,}", text):
                yield text


def codes_in_docs():
    """The page's sections; what stands before the first is right as YAML, and no mistake."""
    before, _, sections = (ROOT / "docs" / "errors.md").read_text().partition("\n## ")
    assert before
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", sections, flags=re.MULTILINE))


def test_docs_list_every_code_and_no_other():
    """docs/errors.md and the source name the same codes."""
    source = set(codes_in_source())
    assert len(source) > 60
    assert codes_in_docs() == source


def test_every_code_has_a_case():
    """No code is without a file that shows it, but those that a file of a case cannot show."""
    shown = codes_in("".join((FOLDER / f"{case}.txt").read_text() for case in CASES))
    assert set(codes_in_source()) - shown == ELSEWHERE | OF_FLAGS
