"""Which prompts are one unit: groups, templates, words and near copies, and what a reader is told of them."""

import dataclasses

import numpy as np
import pytest

from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, rows
from harness.independence import (
    counted_in_words,
    design,
    grouping,
    shared_frames,
    split_copies,
    template_form,
    unit_name,
)
from harness.inputs import Filled, Prompt, PromptSet
from harness.judging import judge, warnings_of
from interp_tests.test_heldout import spec_of


def of(*texts, **fields):
    return tuple(Prompt(text, **fields) for text in texts)


def filled(templates, group=True, **slots):
    """What a template set makes: every combination of each template's own slots."""
    made = []
    for number, template in enumerate(templates):
        texts = [((), template)]
        for slot, words in slots.items():
            if f"{{{slot}}}" in template:
                texts = [
                    ((*done, Filled(slot, i, word)), text.replace(f"{{{slot}}}", word))
                    for done, text in texts
                    for i, word in enumerate(words)
                ]
        first = Filled("template", number, template)
        made += [Prompt(text, group=template if group else None, filled=(first, *done)) for done, text in texts]
    return tuple(made)


FRAMES = ["The {w} thing is here.", "Nobody saw the {w} one over there."]


def test_words_are_the_units_where_both_sides_fill_the_same_templates():
    """The slot whose words differ; prompts of a template are no unit then, and `group: prompt` changes nothing."""
    for group in (True, False):
        found = design(filled(FRAMES, group, w=["red", "blue", "green"]), filled(FRAMES, group, w=["old", "new"]))
        assert (found.n_positive, found.n_negative, found.n_frames) == (3, 2, 2)


def test_the_rest_of_a_template_is_the_frame():
    """A slot that both sides fill alike multiplies the frames, not the words."""
    frames = ["The {w} {t} is here."]
    found = design(filled(frames, w=["red", "blue"], t=["ball", "door"]), filled(frames, w=["old"], t=["ball", "door"]))
    assert (found.n_positive, found.n_negative, found.n_frames) == (2, 1, 2)


def test_of_two_slots_that_differ_the_one_with_fewer_words_counts():
    """25 combinations of 5 and 5 are no 25 words; one prompt stands for a word in a frame."""
    frames = ["The {w} {t} is here."]
    mine = filled(frames, w=["red", "blue", "green"], t=["ball", "door"])
    others = filled(frames, w=["old", "new", "big"], t=["cat", "cow", "pig"])
    found = design(mine, others)
    assert (found.n_positive, found.n_negative, found.n_frames) == (2, 3, 1)
    assert (found.positive >= 0).sum() == 2


def test_spellings_of_a_word_are_one_word():
    """And longer fillings that share half of their pairs; "a dog" and "a cat" are two."""
    one = ["red", "Red", "RED!"]
    assert design(filled(FRAMES, w=one), filled(FRAMES, w=["old"])).n_positive == 1
    assert design(filled(FRAMES, w=["a dog", "a cat"]), filled(FRAMES, w=["old"])).n_positive == 2
    assert design(filled(FRAMES, w=["very old red", "very old red hot"]), filled(FRAMES, w=["new"])).n_positive == 1


@pytest.mark.parametrize(
    "others",
    [filled(FRAMES[:1], w=["old", "new"]), of("Quite another text.", "And one more of them here."),
     tuple(dataclasses.replace(p, group="g") for p in filled(FRAMES, w=["old", "new"]))],
)  # fmt: skip
def test_without_shared_templates_templates_are_the_units(others):
    """Other templates, written-out prompts, or a declared group on one side."""
    mine = filled(FRAMES, w=["red", "blue", "green"])
    assert shared_frames(mine, others) is None
    assert design(mine, others).n_positive == 2


def test_a_word_on_both_sides_has_no_label():
    """Where all slots share words, no deal can be made of them."""
    frames = ["The {w} {t} is here."]
    mine, others = filled(frames, w=["red", "blue"], t=["ball"]), filled(frames, w=["red"], t=["ball", "door"])
    assert shared_frames(mine, others) is None


def test_templates_that_are_near_copies_are_one_unit():
    """Eight ways to end one sentence are no eight templates."""
    ends = ["away", "off", "down", "home", "back"]
    assert grouping(filled([f"The {{w}} ball rolled {end}." for end in ends], w=["red"])).n == 1
    assert grouping(filled(FRAMES, w=["red", "blue"])).n == 2


def test_a_declared_group_overrides_and_warns_where_it_splits():
    """Two names for two spellings are two units, as their author wants it; the pair is shown."""
    split = (*of("He left!", group="a"), *of("he left", group="b"), *of("A bird sang.", group="b"))
    assert grouping(split).n == 2
    assert [p.text for p in split_copies(split)] == ["He left!", "he left"]
    assert split_copies((*of("He left!", "he left", group="a"), *of("A bird sang.", group="b"))) is None
    assert grouping(of("He left!", "he left", "A bird sang.")).n == 2


def test_the_prompt_that_stands_for_its_copies_does_not_depend_on_the_order():
    """The lowest hash of the normalised text; a copy without a counted token stands for nobody."""
    texts = ["The red ball rolled away.", "A red ball rolled away.", "The red ball rolled off."]
    first, back = grouping(of(*texts)).units(), grouping(of(*texts[::-1])).units()
    (chosen,) = [t for t, u in zip(texts, first, strict=True) if u >= 0]
    assert [t for t, u in zip(texts[::-1], back, strict=True) if u >= 0] == [chosen]
    use = [t != chosen for t in texts]
    assert (grouping(of(*texts)).units(np.array(use)) >= 0).sum() == 1


def test_sets_are_counted_in_words(snapshot):
    """As `interp explain` and findings say it."""
    sets = {
        "alone": of("A bird sang.", "The king wept all night."),
        "copies": of("The red ball rolled.", "The red ball rolled off.", "A bird sang."),
        "templates": filled(FRAMES, w=["red", "blue"]),
        "groups": (*of("A bird sang.", "The king wept.", group="a"), *of("It rained.", group="b")),
    }
    assert {name: (unit_name(p), counted_in_words(p)) for name, p in sets.items()} == snapshot
    assert counted_in_words(sets["templates"], "words") == snapshot


@pytest.mark.parametrize(
    "texts",
    [
        ["What is the capital of France?", "What is the capital of Peru?", "What is the capital of New Zealand?"],
        ["The cat was old.", "The dog was old."],
        ["A bird sang.", "The king wept all night."],
        ["cat", "dog"],
    ],
)
def test_a_list_in_one_frame_is_written_as_a_template(texts, snapshot):
    """The words with the frame around them; None for sentences of their own and for a list of words."""
    assert template_form(of(*texts)) == snapshot


def test_an_opening_that_one_set_has_alone_warns(snapshot):
    """All its prompts fire a feature of these words; where both sets begin alike there is nothing to tell apart."""
    evidence = evidence_of_rows(prompts=rows(14, "the red ball", red=3))
    opening = "You are a helpful assistant. "
    texts = ["Why is it red?", "Who sang?", "Where does the king live now?"]
    spec = dataclasses.replace(
        spec_of(evidence, ["another"]), sets={"prompts": PromptSet("asked", of(*(opening + t for t in texts)))}
    )
    assert warnings_of(spec) == snapshot
    both = {**spec.sets, "than": PromptSet("than", of(opening + "It rained.", opening + "Nobody came to the fair."))}
    assert warnings_of(dataclasses.replace(spec, sets=both)) == ()


def test_over_words_counts_words_and_says_in_which_frames(snapshot):
    """Of one set: 16 words in 2 frames show a rate that 2 templates cannot."""
    evidence = evidence_of_rows(prompts=rows(32, "the red ball", red=3))
    prompts = filled(FRAMES, w=[f"word{i}" for i in range(16)])
    there = dataclasses.replace(evidence, sets={"prompts": PromptSet("prompts", prompts)})
    spec = dataclasses.replace(
        spec_of(there, ["another"]), expectation=kinds()["fire_rate"].model_validate({"prompts": "prompts"})
    )
    assert judge(spec, there).finding == snapshot
    over = dataclasses.replace(spec, claim=Claim(over="words"))
    found = judge(over, there)
    assert (found.outcome, found.measurement.n) == ("met", 16)
    assert found.finding == snapshot


def test_eight_marks_in_one_frame_are_too_few_for_fires_at():
    """They are near copies, so one unit: the mark cannot be told from its slot."""
    words = "red blue green black white pink brown gray".split()
    prompts = tuple(Prompt(f"The {word} ball rolled away.", marks=((4, 4 + len(word)),)) for word in words)
    claim = kinds()["fires_at"].model_validate({"prompts": "one-frame", "auroc": {"at_least": 0.51}})
    found = claim.beforehand({"prompts": PromptSet("one-frame", prompts)}, Claim(feature=0))
    assert found is not None
    assert found.measurement.value == 1
