"""Discovery and test prompts: a split that stays, and leaks that are seen whatever their spelling."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, row
from harness.heldout import by_identity, leaks, split
from harness.inputs import ModelRef, Picture, Prompt, PromptSet, SaeRef, Subject
from harness.judging import before_running, judge
from harness.sametext import same_text
from harness.spec import Spec
from harness.verdict import Reason
from interp_tests.plain_twins import pairs as twin

SETTINGS = settings(max_examples=80, deadline=None, derandomize=True, database=None)
WORDS = st.lists(st.sampled_from(["red", "ball", "the", "Old", "dog."]), min_size=1, max_size=5).map(" ".join)
GROUPS = st.sampled_from([None, None, "the {x} here", "no {x} there"])
PROMPTS = st.lists(st.builds(Prompt, WORDS, group=GROUPS), max_size=12)


def of(*texts, **fields):
    return tuple(Prompt(text, **fields) for text in texts)


@SETTINGS
@given(PROMPTS, PROMPTS, st.text(max_size=5))
def test_appending_prompts_moves_none_to_the_other_half(first, more, salt):
    """Both halves of a longer list begin with the halves of the shorter one, and together they are the list."""
    before, after = split(first, salt), split([*first, *more], salt)
    assert [half[: len(b)] for half, b in zip(after, before, strict=True)] == list(before)
    assert sorted(map(repr, [*after[0], *after[1]])) == sorted(map(repr, [*first, *more]))


@SETTINGS
@given(PROMPTS, st.text(max_size=5))
def test_a_unit_is_never_on_both_sides(prompts, salt):
    """Prompts of one template go together, and so do texts that differ by case, spaces and punctuation only."""
    spaced = [Prompt("  " + p.text.upper() + "!?", group=p.group) for p in prompts]
    discovery, test = split([*prompts, *spaced], salt)
    units = [{p.group or same_text(p.text) for p in half} for half in (discovery, test)]
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


SENTENCES = st.lists(st.sampled_from(["a", "b", "c", "d", "the", "Old", "dog."]), min_size=1, max_size=14).map(" ".join)


@SETTINGS
@given(found_on=st.lists(WORDS | SENTENCES, min_size=1, max_size=9), tested=st.lists(WORDS | SENTENCES, max_size=1))
def test_the_closest_pair_is_that_of_comparing_every_two(found_on, tested):
    """The same share as the plain way's best; .8 is a leak, .5 or one word is near. (One tested prompt shares nothing
    with others, and a text put before those makes the discovery set share nothing either.)"""
    seen = of(*found_on, "quite another sentence stands here")
    found = leaks(seen, of(*tested))
    for text in tested:
        same = any(same_text(text) == same_text(f) for f in found_on)
        best = max(twin.jaccard(f, text) for f in found_on)
        framed = any(twin.but_for_one_word(f, text) for f in found_on)
        assert bool(found.leaked) == (same or best >= Fraction(4, 5))
        assert bool(found.near) == (not found.leaked and (best >= Fraction(1, 2) or framed))
        if found.near and best >= Fraction(1, 2):
            assert found.near[0].share == pytest.approx(float(best))


FOUND_ON = of(
    "The red ball bounced on the floor.",
    "A green leaf fell into the water.",
    "Her blue coat hung by the door.",
    "He painted the wall yellow today.",
)
RESPELT = {
    "other end mark": lambda t: t.replace(".", "!"),
    "invisible characters": lambda t: t.replace(" ", " \u200b"),
    "look-alikes": lambda t: t.replace("e", "\u0435").replace("a", "\u0430"),
    "one look-alike": lambda t: t.replace("e", "\u0435", 1),
    "a clause before": lambda t: "Yesterday evening my uncle told us that " + t[0].lower() + t[1:],
    "a clause after": lambda t: t.replace(".", " today, as she said to me."),
    "a sentence before": lambda t: "Read this aloud to the whole class. " + t,
}


@pytest.mark.parametrize("how", RESPELT)
def test_prompts_that_were_only_written_otherwise_are_leaked(how):
    """All of them, with the pair that shows it."""
    found = leaks(FOUND_ON, tuple(Prompt(RESPELT[how](p.text)) for p in FOUND_ON))
    assert [(x.tested.text, x.found_on) for x in found.leaked] == [(RESPELT[how](p.text), p) for p in FOUND_ON]


def test_one_clause_on_one_prompt_is_near_and_another_sentence_is_new():
    """Half of the pairs of the longer one are those of the shorter."""
    found = leaks(FOUND_ON, of(RESPELT["a clause after"](FOUND_ON[0].text), "A farmer counted his sheep at night."))
    assert (len(found.leaked), [x.share for x in found.near]) == (0, [0.5])
    assert "share 50% of their word pairs" in found.warning("prompts.yaml#found")


def test_other_words_in_a_frame_are_near_and_the_words_alone_are_new():
    """ "The X was old." with another X warns; a word list of the X's, and other frames for them, are no copies."""
    framed = of(*(f"The {x} was old." for x in ("cat", "dog", "cow")))
    near = leaks(framed, of("The sun was old.", "A bird sang."))
    assert [x.why for x in near.near] == ["differ in one word"]
    for others in (of("cat", "dog"), of("I never saw a cat there.", "I never saw a dog there.")):
        found = leaks(framed, others)
        assert not found.leaked
        assert not found.near


def test_one_system_prompt_before_other_questions_is_no_leak():
    """Both sets begin with it; compared is what follows."""
    opening = "You are a helpful and careful assistant who answers in one short sentence. "
    asked = [opening + q for q in ("Why is the sky blue?", "How do birds find their way?")]
    tested = [opening + q for q in ("Who wrote this letter to the king?", "Where does the river end?")]
    assert leaks(of(*asked), of(*tested)) == leaks(of("a"), of("b"))
    assert len(leaks(of(*asked), of(asked[0] + "!", tested[1])).leaked) == 1


def test_code_is_compared_as_code():
    """Another operator is another line of code, and a near copy; the same line is leaked; prose is another matter."""
    seen = of("x = foo(a, b) + 1", "return len(items)", code=True)
    found = leaks(seen, of("x = foo(a, b) - 1", "print(name)", code=True))
    assert (len(found.leaked), len(found.near)) == (0, 1)
    assert len(leaks(seen, of("return  len(items)", code=True)).leaked) == 1
    assert not leaks(seen, of("return LEN items")).leaked
    assert len(leaks(seen, of("return len(items)")).leaked) == 1, "the very same text, wherever it stands"


def test_one_template_or_one_picture_is_near():
    """Whatever the words; other templates, other pictures and one caption for two pictures are not."""
    made = Prompt("Is it red?", group="Is it {x}?")
    assert "template" in leaks((made,), (Prompt("Is it an old elephant?", group="Is it {x}?"),)).near[0].why
    assert leaks((made,), (Prompt("An elephant it is.", group="{x} it is."),)).near == ()
    photo = Prompt("A photo of a cat.", image=Picture("a.png", "1"))
    assert "picture" in leaks((photo,), (Prompt("Here.", image=Picture("b.png", "1")),)).near[0].why
    assert leaks((photo,), (Prompt("A photo of a cat.", image=Picture("c.png", "2")),)) == leaks((), ())
    assert leaks((photo,), of("A photo of a cat.")) == leaks((), ())
    assert len(leaks((photo,), (Prompt("a photo of a cat", image=Picture("d.png", "1")),)).leaked) == 1


def spec_of(evidence, discovered_on):
    subject = Subject(
        "toy", ModelRef("toy", "package", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post"
    )
    kind = kinds()["fire_rate"].model_validate({"prompts": "prompts", "rate": {"at_least": 0.5}})
    return Spec(
        "s::x", "s", subject, kind, Claim(), Source("s.yaml", 1), evidence.sets, features=(0,),
        discovered_on=PromptSet("discovery", of(*discovered_on)),
    )  # fmt: skip


def test_a_verdict_warns_of_near_copies_and_names_a_pair(snapshot):
    """A warning, not another outcome: the same claim found elsewhere is met without it."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball rolled down hill {i}", red=3) for i in range(14)])
    tested = evidence.sets["prompts"].prompts[0].text
    near = judge(spec_of(evidence, [tested.rpartition(" ")[0] + " today of all days", "his green coat"]), evidence)
    far = judge(spec_of(evidence, ["his green coat hung by the door"]), evidence)
    assert near.outcome == far.outcome == "met"
    assert "near copy" not in "".join(far.warnings)
    assert near.warnings[-1] == snapshot


def test_every_leaked_prompt_is_counted_once(snapshot):
    """In the sets that are tested, whichever of the sets that it was found on holds it; the first is the example."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball {i}", red=3) for i in range(14)])
    tested = [p.text for p in evidence.sets["prompts"].prompts]
    early = before_running(spec_of(evidence, [f"  {tested[3]}", tested[3].upper(), tested[1], "another"]))
    assert early.reason is Reason.LEAKED
    assert early.finding == snapshot
    assert before_running(spec_of(evidence, ["another"])) is None


def test_a_leak_in_other_letters_shows_both_texts(snapshot):
    """Nobody sees the Cyrillic letter, so both are quoted and what makes them one is said."""
    evidence = evidence_of_rows(prompts=[row(f"the red ball {i}", red=3) for i in range(14)])
    text = evidence.sets["prompts"].prompts[2].text
    early = before_running(spec_of(evidence, [text.replace("e", "\u0435")]))
    assert early.reason is Reason.LEAKED
    assert early.finding == snapshot
