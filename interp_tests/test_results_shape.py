"""A results.json that no run wrote, one field of it another: whoever reads it says so, and nothing else breaks."""

import contextlib
import copy
import json
import math
import shutil

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli import app
from harness.controls.base import Control
from harness.gate.blocking import InterventionBlocked
from harness.gate.opening import opened as gate_opened
from harness.history.ending import write_and_keep
from harness.history.pruning import Limits
from harness.history.runs import NotARun, read_results, records_of
from harness.inputs import Prompt, PromptSet
from harness.plugin.failedin import _failed
from harness.reports.basis import Basis
from harness.reports.exhibits import Exhibits
from harness.reports.json import content_digest, document
from harness.reports.shape import MOST_DEEP, NEWER, _schema, misshapen
from harness.reports.write import write_run
from harness.verdict import Fate, Measurement, Trial
from interp_tests import report_cases as cases
from interp_tests.language_root import copy_root
from interp_tests.report_cases import record, run

KEY = "a" * 64
TENSORS = {"W_enc": {"dtype": "float32", "shape": "2x2", "is": "e" * 64}}
ACCEPTABLE = {"measure": "auroc", "value": 0.5, "n": 4, "unit": "", "feature": 17, "claim": KEY, "read_with": {}}


def whole():
    """The document of a run in which every field of the schema stands at least once."""
    nan = cases.MET.with_(measurement=Measurement("auroc", math.nan, 4, low=math.inf), details={"faults": ["cold"]})
    mutants = (Trial("wrong_feature", Fate.KILLED, "unmet", "", 1, 0),)
    records = [*cases.all_records(), record(cases.MET.with_(mutants=mutants), "mutated", 80), record(nan, "nan", 90)]
    specs = [cases.spec(name) for name in ("holds", "nan")]
    sets = {"prompts": PromptSet("prompts", (Prompt("the red ball"),))}
    for spec in specs:
        object.__setattr__(spec, "sets", sets)
    made = run(
        records,
        controls=[Control("planted", "tiny", True, "found", 1, 1)],
        weights={KEY: {"decoder": TENSORS, "outside": {}, "sae": TENSORS}},
        basis=Basis.of(specs),
        faults=[{"subject": "tiny", "code": "cold", "message": "not here"}],
    )
    told = document(made)
    told["records"][0]["acceptable"] = copy.deepcopy(ACCEPTABLE)
    return made, {**told, "digest": content_digest(told)}


RUN, WHOLE = whole()


def places(value, at=()):
    """The path of every value in a document, of its lists' first two and last only."""
    yield at
    if isinstance(value, dict):
        for name, one in value.items():
            yield from places(one, (*at, name))
    elif isinstance(value, list):
        for i, one in [*enumerate(value[:2]), *([(len(value) - 1, value[-1])] if len(value) > 2 else [])]:
            yield from places(one, (*at, i))


def nested(levels):
    return [nested(levels - 1)] if levels else []


PLACES = [at for at in places(WHOLE) if at and at[0] not in ("digest", "schema")]
GONE = object()
VALUES = [None, True, 7, -1, 1.5, "zzz", "", [], {}, [7], ["a"], {"a": 7}, {"a": None}, 10**400, 2**63, math.nan]
VALUES += [math.inf, "\ud800", "\x1b[2J\n::error::", [[["a"]]], nested(MOST_DEEP), "1" * 9999, ["measurement"], GONE]
ODD = st.tuples(st.sampled_from(PLACES), st.sampled_from(VALUES))


def changed(at, value):
    """The document with another value in one place, and a digest that fits."""
    made = copy.deepcopy(WHOLE)
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return {**made, "digest": content_digest(made)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A repository whose only run is the one above, called by its id."""
    folder = copy_root(tmp_path_factory.mktemp("shape") / "repo")
    assert write_run(RUN, folder / "reports", Exhibits(), lambda picture: None, {}) is None
    return folder


def put(root, made):
    for place in (f"runs/{RUN.id}", "latest"):
        (root / "reports" / place / "results.json").write_text(json.dumps(made))


COMMANDS = [
    ["show", RUN.id],
    ["show", RUN.id, "--json"],
    ["compare", RUN.id, RUN.id],
    ["compare", "latest", "--json"],
    ["history"],
    ["history", "holds", "--json"],
    ["accept", RUN.id, "--dry-run"],
]


def told(root, monkeypatch):
    """What each reader makes of the run that lies there: exit codes, and exceptions that are none of its own."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("INTERP_REPORTS", str(root / "reports"))
    for command in COMMANDS:
        done = CliRunner().invoke(app, command)
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        assert done.exit_code in (0, 1, 2), (command, done.output)
    with contextlib.suppress(pytest.UsageError):
        _failed(root, RUN.id)
    with contextlib.suppress(InterventionBlocked):
        gate_opened(root, RUN.id, None)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ODD)
@example((("records", 0, "outcome"), "zzz"))
@example((("run",), None))
@example((("records",), 7))
@example((("records", 0, "measurement", "value"), 10**400))
@example((("basis",), None))
def test_a_field_that_no_run_writes_breaks_no_reader(root, monkeypatch, odd):
    """One field is another, the digest fits: show, compare, history, accept, --failed-in and the steering gate either
    read it or refuse it in a line, and the next run ends as ever."""
    put(root, changed(*odd))
    told(root, monkeypatch)
    later = run([record(cases.MET, "holds", 5)])
    fault, said = write_and_keep(later, root / "reports", Limits(0, 0), Exhibits(), lambda picture: None)
    shutil.rmtree(root / "reports/runs" / later.id)
    assert (fault, [line for line in said if "not brought up to date" in line]) == (None, [])


NAMED = [
    (("records", 0, "outcome"), "zzz", "records[0].outcome is 'zzz', which no run writes there"),
    (("records",), 7, "records is 7, and should be array"),
    (("run",), None, "run is None, and should be object"),
    (("basis",), None, "basis is None, and should be object"),
    (("records", 0, "measurement", "value"), 10**400, "records[0].measurement.value is a number of 1329 bits"),
    (("records", 0, "id"), GONE, "records[0].id is missing"),
    (("run", "started"), "now", "run.started is 'now', and should be a time with its zone"),
    (("records", 0, "not_finite"), [{"at": ["id"], "value": "nan"}], "records[0].not_finite names ['id']"),
    (("records", 0, "details"), nested(MOST_DEEP + 1), "records[0].details is "),
]


@pytest.mark.parametrize(
    ("at", "value", "words"), NAMED, ids=[words.split(" ")[0] + f" {i}" for i, (*_, words) in enumerate(NAMED)]
)
def test_what_is_wrong_is_named_by_its_place(root, at, value, words):
    """Where, and what stands there."""
    put(root, changed(at, value))
    with pytest.raises(NotARun) as refused:
        read_results(root / "reports/latest/results.json")
    assert words in str(refused.value)


def test_a_run_as_it_was_written_is_read(root):
    """The checks above can fail: the whole document has the shape, by the same schema that jsonschema holds it to."""
    jsonschema.validate(WHOLE, _schema())
    assert misshapen(WHOLE) is None
    put(root, WHOLE)
    assert len(list(records_of(read_results(root / "reports/latest/results.json")))) == len(WHOLE["records"])


LAST = len(WHOLE["records"]) - 1  # the one with NaN in it
ELSEWHERE = ("started", "value", "activation")  # a time, and numbers that `not_finite` has to account for
PLAIN = [None, True, 7, "zzz", [], {}, [7], ["a"], {"a": 7}, {"a": None}, GONE]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([at for at in PLACES if at[:2] != ("records", LAST) and at[-1] not in ELSEWHERE]),
    st.sampled_from(PLAIN),
)
def test_what_a_reader_refuses_the_schema_refuses(at, value):
    """No run is refused whose results.schema.json allows it, values of JSON's own limits aside."""
    made = changed(at, value)
    if misshapen(made) is not None:
        assert list(jsonschema.Draft202012Validator(_schema()).iter_errors(made)) != []


@pytest.mark.parametrize("name", sorted(NEWER))
def test_a_run_from_before_a_field_is_still_read(root, name):
    """Fields that results.json had not from the first may be missing, wherever they stand."""
    made = copy.deepcopy(WHOLE)
    for one in (made, made["run"], *made["records"], *made["controls"]):
        if name != "device" or one is made["run"]:
            one.pop(name, None)
    put(root, {**made, "digest": content_digest(made)})
    found = read_results(root / "reports/latest/results.json")
    assert len(list(records_of(found))) == len(WHOLE["records"])


def test_a_history_that_breaks_takes_no_run_with_it(tmp_path, monkeypatch):
    """Whatever the index does, the run is written, and a line says what was amiss."""
    from harness.history import index

    def broken(self, reports):
        raise ZeroDivisionError("an index of tomorrow")

    monkeypatch.setattr(index.Index, "sync", broken)
    fault, said = write_and_keep(RUN, tmp_path, Limits(0, 0), Exhibits(), lambda picture: None)
    assert fault is None
    assert (tmp_path / "latest/results.json").is_file()
    assert ["an index of tomorrow" in line for line in said] == [True]
