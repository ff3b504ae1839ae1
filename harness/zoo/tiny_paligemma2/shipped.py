"""Write specs/images/shapes: a picture of every color and shape, in a folder a shape.

`python -m harness.zoo.tiny_paligemma2.shipped`. Names say what is on them: heart/blue-two-top.png.
"""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path

from harness.zoo.tiny_paligemma2.pictures import COLORS, COUNTS, POSITIONS, SHAPES, Scene, picture

FOLDER = Path(__file__).parents[3] / "specs/images/shapes"
SEED = 11


def scenes() -> list[Scene]:
    """Every color with every shape once; positions and counts take turns, so that none goes with a color or shape."""
    places = tuple(product(POSITIONS, COUNTS))
    pairs = product(range(len(SHAPES)), range(len(COLORS)))
    return [Scene(COLORS[c], SHAPES[s], *places[(4 * c + 7 * s) % len(places)]) for s, c in pairs]


def main() -> None:
    """Write them all; the same bytes each time with the same Pillow."""
    random_ = random.Random(SEED)
    for scene in scenes():
        file = FOLDER / scene.shape / f"{scene.color}-{scene.count}-{scene.position}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(scene, random_).quantize(16).save(file, optimize=True)


if __name__ == "__main__":
    main()
