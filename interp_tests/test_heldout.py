"""Discovery and test prompts: a split that stays, and near duplicates that are seen."""

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, row
from harness.heldout import Seen, by_identity, near_duplicates, split
from harness.inputs import ModelRef, Picture, Prompt, PromptSet, SaeRef, Subject
from harness.judging import before_running, judge
from harness.spec import Spec
from harness.verdict import Reason
from interp_tests.plain_twins import pairs as twin

SETTINGS = settings(max_examples=80, deadline=None, derandomize=True, database=None)
WORDS = st.lists(st.sampled_from(["red", "ball", "the", "Old", "dog."]), min_size=1, max_size=5).map(" ".join)
GROUPS = st.sampled_from([None, None, "the {x} here", "no {x} there"])
PROMPTS = st.lists(st.builds(Prompt, WORDS, group=GROUPS), max_size=12)


def of(*texts):
    return tuple(Prompt(text) for text in texts)


@SETTINGS
@given(PROMPTS, PROMPTS, st.text(max_size=5))
def test_appending_prompts_moves_none_to_the_other_half(first, more, salt):
    """Both halves of a longer list begin with the halves of the shorter one, and together they are the list."""
    before, after = split(first, salt), split([*first, *more], salt)
    assert [half[: len(b)] for half, b in zip(after, before, strict=True)] == list(before)
    assert sorted(map(repr, [*after[0], *after[1]])) == sorted(map(repr, [*first, *more]))


SPELT = st.sampled_from(["a b", "A b", "a  B ", "ab", "c"])


@SETTINGS
@given(st.lists(st.builds(Prompt, SPELT, group=st.sampled_from([None, "g", "h"])), max_size=8))
def test_what_counts_twice_is_found_as_by_comparing_every_two(prompts):
    """Held against the plain way, as long as what came before is new: letters alone make a prompt, and spellings may
    share a template."""
    seen, kept = Seen(), []
    for prompt in prompts:
        again = [
            k
            for k in kept
            if "".join(k.text.split(" ")).lower() == "".join(prompt.text.split(" ")).lower()
            and (" " in k.text.strip()) == (" " in prompt.text.strip())
            and (k.text == prompt.text or k.group is None or k.group != prompt.group)
        ]
        assert (seen.find(prompt) is not None) == bool(again)
        if not again:
            seen.add(prompt, prompt)
            kept.append(prompt)


@SETTINGS
@given(PROMPTS, st.text(max_size=5))
def test_a_unit_is_never_on_both_sides(prompts, salt):
    """Prompts of one template go together, and so do texts that differ by case and spaces only."""
    spaced = [Prompt("  " + p.text.upper(), group=p.group) for p in prompts]
    discovery, test = split([*prompts, *spaced], salt)
    units = [{p.group or " ".join(p.text.lower().split()) for p in half} for half in (discovery, test)]
    assert not units[0] & units[1]


def test_the_halves_are_halves_and_the_salt_decides():
    """Of 2,000 prompts about half are for discovery (3 standard errors); another salt splits otherwise; shares hold."""
    prompts = of(*(f"prompt number {i}" for i in range(2000)))
    discovery, test = split(prompts, "a")
    assert abs(len(discovery) - 1000) < 67
    assert split(prompts, "b")[0] != discovery
    assert abs(len(split(prompts, "a", share=0.2)[0]) - 400) < 54
    assert set(split(prompts, "a", share=0.2)[0]) < set(discovery)
    assert len(discovery) + len(test) == 2000


SENTENCES = st.lists(st.sampled_from(["a", "b", "c", "d", "the", "Old", "dog."]), min_size=1, max_size=14).map(" ".join)


@pytest.mark.parametrize("few", [0, 3, 200])
@SETTINGS
@given(found_on=st.lists(WORDS | SENTENCES, min_size=1, max_size=9), tested=st.lists(WORDS | SENTENCES, max_size=9))
def test_near_duplicates_are_those_that_share_half_of_their_word_pairs(few, found_on, tested):
    """The same prompts, and the same pair, as comparing every text with every other: counted, or by rare pairs."""
    with mock.patch("harness.heldout._FEW", few):
        found = near_duplicates(of(*found_on), of(*tested))
    count, first, like = twin.near_duplicates(found_on, tested)
    assert (found.count if found else 0) == count
    if found:
        assert (found.tested.text, twin.word_pairs(found.found_on.text)) == (first, twin.word_pairs(like))


def test_the_twin_can_tell():
    """A half less one is not alike, whichever of the two is the longer."""
    assert twin.near_duplicates(["a b c d"], ["a b c d x", "a b y d"]) == (1, "a b c d x", "a b c d")
    assert near_duplicates(of("a b c d"), of("a b c d x", "a b y d")).count == 1


def test_what_is_remembered_is_that_of_these_very_sets():
    """Equal sets are equal in what they give, other sets are not; and only the last few are kept."""
    made = by_identity(lambda one, other: (len(one), len(other)), most=5)
    sets = [of(*"abc"[:n]) for n in range(1, 4)]
    assert [made(s, sets[0]) for s in (*sets, *sets)] == [(1, 1), (2, 1), (3, 1)] * 2
    calls = []
    counted = by_identity(lambda one, other: calls.append(one), most=5)
    for s in (sets[0], sets[0], sets[1], sets[2], sets[0]):
        counted(s, sets[0])
    assert calls == [sets[0], sets[1], sets[2], sets[0]]


def test_one_word_changed_in_a_sentence_is_seen_and_another_sentence_is_not():
    """4 of 8 word pairs shared is a near duplicate; a shared opening is none."""
    found_on = of("The red ball rolled down the hill.")
    assert near_duplicates(found_on, of("The red ball rolled down a hill.")).count == 1
    assert near_duplicates(found_on, of("The red sun set behind the hills.")) is None


def test_one_template_or_one_picture_makes_near_duplicates():
    """Whatever the words; other templates, other pictures and one caption for two pictures do not."""
    made = Prompt("Is it red?", group="Is it {x}?")
    assert "template" in near_duplicates((made,), (Prompt("Is it an elephant?", group="Is it {x}?"),)).why
    assert near_duplicates((made,), (Prompt("An elephant it is.", group="{x} it is."),)) is None
    photo = Prompt("A photo of a cat.", image=Picture("a.png", "1"))
    assert "picture" in near_duplicates((photo,), (Prompt("A cat.", image=Picture("b.png", "1")),)).why
    assert near_duplicates((photo,), (Prompt("A photo of a cat.", image=Picture("c.png", "2")),)) is None
    assert near_duplicates((photo,), of("A photo of a cat.")) is None


def spec_of(evidence, discovered_on):
    subject = Subject(
        "toy", ModelRef("toy", "package", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post"
    )
    kind = kinds()["fire_rate"].model_validate({"prompts": "prompts", "rate": {"at_least": 0.5}})
    return Spec(
        "s::x", "s", subject, kind, Claim(), Source("s.yaml", 1), evidence.sets, features=(0,),
        discovered_on=PromptSet("discovery", of(*discovered_on)),
    )  # fmt: skip


def test_a_verdict_warns_of_near_duplicates_and_names_a_pair(snapshot):
    """A warning, not another outcome: the same claim found elsewhere is met without it."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball rolled down hill {i}", red=3) for i in range(14)])
    near = judge(spec_of(evidence, ["the red ball rolled down a slope"]), evidence)
    far = judge(spec_of(evidence, ["his green coat hung by the door"]), evidence)
    assert near.outcome == far.outcome == "met"
    assert "near duplicates" not in "".join(far.warnings)
    assert near.warnings[-1] == snapshot


def test_every_leaked_prompt_is_counted_once(snapshot):
    """In the sets that are tested, whichever of the sets that it was found on holds it; the first is the example."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball {i}", red=3) for i in range(14)])
    early = before_running(spec_of(evidence, ["The  red ball 3", "the RED ball 3", "the red ball 1", "another"]))
    assert early.finding == snapshot
    assert before_running(spec_of(evidence, ["another"])) is None


def test_the_same_prompt_is_leaked_and_not_only_a_near_duplicate():
    """Case and spaces do not hide an exact overlap."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball {i}", red=3) for i in range(14)])
    early = before_running(spec_of(evidence, ["The  red ball 3"]))
    assert early.reason is Reason.LEAKED
