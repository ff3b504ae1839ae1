"""Edits of prompts, how examples are drawn with them, and what is claimed of the two activations."""

import ast
import collections
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Source
from harness.expectations.editing import rewriting
from harness.expectations.editing.drawing import Language, explored, halving, sampled, try_all
from harness.expectations.editing.edits import ORDER, Edit, cannot, read_edit
from harness.expectations.editing.relations import held, most_too_close
from harness.expectations.editing.searching import lowered
from harness.expectations.noise import usual_noise
from harness.inputs import Filled, Prompt
from harness.language.prompts import with_marks
from interp_tests.plain_twins import edits as twin

ROOT = Path(__file__).resolve().parents[1]
RED = with_marks("The [[red]] ball was here.", Source("x"))


def marked(*texts):
    return tuple(with_marks(text, Source("x")) for text in texts)


def templated(starts, colors, ends):
    """Prompts as a template gives them: choices by slot, the color marked."""
    made = []
    for (i, start), (j, color), (k, end) in itertools.product(*map(enumerate, (starts, colors, ends))):
        prompt = with_marks(f"{start}[[{color}]] ball{end}", Source("x"))
        slots = (Filled("template", 0, ""), Filled("start", i, start), Filled("color", j, color), Filled("end", k, end))
        made.append(Prompt(prompt.text, prompt.marks, filled=slots))
    return tuple(made)


def texts(prompts):
    return [prompt.text for prompt in prompts]


SHOWN = {
    "swap_marked": (Edit("swap_marked", ("big", "red")), ["The big ball was here."]),
    "swap_within": (Edit("swap_within"), ["The blue ball was here."]),
    "paraphrase": (Edit("paraphrase", ("It is {marked}.",)), ["It is red."]),
    "negation": (
        Edit("negation"),
        ["The red ball was not here.", "It is not true that the red ball was here."],
    ),
    "case": (
        Edit("case"),
        ["the red ball was here.", "THE RED BALL WAS HERE.", "The Red Ball Was Here."],
    ),
    "punctuation": (
        Edit("punctuation"),
        [f"The red ball was here{end}" for end in ("", "!", "?", "...")],
    ),
    "filler_before": (Edit("filler_before", ("So:",)), ["So: The red ball was here."]),
    "filler_after": (Edit("filler_after", ("Anyway.",)), ["The red ball was here. Anyway."]),
    "position": (
        Edit("position", ("It was late.", "So what?")),
        ["It was late. The red ball was here.", "It was late. So what? The red ball was here."],
    ),
    "typo": (Edit("typo"), ["The red blal was here.", "The red ball was hree."]),
}


@pytest.mark.parametrize("name", ORDER)
def test_each_edit_gives_all_its_variants_simplest_first(name):
    """Every edit of the language does to one sentence what its name says, and never gives the sentence itself."""
    edit, wanted = SHOWN[name]
    found = texts(edit.variants(RED, {"": ("red", "blue")}))
    assert found == wanted
    assert RED.text not in found


def test_marks_stay_on_their_words():
    """After an edit in front of it and a swap of it, a marked span still covers the word that stands there."""
    moved = rewriting.negation(RED)[1]
    swapped = rewriting.swap_marked(moved, ["violet"])[0]
    (start, end) = swapped.marks[0]
    assert swapped.text[start:end] == "violet"
    framed = rewriting.paraphrase(RED, ["What was {marked}? A ball."])[0]
    assert [framed.text[a:b] for a, b in framed.marks] == ["red"]


def test_a_swap_keeps_a_capital_and_exchanges_all_marks():
    """swap_marked takes the concept out wherever it is marked; swap_within exchanges one mark at a time."""
    two = marked("[[Red]] and [[blue]] balls.")[0]
    assert texts(rewriting.swap_marked(two, ["old"])) == ["Old and old balls."]
    within = texts(rewriting.swap_within(two, ["pink"], {}))
    assert within == ["Pink and blue balls.", "Red and pink balls."]
    assert sorted(within) != sorted(twin.texts_with_one_swap(two.text, two.marks, ["pink"]))  # the twin has no capital
    small = marked("the [[red]] and [[blue]] balls.")[0]
    swaps = texts(rewriting.swap_within(small, ["pink", "red"], {}))
    assert sorted(swaps) == sorted(twin.texts_with_one_swap(small.text, small.marks, ["pink", "red"]))


def test_the_kind_of_a_marked_word_is_its_slot():
    """A color is exchanged for another word of the color slot, not for a marked word of another one."""
    prompts = templated(["the ", ""], ["red", "blue"], [""])
    language = Language(prompts, [Edit("swap_within")])
    assert language.kinds == {"color": ("red", "blue")}
    found = {(a, b) for a, b in twin.every_example(language)}
    assert ("the red ball", "the blue ball") in found
    assert len(found) == 4


def test_a_typo_leaves_the_marked_word_alone():
    """What is claimed of a concept is not refuted by misspelling it."""
    found = texts(rewriting.typo(marked("a [[yellow]] kite")[0]))
    assert found == ["a yellow ktie"]
    assert any("yellow" not in text for text in texts(rewriting.typo(Prompt("a yellow kite"))))


@given(st.text(st.sampled_from("abcd .!ß"), min_size=1).filter(str.strip), st.sampled_from(ORDER))
def test_no_edit_gives_the_text_itself_or_an_empty_one(text, name):
    """Whatever the text, a variant differs from it and says something."""
    edit = Edit(name, ("{marked}x",) if name == "paraphrase" else ("w",) if name == "swap_marked" else ())
    for made in edit.variants(Prompt(text), {}):
        assert made.text != text
        assert made.text.strip()


def test_each_draw_of_hypothesis_is_one_that_the_language_has():
    """The examples explored are among those that counting out all choices finds; with enough draws they are all."""
    prompts = templated(["", "the "], ["red", "blue"], ["", "."])
    language = Language(prompts, [Edit("swap_within"), Edit("case")])
    every = twin.every_example(language)
    few = explored(prompts, (Edit("swap_within"), Edit("case")), (), 12, 0)
    assert {(e.original.text, e.edited.text) for e in few} <= every.keys()
    many = explored(prompts, (Edit("swap_within"), Edit("case")), (), 1000, 0)
    assert {(e.original.text, e.edited.text) for e in many} == every.keys()


DRAWN = """
from harness.expectations.editing.drawing import explored, sampled
from harness.expectations.editing.edits import Edit
from harness.inputs import Prompt
words = [(a, b) for a in ("red", "blue", "pink") for b in ("once", "not")]
prompts = tuple(Prompt(f"{a} ball was {b} here", ((0, len(a)),)) for a, b in words)
edits = tuple(map(Edit, ("case", "typo", "swap_within", "filler_after")))
found = [[(e.original.text, e.edited.text) for e in draw(prompts, edits, (), 40, SEED)] for draw in (explored, sampled)]
"""


def drawn_here(seed):
    names = {}
    exec(DRAWN.replace("SEED", str(seed)), names)
    return names["found"]


def test_draws_are_the_same_for_the_same_seed_in_every_process(tmp_path):
    """Another process, with other modules loaded and in another folder, draws the same; another seed does not."""
    (tmp_path / "constants.py").write_text("NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, '.']; import constants\n{DRAWN.replace('SEED', '7')}print(found)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    here = drawn_here(7)
    assert ast.literal_eval(done.stdout) == here
    for mine, others in zip(here, drawn_here(8), strict=True):
        assert mine != others
    assert not (tmp_path / ".hypothesis").exists()


def test_the_sampler_draws_one_edit_and_all_alike():
    """Each of two edits and each of two originals comes up about equally often in 400 different examples."""
    words = tuple(f"Word{i}." for i in range(500))
    edits = (Edit("filler_after", words), Edit("filler_before", words))
    drawn = sampled(marked("a ball was here", "the box was here"), edits, (), 400, 0)
    assert len({(e.original.text, e.edited.text) for e in drawn}) == len(drawn) == 400
    assert {len(example.edits) for example in drawn} == {1}
    for counts in (collections.Counter(e.edits for e in drawn), collections.Counter(e.original.text for e in drawn)):
        assert all(abs(n / 400 - 0.5) < 5 * (0.25 / 400) ** 0.5 for n in counts.values())


def test_the_sampler_gives_each_pair_once_and_ends():
    """Two originals and three endings: all six pairs of a thousand asked for."""
    drawn = sampled(marked("a ball was here", "the box"), (Edit("filler_after", ("A.", "B.", "C.")),), (), 1000, 0)
    assert len({(e.original.text, e.edited.text) for e in drawn}) == len(drawn) == 6


def test_no_edit_is_crowded_out_of_a_search():
    """With eight edits and room for three, each is part of about as many examples, the first as the last named."""
    names = [name for name in ORDER if name not in ("swap_marked", "paraphrase")]
    drawn = explored(marked("The [[red]] and [[blue]] balls were here."), tuple(map(Edit, names)), (), 400, 0)
    counts = collections.Counter(name for example in drawn for name in example.edits)
    assert counts.keys() == set(names)
    assert min(counts.values()) > 0.5 * max(counts.values())
    assert max(len(example.edits) for example in drawn) == 3


def test_a_required_edit_is_part_of_every_example():
    """swap_marked takes part wherever it is claimed, alone or with others; without it nothing would have to stop."""
    edits, prompts = (Edit("swap_marked", ("old",)), Edit("case")), marked("a [[red]] ball", "the [[blue]] box")
    for draw in (explored, sampled):
        found = draw(prompts, edits, ("swap_marked",), 60, 0)
        assert {e.edits for e in found} == {("swap_marked",), ("swap_marked", "case")}
    assert ("case",) in {e.edits for e in explored(prompts, edits, (), 60, 0)}


@given(st.integers(1, 40))
def test_halving_reaches_each_number_by_one_way(ways):
    """Every sequence of tosses ends at a number of its own, no heads at 0."""
    found = []

    def walk(tosses):
        left = list(tosses)
        try:
            found.append(halving(ways, lambda: left.pop(0)))
        except IndexError:
            walk([*tosses, False])
            walk([*tosses, True])

    walk([])
    assert sorted(found) == list(range(ways))
    assert found[0] == 0


def test_a_counterexample_is_lowered_until_no_choice_can_be_simpler():
    """From a long one the guilty edit alone is left, on the simplest original on which it fails."""
    prompts = templated(["", "the ", "once a "], ["red", "blue", "pink"], ["", ".", " fell."])
    language = Language(prompts, [Edit("punctuation"), Edit("swap_within"), Edit("case")])

    def violates(example):
        return example.edited.text.isupper() and example.original.text.startswith(("the", "once"))

    worst = max((e for e in twin.every_example(language).values() if violates(e)), key=lambda e: e.size)
    least = lowered(language, worst, violates)
    assert (least.original.text, least.edited.text, least.edits) == ("the red ball", "THE RED BALL", ("case",))


class Found(Exception):
    pass


def test_the_second_phase_makes_the_draws_of_the_first_again():
    """Until the first counterexample every example is one that the first phase gave; only shrinking asks for others."""
    prompts = templated(["", "the ", "once a "], ["red", "blue", "pink"], ["", ".", " fell."])
    edits = (Edit("punctuation"), Edit("swap_within"), Edit("case"))
    drawn = {(e.original.text, e.edited.text) for e in explored(prompts, edits, (), 60, 0)}
    seen = []

    def check(example):
        seen.append((example.original.text, example.edited.text))
        if "case" in example.edits and "pink" in example.original.text:
            raise Found

    with pytest.raises(Found):
        try_all(Language(prompts, edits), 60, 0, check)
    first = next(i for i, (a, _) in enumerate(seen) if "pink" in a and (seen[i] in drawn))
    assert set(seen[: first + 1]) <= drawn
    assert len(set(seen)) < len(drawn)


RELATIONS = ("keeps_firing", "stops_firing", "weaker", "stronger")
VALUE = st.sampled_from([0.0, 0.5, 1.0, 2.0])
FULL, HALF = usual_noise("float32"), usual_noise("bfloat16")


@given(st.sampled_from(RELATIONS), st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=8))
def test_float32_judges_examples_as_plain_counting_does(relation, pairs):
    """usable, holds and violates are the twin's, example by example, alone and as one of many features."""
    before, after = np.array(pairs).T
    found = held(relation, before, after, FULL)
    wide = held(relation, np.stack([before, after], 1), np.stack([after, before], 1), FULL)
    for i, (b, a) in enumerate(pairs):
        wanted = twin.relation_holds(relation, b, a)
        assert (found.usable[i], found.holds[i], found.violates[i]) == wanted
        assert (wide.usable[i, 0], wide.holds[i, 0], wide.violates[i, 0]) == wanted
        assert (wide.usable[i, 1], wide.holds[i, 1], wide.violates[i, 1]) == twin.relation_holds(relation, a, b)


def test_what_is_not_known_is_not_usable():
    """A prompt without counted tokens (NaN) is no example, on whichever side."""
    found = held("stronger", np.array([np.nan, 1.0, 1.0]), np.array([1.0, np.nan, 2.0]), FULL)
    assert found.usable.tolist() == [False, False, True]


def test_in_half_precision_a_weak_firing_shows_nothing():
    """Among 30 firings the two weakest may be flips: they are no counterexample, the third is; in float32 all are."""
    after = np.arange(1.0, 31.0)
    before = np.full(30, 40.0)
    half, full = (held("stops_firing", before, after, noise) for noise in (HALF, FULL))
    assert full.violates.all()
    weak = int(3 * 0.023 * 60)
    assert half.violates.sum() == 30 - weak - 1
    assert not half.violates[: weak + 1].any()
    assert most_too_close(FULL) == 0
    assert held("weaker", np.array([10.0, 10.0]), np.array([12.0, 15.0]), HALF).violates.tolist() == [False, True]


def test_an_edit_is_written_as_a_name_or_with_its_words():
    """Both forms are read; anything else is a ValueError that says how it is written."""
    assert read_edit("case") == Edit("case")
    assert read_edit({"swap_marked": ["big"]}) == Edit("swap_marked", ("big",))
    for wrong in (
        "cas",
        {"case": ["x"]},
        "swap_marked",
        {"swap_marked": []},
        {"swap_marked": [" "]},
        3,
        {"a": 1, "b": 2},
    ):
        with pytest.raises(ValueError, match=r"edit|words"):
            read_edit(wrong)


def test_what_cannot_change_anything_is_said(snapshot):
    """Each way in which an edit does nothing has its own words, and an edit that works has none."""
    plain, red = [Prompt("7 and 8")], marked("a [[red]] ball")
    assert cannot(Edit("swap_within"), plain, {}) == snapshot
    assert cannot(Edit("swap_within"), red, {"": ("red",)}) == snapshot
    assert cannot(Edit("typo"), [Prompt("a b c")], {}) == snapshot
    assert cannot(Edit("paraphrase", ("{colour} it is",)), red, {}) == snapshot
    assert cannot(Edit("swap_within"), red, {"": ("red", "blue")}) is None
    assert cannot(Edit("punctuation"), plain, {}) is None
