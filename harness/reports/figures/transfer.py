"""All figures of one census, drawn and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.census import Census
from harness.inputs import Prompt
from harness.reports.figures import features, landscape, overview, patches
from harness.reports.figures.spread import spread_of
from harness.reports.figures.style import save
from harness.repository import located

MOST_PICTURES = 4


def write_figures(census: Census, pictures: Sequence[Prompt], folder: Path, examples: int) -> list[Path]:
    """overview, features, landscape, and with pictures vision and patches, each as SVG and PNG."""
    spread = spread_of(census)
    drawn = {
        "overview": overview.draw(overview.numbers(spread)),
        "features": features.draw_compared(features.compared_numbers(census.analyses(examples))),
        "landscape": landscape.draw(landscape.numbers(spread)),
    }
    if pictures:
        vision = features.vision_numbers(census, spread)
        drawn["vision"] = features.draw_vision(vision)
        feature = vision["features"][0] if vision["features"] else _strongest_on_pictures(census)
        drawn["patches"] = patches.draw(strongest_pictures(census, pictures, feature), feature)
    return [path for name, figure in drawn.items() for path in save(figure, folder, name)]


def strongest_pictures(
    census: Census, pictures: Sequence[Prompt], feature: int
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """The pictures on which a feature fires most, strongest first: pixels, patches, a title."""
    codes = census.sides["adapted_image_tokens"].codes
    values = [patches.patch_values(codes, feature, row) for row in range(len(pictures))]
    order = sorted(range(len(pictures)), key=lambda row: (-values[row].max(), row))[:MOST_PICTURES]
    return [(_pixels(pictures[row]), values[row], f"largest {values[row].max():.3g}") for row in order]


def _strongest_on_pictures(census: Census) -> int:
    return int(np.argmax(census.strength["adapted_image_tokens"].mean))


def _pixels(prompt: Prompt) -> np.ndarray:
    """The picture as the model saw it, turned as its EXIF says; capture/ has refused what cannot be decoded."""
    from PIL import Image, ImageOps

    if prompt.image is None:
        raise ValueError(f"{prompt.text!r} has no picture")
    with Image.open(located(prompt.image.path, prompt.image.root)) as image:
        return np.asarray((ImageOps.exif_transpose(image) or image).convert("RGB"))
