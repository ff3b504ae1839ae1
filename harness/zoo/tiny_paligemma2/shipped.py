"""Write specs/images/shapes and specs/images/shapes-discovery: a picture of every color and shape, in a folder a shape.

`python -m harness.zoo.tiny_paligemma2.shipped`. Names say what is on them: heart/blue-two-top.png. Features are
found on the one and tested on the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from PIL import Image

from harness.zoo.tiny_paligemma2.pictures import COLORS, COUNTS, POSITIONS, SHAPES, Scene, picture

FOLDER = Path(__file__).parents[3] / "specs/images"
SEEDS = {"shapes": 11, "shapes-discovery": 12}


def scenes(seed: int) -> list[Scene]:
    """Every color with every shape once; positions and counts take turns, so that none goes with a color or shape."""
    places = tuple(product(POSITIONS, COUNTS))
    pairs = product(range(len(SHAPES)), range(len(COLORS)))
    return [Scene(COLORS[c], SHAPES[s], *places[(4 * c + 7 * s + 8 * (seed - 11)) % len(places)]) for s, c in pairs]


def drawn(folder: str) -> Iterator[tuple[str, Image.Image]]:
    """(file, picture) of all pictures of a folder; the same ones each time."""
    random_ = random.Random(SEEDS[folder])
    for scene in scenes(SEEDS[folder]):
        yield f"{folder}/{scene.shape}/{scene.color}-{scene.count}-{scene.position}.png", picture(scene, random_)


def main() -> None:
    """Write them all; the same bytes each time with the same Pillow."""
    for folder in SEEDS:
        for name, image in drawn(folder):
            file = FOLDER / name
            file.parent.mkdir(parents=True, exist_ok=True)
            image.quantize(16).save(file, optimize=True)


if __name__ == "__main__":
    main()
