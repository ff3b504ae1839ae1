"""Shortcuts: trivial predictors that do as well as the feature, and claims that rule them out."""

from dataclasses import replace

import numpy as np
import pytest

from harness.balanced import ruled_out_elsewhere
from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.shortcuts import predictors, shortcut_to
from harness.expectations.toy import evidence_of_rows, row
from harness.inputs import ModelRef, Prompt, PromptSet, SaeRef, Subject
from harness.judging import judge
from harness.spec import Spec
from harness.stats.strata import auroc_in_strata, auroc_of, length_strata, quantile_strata
from harness.vacuity import failing_vacuous, reasons
from harness.verdict import Outcome, Reason
from interp_tests.plain_twins import ranks as twin

CLAIM = Claim(feature=0)
ROLES = ("prompts", "than")
SUBJECT = Subject("toy", ModelRef("toy", "package", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post")
NOUNS = "boy car sun shop door road train house hill lake farm song coat ship tree king moon wolf desk hand".split()


def sides(firsts, fires=("The", "the"), n=20):
    """Sentences that begin with one of two words; the feature fires on it."""
    made = {
        role: [
            row(f"{first} {noun}{role} w{i}{role}", **dict.fromkeys(fires, 3 + i / 10))
            for i, noun in enumerate(NOUNS[:n])
        ]
        for role, first in zip(ROLES, firsts, strict=True)
    }
    evidence = evidence_of_rows(**made)
    texts = {role: [f"{p.text.split(' own')[0]}." for p in s.prompts] for role, s in evidence.sets.items()}
    return replace(evidence, sets={role: PromptSet(role, tuple(map(Prompt, some))) for role, some in texts.items()})


def spec_of(evidence, name="s::x", kind="fires_more", **more):
    kind = kinds()[kind].model_validate({"prompts": "prompts", "than": "than"})
    return Spec(name, "s", SUBJECT, kind, CLAIM, Source("s.yaml", 1), evidence.sets, features=(0,), **more)


def test_a_first_token_that_does_as_well_is_named(snapshot):
    """Sentences that begin with "The" against others: a warning, and a failure where claims must not be vacuous."""
    verdict = judge(spec_of(sides(("The", "Old"))), sides(("The", "Old")))
    assert verdict.outcome is Outcome.MET
    assert verdict.finding == snapshot
    assert [(reason, why) for reason, why in reasons(verdict) if reason is Reason.SHORTCUT] == snapshot
    assert failing_vacuous(verdict).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["distinguishes", "selective", "top_feature"])
def test_a_shortcut_is_named_in_every_kind_that_compares_two_sets(kind):
    """A rank, a precision and what stands out against `than` are explained by the first token as an AUROC is."""
    evidence = sides(("The", "Old"))
    verdict = judge(spec_of(evidence, kind=kind), evidence)
    assert verdict.outcome is Outcome.MET
    assert failing_vacuous(verdict).reason is Reason.SHORTCUT
    assert "tells these sets apart just as well" in verdict.finding


def test_a_reason_in_the_file_accepts_it(snapshot):
    """It is still named, with the reason, and fails nothing."""
    evidence = sides(("The", "Old"))
    verdict = judge(spec_of(evidence, shortcut_accepted="it is a feature of articles"), evidence)
    assert Reason.SHORTCUT not in dict(reasons(verdict))
    assert [line for line in verdict.warnings if "accepted" in line] == snapshot


def test_a_feature_that_tells_apart_what_the_predictor_does_not_is_its_own():
    """Half of the sets differ in their end mark, all in the feature: within either end mark it still does."""
    texts = {"prompts": [], "than": []}
    evidence = sides(("red", "old"), fires=("red",))
    for role, s in evidence.sets.items():
        dots = 18 if role == "prompts" else 4
        texts[role] = tuple(Prompt(p.text.rstrip(".") + "." * (i < dots)) for i, p in enumerate(s.prompts))
    mixed = replace(evidence, sets={role: PromptSet(role, some) for role, some in texts.items()})
    found = predictors(mixed, CLAIM, ROLES)["ending with a period"]
    assert auroc_of(*found) == pytest.approx(0.85)
    named = shortcut_to(mixed, CLAIM, ROLES, 0, 0.7)
    assert named is None or "period" not in named.what


def test_another_claim_of_the_feature_rules_it_out():
    """Met where both sets begin alike; a claim of another feature, or one that is not met, rules out nothing."""
    weak, strong = sides(("red", "old"), fires=("red",)), sides(("red", "old"), fires=("red",))
    spec, other = spec_of(weak), spec_of(strong, "s::y")
    verdict = judge(spec, weak)
    what = verdict.details["shortcut"]
    met = judge(other, strong)
    balanced = {what: (np.zeros(20), np.zeros(20))}
    cases = [
        (met, balanced, True),
        (met, {what: (np.ones(20), np.zeros(20))}, False),
        (met, {}, True),
        (met.with_(feature=1), balanced, False),
        (met.with_(outcome=Outcome.UNMET), balanced, False),
    ]
    for found, tried, ruled_out in cases:
        key = next(k for k in strong.cache if k[0] == "shortcuts")
        strong.cache[key] = (tried, None)
        after = ruled_out_elsewhere(spec, verdict, [spec, other], lambda s, found=found: (found, strong))
        assert (Reason.SHORTCUT not in dict(reasons(after))) is ruled_out
        assert any("does not tell the sets of s::y apart" in line for line in after.warnings) is ruled_out


@pytest.mark.parametrize("seed", range(5))
def test_auroc_in_strata_is_the_weighted_mean_of_each_stratum(seed):
    """Counted the long way; strata with one side only add nothing, and n is what is left."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, 12).astype(float), rng.integers(0, 4, 9).astype(float)
    s, t = rng.integers(0, 3, 12), rng.integers(1, 4, 9)
    found = auroc_in_strata(a, b, (s, t))
    common = [k for k in (1, 2) if (s == k).any() and (t == k).any()]
    weights = [(s == k).sum() * (t == k).sum() / ((s == k).sum() + (t == k).sum()) for k in common]
    parts = [twin.auroc(a[s == k].tolist(), b[t == k].tolist()) for k in common]
    assert found.auroc == pytest.approx(np.average(parts, weights=weights))
    assert (found.n_positive, found.n_negative) == (np.isin(s, common).sum(), np.isin(t, common).sum())
    apart = auroc_in_strata(a, b, (np.zeros(12, np.int64), np.ones(9, np.int64)))
    assert (apart.n_positive, apart.lower(0.05), apart.enough(1)) == (0, 0.0, False)


def test_strata_of_lengths_are_narrow_and_those_of_numbers_are_quantiles():
    """10 and 12 tokens are apart, 100 and 104 are not; few values are a stratum each."""
    strata = length_strata(np.array([4, 5, 9, 10, 12, 15, 100, 104], float)).tolist()
    assert len(set(strata)) == 7
    assert strata[-1] == strata[-2]
    first, second = quantile_strata(np.array([0.0, 0, 1]), np.array([1.0, 1]))
    assert (first.tolist(), second.tolist()) == ([0, 0, 1], [1, 1])
    first, second = quantile_strata(np.arange(50.0), np.arange(50.0) + 50)
    assert len(set(first) | set(second)) == 5
