"""A kind that raises, whatever it raises and wherever it is asked, fails its own claims and no others."""

import json
import textwrap

import pytest

from harness.errors import EnvironmentFault, guarded, in_short
from interp_tests.project import make_project
from interp_tests.test_plugin import FOUND, MET

CLAIMS = (
    MET
    + """\
- {id: judge, feature: 3, scope: sample, fire_rate: {prompts: color}}
- {id: needs, feature: 3, scope: sample, activation: {prompts: color, mean: {at_least: 0.1}}}
- {id: beforehand, feature: 3, silent_on: {prompts: plain, but_fires_on: color}}
- {id: words, feature: 3, top_tokens: {prompts: color, tokens: [" red"]}}
- {id: share, feature: 3, scope: sample, selective: {prompts: color, than: plain}}
"""
)
BREAKS = """
import pytest
from harness.expectations import kinds

class Odd(BaseException):
    pass

def breaking(error):
    def method(self, *args, **kwargs):
        raise error
    return method

found = kinds()
found["fire_rate"].judge = breaking({judge})
found["activation"].needs_residuals = breaking(KeyError("residuals"))
found["silent_on"].beforehand = breaking(SystemExit(3))
found["top_tokens"].in_words = breaking(RuntimeError("no words\\nand more"))
found["selective"].meeting = breaking(MemoryError("too many features"))
"""
JUDGES = ['SystemExit("bye")', 'pytest.skip.Exception("not today")', "Odd()", 'RecursionError("too deep")']


@pytest.fixture(scope="module")
def warm_store(tmp_path_factory):
    return tmp_path_factory.mktemp("evidence") / "store.sqlite"


def broken_project(tmp_path, store, code, claims=CLAIMS):
    project = make_project(tmp_path / "repo", store)
    project.suite("color", claims, prompts=FOUND)
    with (project.root / "conftest.py").open("a") as file:
        file.write("\n" + textwrap.dedent(code))
    return project


@pytest.mark.parametrize("judge", JUDGES)
def test_a_kind_that_raises_fails_its_own_claims(tmp_path, warm_store, judge):
    """Each is not run, with a code, one line and the traceback in the record; the claim of another kind is met."""
    project = broken_project(tmp_path, warm_store, BREAKS.format(judge=judge))
    done = project.pytest("-q", "-p", "no:randomly")
    assert done.returncode == 1, done.stdout
    records = {r["id"]: r for r in project.results()["records"]}
    outcomes = {name: record["outcome"] for name, record in records.items()}
    assert outcomes.pop("color::holds") == "met"
    assert set(outcomes.values()) == {"not_run"}
    for name in outcomes:
        assert records[name]["details"]["faults"] == ["judging_failed"], records[name]
        assert "Traceback (most recent call last)" in records[name]["details"]["traceback"]
        assert "conftest.py:" in records[name]["finding"]
    assert "was judged, raised" in records["color::judge"]["finding"]
    assert "was put into words, raised RuntimeError: no words (" in records["color::words"]["finding"]
    assert "Traceback" not in done.stdout
    assert len(done.stdout.splitlines()) < 120
    assert json.loads((project.root / "reports/latest/results.json").read_text())["run"]["invalid"] in ([], None, ())


def test_a_kind_that_raises_while_mutants_are_planned_fails_its_own_claims(tmp_path, warm_store):
    """`--mutate` asks each kind before anything is read."""
    code = """
    from harness.expectations import kinds

    def changed_by(self):
        raise SystemExit(1)

    kinds()["fire_rate"].changed_by = changed_by
    """
    claims = MET + "- {id: judge, feature: 3, scope: sample, fire_rate: {prompts: color}}\n"
    project = broken_project(tmp_path, warm_store, code, claims)
    done = project.pytest("-q", "--mutate")
    assert done.returncode == 1, done.stdout
    assert project.outcomes() == {"color::holds": "met", "color::judge": "not_run"}


def test_a_kind_that_raises_while_it_is_read_is_a_mistake_of_its_claim(tmp_path, warm_store):
    """The rest of the file is judged."""
    code = """
    from harness.expectations import kinds

    def check_fit(self, *given):
        raise ZeroDivisionError("no sets")

    kinds()["fire_rate"].check_fit = check_fit
    """
    claims = MET + "- {id: judge, feature: 3, scope: sample, fire_rate: {prompts: color}}\n"
    project = broken_project(tmp_path, warm_store, code, claims)
    done = project.pytest("-q")
    assert done.returncode == 1, done.stdout
    assert project.outcomes() == {"color::holds": "met", "color::judge": "not_run"}
    assert "kind_failed: reading this claim raised ZeroDivisionError: no sets (" in done.stdout


def test_an_error_before_anything_is_judged_is_one_line_for_each_claim(tmp_path):
    """What reading raises and nobody foresaw: no claim is judged, and no traceback is printed for each."""
    code = """
    from harness.running import Runner

    def ensure(self, specs, while_loaded):
        raise TypeError("planning broke")

    Runner.ensure = ensure
    """
    project = broken_project(tmp_path, tmp_path / "cold.sqlite", code)
    done = project.pytest("-q")
    assert done.returncode == 1
    assert set(project.outcomes().values()) == {"not_run"}
    assert "6 not judged: could not be run: reading_failed: reading raised TypeError: planning broke (" in done.stdout
    assert "Traceback" not in done.stdout


def test_guarded_lets_an_interrupt_and_a_fault_through():
    """Ctrl-C ends the run, and a fault says more than any wrapping of it."""

    def raising(error):
        def call():
            raise error

        return call

    assert guarded(raising(SystemExit(2)), in_short).startswith("SystemExit: 2 (interp_tests/test_kind_raises.py:")
    assert guarded(lambda: "fine", in_short) == "fine"
    for error in (KeyboardInterrupt(), EnvironmentFault("cold", "not here.")):
        with pytest.raises(type(error)):
            guarded(raising(error), in_short)


def test_a_control_that_raises_anything_did_not_hold(monkeypatch):
    """SystemExit of a kind in its own toys, or a fault, is a control without an answer; it does not end the run."""
    from harness.controls import _guarded

    for error, told in ((SystemExit(0), "SystemExit: 0 ("), (EnvironmentFault("cold", "gone."), "cold: gone")):

        def control(error=error):
            raise error

        (found,) = _guarded("toys", "", control)
        assert (found.holds, found.misbehaves) == (False, False)
        assert told in found.finding
        assert type(error).__name__ in found.trace
