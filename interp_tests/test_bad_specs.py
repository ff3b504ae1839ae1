"""Files that are wrong on purpose, each with the exact messages that a reviewer reads: its snapshot."""

import ast
import re
from pathlib import Path

import pytest

from interp_tests.bad_spec_cases import CASES, as_lines, codes_in, mistakes_in, stored_codes

ROOT = Path(__file__).resolve().parents[1]
RAISERS = {"SpecError", "error", "key_error"}
# Raised where no file of a case can show it: test_language_files.py and test_hostile_specs.py do.
ELSEWHERE = {
    *("unreadable_file", "too_large", "no_subjects", "wrong_suffix", "bad_file_name", "not_a_suite"),
    "kind_failed",  # test_kind_raises.py
    *("adapter_beside_weights", "quantized_weights"),  # test_checkpoints.py
    "corpus_unreadable",  # test_sentences.py
}
WRITERS = [ROOT / "harness" / name for name in ("cli/new.py", "drafting.py")]
# Mistakes of a command's flags: test_new.py and test_draft.py show them.
OF_FLAGS = {
    *("missing_flag", "unknown_flag", "kind_not_asked", "bad_place", "file_exists", "not_appended", "undecidable"),
    *("too_few_to_draft", "unlike_lengths"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_says_what_is_wrong_where_and_how_to_fix_it(case, tmp_path, snapshot):
    """Each case gives at least one message, and exactly those that are stored."""
    found = as_lines(mistakes_in(case, tmp_path))
    assert codes_in(found)
    assert found == snapshot


def test_there_are_enough_cases():
    """At least 50 files with at least 30 distinct codes."""
    assert len(CASES) >= 50
    assert stored_codes().keys() == set(CASES)
    assert len(set().union(*stored_codes().values())) >= 30


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
    shown = set().union(*stored_codes().values())
    assert set(codes_in_source()) - shown == ELSEWHERE | OF_FLAGS
