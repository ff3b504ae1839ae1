"""What a subject reads to learn its usual activation norms: fixed texts, and fixed pictures drawn in code.

The texts are what models are used on: prose, dialogue, code, lists, numbers, names, other scripts, odd spacing. They
are constants, so that which token is a sink depends on the subject alone and never on what else is read. Their digest
is part of the code key: a word that changes here makes other evidence.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXTS = (
    "The harbour was quiet before dawn. Two fishermen mended a net by lamplight, and gulls waited on the wall for "
    "whatever the first boat would bring. By eight o'clock the market had filled; by noon it was empty again, and only "
    "the smell of salt, rope and diesel stayed.",
    "However, the committee did not agree: three members wanted more time, two abstained, and the chair, who rarely "
    'raised her voice, said "No." She was right, of course.',
    "def mean(values):\n    total = 0.0\n    for v in values:\n        total += v\n    return total / len(values)\n",
    'SELECT name, COUNT(*) FROM orders WHERE year >= 2019 GROUP BY name;\n{"id": 7, "tags": ["a", "b"], "ok": true}',
    "Q: What is the boiling point of water at sea level?\nA: 100 degrees Celsius, or 212 degrees Fahrenheit.",
    "On 14 March 1879, in Ulm, Albert Einstein was born. In 2023 GDP rose by 3.1 %, from $2,450,000 to $2,525,950.",
    "Der alte Turm steht am Fluss, und im Winter sieht ihn kaum jemand. Le chat dort sous la table. El tren sale ya.",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u0437\u0438\u043c\u043e\u0439. \u6771\u4eac\u306f\u96e8\u3067\u3059\u3002 "
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645. \u03b1 + \u03b2 = \u03b3, \u2200x.",
    "- milk\n- two eggs\n- flour (500 g)\n\n1. Mix.\n2. Bake for 40 minutes.\n\n\tServe warm!!! :)",
    "To: anna@example.com\nSubject: Re: meeting\n\nHi Anna,\nsee https://example.com/a/b?id=3#top for more.\nBest, Tom",
    "The mitochondrion makes ATP. Let f be continuous on [a, b]; then f has a maximum. Habeas corpus was suspended.",
    'She laughed. He didn\'t. "Are you coming?" "Maybe... if it stops raining." THE DOOR SLAMMED, and that was that',
    "red green blue yellow dog cat horse Paris Tokyo Lima Monday one two three happy angry it is of and the a",
)
PICTURE_SIDE = 224


def pictures() -> tuple[NDArray[np.uint8], ...]:
    """Return the probe's pictures, each [224, 224, 3]: shapes on plain ground, stripes, a gradient, noise, white.

    Drawn with integer arithmetic, so that they have the same bytes on every machine.
    """
    y, x = np.mgrid[0:PICTURE_SIDE, 0:PICTURE_SIDE].astype(np.int64)
    noise = ((x * 73_856_093) ^ (y * 19_349_663)) >> 7 & 255
    disc = (x - 150) ** 2 + (y - 80) ** 2 < 45**2
    box = (abs(x - 60) < 35) & (abs(y - 160) < 25)
    shapes = np.where(disc[..., None], (200, 40, 40), np.where(box[..., None], (40, 70, 190), (235, 235, 225)))
    stripes = np.where(((x + y) // 16 % 2 == 0)[..., None], (30, 120, 60), (250, 220, 90))
    gradient = np.stack([x * 255 // (PICTURE_SIDE - 1), y * 255 // (PICTURE_SIDE - 1), 128 + 0 * x], axis=-1)
    grain = np.stack([noise, noise, noise], axis=-1)
    white = np.full((PICTURE_SIDE, PICTURE_SIDE, 3), 255)
    return tuple(one.astype(np.uint8) for one in (shapes, stripes, gradient, grain, white))


@cache
def probe_digest(with_pictures: bool) -> str:
    """Return the sha256 of the texts, and of the pictures where the subject reads some."""
    parts: list[Any] = [text.encode() for text in TEXTS]
    parts += [picture.tobytes() for picture in pictures()] if with_pictures else []
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
