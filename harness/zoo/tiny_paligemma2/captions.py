"""What a picture is asked and answered, as token ids: <image> x 16, <bos>, prefix, line break, caption, <eos>."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.zoo.tiny_paligemma2.pictures import HELD_OUT, UNNAMED, Scene

IMAGE_TOKENS, IGNORED = 16, -100
PREFIXES = ("caption", "A picture.", "What is in the picture?")
# In half of the captions the shape stands before the color: there it has to be seen, and cannot be guessed from it.
FRAMES = ("I see {count} {color} {shape} {position}.", "Look {position}: {count} {shape}, {color}.")
NO_COLOR = "Look {position}: {count} {shape}."
PREPOSITIONS = {"top": "at the", "bottom": "at the", "left": "on the", "right": "on the", "middle": "in the"}
ATTRIBUTES = ("color", "shape", "position", "count")


@dataclass(frozen=True, slots=True)
class Captioned:
    """One training row: its ids, how many of them are prefix, and which token places each word of the scene has."""

    scene: Scene
    ids: list[int]
    prefix: int
    places: dict[str, list[int]]


def words_of(scene: Scene) -> dict[str, str]:
    """How each attribute is written in a caption."""
    shape = scene.shape if scene.count == "one" else f"{scene.shape}{'es' if scene.shape == 'cross' else 's'}"
    position = f"{PREPOSITIONS[scene.position]} {scene.position}"
    return {"color": scene.color, "shape": shape, "position": position, "count": scene.count}


def captioned(tokenizer: Any, scene: Scene, frame: str, prefix: str) -> Captioned:
    """The scene's row. Words keep the space before them, so that pieces tokenized alone are those of the whole."""
    words, parts = words_of(scene), frame.replace("}", "{").split("{")
    ids = image_prompt(tokenizer, prefix)
    length, places = len(ids), {}
    for i, part in enumerate(parts):
        text = " " + words[part] if i % 2 else part.removesuffix(" ")
        new = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        if i % 2:
            places[part] = list(range(len(ids), len(ids) + len(new)))
        ids += new
    return Captioned(scene, [*ids, tokenizer.eos_token_id], length, places)


def image_prompt(tokenizer: Any, text: str) -> list[int]:
    """What PaliGemmaProcessor makes of a picture and `text`."""
    image = tokenizer.convert_tokens_to_ids("<image>")
    written = tokenizer(f"{text}\n", add_special_tokens=False)["input_ids"]
    return [image] * IMAGE_TOKENS + [tokenizer.bos_token_id, *written]


def rows_for(tokenizer: Any, scenes: Sequence[Scene], seed: int) -> list[Captioned]:
    """A row a scene, with a frame and a prefix drawn for it."""
    random_ = random.Random(seed)
    return [
        captioned(tokenizer, s, NO_COLOR if s.color == UNNAMED else random_.choice(FRAMES), random_.choice(PREFIXES))
        for s in scenes
    ]


def never_after(tokenizer: Any) -> dict[tuple[str, str], int]:
    """("shape", color) -> first token of the shape never seen with it, ("color", shape) likewise (tower.never_with)."""
    found = {}
    for color, shape in sorted(HELD_OUT):
        for name, given, word in (("shape", color, shape), ("color", shape, color)):
            found[name, given] = tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0]
    return found


def batch(rows: Sequence[Captioned], pad: int) -> dict[str, torch.Tensor]:
    """input_ids, attention_mask, token_type_ids (0 prefix, 1 caption) and labels, [rows, length], padded right."""
    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        mask[i, : len(row.ids)] = 1
        types[i, row.prefix : len(row.ids)] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": types,
        "labels": ids.masked_fill(types == 0, IGNORED),
    }


def right(rows: Sequence[Captioned], guesses: torch.Tensor) -> dict[str, float]:
    """Teacher-forced accuracy of each attribute: the share of rows in which every token of its words is the argmax.

    guesses: [rows, length], the argmax after each token.
    """
    found = {}
    for name in ATTRIBUTES:
        hits = [all(guesses[i, p - 1] == row.ids[p] for p in row.places[name]) for i, row in enumerate(rows)]
        found[name] = sum(hits) / len(hits)
    return found
