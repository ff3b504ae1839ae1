"""Every kind keeps its own examples, reads what it declares, and says what it could not tell."""

import dataclasses
import functools
import math

import numpy as np
import pytest

from harness.codes import Kind
from harness.expectations import kinds
from harness.expectations.base import Expectation
from harness.expectations.bounds import Bound
from harness.expectations.evidence import Evidence
from harness.expectations.results import limits_text
from harness.expectations.telling import Told
from harness.expectations.toy import D_SAE, claim_of, evidence_of, expectation_of
from harness.inputs import Corpus
from harness.mutants import MUTANTS
from harness.verdict import Outcome, Reason

EXAMPLES = [(kind, example) for kind in kinds().values() for example in kind.examples]
IDS = [f"{kind.kind}: {example.title}" for kind, example in EXAMPLES]
OF_TOKENS = next((kind, example) for kind, example in EXAMPLES if kind.kind == "top_tokens")
FEATURE_KINDS = [kind for kind in kinds().values() if kind.reads_feature]


def judged(kind, example, evidence=None, **changes):
    claim = dataclasses.replace(claim_of(example), **changes)
    return expectation_of(kind, example).judge(evidence_of(example) if evidence is None else evidence, claim)


def with_codes(evidence, change):
    """The same evidence with each role's codes changed."""
    changed = {key: change(codes) for key, codes in evidence.codes_of.items()}
    return dataclasses.replace(evidence, codes_of=changed, cache={})


def met_example(kind, mutant=None):
    """The first met example on prompts; with `mutant`, one whose evidence that mutant can change."""
    met = [e for e in kind.examples if e.outcome is Outcome.MET and "prompts" in e.rows]
    return next(e for e in met if mutant is None or mutant in expectation_of(kind, e).changed_by())


def first_met(kind):
    return next(e for e in kind.examples if e.outcome is Outcome.MET)


def test_the_thirteen_kinds_are_there():
    """All kinds of the first issue are registered."""
    wanted = (
        "fires_more fire_rate silent_on activation top_feature distinguishes fires_at top_tokens selective "
        "beats_keywords reconstruction sparsity density"
    )
    assert set(wanted.split()) <= kinds().keys()


def in_words(kind, example):
    """The claim of an example as a sentence, and the set names and bounds that it must hold."""
    expectation, sets = expectation_of(kind, example), evidence_of(example).sets
    corpora = {role: Corpus("text-of-a-corpus", "x.txt", "d") for role in expectation.references("corpus")}
    told = Told(claim_of(example), "feature 0" * expectation.about_feature(), "here", sets, corpora)
    roles = [*expectation.references("prompts"), *expectation.references("corpus")]
    values = [getattr(expectation, name) for name in kind.model_fields]
    bounds = [limits_text(value) for value in values if isinstance(value, Bound)]
    return expectation, told, [*map(told.on, roles), *bounds]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=IDS)
def test_a_claim_in_words_names_its_sets_and_bounds(kind, example):
    """One sentence with every set and its size, every bound, its feature and other subjects, and no name of a field."""
    expectation, told, named = in_words(kind, example)
    text = expectation.in_words(told)
    assert "`" not in text
    assert "_" not in functools.reduce(lambda left, name: left.replace(name, ""), named, text)
    assert text[0].isupper()
    assert text.endswith(".")
    assert [
        name for name in (*named, told.who, *expectation.other_subjects()) if name.lower() not in text.lower()
    ] == []
    if claim_of(example).scope == "sample":
        assert "these prompts only" in text
    assert "special tokens included" not in text


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds().keys())
def test_the_sentence_that_every_kind_has_holds_the_same(kind):
    """A kind that says nothing itself gets one made of its fields."""
    expectation, told, named = in_words(kind, kind.examples[0])
    text = Expectation.in_words(expectation, told)
    assert "`" not in text
    assert [name for name in (*named, told.who) if name.lower() not in text.lower()] == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pool": "last"}, "a prompt counts with its last text token"),
        ({"pool": "mean", "tokens": "image"}, "with the mean over each image token"),
        ({"pool": "any", "special_tokens": "counted"}, "where any text token fires, special tokens included"),
        ({"tokens": "all"}, "its strongest token, of text or image."),
        ({"scope": "sample"}, "claimed of these prompts only"),
        ({"alpha": 0.01}, "decided at alpha .01"),
    ],
)
def test_what_stands_beside_a_kind_is_in_the_sentence(settings, says):
    """Pool, tokens, special tokens, scope and level; of a claim without them none of these words."""
    expectation, told, _ = in_words(kinds()["fires_more"], kinds()["fires_more"].examples[0])
    given = expectation.in_words(dataclasses.replace(told, claim=dataclasses.replace(told.claim, **settings)))
    assert says in given
    assert says not in expectation.in_words(told)


def test_a_sentence_stays_short_whatever_a_claim_lists():
    """Of 40 long words a few are named, each cut, and the others counted."""
    words = tuple(f"word{i}" * 50 for i in range(40))
    text = kinds()["top_tokens"](prompts="prompts", tokens=words).in_words(in_words(*OF_TOKENS)[1])
    assert "34 more" in text
    assert len(text) < 800
    assert words[0] not in text


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=IDS)
def test_an_example_has_the_outcome_that_it_promises(kind, example):
    """Each example is judged as it says, with a finding, and a measurement where something was measured."""
    verdict = judged(kind, example)
    assert verdict.outcome is example.outcome, verdict.finding
    assert verdict.finding
    assert (verdict.reason is not None) == (verdict.outcome is Outcome.INCONCLUSIVE)
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        assert verdict.measurement is not None
        assert verdict.measurement.n > 0
        assert math.isfinite(verdict.measurement.value)
        assert verdict.bound


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_a_kind_shows_met_unmet_and_could_not_tell(kind):
    """The examples of a kind show all three outcomes, and each field says what it is for."""
    assert {e.outcome for e in kind.examples} >= {Outcome.MET, Outcome.UNMET, Outcome.INCONCLUSIVE}
    assert kind.summary().endswith(".")
    assert all(info.description and info.description.endswith(".") for info in kind.model_fields.values())


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=IDS)
def test_what_is_said_beforehand_is_what_judging_says(kind, example):
    """A static verdict is inconclusive, and the evidence does not change it."""
    evidence, claim = evidence_of(example), claim_of(example)
    early = expectation_of(kind, example).beforehand(evidence.sets, claim)
    if early is not None:
        late = expectation_of(kind, example).judge(evidence, claim)
        assert (early.outcome, early.reason) == (Outcome.INCONCLUSIVE, late.reason)
        assert early.finding == late.finding


@pytest.mark.parametrize("kind", FEATURE_KINDS, ids=lambda kind: kind.kind)
def test_the_mask_of_all_features_agrees_with_the_verdict_on_one(kind):
    """`meeting` holds for the feature of a met example, is [d_sae], and not every feature is in it."""
    example = first_met(kind)
    mask = expectation_of(kind, example).meeting(evidence_of(example), claim_of(example))
    assert mask.shape == (D_SAE,)
    assert mask.dtype == bool
    assert mask[0]
    assert not mask.all()


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_declared_mutants_are_those_that_exist_and_apply(kind):
    """A kind declares mutants that there are, every claim a part of them, and each of them changes some claim."""
    claims = [expectation_of(kind, example).changed_by() for example in kind.examples]
    assert kind.mutants
    assert kind.mutants <= MUTANTS.keys()
    assert all(changed <= kind.mutants for changed in claims)
    assert frozenset().union(*claims) == kind.mutants


def silenced(share):
    """The feature of an example, and with it some others, silent on so many of the prompts, picked by a seed."""

    def change(codes):
        quiet = np.random.default_rng(0).random(codes.n_prompts) < share
        fires = ~(quiet[codes.prompt[np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr))]] & (codes.index < 4))
        return dataclasses.replace(codes, value=np.where(fires, codes.value, 0).astype(np.float32))

    return change


@pytest.mark.parametrize("scope", ["population", "sample"])
@pytest.mark.parametrize("quiet", [0.0, 0.4, 0.6, 0.9])
@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=IDS)
def test_a_met_claim_reaches_its_bound_by_the_effect_alone(kind, example, quiet, scope):
    """Whatever `judge` finds met, `meeting` has too, for every feature, however many prompts are silent: mutants and
    the control equal_density are sorted out by it."""
    evidence = with_codes(evidence_of(example), silenced(quiet)) if quiet else evidence_of(example)
    mask = expectation_of(kind, example).meeting(evidence, dataclasses.replace(claim_of(example), scope=scope))
    if mask is not None:
        met = [
            f
            for f in range(D_SAE)
            if not mask[f] and judged(kind, example, evidence, feature=f, scope=scope).outcome is Outcome.MET
        ]
        assert not met


def test_silenced_prompts_are_silent():
    """What the test above is made of: a share of prompts on which the feature no longer fires."""
    example = met_example(kinds()["fire_rate"])
    evidence = evidence_of(example)
    codes = with_codes(evidence, silenced(0.6)).codes("prompts")
    fires = np.count_nonzero(codes.pooled(codes.counted()).dense(), axis=0)
    assert 0 < fires[0] < codes.n_prompts * 0.6
    assert fires[1] == fires[0]
    assert fires[5] == np.count_nonzero(evidence.codes("prompts").pooled(codes.counted()).column(5))


@pytest.mark.parametrize("kind", [k for k in kinds().values() if "wrong_feature" in k.mutants], ids=lambda k: k.kind)
def test_another_feature_does_not_meet_the_claim(kind):
    """Where a kind declares the mutant wrong_feature, some other feature fails its met example."""
    example = first_met(kind)
    others = [judged(kind, example, feature=f).outcome for f in range(1, D_SAE)]
    assert any(outcome is not Outcome.MET for outcome in others)


@pytest.mark.parametrize("kind", [k for k in kinds().values() if "swapped_sets" in k.mutants], ids=lambda k: k.kind)
def test_swapped_sets_do_not_meet_the_claim(kind):
    """Where a kind declares the mutant swapped_sets, its met example fails the other way round."""
    example = met_example(kind, "swapped_sets")
    first, second = kind.roles("prompts")
    swapped = {first: example.rows[second], second: example.rows[first]}
    assert judged(kind, dataclasses.replace(example, rows=swapped)).outcome is not Outcome.MET


SHUFFLED = [k for k in kinds().values() if "shuffled_labels" in k.mutants]


@pytest.mark.parametrize("kind", SHUFFLED, ids=lambda kind: kind.kind)
def test_shuffled_labels_do_not_meet_the_claim(kind):
    """Where a kind declares the mutant shuffled_labels, its met example fails with every second label exchanged."""
    example = met_example(kind, "shuffled_labels")
    roles = tuple(expectation_of(kind, example).references("prompts"))
    if len(roles) == 1:
        shuffled = {roles[0]: [[(exchanged(t), v) for t, v in row] for row in example.rows[roles[0]]]}
    else:
        a, b = (list(example.rows[role]) for role in roles)
        n = min(len(a), len(b))
        a[:n:2], b[:n:2] = b[:n:2], a[:n:2]
        shuffled = dict(zip(roles, (a, b), strict=True))
    assert judged(kind, dataclasses.replace(example, rows=shuffled)).outcome is not Outcome.MET


def exchanged(token):
    """The mark moved from the word `red` to the word `ball`."""
    return {"[[red]]": "red", "ball": "[[ball]]"}.get(token, token)


def _broken_directions(kind):
    example = first_met(kind)
    lists = dict(evidence_of(example).promotions.lists)
    lists[0] = tuple((token, np.nan) for token, _ in lists[0])
    found = dataclasses.replace(evidence_of(example).promotions, lists=lists)
    assert judged(kind, example, Evidence(promotions=found)).reason is Reason.NOT_FINITE
    lists[0] = tuple((token, 0.0) for token, _ in lists[0])
    assert judged(kind, example, Evidence(promotions=found)).reason is Reason.DEAD


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_broken_numbers_are_inconclusive(kind):
    """One NaN activation on a counted token makes a claim inconclusive: not_finite; on <bos> or a sink it does not."""
    if kind.reads_decoder:
        return _broken_directions(kind)
    example = met_example(kind) if any("prompts" in e.rows for e in kind.examples) else None
    example = example if example is not None and kind.kind != "density" else None
    if example is None:
        return _broken_sums(kind)

    def poisoned(kind_of_token, sink=False):
        def change(codes):
            hh = codes.hh.copy()
            hh[np.flatnonzero((codes.kind == kind_of_token) & (codes.sink == sink))[0]] = np.nan
            return dataclasses.replace(codes, hh=hh)

        return change

    evidence = evidence_of(example)
    assert judged(kind, example, with_codes(evidence, poisoned(Kind.TEXT))).reason is Reason.NOT_FINITE
    assert judged(kind, example, with_codes(evidence, poisoned(Kind.SPECIAL))).outcome is Outcome.MET
    assert judged(kind, example, with_codes(evidence, poisoned(Kind.TEXT, sink=True))).outcome is Outcome.MET
    return None


def _broken_sums(kind):
    example = first_met(kind)
    evidence = evidence_of(example)
    sums = evidence.sums_of["corpus", None]
    hh = sums.hh.copy()
    hh[3] = np.inf
    broken = Evidence(sets=evidence.sets, sums_of={("corpus", None): dataclasses.replace(sums, hh=hh)})
    assert judged(kind, example, broken).reason is Reason.NOT_FINITE
    assert judged(kind, example, evidence).outcome is Outcome.MET
