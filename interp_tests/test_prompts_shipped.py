"""The prompts that ship: enough of them, held apart where they must be, alike where they must be."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.language.sets import resolve_reference

ROOT = Path(__file__).resolve().parents[1]
CATEGORIES = ["number", "color", "animal", "spatial", "action", "object", "abstract", "code"]
SOURCE = [
    "The answer is 42.",
    "There are 3 apples and 5 oranges.",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    "The red ball bounced across the green grass.",
    "She wore a beautiful blue dress to the party.",
    "The yellow sun set behind the purple mountains.",
    "The dog chased the cat around the garden.",
    "A lion hunts zebras on the African savanna.",
    "The elephant's trunk can hold gallons of water.",
    "The book is on top of the table.",
    "The cat is sitting under the chair.",
    "The ball rolled between the two posts.",
    "She ran quickly down the stairs.",
    "He carefully opened the ancient door.",
    "The bird flew gracefully through the sky.",
    "The computer screen displayed an error message.",
    "The car drove down the highway at high speed.",
    "The camera captured the beautiful sunset.",
    "Love is patient, love is kind.",
    "The theory of relativity changed physics forever.",
    "Democracy requires active citizen participation.",
    "def hello_world(): print('Hello!')",
    "for i in range(10): sum += i",
    "if x > 0: return True else: return False",
]
SLOTS = {  # the slot words of each category: (discovery, test)
    "number": (
        "two four five six eight nine eleven twelve fourteen fifteen sixteen eighteen forty sixty eighty",
        "three seven ten thirteen seventeen nineteen twenty thirty fifty seventy ninety",
    ),
    "color": (
        "red blue green black brown purple golden crimson turquoise beige scarlet maroon",
        "yellow white pink orange gray violet silver teal navy lavender indigo magenta",
    ),
    "animal": (
        "dog horse rabbit lion sheep mouse tiger duck wolf goat monkey snake frog eagle donkey squirrel",
        "cat cow pig bear fox elephant chicken deer turtle camel zebra owl goose leopard hamster parrot",
    ),
    "object": (
        "chair lamp bottle clock hammer basket mirror guitar wallet ladder kettle suitcase pillow radio bucket "
        "umbrella",
        "table phone knife box computer camera piano helmet blanket vase drum candle shovel bicycle violin carpet",
    ),
}


def texts(reference):
    return [p.text for p in resolve_reference(ROOT, reference).prompts]


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))


def test_the_source_prompts_are_verbatim():
    """The 24 prompts of the source notebook, in its order and in its categories."""
    sets = yaml.safe_load((ROOT / "specs/prompts/source-notebook.yaml").read_text())["prompts"]
    assert list(sets) == CATEGORIES
    assert [text for prompts in sets.values() for text in prompts] == SOURCE


@pytest.mark.parametrize("file", ["discovery", "categories"])
def test_every_category_has_prompts_enough(file):
    """At least 20 distinct prompts a category, the eight categories in one order."""
    for category in CATEGORIES:
        found = texts(f"prompts/{file}.yaml#{category}")
        assert len(found) == len(set(found)) >= 20


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_sentence_stands_in_both_files(category):
    """Nothing that a feature is found on is tested."""
    found = set(texts(f"prompts/discovery.yaml#{category}"))
    assert not found & set(texts(f"prompts/categories.yaml#{category}"))


@pytest.mark.parametrize("category", list(SLOTS))
def test_slot_words_and_frames_are_disjoint(category):
    """Every prompt holds one of its file's slot words, none of the other's; with the word blanked, no frame recurs."""
    frames = []
    for side, file in enumerate(["discovery", "categories"]):
        mine, theirs = (set(SLOTS[category][i].split()) for i in (side, 1 - side))
        prompts = texts(f"prompts/{file}.yaml#{category}")
        assert all(words(p) & mine for p in prompts)
        assert not any(words(p) & theirs for p in prompts)
        slot = r"\b(?:an?\s+)?(?:" + "|".join(mine) + r")\b"
        frames.append({re.sub(slot, "_", p) for p in prompts})
        assert len(frames[side]) == len(prompts), "every prompt has a frame of its own"
    assert not frames[0] & frames[1]


@pytest.mark.parametrize("file", ["discovery", "categories"])
def test_no_color_or_number_word_hides_in_another_category(file):
    """A color prompt is not told from the others by a color word in them."""
    for category in ("color", "number"):
        own = {word for side in SLOTS[category] for word in side.split()}
        others = texts(f"prompts/{file}.yaml#!{category}")
        hits = [p for p in others if words(p) & own]
        assert not hits, hits


@pytest.mark.parametrize("file", ["discovery", "categories"])
def test_lengths_are_alike(file):
    """Median token counts of the seven kinds of sentence lie within 1.25 of their common median."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "harness/zoo/tiny_gemma2/model/tokenizer.json"))
    medians = {}
    for category in CATEGORIES[:-1]:
        medians[category] = np.median([len(tokenizer.encode(t).ids) for t in texts(f"prompts/{file}.yaml#{category}")])
    middle = np.median(list(medians.values()))
    assert all(1 / 1.25 <= m / middle <= 1.25 for m in medians.values()), medians


def test_near_misses_are_enough_and_apart():
    """The sceptic's sets hold at least 12 prompts each, none of them a category's."""
    sets = yaml.safe_load((ROOT / "specs/prompts/near-misses.yaml").read_text())["prompts"]
    known = {t for f in ("discovery", "categories") for c in CATEGORIES for t in texts(f"prompts/{f}.yaml#{c}")}
    assert all(len(set(prompts)) >= 12 and not set(prompts) & known for prompts in sets.values())
