"""Too few prompts is known before anything runs, and the number that would do is the number that does."""

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, row, rows
from harness.inputs import Filled, Prompt, PromptSet
from harness.judging import before_running, judge
from harness.stats.permutation import smallest_p
from harness.verdict import Reason
from interp_tests.language_root import specs_of

ALPHAS = st.sampled_from([0.2, 0.05, 0.025, 0.01, 0.001, 1e-4, 1e-6])
SIZES = st.integers(1, 12)
SIDES = ("prompts", "than")


def made(name, n, groups=None):
    each = [Prompt(f"{name}{i}", group=None if groups is None else groups[i]) for i in range(n)]
    return PromptSet(name, tuple(each))


def beforehand(kind, sets, alpha, **fields):
    expectation = kinds()[kind].model_validate({role: role for role in sets} | fields)
    return expectation.beforehand(sets, Claim(feature=0, alpha=alpha))


def asked(early):
    """How many more of each set a verdict names."""
    besides = early.details.get("besides", {"add": 0, "to": None})
    return {early.details["to"]: early.details["add"], besides["to"]: besides["add"]}


COMPARING = {
    "fires_more": {},
    "distinguishes": {},
    "beats_keywords": {},
    "selective": {},
    "selective with recall": {"recall": {"at_least": 0.9}, "false_positives": {"at_most": 0.3}},
}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(COMPARING)), SIZES, SIZES, ALPHAS)
def test_the_prompts_that_are_named_do_and_one_fewer_does_not(kind, a, b, alpha):
    """Of both sets together: what is named makes the static verdict go away, and one fewer of either leaves one."""
    name = kind.partition(" ")[0]

    def early(more_a=0, more_b=0):
        sets = {"prompts": made("prompts", a + more_a), "than": made("than", b + more_b)}
        return beforehand(name, sets, alpha, **COMPARING[kind])

    found = early()
    assume(found is not None)
    if name == "beats_keywords":  # a fit needs five of each before any p is asked for
        assume(a >= 5 and b >= 5)
    more = [asked(found).get(role, 0) for role in SIDES]
    assert sum(more) > 0
    assert early(*more) is None
    for i in (0, 1):
        if more[i]:
            assert early(*(n - (i == j) for j, n in enumerate(more))) is not None


def framed(name, words, frames=2):
    """A set of templates that is filled with so many words."""
    templates = [f"The {{w}} is number {f}." for f in range(frames)]
    filled = [
        (t, (Filled("template", f, t), Filled("w", i, f"{name}{i}")))
        for f, t in enumerate(templates)
        for i in range(words)
    ]
    return PromptSet(name, tuple(Prompt(t.replace("{w}", f[1].word), group=t, filled=f) for t, f in filled))


@settings(deadline=None, max_examples=40)
@given(SIZES, SIZES, ALPHAS, st.integers(1, 3))
def test_the_words_that_are_named_do(a, b, alpha, frames):
    """In shared templates words are counted: as many more as are named do, and one fewer of either does not."""

    def early(more_a=0, more_b=0):
        sets = {"prompts": framed("prompts", a + more_a, frames), "than": framed("than", b + more_b, frames)}
        return beforehand("fires_more", sets, alpha)

    found = early()
    assert found is not None or (min(a, b) >= 5 and smallest_p(a, b) <= alpha)
    assume(found is not None)
    more = [asked(found).get(role, 0) for role in SIDES]
    assert early(*more) is None
    for i in (0, 1):
        if more[i]:
            assert early(*(n - (i == j) for j, n in enumerate(more))) is not None
    assert "the words are the units" in found.finding
    assert " words" in found.finding


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["fire_rate", "silent_on", "top_feature", "activation"]),
    SIZES,
    ALPHAS,
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_the_prompts_of_one_set_that_are_named_do(kind, n, alpha, rate):
    """The same of kinds that count one set."""
    fields = {
        "fire_rate": {"rate": {"at_least": rate}},
        "silent_on": {"rate": {"at_most": 1 - rate}},
        "top_feature": {"rate": {"at_least": rate}},
        "activation": {"median": {"at_least": 1}},
    }[kind]

    def early(more=0):
        sets = {"prompts": made("prompts", n + more)}
        if kind == "silent_on":
            sets["but_fires_on"] = made("alive", 3)
        return beforehand(kind, sets, alpha, **fields)

    found = early()
    assume(found is not None)
    add = found.details["add"]
    assert early(add) is None
    assert early(add - 1) is not None


def marked_somewhere(i: int) -> str:
    """Words of its own, and a mark whose place from the start and from the end differs from its neighbors'."""
    before = [f"b{i}x{j}" for j in range(i % 5)]
    after = [f"n{i}x{j}" for j in range(1 + 2 * i % 5)]
    return " ".join([*before, "[[red]]", *after])


@pytest.mark.parametrize(
    ("alpha", "low", "enough"), [(0.05, 0.7, 9), (0.05, 0.9, 29), (0.05, 0.51, 5), (1e-4, 0.7, 26)]
)
@pytest.mark.parametrize("unit", ["prompts", "groups"])
def test_marked_prompts_that_are_named_do(alpha, low, enough, unit):
    """fires_at: n prompts without an error show alpha^(1 / n), and five are the fewest; groups are counted, and
    called so, where prompts share them."""
    claim = Claim(feature=0, alpha=alpha)
    expectation = kinds()["fires_at"].model_validate({"prompts": "prompts", "auroc": {"at_least": low}})

    def verdict(n):
        copies = 1 if unit == "prompts" else 2
        evidence = evidence_of_rows(prompts=[row(marked_somewhere(i), red=3) for i in range(n * copies)])
        prompts = [
            dataclasses.replace(p, group=f"t{i // 2}" if copies == 2 else None)
            for i, p in enumerate(evidence.sets["prompts"].prompts)
        ]
        sets = {"prompts": PromptSet("prompts", tuple(prompts))}
        return expectation.judge(dataclasses.replace(evidence, sets=sets), claim)

    few = verdict(3)
    assert few.reason is Reason.TOO_FEW_PROMPTS
    assert few.details["add"] == enough - 3
    assert few.finding.startswith(f"3 {unit} cannot show this")
    assert verdict(enough - 1).reason is Reason.TOO_FEW_PROMPTS
    assert str(verdict(enough).outcome) == "met"


@pytest.mark.parametrize(
    ("a", "b", "bound", "more"),
    [
        (5, 5, {"at_least": 0.9}, None),
        (6, 200, {"at_least": 0.9}, None),
        (24, 168, {"at_least": 0.97}, None),
        (12, 12, {"between": [0.6, 0.8]}, None),
        (5, 5, {"at_least": 0.7}, [0, 0]),
    ],
)
def test_a_bound_that_no_auroc_of_so_few_could_show_names_how_many_would(a, b, bound, more):
    """What is named does, and one fewer of either does not: known from the sets alone."""

    def early(more_a=0, more_b=0):
        sets = {"prompts": made("prompts", a + more_a), "than": made("than", b + more_b)}
        return beforehand("fires_more", sets, 0.05, auroc=bound)

    found = early()
    if more is not None:
        assert found is None
        return
    named = [asked(found).get(role, 0) for role in SIDES]
    assert early(*named) is None
    for i in (0, 1):
        if named[i]:
            assert early(*(n - (i == j) for j, n in enumerate(named))) is not None


def any_of_two(root, prompts, together):
    sets = f"  many: [{', '.join(f'Red{i}.' for i in range(prompts))}]\n"
    claim = f"  - id: two\n    features: [1, 2]\n    together: {together}\n    fire_rate: {{prompts: many}}\n"
    (spec,) = specs_of(root, f"subjects: [small]\nprompts:\n{sets}expect:\n{claim}")
    return spec


def test_any_of_several_features_needs_more_prompts(tmp_path, snapshot):
    """Each is held to alpha / 2, with which 14 prompts cannot show a rate of .8: said before running, in these words,
    as the run says it; 17 can, and for all of them 14 do."""
    early = before_running(any_of_two(tmp_path / "any", 14, "any"))
    assert early.reason is Reason.TOO_FEW_PROMPTS
    assert early.details["add"] == 3
    assert early.finding == snapshot
    assert before_running(any_of_two(tmp_path / "more", 17, "any")) is None
    assert before_running(any_of_two(tmp_path / "fewer", 16, "any")) is not None
    assert before_running(any_of_two(tmp_path / "all", 14, "all")) is None


@pytest.mark.parametrize("prompts", [14, 16, 17])
def test_the_run_says_too_few_only_where_the_check_did(tmp_path, prompts):
    """The same spec on evidence in which both features always fire."""
    spec = any_of_two(tmp_path, prompts, "any")
    evidence = evidence_of_rows(prompts=rows(prompts, "the red ball", red=3))
    one = dataclasses.replace(spec, features=(0, 1), sets=evidence.sets)
    assert (before_running(one) is not None) == (judge(one, evidence).reason is Reason.TOO_FEW_PROMPTS)
    unaware = dataclasses.replace(one, together=None, features=(0,))
    assert before_running(unaware) is None


def test_both_sets_are_named_where_both_are_too_small(snapshot):
    """3 against 5 at .001: five of the one are not enough, since 5 against 5 reach .004 at best."""
    sets = {"prompts": made("prompts", 3), "than": made("than", 5)}
    early = beforehand("distinguishes", sets, 0.001)
    assert early.finding == snapshot
    assert early.details == {"add": 2, "to": "prompts", "besides": {"add": 3, "to": "than"}}


@pytest.mark.parametrize("wanted", ["stable", "shifted", "lost", "new_vision"])
@pytest.mark.parametrize(("n", "pictures"), [(1, 1), (40, 1), (1, 40)])
def test_prompts_and_pictures_that_are_named_do(wanted, n, pictures):
    """new_vision needs both: silence on the text and firing on the pictures, so both are named at once."""

    def early(more=0, more_pictures=0):
        sets = {"prompts": made("prompts", n + more), "images": made("images", pictures + more_pictures)}
        return beforehand("transfers", sets, 0.05, **{"to": "other", "as": wanted})

    found = early()
    if found is None:
        assert n == 40
        assert wanted in ("stable", "shifted")
        return
    more = asked(found)
    named = more.get("prompts", 0), more.get("the images", 0)
    assert early(*named) is None
    assert named[0] == 0 or early(named[0] - 1, named[1]) is not None
    assert named[1] == 0 or early(named[0], named[1] - 1) is not None
    assert (named[1] > 0) == (wanted == "new_vision" and pictures == 1)
