"""Where in a picture a feature fires: its activation on the picture's patches, over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.codes import Codes, Floats, Kind
from harness.reports.figures.style import new_figure

if TYPE_CHECKING:
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


def draw(pictures: list[tuple[Any, Floats, str]], feature: int) -> Figure:
    """A picture (array or PIL image), its patches and a title each; one scale for all, so that they can be compared."""
    figure, axes = new_figure(1, len(pictures), 2.4 * len(pictures) + 0.9, 2.9)
    top = max(float(values.max()) for _, values, _ in pictures) or 1.0
    shown: Any = None
    for ax, (picture, values, title) in zip(axes[0], pictures, strict=True):
        array = np.asarray(picture)
        extent = (0, array.shape[1], array.shape[0], 0)
        ax.imshow(array, extent=extent)
        shown = ax.imshow(
            values, extent=extent, cmap="viridis", vmin=0, vmax=top, alpha=np.where(values > 0, 0.62, 0.25),
            interpolation="nearest",
        )  # fmt: skip
        ax.set_title(title, fontsize=8)
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes[0].tolist(), label=f"activation of feature {feature}", shrink=0.8)
    return figure
