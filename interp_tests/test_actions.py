"""Annotations, the job summary and inert text, each read back as a runner of GitHub Actions reads them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.inert import Inert
from harness.reports.actions import MOST_SHOWN, annotation_lines, append_summary, inert
from harness.reports.display import escape
from interp_tests.actions_runner import obeyed
from interp_tests.report_cases import HOSTILE, MET, NOT_RUN, TOO_FEW, UNMET, record

FORGED = "::set-output name=a::b\n::error::forged\r::stop-commands::x\x1b[31m %0A%25 ##[error]forged, a:b"
PIECES = st.sampled_from(["::", ":", "##[", "#", "[", "]", "error", "stop-commands", " ", "\n", "\r", "\xa0", "é"])
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join), st.just(FORGED), st.just(HOSTILE))


def test_the_runner_of_these_tests_obeys_what_a_runner_obeys():
    """Both styles of command, blanks before them, stopped ranges; and nothing else."""
    log = "text\n  ::error file=a%2Cb,line=3,title=x%3A y::one%0Atwo %2525\nsee ##[warning]three\n"
    one, two = obeyed(log + "::nothing::\na ::error::b\n::stop-commands::tok\n::error::hidden\n::tok::\n")
    assert (one.properties, one.data) == ({"file": "a,b", "line": "3", "title": "x: y"}, "one\ntwo %25")
    assert (two.name, two.data) == ("warning", "three")
    assert [c.data for c in obeyed("::stop-commands::t\n::error::a\n::t::\n::error::b")] == ["b"]


def test_each_failing_claim_is_annotated_on_its_line():
    """Unmet, inconclusive and not run are errors, those that only warn warnings; met and expected ones are silent."""
    records = [
        record(UNMET, "unmet", 11),
        record(TOO_FEW, "too-few", 12),
        record(NOT_RUN, "not-run", 13),
        record(UNMET, "warns", 14, severity="warn"),
        record(MET, "met", 15),
        record(UNMET, "expected", 16, xfail="known"),
        record(MET, "surprise", 17, xfail="known"),
        record(NOT_RUN.with_(details={"cold": True}), "cold", 18),
    ]
    found = obeyed("\n".join(annotation_lines(records)))
    assert {(c.name, c.properties["line"]) for c in found} == {
        *(("error", str(line)) for line in (11, 12, 13, 17)),
        ("warning", "14"),
    }
    first = next(c for c in found if c.properties["line"] == "11")
    assert first.properties["file"] == "specs/tiny-gemma2/color.yaml"
    assert first.properties["title"] == "unmet: tiny-gemma2/color::unmet"
    assert first.data == UNMET.finding
    assert next(c for c in found if c.properties["line"] == "17").data.startswith("expected to be unmet (known), but")


def test_a_repository_inside_a_checkout_is_named_from_the_checkout():
    """GitHub shows an annotation on a file only by its path in the checkout."""
    (found,) = obeyed("\n".join(annotation_lines([record(UNMET)], folder="models/one")))
    assert found.properties["file"] == "models/one/specs/tiny-gemma2/color.yaml"


@pytest.mark.parametrize(("failing", "shown", "left_out"), [(10, 10, 0), (11, 9, 2), (200, 9, 191)])
def test_more_than_github_shows_are_counted_in_the_last(failing, shown, left_out):
    """Ten of a type; where there are more, the tenth says how many, and warnings have ten of their own."""
    records = [record(UNMET, f"c{i}", i + 1) for i in range(failing)]
    records += [record(UNMET, f"w{i}", 300 + i, severity="warn") for i in range(11)]
    found = obeyed("\n".join(annotation_lines(records)))
    errors = [c for c in found if c.name == "error"]
    assert len(errors) == MOST_SHOWN
    assert sum("line" in c.properties for c in errors) == shown
    assert [c.data.split(" ")[:3] for c in errors[shown:]] == [["and", str(left_out), "more;"]] * bool(left_out)
    assert [c.data.split(" ")[1] for c in found if c.name == "warning" and "line" not in c.properties] == ["2"]


@given(TEXTS, TEXTS)
def test_no_text_leaves_its_annotation(name, finding):
    """Whatever an id and a finding hold: one error, on one line, with its own file, line and title, and no control."""
    lines = annotation_lines([record(UNMET.with_(finding=finding), name, 11)])
    (found,) = obeyed("\n".join(lines))
    assert (found.name, found.properties["line"]) == ("error", "11")
    assert found.properties.keys() == {"file", "line", "title"}
    assert all(char.isprintable() for char in lines[0])
    assert found.data.startswith(escape(finding)[:400])


@given(TEXTS)
def test_a_runner_obeys_nothing_in_inert_text(text):
    """Neither style, in any mixture of colons, brackets and ends of lines; inert text stays as it is."""
    assert obeyed(inert(text)) == []
    assert inert(inert(text)) == inert(text)


def test_the_same_text_untreated_is_obeyed():
    """And the test above can fail."""
    assert [c.data for c in obeyed("::error::forged\nsee ##[error]too")] == ["forged", "too"]


@given(TEXTS)
def test_json_is_the_same_document_when_it_is_inert(text):
    """What one program hands to the next is not changed by it."""
    assert json.loads(inert(json.dumps({"a": text, text: ["::error::x"]}, ensure_ascii=False))) == {
        "a": text,
        text: ["::error::x"],
    }


@given(st.lists(st.one_of(PIECES, st.sampled_from(["::error::x", "##", "[error]y", "\n"]))))
def test_a_command_in_pieces_is_inert_too(pieces):
    """The stream of `interp` writes what it would have written of the whole."""
    kept = io.BytesIO()
    stream = Inert(kept, "utf-8", newline="", write_through=True)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
    stream.flush()
    assert obeyed(kept.getvalue().decode()) == []
    assert kept.getvalue().decode() == inert("".join(pieces))


def test_a_summary_is_added_to_what_is_there(tmp_path):
    """Two runs in one step leave both."""
    path = tmp_path / "summary.md"
    assert append_summary("# one\n", path) is None
    assert append_summary("# two\n", path) is None
    assert path.read_text() == "# one\n\n# two\n"


def test_a_summary_that_is_too_long_is_cut_and_says_so(tmp_path):
    """Whole lines, whole characters, at most as many bytes as GitHub takes, also beside what is there."""
    path = tmp_path / "summary.md"
    path.write_text("x" * 100)
    assert append_summary("é is a line\n" * 1000, path, most=2000) is None
    written = path.read_bytes()
    assert 1900 < len(written) <= 2000
    kept, said = written.decode().split("\n\nCut here: ")
    assert set(kept[100:].split("\n")) == {"", "é is a line"}
    assert "summary.md" in said


@pytest.mark.parametrize("case", ["full", "folder"])
def test_a_summary_that_cannot_be_added_is_a_fault(tmp_path, case):
    """No room for even the line that says so; a folder in the file's place. What is there stays."""
    path = tmp_path / "summary.md"
    if case == "full":
        path.write_text("x" * 1990)
    else:
        path.mkdir()
    fault = append_summary("a line\n" * 100, path, most=2000)
    assert fault.code == "job_summary_not_written"
    assert case == "folder" or path.read_text() == "x" * 1990
