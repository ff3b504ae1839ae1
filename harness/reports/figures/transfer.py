"""All figures of one census, drawn and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.census import Census
from harness.inputs import Prompt
from harness.reports.figures import feature, landscape, means, overview, patches, ratios, reconstruction, vision
from harness.reports.figures.about import About
from harness.reports.figures.spread import spread_of
from harness.reports.figures.style import save, words
from harness.repository import located

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PICTURES = 4


def draw_figures(
    census: Census, about: About, pictures: Sequence[Prompt] = (), examples: int = 4
) -> Iterator[tuple[str, Figure]]:
    """(name, figure), one after the other: overview, means, ratios, landscape, reconstruction, with pictures vision and
    patches, and a figure for each of the `examples` strongest features of each category. What has nothing to show is
    left out. pictures: the prompts behind the census's pictures, in its order."""
    spread, line = spread_of(census), about.line(census)
    yield "overview", overview.draw(overview.numbers(census, spread), line)
    if spread.live_in_text.any():
        yield "means", means.draw(means.numbers(spread), line)
    if spread.live.any():
        yield "ratios", ratios.draw(ratios.numbers(spread), line)
        yield "landscape", landscape.draw(landscape.numbers(spread), line)
    yield "reconstruction", reconstruction.draw(reconstruction.numbers(census), line)
    if pictures:
        seen = vision.numbers(census, spread)
        if seen["features"]:
            yield "vision", vision.draw(seen, line)
        shown = seen["features"][0] if seen["features"] else _strongest_on_pictures(census)
        name = f"feature {shown} ({words(census.row(shown).category)})"
        yield "patches", patches.draw(strongest_pictures(census, pictures, shown), name, line)
    for analysis in census.analyses(examples):
        name = f"features/{analysis.row.category}-{analysis.row.feature}"
        yield name, feature.draw(feature.numbers(census, analysis), line)


def write_figures(census: Census, about: About, pictures: Sequence[Prompt], folder: Path, examples: int) -> list[Path]:
    """Each figure of draw_figures as SVG and PNG."""
    return [
        path for name, figure in draw_figures(census, about, pictures, examples) for path in save(figure, folder, name)
    ]


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
