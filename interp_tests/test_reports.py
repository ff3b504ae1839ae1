"""Records and the files made of them: plain types, the schema, and text that stays text."""

import csv
import io
import json
import math
import subprocess
from pathlib import Path

import execnet
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

import harness.reports
from harness.reports.csv import cell, results_csv
from harness.reports.display import code_span, columns, escape, markdown
from harness.reports.json import results_json
from harness.reports.limit import LIMIT_OF_A_GREEN_SUITE
from harness.reports.machine import git_state
from harness.reports.markdown import summary_markdown
from harness.reports.plain import put_back, to_plain
from harness.reports.record import Record
from harness.reports.terminal import ORDER, table_lines, worst_first
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive
from interp_tests import report_cases as cases
from interp_tests.report_cases import all_records, record, run

SCHEMA = json.loads((Path(harness.reports.__file__).parent / "results.schema.json").read_text())
RECORD_SCHEMA = Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/record"})
DESIGNED = ["id", "file", "line", "kind", "subject", "features", "outcome", "reason", "severity", "measurement"]
DESIGNED += ["bound", "p", "q", "null_share", "fragile", "fingerprint", "evidence"]


def strict_json(text):
    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


# --- records ---------------------------------------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
MAYBE = st.none() | FLOATS
MEASUREMENTS = st.builds(Measurement, st.text(), FLOATS, st.integers(0, 10**6), st.text(), MAYBE, MAYBE)
EXAMPLES = st.builds(
    Example, st.text(), FLOATS, st.text(), st.text(), st.lists(st.tuples(st.text(), FLOATS)).map(tuple)
)
VERDICTS = st.builds(
    Verdict,
    outcome=st.sampled_from(Outcome),
    finding=st.text(),
    measurement=st.none() | MEASUREMENTS,
    bound=st.text(),
    reason=st.none() | st.sampled_from(Reason),
    p=st.none() | st.floats(0, 1),
    null_share=st.none() | st.floats(0, 1),
    fragile=st.none() | st.booleans(),
    feature=st.none() | st.integers(0, 10**6),
    also=st.lists(MEASUREMENTS, max_size=2).map(tuple),
    examples=st.lists(EXAMPLES, max_size=2).map(tuple),
    warnings=st.lists(st.text(), max_size=2).map(tuple),
    details=st.dictionaries(st.text(), FLOATS | st.text() | st.lists(FLOATS), max_size=2),
)


@given(VERDICTS)
def test_a_record_survives_json_and_a_workers_channel(verdict):
    """What a worker sends is what the controller gets, NaN and infinities too; the dict fits the schema."""
    made = record(verdict)
    sent = strict_json(json.dumps(made.to_dict(), allow_nan=False))
    assert repr(Record.from_dict(sent)) == repr(made)
    assert Record.from_dict(sent).to_dict() == sent
    assert execnet.loads(execnet.dumps(made.to_dict())) == sent
    RECORD_SCHEMA.validate(sent)


def test_another_record_is_another_dict():
    """The comparison above can fail: two verdicts do not share a dict."""
    assert record(cases.MET).to_dict() != record(cases.UNMET).to_dict()


def only_plain(value):
    """True when the value is JSON's own types, exactly, all the way down."""
    if type(value) is dict:
        return all(type(k) is str and only_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(only_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def numpy_verdict():
    measured = Measurement("auroc", np.float32(0.5), np.int64(40), low=np.float64("nan"), high=np.float64(1.0))
    shown = Example(np.str_("a b"), np.float64(2.0), "color", "", (("a", np.float32(2.0)), ("b", np.float32(0.0))))
    details = {"path": Path("a/b"), "pair": (1, 2), "row": np.arange(2), 3: {np.int64(1)}, "o": Outcome.MET}
    return inconclusive(
        Reason.NOT_FINITE,
        "NaN",
        measurement=measured,
        p=np.float64(0.25),
        fragile=np.bool_(True),
        feature=np.int64(3),
        examples=(shown,),
        details=details,
    )


def test_numpy_paths_and_tuples_do_not_survive():
    """pytest-xdist carries plain types only, so a record holds nothing else, even before it is made a dict."""
    made = record(numpy_verdict())
    assert only_plain(made.to_dict())
    assert not only_plain({"p": np.float64(0.25)}), "and the check sees what it must"
    assert type(made.verdict.p) is float
    assert type(made.verdict.measurement.n) is int
    assert made.verdict.details == {"path": "a/b", "pair": [1, 2], "row": [0, 1], "3": [1], "o": "met"}


def test_nan_is_null_with_a_note():
    """A number that could not be computed is null in the file, and the file says what stood there."""
    data = record(numpy_verdict()).to_dict()
    assert data["measurement"]["low"] is None
    assert data["not_finite"] == [{"at": ["measurement", "low"], "value": "nan"}]
    assert math.isnan(Record.from_dict(data).verdict.measurement.low)


@given(st.recursive(FLOATS | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_what_json_cannot_hold_is_put_back(value):
    """to_plain and put_back undo each other, wherever a NaN stands."""
    lost = []
    plain = to_plain({"value": value}, lost)
    strict_json(json.dumps(plain, allow_nan=False))
    put_back(plain, lost)
    assert repr(plain["value"]) == repr(to_plain(value) if not lost else value)


def test_a_broken_record_keeps_each_mistake(tmp_path, monkeypatch):
    """Code, place, nearest names and the line as it stands in the file, found from a folder below."""
    suite = tmp_path / cases.BROKEN.source.path
    suite.parent.mkdir(parents=True)
    suite.write_text(cases.BROKEN_TEXT)
    (tmp_path / "specs/subjects.yaml").touch()  # by it a repository is known
    monkeypatch.chdir(suite.parent)
    made = Record.broken(cases.BROKEN)
    assert [(e.code, e.source.line, e.nearest, e.quote) for e in made.errors] == [
        ("unknown_key", 2, ("expect",), "expekt:"),
        ("unknown_set", 3, ("color",), "  - fires_more: {p: colour\u200b, than: code.txt}"),
    ]
    assert Record.from_dict(made.to_dict()) == made
    assert made.verdict.outcome is Outcome.NOT_RUN
    suite.unlink()
    assert [e.quote for e in Record.broken(cases.BROKEN).errors] == [None, None]


def test_a_feature_chosen_by_rank_is_the_records_feature():
    """`feature: {best: ...}` names no number; the record has the one that was judged."""
    assert record(cases.MET, features=()).features == (17,)


# --- results.json ----------------------------------------------------------------------------------------------------


def test_results_json_fits_its_schema():
    """A document with every standing is strict JSON and valid, and has the keys that were promised."""
    found = strict_json(results_json(run()))
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(found)
    assert list(found) == ["schema", "run", "records", "controls", "mutants", "capture", "weights", "basis", "digest"]
    for one in found["records"]:
        assert set(DESIGNED) <= set(one)
        assert set(one["evidence"]) == {"prompts", "from_store"}
    assert found["capture"]["tiny-gemma2"]["prompts"] == 10


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["records"][0].pop("outcome"),
        lambda d: d["records"][0].update(outcome="passed"),
        lambda d: d["records"][0].update(verdict="met"),
        lambda d: d["records"][0]["measurement"].pop("n"),
        lambda d: d["capture"]["tiny-gemma2"].pop("loads"),
        lambda d: d.update(schema="interp-specs/results/2"),
        lambda d: d["run"].pop("must_run"),
    ],
    ids=["no outcome", "other outcome", "unknown key", "no n", "no loads", "other version", "no must_run"],
)
def test_the_schema_refuses_what_is_not_a_result(spoil):
    """The validation above can fail: each spoiled document is refused."""
    found = json.loads(results_json(run()))
    spoil(found)
    assert not Draft202012Validator(SCHEMA).is_valid(found)


def test_a_lone_surrogate_leaves_the_files_readable(tmp_path):
    """Half a character from a YAML escape has no UTF-8; the report shows its number."""
    made = run([record(cases.with_prompt("red \ud800 ball"))])
    for text in (results_json(made), results_csv(made), summary_markdown(made)):
        text.encode("utf-8")
    assert strict_json(results_json(made))["records"][0]["examples"][0]["text"] == "red \\ud800 ball"


def test_a_run_knows_where_it_was_made(tmp_path):
    """Commit and whether files differ from it, in a checkout; neither outside one."""
    outside = run(root=tmp_path)
    assert (outside.commit, outside.dirty) == (None, None)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "file"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], cwd=tmp_path, check=True)
    clean = run(root=tmp_path)
    assert len(clean.commit) == 40
    assert clean.dirty is False
    (tmp_path / "file").write_text("two")
    assert run(root=tmp_path).dirty is True
    assert clean.versions["torch"]
    assert clean.id != run(root=tmp_path).id


@pytest.mark.parametrize("root", ["", "inside/", "in a/gärten/"])
@pytest.mark.parametrize(
    ("new", "dirty"),
    [
        ("specs/new/suite.yaml", True),
        ("specs/kept/ünlike.yaml", True),
        ("harness/kind.py", True),
        ("conftest.py", True),
        ("pytest.ini", True),
        ("notes.txt", False),
        ("notes/specs/suite.yaml", False),
        ("specs-of-mine.yaml", False),
    ],
)
def test_a_suite_in_no_commit_is_a_change(tmp_path, root, new, dirty):
    """What is judged and cannot be looked up in any commit counts, wherever in a checkout the root is; notes do not."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / root / "specs/kept").mkdir(parents=True)
    (tmp_path / root / "specs/kept/suite.yaml").write_text("title: kept")
    subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], cwd=tmp_path, check=True)
    assert git_state(tmp_path / root)[1] is False
    (tmp_path / root / new).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / root / new).write_text("new")
    assert git_state(tmp_path / root)[1] is dirty


def test_a_root_that_is_all_new_is_a_change(tmp_path):
    """Git names only the folder that it lies in; a checkout without a commit has none to differ from."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "work/root/specs").mkdir(parents=True)
    (tmp_path / "work/root/specs/suite.yaml").write_text("new")
    assert git_state(tmp_path / "work/root") == (None, None)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], cwd=tmp_path, check=True)
    assert git_state(tmp_path / "work/root")[1] is True


def test_records_stand_in_the_order_of_the_files():
    """Workers finish in any order; the report does not show it."""
    forth, back = run(all_records()), run(all_records()[::-1])
    assert forth.records == back.records
    assert [r.source.line for r in forth.records] == [5, 14, 20, 30, 40, 50, 60, 70, 1]


# --- results.csv -----------------------------------------------------------------------------------------------------


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_results_csv_has_a_row_for_each_record():
    """Numbers stay numbers, n stays whole, a missing value is empty."""
    rows = rows_of(results_csv(run()))
    assert len(rows) == len(all_records())
    met, unmet = rows[:2]
    assert (unmet["outcome"], unmet["value"], unmet["n"], unmet["features"]) == ("unmet", "0.6125", "40", "17")
    assert (met["prompts"], met["from_store"], met["fragile"], met["q"]) == ("40", "30", "", "")
    assert rows[-1]["kind"] == ""


def test_an_empty_run_has_an_empty_table():
    """No records: no rows, and no error."""
    assert rows_of(results_csv(run([]))) == []


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "--1", "-inf"])
def test_a_formula_is_text_in_the_spreadsheet(text):
    """A finding that starts like a formula starts with an apostrophe instead."""
    made = run([record(cases.MET.with_(finding=text))])
    assert rows_of(results_csv(made))[0]["finding"] == "'" + escape(text)


@pytest.mark.parametrize("text", ["-3.5", "+1e-9", "-0", "plain", "a=1", "", "3-4"])
def test_a_number_and_plain_text_stay_as_they_are(text):
    """Only what a spreadsheet would run is changed."""
    assert cell(text) == text


def test_numbers_are_not_touched():
    """A negative number is no formula."""
    assert cell(-1.5) == -1.5
    assert cell(None) is None


# --- summary.md ------------------------------------------------------------------------------------------------------

PARSER = MarkdownIt("commonmark", {"linkify": False}).enable("table")


def kinds_of_tokens(text):
    """How often each kind of markup stands in a Markdown text, inside lines too."""
    found = {}
    for token in PARSER.parse(text):
        for one in [token, *(token.children or [])]:
            found[one.type] = found.get(one.type, 0) + 1
    return found


def table_cells(text):
    """The number of cells in each row of the tables of a Markdown text."""
    counts = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            counts.append(0)
        elif token.type in ("td_open", "th_open"):
            counts[-1] += 1
    return counts


def test_summary_shows_every_spec_and_what_it_does_not():
    """Counts, a row for every claim, passes too, with n; what was read; the limit of a green suite."""
    text = summary_markdown(run())
    assert "1 broken, 1 not run, 1 unmet, 1 inconclusive, 1 met unexpectedly" in text
    for one in all_records():
        assert code_span(one.id) in text
    assert "| auroc 0.9775 \\[0.8731, 0.9964\\] | at least 0.75 | 40 | 3.1e-07 |  | 0.2% |" in text
    assert "| tiny-gemma2 | 1 | 10 | 93 | 2 | 0.5 |" in text
    assert text.rstrip().endswith(LIMIT_OF_A_GREEN_SUITE)
    assert "necessary, never sufficient, for a steering claim" in text
    assert table_cells(text) == [11] * 10 + [6] * 2


def test_summary_says_when_nothing_was_read_or_judged():
    """A warm run and an empty one are not mistaken for each other."""
    assert "all evidence came from the store" in summary_markdown(run(capture={}))
    assert "No claim was judged" in summary_markdown(run([record(cases.NOT_RUN)]))
    assert "No claim was judged" not in summary_markdown(run())
    assert "partial" in summary_markdown(run(partial=True))
    fault = {"subject": "gone", "code": "weights_missing", "message": "no weights"}
    assert "weights\\_missing: no weights" in summary_markdown(run(faults=[fault]))


EVIL = (
    "# h1 <script>x</script> [a](http://b.c) ![i](j) `c` **b** _i_ | cell | @someone https://x.y www.x.y &amp; \\ ~~s~~"
)


def test_markup_in_findings_and_names_stays_text():
    """A stranger's prompt cannot put a heading, link, picture, HTML or cell into the page."""
    plain = record(cases.UNMET.with_(finding="plain", warnings=("plain",)))
    evil = record(cases.UNMET.with_(finding=EVIL, warnings=(EVIL,)))
    expected, found = (kinds_of_tokens(summary_markdown(run([one]))) for one in (plain, evil))
    ignored = {"text", "text_special", "softbreak"}
    assert {k: v for k, v in found.items() if k not in ignored} == {
        k: v for k, v in expected.items() if k not in ignored
    }
    assert "link_open" in kinds_of_tokens(EVIL), "and the parser would see it"
    text = summary_markdown(run([evil]))
    assert "@someone" not in text
    assert "https://x.y" not in text
    assert "www.x.y" not in text


@given(st.text(max_size=60))
def test_any_text_is_one_cell_of_text(text):
    """Whatever is escaped, a table row keeps its two cells and HTML never appears."""
    page = f"| a | b |\n| - | - |\n| {markdown(text)} | {code_span(text)} |\n"
    assert table_cells(page) == [2, 2]
    assert not kinds_of_tokens(page).keys() & {"html_inline", "html_block", "link_open", "image", "em_open"}


@given(st.text(alphabet="`|a \\", min_size=1, max_size=12).filter(str.strip))
def test_a_code_span_shows_what_it_was_given(text):
    """Backticks cannot close it, and a pipe is a pipe again once the table is read."""
    page = f"| a |\n| - |\n| {code_span(text)} |\n"
    spans = [c.content for t in PARSER.parse(page) for c in (t.children or []) if c.type == "code_inline"]
    assert [s.strip() for s in spans] == [text.strip()]


# --- the terminal ----------------------------------------------------------------------------------------------------


def test_every_standing_has_its_place():
    """No record can be without a row."""
    assert {one.standing for one in all_records()} == set(ORDER)


@pytest.mark.parametrize("width", [72, 80, 100, 160])
def test_the_table_keeps_to_the_width(width):
    """Rows fit; a wide terminal shows intervals and whole ids."""
    table = [line for line in table_lines(all_records(), width) if not line.startswith("warn")][
        : len(all_records()) + 1
    ]
    assert max(map(columns, table)) <= width
    assert ("0.9775 [0.8731, 0.9964]" in "\n".join(table)) == (width >= 160)
    assert all("  " in line for line in table)


def test_the_table_shows_passes_red_ones_first_and_counts():
    """Verdict, measurement, bound and n of a pass; a warn line for each claim that only warns; counts at the end."""
    lines = table_lines(all_records(), 200)
    assert lines[0].split() == ["verdict", "claim", "measured", "bound", "n"]
    assert lines[1].startswith("broken")
    (met,) = [line for line in lines if line.startswith("met  ")]
    shown = ["met", "tiny-gemma2/color::holds", "auroc 0.9775 [0.8731, 0.9964]", ">= 0.75", "40"]
    assert [part.strip() for part in met.split("  ") if part] == shown
    assert sum(line.startswith("warn: tiny-gemma2/color::") for line in lines) == 2
    assert lines[-1].endswith("1 unmet as expected, 1 met")
    assert "3 warnings on 3 claims" in lines[-2]


def test_a_gpu_claim_that_nobody_asked_for_stands_after_what_failed():
    """Its test is skipped; one that could not be run though it should have is red, and comes first."""
    skipped = cases.NOT_RUN.with_(details={"cold": True})
    given = [record(skipped, "skipped"), record(cases.MET, "holds"), record(cases.UNMET, "fails")]
    told = worst_first([*given, record(cases.NOT_RUN, "lost")])
    assert [one.id.rpartition("::")[2] for one in told] == ["lost", "fails", "skipped", "holds"]


@pytest.mark.parametrize(
    ("bound", "shown"),
    [("at least 0.75", ">= 0.75"), ("at most 900", "<= 900"), ("between 0.1 and 0.2", "0.1 to 0.2"), ("", "-")],
)
def test_80_columns_show_the_number_of_a_bound(bound, shown):
    """Words give way before numbers: a bound whose number is cut says nothing."""
    row = table_lines([record(cases.MET.with_(bound=bound), "a-claim-with-quite-a-long-name-indeed")], 80)[1]
    assert columns(row) <= 80
    assert [part.strip() for part in row.split("  ") if part][-2] == shown


def test_a_broken_file_shows_its_code():
    """Where nothing was measured, the row says why."""
    assert "unknown key" in table_lines([Record.broken(cases.BROKEN)], 80)[1]
    assert "too few prompts" in table_lines([record(cases.TOO_FEW)], 80)[1]


def test_a_long_table_is_cut_and_says_so():
    """200 passes do not scroll the failures away."""
    many = [*(record(cases.MET, f"s{i}", i + 1) for i in range(200)), record(cases.UNMET, "bad", 500)]
    lines = table_lines(many, 120)
    assert len(lines) < 70
    assert "bad" in lines[1]
    assert any(line == "... and 141 more (141 met); all are in summary.md" for line in lines)


def test_colors_only_when_asked():
    """No escape code without color; with it red, yellow and green."""
    assert "\x1b" not in "".join(table_lines(all_records(), 100))
    painted = "\n".join(table_lines(all_records(), 100, color=True))
    assert all(f"\x1b[{code}m" in painted for code in ("31", "32", "33"))


def test_no_claims_is_said():
    """An empty run has a header and the words for it."""
    assert table_lines([], 80)[-1] == "no claims"


@given(st.text(max_size=40), st.integers(72, 120))
def test_no_name_breaks_the_table(text, width):
    """Wide, combining and control characters of an id keep a row one line within the width."""
    made = record(cases.MET, text)
    _, row, *_ = table_lines([made], width)
    assert row.isprintable()
    assert columns(row) <= width
