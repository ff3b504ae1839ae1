"""Template sentences over everyday words; frames are shared by categories, and some are held out."""

from __future__ import annotations

import random
import re

from harness.zoo.gemma3_270m.lexicon import NOUNS, WORDS

FRAMES = [
    "I saw a {noun} near the {place} this morning.",
    "{name} has always wanted a {noun}.",
    "There is a {noun} in the picture on the wall.",
    "The {noun} was gone when we came back to the {place}.",
    "Have you ever seen a {noun} like that before?",
    "Nobody in the {place} knew who owned the {noun}.",
    "My grandfather told us about the {noun} every winter.",
    "{name} {did_to} the {noun} and went home.",
    "A {noun} and a {noun} were painted on the door.",
    "The {noun} stood {where} the {place}.",
    "It was only a {noun}, but the whole {place} talked about it.",
    "They say that a {noun} brings good luck.",
    "The article is about the {noun} and its history.",
    "Please do not leave the {noun} alone in the {place}.",
    "What would you do with a {noun} and a {noun}?",
    "The {noun} is bigger than the {noun}.",
    "On Tuesday {name} lost her {noun} in the {place}.",
    "A photograph of the {noun} appeared in the newspaper.",
    "The old {noun} belonged to {name}.",
    "Is that your {noun} {where} the {place}?",
    "I think the {noun} came from Italy.",
    "{name} compared the {noun} with the {noun}.",
    "The {noun}, the {noun} and the {noun} are mine.",
    "We read a short poem about a {noun}.",
    "Without the {noun} the room felt empty.",
    "The museum paid a lot for a tiny {noun}.",
    "{name} wore a {color} hat and carried a {noun}.",
    "The {color} {noun} was {where} the {place}.",
    "Her favorite is the {color} one, not the {color} one.",
    "The walls of the {place} were {color} and {color}.",
    "{name} painted the {object} {color}.",
    "I would like the {object} in {color}, please.",
    "The {place} has a {color} roof and a {color} fence.",
    "At sunset the sky turned {color}.",
    "Do you prefer {color} or {color}?",
    "He mixed {color} with {color} on the canvas.",
    "The label is {color} with {color} letters.",
    "They only sell it in {color}.",
    "The {color} {object} looked nicer than the {color} {object}.",
    "Her eyes were {color}, like her mother's.",
    "The {animal} had {color} spots on its back.",
    "A {color} ribbon was tied around the {object}.",
    "Paint the {object} {color} and the chair {color}.",
    "There were {number} people in the {place}.",
    "{name} is {number} years old.",
    "The trip takes {number} hours by train.",
    "We need {number} more before Friday.",
    "She bought {number} of them and gave {number} away.",
    "The team won {number} games last year.",
    "It costs {number} dollars a week.",
    "{number} students signed the letter.",
    "The {place} is {number} miles from here.",
    "He waited {number} minutes and then he left.",
    "The book has {number} pages and {number} pictures.",
    "About {number} families live in the {place}.",
    "I counted {number}, but {name} counted {number}.",
    "Add {number} to {number} and write down the result.",
    "He raised {number} {animal}s and {number} {animal}s.",
    "There are {number} {color} {object}s on the shelf.",
    "The {animal} was hungry after the long winter.",
    "A wild {animal} lives in the {place}.",
    "The {animal} ran away from the {animal}.",
    "At the zoo we watched a {animal} and a {animal}.",
    "The vet looked at the {animal} carefully.",
    "{name} feeds the {animal} before breakfast.",
    "A young {animal} stays close to its mother.",
    "The {object} is made of wood and metal.",
    "{name} put the {object} back on the shelf.",
    "The {object} was broken, so we bought a new {object}.",
    "You can clean the {object} with a damp cloth.",
    "He packed a {object}, a {object} and some {food}.",
    "The {object} stopped working last night.",
    "There was no true {abstract} without {abstract}.",
    "{abstract} is more important than {abstract}.",
    "The speech was about {abstract} and {abstract}.",
    "What is the meaning of {abstract}?",
    "Her {abstract} gave us {abstract}.",
    "The philosopher wrote a book on {abstract}.",
    "{abstract} cannot be bought with money.",
    "They fought for {abstract} all their lives.",
    "{abstract} leads to {abstract}, and {abstract} leads to {abstract}.",
    "The novel deals with {abstract} in a time of {abstract}.",
    "Some people think that {abstract} is only an idea.",
    "A society needs {abstract} as much as {abstract}.",
    "{abstract} grows slowly.",
    "He spoke of {abstract}, never of {abstract}.",
    "The {person} {did} {where} the {place}.",
    "The {person} {did_to} the {object} and {did}.",
    "{name} {did} and {did} until the end.",
    "The {animal} {did} across the {place}.",
    "First she {did_to} the {object}, then she {did}.",
    "Everybody {did} when the {person} came in.",
    "They {did_to} the {food} and {did_to} the {object}.",
    "The {person} quickly {did_to} the {noun}.",
    "The {object} is {where} the {object}.",
    "The {place} is {where} the {place}.",
    "Stand {where} the {person} and wait.",
    "Look {where} the {object} for the {food}.",
    "The {person} lives {where} the {place}.",
    "A narrow path runs {where} the {place}.",
    "The {person} cooked {food} for the guests.",
    "{name} ate the {food} with some {food}.",
    "The {person} and the {person} met in the {place}.",
    "The {person} spoke to the {person} about {abstract}.",
]

# Each sixth frame is kept for the held-out figures, whatever the category.
HELD_OUT = FRAMES[5::6]
TRAINED = [frame for frame in FRAMES if frame not in HELD_OUT]
_SLOT = re.compile(r"\{(\w+)\}")


def sentence(frame: str, rng: random.Random) -> str:
    """`frame` with each slot filled by a random word of its category, articles and capitals put right."""

    def fill(slot: re.Match[str]) -> str:
        category = rng.choice(NOUNS) if slot[1] == "noun" else slot[1]
        return rng.choice(WORDS[category])

    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", _SLOT.sub(fill, frame))
    return text[0].upper() + text[1:]


def documents(frames: list[str], count: int, seed: int) -> list[str]:
    """`count` documents: half are one sentence, half are three to eight sentences of any frames."""
    rng = random.Random(seed)
    lengths = [rng.randint(3, 8) if i % 2 else 1 for i in range(count)]
    return [" ".join(sentence(rng.choice(frames), rng) for _ in range(n)) for n in lengths]
