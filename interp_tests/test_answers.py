"""Answers on failure: features that would meet an unmet claim, and what fires where its feature is silent."""

import dataclasses
import re

import numpy as np
import pytest

from harness.answers import SALT, answers
from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.expectations.toy import claim_of, codes_from_dense, evidence_of, expectation_of
from harness.heldout import split
from harness.inputs import ModelRef, Prompt, PromptSet, SaeRef, Subject
from harness.spec import Spec
from interp_tests.project import PLAIN, make_project

SUBJECT = Subject("s", ModelRef("m", "path", "m"), SaeRef("s", "path", "s"), "blocks.1.hook_resid_post")
D_SAE, N = 12, 20


def spec_of(expectation, sets, claim=None):
    return Spec("suite::one", "suite", SUBJECT, expectation, claim or Claim(), Source("here"), sets=sets)


def evidence(columns, than):
    """One token a prompt: `columns` of 20 prompts and `than` of 20 others, feature -> [20] values."""
    roles = ("prompts", "than")
    sets = {role: PromptSet(role, tuple(Prompt(f"{role} number {i}") for i in range(N))) for role in roles}
    codes = {}
    for role, given in zip(roles, (columns, than), strict=True):
        dense = np.zeros((N, D_SAE))
        for feature, values in given.items():
            dense[:, feature] = values
        h = np.random.default_rng(0).normal(size=(N, 3))
        codes[role, None] = codes_from_dense(dense, h, 0.9 * h, np.arange(N), N)
    return Evidence(sets=sets, codes_of=codes)


def fires_more():
    return kinds()["fires_more"].model_validate({"prompts": "prompts", "than": "than"})


def lucky(n):
    """1 on the discovery half of these prompts, silent on the other."""
    made = [Prompt(f"prompts number {i}") for i in range(n)]
    found = set(split(made, SALT)[0])
    return np.array([float(p in found) for p in made])


def test_what_would_meet_is_found_on_one_half_and_holds_on_the_other():
    """A feature that fires on all prompts is named; one that fires on the discovery half alone is tried and dropped."""
    given = evidence({0: np.zeros(N), 3: np.ones(N), 5: 9 * lucky(N)}, {0: np.ones(N)})
    found = answers(spec_of(fires_more(), given.sets), 0, given)
    assert (found["would_meet"], found["tried"]) == ([3], 2)


def test_the_claims_own_feature_is_no_answer():
    """A feature that misses on all prompts together is not named, though it meets on both halves."""
    given = evidence({3: np.ones(N)}, {})
    assert "would_meet" not in answers(spec_of(fires_more(), given.sets), 3, given)


def test_what_fires_instead_is_what_the_contrast_does_not_have():
    """On the ten missed prompts feature 4 fires on all, 6 on half; 7 fires everywhere, and so says nothing."""
    half = np.r_[np.ones(10), np.zeros(10)]
    given = evidence({0: half, 4: 1 - half, 6: np.r_[np.zeros(15), np.ones(5)], 7: np.ones(N)}, {7: np.ones(N)})
    found = answers(spec_of(fires_more(), given.sets), 0, given)
    assert found["missed"] == 10
    assert found["instead"] == [[4, 1.0, 0.0], [6, 0.5, 0.0]]


def test_a_feature_that_misses_nothing_has_no_instead():
    """Where it fires on all prompts, nothing fires instead."""
    given = evidence({0: np.ones(N)}, {0: np.ones(N)})
    assert "missed" not in answers(spec_of(fires_more(), given.sets), 0, given)


EXAMPLES = [(kind, example) for kind in kinds().values() for example in kind.examples]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=[f"{k.kind}: {e.title}" for k, e in EXAMPLES])
def test_every_kind_can_be_asked(kind, example):
    """No kind's examples break the search, and nothing is answered for claims of silence or of the whole SAE."""
    given, expectation = evidence_of(example), expectation_of(kind, example)
    found = answers(spec_of(expectation, given.sets, claim_of(example)), 0, given)
    assert set(found) <= {"would_meet", "tried", "missed", "instead"}
    if expectation.side() != "high" or not example.rows:
        assert found == {}
    assert dataclasses.replace(given, cache={}).sets == given.sets


# Of the project's own eight the hash puts all into one half, and then nothing is tried.
MORE_PLAIN = [
    *PLAIN,
    "Our teacher read a long story to us.",
    "It rained all night in the valley.",
    "Two boats came back to the harbor late.",
    "Nobody knew where the key was kept.",
    "His brother fixed the roof in spring.",
]


def test_a_failure_names_what_would_have_met(tmp_path):
    """From YAML: a feature of actions is no feature of colors; the text says which are, and what fires instead."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    project.suite(
        "colors",
        """\
        - id: wrong
          feature: 329
          scope: sample
          fires_more: {prompts: color, than: plain}
        """,
        prompts={"plain": MORE_PLAIN},
    )
    done = project.pytest("-q")
    assert "would meet  " in done.stdout
    assert "prompts that it misses" in done.stdout
    details = project.results()["records"][0]["details"]
    assert re.search(r"\([1-9]\d* found on one half of the prompts", done.stdout)
    assert 0 < len(details["would_meet"]) <= 5
    assert 329 not in details["would_meet"]
