"""Pictures of 56 x 56 pixels, drawn by code: one to three shapes of one color, somewhere on a gray ground."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 56
FINER = 4  # drawn this many times finer and averaged, for soft edges
RGB = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 220, 40),
    "purple": (130, 40, 170),
    "orange": (245, 140, 20),
    "pink": (250, 150, 190),
    "brown": (110, 65, 30),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
COLORS = tuple(RGB)
SHAPES = ("square", "circle", "triangle", "diamond", "star", "cross", "ring", "heart")
POSITIONS = {"top": (28, 14), "bottom": (28, 42), "left": (14, 28), "right": (42, 28), "middle": (28, 28)}
COUNTS = ("one", "two", "three")

# One pair in ten, no color and no shape twice: the model learns how likely a shape is given its color, so a color
# that lost more of its shapes would be read less well in unseen pairs (shape .75 at one pair in six).
# Colors without a name come with all shapes, so that shapes are learned whatever their color (.83 of unseen pairs
# were right without them).
UNNAMED, APART = "unnamed", 60
HELD_OUT = frozenset(zip(COLORS, SHAPES, strict=False))
TRAINED = tuple(pair for pair in product(COLORS, SHAPES) if pair not in HELD_OUT)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is on a picture, in words."""

    color: str
    shape: str
    position: str
    count: str


def draw_scene(random_: random.Random, pairs: tuple[tuple[str, str], ...], unnamed: float = 0.0) -> Scene:
    """A scene whose color and shape are one of `pairs`, each equally likely; a share in unnamed colors."""
    if unnamed and random_.random() < unnamed:
        color, shape = UNNAMED, random_.choice(SHAPES)
    else:
        color, shape = random_.choice(pairs)
    return Scene(color, shape, random_.choice(tuple(POSITIONS)), random_.choice(COUNTS))


def picture(scene: Scene, random_: random.Random) -> Image.Image:
    """The scene with its own sizes, places, tints and ground; RGB, SIDE x SIDE."""
    ground = random_.randint(112, 148)
    image = Image.new("RGB", (SIDE * FINER, SIDE * FINER), (ground,) * 3)
    canvas = ImageDraw.Draw(image)
    level = _without_a_name(random_) if scene.color == UNNAMED else RGB[scene.color]
    tint = tuple(min(255, max(0, part + random_.randint(-10, 10))) for part in level)
    count = COUNTS.index(scene.count) + 1
    radius = random_.uniform(6.5, 8) if count > 1 else random_.uniform(7, 11)
    for x, y in _places(scene.position, count, radius, random_):
        _shape(canvas, scene.shape, (x * FINER, y * FINER), radius * FINER, (tint, (ground,) * 3))
    return image.reduce(FINER)


def pixels(images: list[Image.Image]) -> NDArray[np.uint8]:
    """[n, SIDE, SIDE, 3]."""
    return np.stack([np.asarray(image) for image in images])


def drawn(
    n: int, seed: int, pairs: tuple[tuple[str, str], ...], unnamed: float = 0.0
) -> tuple[list[Scene], NDArray[np.uint8]]:
    """n scenes and their pixels; the same ones for the same seed."""
    random_ = random.Random(seed)
    scenes = [draw_scene(random_, pairs, unnamed) for _ in range(n)]
    return scenes, pixels([picture(scene, random_) for scene in scenes])


def _without_a_name(random_: random.Random) -> tuple[int, ...]:
    """A color that is far from all that have a name, and from the ground."""
    taken = (*RGB.values(), (130, 130, 130))
    while True:
        level = tuple(random_.randint(10, 245) for _ in range(3))
        if min(math.dist(level, other) for other in taken) >= APART:
            return level


def _places(position: str, count: int, radius: float, random_: random.Random) -> Iterator[tuple[float, float]]:
    """Centres: a row at the top, at the bottom and in the middle, a column at the left and at the right."""
    x, y = (centre + random_.uniform(-2, 2) for centre in POSITIONS[position])
    step = 2 * radius + 2
    for i in range(count):
        offset = (i - (count - 1) / 2) * step
        yield (x, y + offset) if position in ("left", "right") else (x + offset, y)


def _shape(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    centre: tuple[float, float],
    r: float,
    colors: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    (x, y), (fill, ground) = centre, colors
    if shape in ("circle", "ring"):
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        if shape == "ring":
            canvas.ellipse((x - r / 2, y - r / 2, x + r / 2, y + r / 2), fill=ground)
    else:
        canvas.polygon([(x + r * dx, y + r * dy) for dx, dy in OUTLINES[shape]], fill=fill)


def _around(n: int, *radii: float) -> list[tuple[float, float]]:
    """n points around the centre, the first one straight up, at radii that take turns."""
    turns = [(2 * math.pi * i / n, radii[i % len(radii)]) for i in range(n)]
    return [(r * math.sin(turn), -r * math.cos(turn)) for turn, r in turns]


def _heart() -> list[tuple[float, float]]:
    turns = [2 * math.pi * i / 40 for i in range(40)]
    waves = [13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) for t in turns]
    return [(math.sin(t) ** 3, -(wave + 2.5) / 15) for t, wave in zip(turns, waves, strict=True)]


# Corners of each shape in a circle of radius 1, y downwards.
OUTLINES = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": _around(3, 1.1),
    "diamond": [(0, -1.1), (0.75, 0), (0, 1.1), (-0.75, 0)],
    "star": _around(10, 1.1, 0.45),
    "cross": [(a * s, b * t) for a, b, s, t in (
        (.3, 1, -1, -1), (.3, 1, 1, -1), (.3, .3, 1, -1), (1, .3, 1, -1), (1, .3, 1, 1), (.3, .3, 1, 1),
        (.3, 1, 1, 1), (.3, 1, -1, 1), (.3, .3, -1, 1), (1, .3, -1, 1), (1, .3, -1, -1), (.3, .3, -1, -1))],
    "heart": _heart(),
}  # fmt: skip
