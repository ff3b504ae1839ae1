"""A small part of benchmarks/false_green.py: claims of known truth through the real judge, and the table they make."""

import sys
from dataclasses import replace

import pytest

from harness.verdict import Outcome
from interp_tests.project import REPO

sys.path.insert(0, str(REPO / "benchmarks"))
import false_green
import false_green_designs as designs


def tallied(kind, design, draws=None, most=3):
    """(case, tally) of the first claims of a cell, and of their last."""
    found = [case for case in designs.cases() if (case.kind, case.design) == (kind, design)]
    assert found, "no such cell"
    return [(case, false_green.tally_of(case, draws)) for case in [*found[:most], found[-1]]]


def exceeding(found):
    return false_green.exceeding(false_green.cells_of(found))


def test_there_are_at_least_500_claims_over_the_kinds():
    """Each with a truth; the table has a cell for every kind that decides from a sample."""
    made = designs.cases()
    assert len(made) >= 500
    assert {"fires_more", "fire_rate", "silent_on", "activation", "top_feature", "distinguishes", "fires_at"} <= {
        case.kind for case in made
    }
    assert {case.truth for case in made} == {"false", "bound", "true", "attack"}


@pytest.mark.parametrize(
    ("kind", "design"),
    [("fires_more", "independent null"), ("fire_rate", "truth on the bound"), ("fire_rate", "near copies")],
)
def test_false_claims_are_met_no_more_often_than_alpha(kind, design):
    """The judge's rate, on a few draws."""
    assert exceeding(tallied(kind, design, 20)) == []


def test_an_attack_is_never_green_under_fail_vacuous():
    """Chosen on its own prompts, it is met; --fail-vacuous says that nothing shows where it was found."""
    found = tallied("fires_more", "chosen on the tested prompts", 25, most=1)
    assert exceeding(found) == []
    assert sum(tally.met for _, tally in found) > 0


def test_a_judge_that_says_yes_is_noticed(monkeypatch):
    """The table can fail: a rule that meets what it should not exceeds its cell, and an attack that passes is named."""
    monkeypatch.setattr(false_green, "judge", lambda *given: replace(JUDGE(*given), outcome=Outcome.MET, reason=None))
    monkeypatch.setattr(false_green, "failing_vacuous", lambda verdict: verdict)
    assert exceeding(tallied("fires_more", "independent null", 20, most=0))
    assert exceeding(tallied("fires_more", "chosen on the tested prompts", 25, most=1))


JUDGE = false_green.judge


def test_power_is_high_where_the_effect_is_large():
    """True AUROC .99 against a bound of .7: nearly all draws are met at 20 v 20."""
    case = next(c for c in designs.cases() if c.design.startswith("true AUROC 0.99") and c.size == "20 v 20")
    assert false_green.tally_of(case, 20).rate > 0.9


def test_the_page_keeps_everything_outside_the_marks(tmp_path):
    """The tables are put between the two marks."""
    page = tmp_path / "page.md"
    page.write_text(f"# A\n\n{false_green.BEGIN}\nold\n{false_green.END}\n\nb\n")
    false_green.write_page("| new |", page)
    assert page.read_text() == f"# A\n\n{false_green.BEGIN}\n\n| new |\n\n{false_green.END}\n\nb\n"


CELLS = sorted({(case.kind, case.design) for case in designs.cases() if case.truth != "true"})


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "design"), CELLS)
def test_every_cell_keeps_its_limit(kind, design):
    """Some claims of each cell with half of their draws."""
    assert exceeding(tallied(kind, design, most=4)) == []
