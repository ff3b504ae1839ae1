"""The failure text, read line by line: each case has its snapshot."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Source, SpecError
from harness.reports.display import escape
from harness.reports.examples import marked_text
from harness.reports.failure import failure_text, finding_line
from harness.reports.record import Record
from harness.spec import Broken
from harness.verdict import Example, Outcome, Verdict
from interp_tests import report_cases as cases
from interp_tests.report_cases import RERUN, example, record, with_prompt

CASES = {
    "unmet_fires_more": lambda: record(cases.UNMET),
    "inconclusive_too_few_prompts": lambda: record(cases.TOO_FEW),
    "inconclusive_underpowered_warn": lambda: record(cases.UNDERPOWERED, severity="warn"),
    "not_run": lambda: record(cases.NOT_RUN),
    "broken": lambda: Record.broken(cases.BROKEN),
    "best_feature": lambda: record(
        cases.UNMET.with_(examples=(), details={"chosen": "chosen by auroc (1) on found against found_plain"}),
        features=(),
    ),
    "together": lambda: record(
        cases.UNMET.with_(examples=(), details={"together": ["17: unmet", "18: met"]}), features=(17, 18)
    ),
    "right_to_left": lambda: record(with_prompt(cases.RTL, cases.RTL.split()[1], 4.25)),
    "emoji": lambda: record(with_prompt(cases.EMOJI, "\U0001f534", 4.25)),
    "long_prompt": lambda: record(with_prompt(cases.LONG, "crimson", 4.25)),
    "hostile_prompt": lambda: record(with_prompt(cases.HOSTILE, "zero\u200bwidth\nnew", 4.25)),
}


@pytest.fixture(autouse=True)
def in_a_repository(tmp_path, monkeypatch):
    """The broken file is where its record says, seen from a folder below the repository."""
    suite = tmp_path / cases.BROKEN.source.path
    suite.parent.mkdir(parents=True)
    suite.write_text(cases.BROKEN_TEXT)
    (tmp_path / "specs/subjects.yaml").touch()  # what makes a folder the repository
    monkeypatch.chdir(suite.parent)


@pytest.mark.parametrize("case", CASES)
def test_failure_text_is_the_stored_one(case, snapshot):
    """What a reviewer reads changes only on purpose."""
    assert failure_text(CASES[case](), RERUN) == snapshot


def test_another_verdict_has_another_text():
    """The comparison can fail: one number moved is another text."""
    moved = record(cases.UNMET.with_(p=0.2))
    assert failure_text(moved, RERUN) != failure_text(record(cases.UNMET), RERUN)


@pytest.mark.parametrize("case", CASES)
def test_the_first_line_is_the_finding(case):
    """pytest's short summary prints the first line only, so it is the finding, whole and in one line."""
    made = CASES[case]()
    first = failure_text(made, RERUN).split("\n")[0]
    assert first == finding_line(made)
    assert escape(made.verdict.finding)[:60] in first


@pytest.mark.parametrize(
    ("verdict", "start"),
    [
        (cases.UNMET, "feature 17 fires hardly more"),
        (cases.TOO_FEW, "inconclusive (too_few_prompts): 3 prompts cannot"),
        (cases.NOT_RUN, "could not be run: weights_missing"),
        (Verdict(Outcome.NOT_RUN, "the disk is full"), "not run: the disk is full"),
    ],
    ids=["unmet", "inconclusive", "says that it did not run", "does not say so"],
)
def test_could_not_tell_carries_its_own_word(verdict, start):
    """Only `unmet` needs no word before its finding; no word stands twice."""
    assert finding_line(record(verdict)).startswith(start)


@given(
    st.text(max_size=300),
    st.lists(st.tuples(st.text(max_size=6), st.floats(allow_nan=True))),
    st.text(max_size=40),
)
def test_no_prompt_can_write_a_control_character(text, tokens, note):
    """Whatever a prompt, its tokens or a note hold, the failure text is printable lines."""
    made = record(cases.UNMET.with_(examples=(Example(text, 1.5, "color", note, tuple(tokens)),)))
    plain = failure_text(made, RERUN)
    assert all(line.isprintable() for line in plain.split("\n"))
    assert plain.count("\n") < 40
    painted = failure_text(made, RERUN, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_color_is_only_where_it_is_asked_for():
    """Without color there is no escape code; with it the finding and the peak carry one."""
    assert "\x1b" not in failure_text(record(cases.UNMET), RERUN)
    painted = failure_text(record(cases.UNMET), RERUN, color=True)
    assert painted.startswith("\x1b[31;1m")
    assert "\x1b[1m>>dark<<\x1b[0m" in painted


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (example("The red ball.", "red", 8.3), "The >>red<< (8.3) ball."),
        (example("The red ball."), "The red ball."),
        (example("red red red"), "red red red"),
        (Example("red and red", 9.0, "r", "", (("red", 1.0), ("▁and", 0.0), ("▁red", 9.0))), "red and >>red<< (9)"),
        (Example("a cat", 9.0, "r", "", (("<bos>", 0.0), ("a", 0.0), ("Ġcat", 9.0))), "a >>cat<< (9)"),
        (Example("a cat", 9.0, "r", "", (("<bos>", 9.0), ("a", 0.0))), "a cat  [peak on >><bos><< (9)]"),
        (Example("é or a", 9.0, "r", "", (("<0xC3>", 0.0), ("<0xA9>", 0.0), ("▁or", 9.0))), "é >>or<< (9) a"),
        (Example("x = 0xC3A9 a", 9.0, "r", "", (("C", 0.0), ("a", 9.0))), "x = 0xC3A9 a  [peak on >>a<< (9)]"),
        (Example("nan", 9.0, "r", "", (("na", float("nan")), ("n", 2.0))), "na>>n<< (2)"),
        (Example("", 0.0, "r"), ""),
    ],
    ids=["word", "silent", "all silent", "second of two", "bos", "on bos", "bytes", "not there", "nan", "empty"],
)
def test_the_peak_token_is_marked_where_it_stands(made, expected):
    """The mark is on the token that fires most; a token that is no stretch of the text is named beside it."""
    assert marked_text(made) == expected


def test_a_long_prompt_is_cut_around_its_peak():
    """5,000 characters become one line with the peak in sight and both cuts shown."""
    assert len(cases.LONG) == 5000
    shown = marked_text(example(cases.LONG, "crimson", 2.0))
    assert len(shown) < 180
    assert ">>crimson<< (2)" in shown
    assert shown.startswith("...")
    assert re.search(r"\.\.\. \(\d+ more characters\)$", shown)


def test_many_mistakes_are_cut_and_counted():
    """A file with 50 mistakes shows 20 and says how many are left."""
    source = Source("specs/none.yaml", 1, 1)
    errors = tuple(SpecError("unknown_key", f"key {i} is not known", source) for i in range(50))
    text = failure_text(Record.broken(Broken("none", "none", source, errors)), RERUN)
    assert text.count("unknown_key") == 20
    assert "and 30 more" in text


def test_a_caret_stands_under_the_column_that_is_shown(tmp_path):
    """An escaped character before the mistake moves the caret along; a column far right is cut from the left."""
    source = Source(cases.BROKEN.source.path, 1, 0)
    quote = "a: \x1b" + "x" * 300
    (tmp_path / "far.yaml").write_text(quote)
    for column, before in ((5, r"a: \x1b"), (250, "..." + "x" * 100)):
        error = SpecError("c", "m", Source("far.yaml", 1, column))
        text = failure_text(Record.broken(Broken("f", "f", source, (error,))), RERUN)
        line, caret = (part.split(" | ")[1] for part in text.split("\n") if " | " in part)
        assert line.startswith(before)
        assert caret == " " * len(before) + "^"
