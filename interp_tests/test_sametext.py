"""Texts that are the same evidence whatever their spelling, and near copies inside a set."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.inputs import Picture, Prompt
from harness.language.sets import resolve_reference
from harness.nearcopies import near_copies
from harness.sametext import mixed_words, same_text, shared_opening
from interp_tests.plain_twins import pairs as twin

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, database=None)
SENTENCE = "The red ball rolled away."


def of(*texts):
    return [Prompt(text) for text in texts]


def count(*texts):
    return len(set(near_copies(of(*texts)).tolist()))


@pytest.mark.parametrize(
    "text",
    [
        "the RED ball rolled away",
        "The red ball rolled away!",
        "  The red   ball, rolled away...",
        "The\u200bred ball rolled away.",
        "The r\u200bed ball rolled a\u00adway.",
        "The \u2060red ball\u00a0rolled away\ufeff",
        "Th\u0435 r\u0435d b\u0430ll rolled \u0430w\u0430y.",
        "\u0422\u04bb\u0435 red ball rolled away.",
        "The red b\u03b1ll r\u03bflled away",
        "\uff34\uff48\uff45 red ball rolled away",
        "\U0001d413he red ball rolled away",
        "The red ball\ufe0f rolled away\u034f",
        "\u201cThe red ball rolled away\u201d",
    ],
)
def test_spellings_of_a_sentence_are_one_text(text):
    """Case, punctuation, spaces, invisible characters, full width and letters that only look Latin change nothing."""
    assert same_text(text) == same_text(SENTENCE)


@pytest.mark.parametrize(
    ("one", "other"),
    [("The red ball", "The red bell"), ("3 + 4", "3 * 4"), ("1 23", "12 3"), ("?", "!"), ("rojo año", "rojo ano"),
     ("Привет, мир", "Привет, сыр"), ("日本", "日元"), ("x < y", "x > y")],
)  # fmt: skip
def test_other_texts_stay_others(one, other):
    """A letter, a sign of arithmetic, an accent or a space between numbers makes another text."""
    assert same_text(one) != same_text(other)


def test_in_code_punctuation_and_case_count():
    """Spaces and invisible characters do not."""
    assert same_text("x = a+b", code=True) == same_text("x  = a + b\u200b", code=True)
    assert len({same_text(text, code=True) for text in ("x = a", "X = a", "x == a", "x = 'a'")}) == 4
    assert same_text("x = 'a'") == same_text("X = a")


def test_words_that_mix_scripts_are_seen_and_other_languages_are_not():
    """One Cyrillic letter in an English word; a Russian word beside an English one, or Greek alone, are fine."""
    assert mixed_words("Th\u0435 red b\u0430ll") == ("Th\u0435", "b\u0430ll")
    assert mixed_words("The Russian word \u043a\u043e\u0442 means cat, \u03b1 is a letter, 日本 is a country") == ()


def test_an_opening_is_whole_sentences_that_all_texts_share():
    """Up to the last end of a sentence; nothing where it would be all of some text, or half a sentence."""
    assert shared_opening(["Translate to French: the dog", "Translate to French: the cat"]) == len(
        "Translate to French:"
    )
    assert shared_opening(["You are kind. Be brief. Why?", "You are kind. Be bold. How?"]) == len("You are kind.")
    assert shared_opening(["The red ball rolled", "The red ball bounced"]) == 0
    assert shared_opening(["Hello. ", "Hello. You"]) == shared_opening(["Hello. You"]) == shared_opening([]) == 0


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "The", "old", "dog."]), min_size=1, max_size=9).map(" ".join)


@pytest.mark.parametrize("few", [0, 2, 200])
@SETTINGS
@given(st.lists(WORDS, max_size=9))
def test_near_copies_are_those_found_by_comparing_every_two(few, texts):
    """Clusters by index and by hash are those of the plain way, by the rare pairs or by counting all."""
    with mock.patch("harness.nearcopies._FEW", few), mock.patch("harness.nearcopies.shared_opening", return_value=0):
        assert near_copies(of(*texts)).tolist() == twin.clusters(texts)


def test_the_twin_can_tell():
    """A word put in, left out or exchanged; half of the pairs; neither."""
    assert twin.clusters(["a b", "a c", "x y z", "x z", "p q r s", "p q r s t u w", "m n", "o k"]) == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        4,
    ]


def test_a_list_in_one_frame_is_one_and_a_list_of_words_is_not():
    """ "The X was old." differs in one word; single words have no frame."""
    assert count(*(f"The {x} was old." for x in ("cat", "dog", "cow", "sun"))) == 1
    assert count("cat", "dog", "cow", "sun") == 4
    assert count("What is the capital of France?", "What is the capital of Peru?", "Who painted it?") == 2


def test_words_that_vary_in_several_slots_of_one_frame_make_no_new_evidence():
    """Two number words, or a name and a place: seven of nine words stand where they stood. Five of nine are no copy."""
    numbers = ["two", "three", "four", "five", "six", "seven"]
    pairs = zip(numbers, numbers[2:] + numbers[:2], strict=True)
    assert count(*(f"At {a} the red ball rolled away {b} times." for a, b in pairs)) == 1
    first = "Anna saw the red ball in the garden today."
    assert count(first, "Tom saw the red ball in the kitchen today.") == 1
    assert count(first, "Tom saw the red ball at my school.", "Tom hid a red box in the kitchen today.") == 3
    assert count("Anna saw the red ball in a garden.", "Yesterday Anna saw the red ball.") == 1  # half of the pairs


def test_one_opening_before_different_questions_makes_no_copies():
    """As many units as questions, however long the system prompt is; the same question twice is still one."""
    opening = "You are a helpful and careful assistant who answers in one short sentence. "
    questions = ["Why is the sky blue?", "How do birds find their way?", "Who wrote this letter to the king?"]
    assert count(*(opening + q for q in questions)) == 3
    assert count(*(opening + q for q in [*questions, "Why is the sky blue"])) == 3


def test_one_caption_with_many_pictures_is_as_many_as_pictures():
    """And one picture with one caption spelt twice is one."""
    pictures = [Prompt("A photo of a cat.", image=Picture(f"{n}.png", str(n))) for n in range(5)]
    again = Prompt("A photo of a cat", image=Picture("0.png", "0"))
    assert near_copies([*pictures, again]).tolist() == [0, 1, 2, 3, 4, 0]


def test_labels_join_whatever_the_text():
    """Prompts of one template are one, and so is what is like any of them."""
    found = near_copies(of("a b c", "p q r", "p q s", "x y z"), ["T", "T", None, None])
    assert found.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("words", [3, 12, 2000])
def test_thousands_of_hostile_prompts_are_clustered_without_comparing_every_two(words):
    """Few words in all, so that every two share some pair: the work is bounded, the answer one cluster or many."""
    rng = np.random.default_rng(0)
    made = [Prompt(" ".join(f"w{n}" for n in rng.integers(0, words, 12))) for _ in range(3000)]
    found = near_copies(made)
    assert (found.max() == 0) == (words == 3)
    assert found.max() > 2000 or words < 2000


def sets_by_hand():
    """Every prompt set that somebody wrote: the lists of specs/prompts, and the lines of code."""
    for file in ("categories", "discovery", "marked", "near-misses", "source-notebook"):
        for name in yaml.safe_load((ROOT / f"specs/prompts/{file}.yaml").read_text())["prompts"]:
            yield f"prompts/{file}.yaml#{name}"
    yield from ("prompts/code-discovery.txt", "prompts/code-test.txt", "prompts/pictures.yaml#drawings")


@pytest.mark.parametrize("reference", list(sets_by_hand()))
def test_every_hand_written_set_keeps_every_prompt(reference):
    """No two of its prompts are near copies."""
    prompts = resolve_reference(ROOT, reference).prompts
    assert len(set(near_copies(prompts).tolist())) == len(prompts)
