"""holds_under: on toy codes as it is judged, and on the real tiny model from YAML to the smallest counterexample."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

from harness.capture.batching import CPU_TOKENS, Shapes, by_length
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim, Unfit
from harness.expectations.holds_under import HoldsUnder
from harness.expectations.toy import evidence_of_rows, row, rows, toy_codes
from harness.inputs import PromptSet
from harness.language.specs import load
from harness.reports.failure import failure_text
from harness.session import open_session
from harness.spec import Spec
from harness.store import Store
from harness.verdict import Outcome, Reason
from interp_tests.plain_twins.limits import clopper_pearson
from interp_tests.project import REPO, make_project

RED, OLD = "the [[red]] ball rolled", "the old ball rolled"
CLAIM = Claim(feature=0)


def kind(**fields):
    given = {"prompts": "prompts", "edits": [{"swap_marked": ["old"]}], "relation": "stops_firing", **fields}
    return HoldsUnder.model_validate(given)


def swapped(n, failing):
    """n originals that fire, and their swaps, `failing` of which fire still."""
    fire = [
        row if i >= failing else tuple((t, 2.0 if t == "old" else v) for t, v in row)
        for i, row in enumerate(rows(n, OLD))
    ]
    return evidence_of_rows(prompts=rows(n, RED, red=3), drawn=fire)


@pytest.mark.parametrize(("draws", "failures"), [(29, 0), (46, 1), (61, 2), (76, 3)])
def test_nine_of_ten_needs_the_examples_that_the_exact_bound_says(draws, failures):
    """With k failures the claim is met by 29, 46, 61, 76 examples and by no fewer, as the plain twin says."""
    assert clopper_pearson(draws - failures, draws, 0.05)[0] >= 0.9
    assert clopper_pearson(draws - 1 - failures, draws - 1, 0.05)[0] < 0.9
    for n, wanted in ((draws, Outcome.MET), (draws - 1, Outcome.INCONCLUSIVE)):
        claim = kind(mode="rate", draws=n)
        examples = claim._drawn(evidence_with(n, failures, claim).prompts("prompts").prompts)
        assert len(examples) == n
        verdict = claim.judge(evidence_with(n, failures, claim), CLAIM)
        assert verdict.outcome is wanted, verdict.finding


def evidence_with(n, failures, claim):
    """Evidence in which exactly `failures` of the n examples fail; each is another pair."""
    base = swapped(200, 0)
    drawn = [e.original.text for e in claim._drawn(base.prompts("prompts").prompts)]
    assert len(set(drawn)) == len(drawn)
    bad = {word for text in drawn[:failures] for word in text.split() if word.startswith("no")}
    rest = [tuple((t, 2.0 if t == "old" and row[-1][0] in bad else v) for t, v in row) for row in rows(200, OLD)]
    return evidence_of_rows(prompts=rows(200, RED, red=3), drawn=rest)


def test_a_rate_is_of_the_examples_whose_originals_fire():
    """Originals on which the feature is silent are left out of n, with a warning; none at all is dead."""
    most = [*rows(34, RED, red=3), *rows(50, RED)[34:]]
    verdict = kind(mode="rate").judge(evidence_of_rows(prompts=most, drawn=rows(50, OLD)), CLAIM)
    assert verdict.outcome is Outcome.MET
    assert verdict.measurement.n == 34
    assert "16 examples do not count" in verdict.warnings[0]
    silent = kind(mode="rate").judge(evidence_of_rows(prompts=rows(50, RED), drawn=rows(50, OLD)), CLAIM)
    assert silent.reason is Reason.DEAD


def test_the_same_pair_drawn_again_is_no_more_evidence():
    """3 originals and one word give 3 pairs, however many are asked for: known before anything runs."""
    few = swapped(3, 0)
    early = kind(mode="rate").beforehand(few.sets, CLAIM)
    assert early.reason is Reason.TOO_FEW_PROMPTS
    assert early.measurement.n == 3
    assert kind(mode="rate").judge(few, CLAIM).reason is Reason.TOO_FEW_PROMPTS
    assert kind(mode="rate", edits=[{"swap_marked": [f"w{i}" for i in range(10)]}]).beforehand(few.sets, CLAIM) is None


def keeps(*edits, **fields):
    return kind(edits=list(edits), relation="keeps_firing", **fields)


@pytest.mark.parametrize("mode", ["search", "rate"])
def test_what_comes_after_cannot_make_a_causal_feature_stop(mode):
    """filler_after is refused for pool max and any; not for other pools, relations, or prompts that see all tokens."""
    sets = swapped(40, 0).sets
    for pool in ("max", "any"):
        with pytest.raises(Unfit, match="filler_after") as refused:
            keeps("case", "filler_after", mode=mode).check_fit(sets, dataclasses.replace(CLAIM, pool=pool))
        assert (refused.value.what, refused.value.at) == ("construction", ("edits", 1))
    for pool in ("last", "mean"):
        keeps("filler_after", mode=mode).check_fit(sets, dataclasses.replace(CLAIM, pool=pool))
    kind(edits=["filler_after"], mode=mode).check_fit(sets, CLAIM)
    seeing = {
        role: PromptSet(role, tuple(dataclasses.replace(p, attention="prefix") for p in one.prompts))
        for role, one in sets.items()
    }
    keeps("filler_after", mode=mode).check_fit(seeing, CLAIM)


@pytest.mark.parametrize("mode", ["search", "rate"])
def test_an_edit_behind_the_token_that_fires_shows_nothing(mode):
    """Another word at the end cannot undo a firing at the start: vacuous; one before it can, and counts."""
    late, early = "ball red rolled no [[x]]", "[[x]] ball red rolled no"
    swap = [{"swap_within": ["y"]}]

    def judged(text):
        made = [row(f"{text} n{i}" if text is early else f"n{i} {text}", red=3) for i in range(40)]
        edited = [row(" ".join(w.replace("[[x]]", "y") for w, _ in one), red=3) for one in made]
        return keeps(*swap, mode=mode).judge(evidence_of_rows(prompts=made, drawn=edited), CLAIM)

    assert judged(late).reason is Reason.VACUOUS
    assert judged(early).outcome is Outcome.MET


def test_a_search_says_nothing_where_most_originals_are_silent():
    """No counterexample among examples that cannot be one is no evidence: too_sparse."""
    few = [*rows(3, RED, red=3), *rows(20, RED)[3:]]
    verdict = kind().judge(evidence_of_rows(prompts=few, drawn=rows(20, OLD)), CLAIM)
    assert verdict.reason is Reason.TOO_SPARSE
    assert kind().judge(swapped(20, 0), CLAIM).outcome is Outcome.MET


@pytest.mark.parametrize("scope", ["population", "sample"])
def test_a_rate_says_nothing_where_most_originals_are_silent(scope):
    """35 of 35 would show nine of ten, but of 100 drawn they stand for themselves only; `meeting` says so, too."""
    some, claim = [*rows(35, RED, red=3), *rows(100, RED)[35:]], dataclasses.replace(CLAIM, scope=scope)
    evidence = evidence_of_rows(prompts=some, drawn=rows(100, OLD))
    verdict = kind(mode="rate").judge(evidence, claim)
    assert verdict.reason is Reason.TOO_SPARSE
    assert verdict.measurement.value == 35
    assert not kind(mode="rate").meeting(evidence, claim)[0]


def test_an_edit_that_leaves_the_activation_alone_makes_nothing_weaker():
    """A tie is inside the noise: `weaker` is then neither met nor refuted."""
    same = evidence_of_rows(prompts=rows(20, RED, red=3), drawn=rows(20, OLD, old=3))
    verdict = kind(relation="weaker").judge(same, CLAIM)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.UNDERPOWERED)
    less = evidence_of_rows(prompts=rows(20, RED, red=3), drawn=rows(20, OLD, old=2))
    assert kind(relation="weaker").judge(less, CLAIM).outcome is Outcome.MET
    more = evidence_of_rows(prompts=rows(20, RED, red=3), drawn=rows(20, OLD, old=4))
    assert kind(relation="weaker").judge(more, CLAIM).outcome is Outcome.UNMET
    assert kind(relation="stronger").judge(more, CLAIM).outcome is Outcome.MET


def test_a_pinned_counterexample_is_tried_first(snapshot):
    """It is the finding while it violates, whatever else does; once it does not, the search goes on as without it."""
    text = swapped(20, 9).prompts("prompts").prompts[7].text
    pins = [{"prompt": text, "edited": text.replace("red", "old")}]
    assert kind(pinned=pins).judge(swapped(20, 9), CLAIM).finding == snapshot
    later = kind(pinned=pins).judge(swapped(20, 3), CLAIM)
    assert later.outcome is Outcome.UNMET
    assert "pinned" not in later.finding
    made = kind(pinned=pins).makes({"prompts": swapped(20, 0).prompts("prompts")})["drawn"]
    assert [p.text for p in made.prompts[:2]] == list(pins[0].values())


def test_without_a_model_the_smallest_that_was_read_is_shown_as_such():
    """Nothing to ask: the verdict stands, and says that nothing was shrunk further where more was wanted."""
    claim = kind(edits=["case", "punctuation"], relation="keeps_firing", draws=8)
    population = evidence_of_rows(prompts=rows(40, RED, red=3)).prompts("prompts")
    drawn = claim.makes({"prompts": population})["drawn"]
    evidence = evidence_over(population, drawn, lambda text: 0.0 if text.isupper() else 3.0)
    verdict = claim.judge(evidence, CLAIM)
    assert verdict.outcome is Outcome.UNMET
    assert "not shrunk further" in verdict.finding
    assert verdict.details["pin"]["edited"] in {p.text for p in drawn.prompts}
    asked = []
    evidence.ask = answering(asked, lambda text: 0.0 if text.isupper() else 3.0)
    shrunk = claim.judge(evidence, CLAIM)
    first = population.prompts[0].text
    assert shrunk.details["pin"] == {"prompt": first, "edited": first.upper()}
    assert shrunk.details["asked"] == len(asked) > 0
    assert f"{len(asked)} more prompt" in shrunk.finding


def evidence_over(population, drawn, value):
    """Evidence of the examples' prompts alone; feature 0 fires with value(text) on the first word."""
    found = evidence_of_rows(drawn=[fired(p.text, value) for p in drawn.prompts])
    return dataclasses.replace(found, sets={"prompts": population, "drawn": drawn})


def fired(text, value):
    first, *others = text.split()
    return ((first, value(text)), *((word, 0.0) for word in others))


def answering(asked, value):
    def ask(prompts):
        asked.extend(p.text for p in prompts)
        return toy_codes([fired(p.text, value) for p in prompts])[0]

    return ask


def test_the_null_is_the_verdict_of_every_feature():
    """`meeting` holds for exactly the features whose own verdict would be met."""
    for fields in ({}, {"mode": "rate"}):
        for failing in (0, 1, 12):
            evidence, claim = swapped(20, failing), kind(**fields)
            mask = claim.meeting(evidence, CLAIM)
            for feature in range(len(mask)):
                verdict = claim.judge(evidence, dataclasses.replace(CLAIM, feature=feature, scope="sample"))
                assert mask[feature] == (verdict.outcome is Outcome.MET), (fields, failing, feature, verdict.finding)


def test_a_fault_in_the_numbers_comes_before_any_search():
    """A NaN on a counted token is not_finite, also where a counterexample is there to be found."""
    evidence = swapped(20, 5)
    codes = evidence.codes("drawn")
    hh = codes.hh.copy()
    hh[np.flatnonzero(codes.counted())[0]] = math.nan
    bad = {**evidence.codes_of, ("drawn", None): dataclasses.replace(codes, hh=hh)}
    assert kind().judge(dataclasses.replace(evidence, codes_of=bad), CLAIM).reason is Reason.NOT_FINITE


# The real model ------------------------------------------------------------------------------------------------

SUITE = """\
subjects: [tiny]
prompts:
  animals:
    marks: true
    template: "{start}the [[{animal}]]{end}"
    start: ["", "She saw ", "Nobody heard "]
    animal: [dog, cow, fox, bear]
    end: ["", ".", " in the yard.", " after dark."]
expect:
  - id: holds
    feature: 407
    holds_under: {prompts: animals, edits: [swap_within, position], relation: keeps_firing, draws: 40}
  - id: fails
    feature: 407
    holds_under: {prompts: animals, edits: [case, punctuation], relation: keeps_firing, draws: 40}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("holds") / "p"
    made = make_project(root, root.parent / "evidence.sqlite")
    (root / "specs/edits.yaml").write_text(SUITE)
    return made


def session_in(project, shared, store="evidence.sqlite", names=("holds", "fails")):
    items = [i for i in load(project.root).items if isinstance(i, Spec) and i.id.split("::")[1] in names]
    shared.mkdir(exist_ok=True)
    return open_session(items, Store(project.root.parent / store), shared, lambda spec: True, lambda line: None)


def test_examples_are_read_in_one_pass_and_only_shrinking_reads_on(project, tmp_path, monkeypatch):
    """One load reads all examples of both claims in full batches, and then one at a time what shrinking asks for."""
    monkeypatch.chdir(project.root)
    session = session_in(project, tmp_path / "a")
    session.prepare()
    wanted = {p.content for spec in session.selected for need in spec.needs() for p in need.prompts}
    counts = dict(session.runner.capture["tiny"])
    holds, fails = (session.record(spec) for spec in session.selected)
    assert session.runner.capture["tiny"] == counts
    assert (holds.verdict.outcome, fails.verdict.outcome) == (Outcome.MET, Outcome.UNMET)
    asked, read = fails.verdict.details["asked"], counts["prompts"] - len(wanted)
    assert counts["loads"] == 1
    full = batches(wanted, session)
    assert counts["batches"] == full + read
    assert full < len(wanted) / 5
    assert 0 < read <= asked  # one that the other claim's examples had brought into the store costs nothing
    check_smallest(fails)
    warm = session_in(project, tmp_path / "b")
    again = [warm.record(spec) for spec in warm.selected]
    assert [r.verdict for r in again] == [holds.verdict, fails.verdict]
    assert warm.runner.capture == {}


def batches(wanted, session):
    """How many full batches the fixed table of shapes makes of these prompts."""
    tokens = [session.runner.codes(session.selected[0].subject, (p,)).n_tokens for p in prompts_of(session)]
    assert len(tokens) == len(wanted)
    shapes = Shapes(CPU_TOKENS)
    found = by_length(tokens, shapes)
    assert len(found) > 1
    return sum(math.ceil(len(rows) / shapes.rows(length)) for length, rows in found.items())


def prompts_of(session):
    return {p.content: p for s in session.selected for need in s.needs() for p in need.prompts}.values()


def check_smallest(fails):
    """Two words long, in the finding, the examples, the failure text and as a line to paste."""
    assert fails.verdict.details["pin"] == {"prompt": "the dog", "edited": "THE DOG"}
    assert "'the dog'" in fails.verdict.finding
    assert [example.text for example in fails.verdict.examples] == ["the dog", "THE DOG"]
    assert 'pinned: [{"prompt": "the dog", "edited": "THE DOG"}]' in failure_text(fails, "pytest")


def test_a_warm_store_without_weights_gives_the_verdict_unshrunk(project, tmp_path, monkeypatch):
    """The examples are there, the model is not: the same outcome, another prompt, and no fault for the other claim."""
    monkeypatch.chdir(project.root)
    cold = session_in(project, tmp_path / "a", "other.sqlite")
    cold.runner.ensure(cold.selected)
    monkeypatch.setattr("harness.running.Runner.read_aside", missing)
    session = session_in(project, tmp_path / "b", "other.sqlite")
    fails, holds = (session.record(spec) for spec in reversed(session.selected))
    assert (holds.verdict.outcome, fails.verdict.outcome) == (Outcome.MET, Outcome.UNMET)
    assert "not shrunk further" in fails.verdict.finding
    read = {p.text for spec in session.selected for need in spec.needs() for p in need.prompts}
    assert fails.verdict.details["pin"]["edited"] in read


def missing(*args):
    raise EnvironmentFault("weights_missing", "the weights are not on this machine.")


def test_a_model_that_cannot_be_loaded_while_judging_is_no_fault_of_the_run(project, tmp_path, monkeypatch):
    """What is asked for while judging and cannot be had is None and leaves the run's log as it was; without the fault
    the same prompt is read."""
    monkeypatch.chdir(project.root)
    session = session_in(project, tmp_path / "a")
    session.prepare()
    runner, spec = session.runner, session.selected[0]
    unread = [dataclasses.replace(spec.sets["prompts"].prompts[0], text="the dog never read before")]
    with monkeypatch.context() as patch:
        patch.setattr("harness.capture.engine.load_model", missing)
        assert runner.evidence(spec).ask(unread) is None
    assert runner.log.faults == {}
    assert session.record(spec).verdict.outcome is Outcome.MET
    assert runner.evidence(spec).ask(unread).n_prompts == 1


def test_loading_a_suite_draws_nothing():
    """`interp check` and a run of other kinds import no Hypothesis: examples are drawn when a claim is to be read."""
    script = (
        "import sys; from pathlib import Path; from harness.language.specs import load\n"
        "items = load(Path('.')).items; found = [i for i in items if getattr(i, 'kind', '') == 'holds_under']\n"
        "assert found; print('hypothesis' in sys.modules)\n"
        "list(next(i for i in found if i.expectation.mode == 'search').needs()); print('hypothesis' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
