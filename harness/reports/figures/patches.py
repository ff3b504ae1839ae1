"""Where in a picture a feature fires: the picture, and below it its gray copy under the activation of each patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.codes import Codes, Floats, Kind
from harness.reports.figures.style import new_figure

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure


def patch_values(codes: Codes, feature: int, row: int) -> Floats:
    """[side, side]: the feature's activation on each patch of one prompt's picture, in reading order.

    ValueError where the number of image tokens is no square.
    """
    value = codes.token_column(feature)[(codes.prompt == row) & (codes.kind == Kind.IMAGE)]
    side = round(len(value) ** 0.5)
    if side == 0 or side * side != len(value):
        raise ValueError(f"prompt {row} has {len(value)} image tokens, which is no square of patches")
    values: Floats = value.astype(np.float64).reshape(side, side)
    return values


def draw(pictures: list[tuple[Any, Floats, str]], feature: str, about: str) -> Figure:
    """A picture (array or PIL image), its patches and a title each; one scale for all, so that they can be compared.

    feature: its number and class, such as "feature 267 (new vision)". The picture under the scale is gray and pale:
    what is colored there, or dark in black and white, is activation.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, axes = new_figure(2, len(pictures), 2.3 * len(pictures) + 1.2, 5.4, about)
    top = max(float(values.max()) for _, values, _ in pictures) or 1.0
    scale = ScalarMappable(Normalize(0, top), _colors())
    for column, (picture, values, title) in enumerate(pictures):
        array = np.asarray(picture)
        axes[0, column].imshow(array)
        axes[1, column].set_title(title, fontsize=10)
        axes[1, column].imshow(_under(scale, array, values))
    for ax in axes.ravel():
        ax.set_axis_off()
    figure.colorbar(scale, ax=axes[1].tolist(), label=f"activation of\n{feature}", shrink=0.9)
    return figure


def _under(scale: Any, picture: Any, values: Floats) -> Any:
    """[height, width, 3]: each pixel's patch in the scale's color, times the picture's gray between .8 and 1."""
    gray = np.asarray(picture, np.float64)[..., :3] @ [0.299, 0.587, 0.114] / 255
    rows, columns = (np.arange(n) * values.shape[i] // n for i, n in enumerate(gray.shape))
    patch = scale.to_rgba(values)[..., :3][rows[:, None], columns[None, :]]
    return patch * (0.8 + 0.2 * gray)[..., None]


def _colors() -> LinearSegmentedColormap:
    """White, orange, purple, black: darker is more, in print too."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("activation", ["#FFFFFF", "#F2A93B", "#A02C6C", "#140018"])
