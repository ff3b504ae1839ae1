"""Each feature's mean activation in one condition against another: base and adapted text, base text and pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.codes import Floats
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import DARK, category_legend, new_figure, points, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ZOOMED = 0.9  # the share of live features that the zoomed panel holds at least


def numbers(spread: Spread) -> dict[str, Any]:
    """Means of all features, categories, where the zoomed view ends, and how many features lie outside it."""
    base, adapted = spread.mean["base_text"], spread.mean["adapted_text"]
    larger = np.maximum(base, adapted)
    zoom = _rounded_up(float(np.quantile(larger[larger > 0], ZOOMED))) if (larger > 0).any() else 1.0
    return {
        "mean": spread.mean,
        "category": spread.category,
        "names": spread.names,
        "shown": [name for name in spread.names if (spread.live & (spread.category == name)).any()],
        "zoom": zoom,
        "outside": int(((base > zoom) | (adapted > zoom)).sum()),
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """Base against adapted text on log axes, the same zoomed on linear axes, and base text against pictures.

    Log axes need a feature that fires in both conditions, and the figure one that fires on text.
    """
    panels: list[Callable[[Any], None]] = [partial(_zoom, found=found)]
    for place, other in ((0, "adapted_text"), (2, "adapted_pictures")):
        if other in found["mean"] and ((found["mean"]["base_text"] > 0) & (found["mean"][other] > 0)).any():
            panels.insert(place, partial(_log, found=found, other=other))
    figure, axes = new_figure(1, len(panels), max(4 * len(panels), 5), 4.6, about)
    for ax, panel in zip(axes[0], panels, strict=True):
        panel(ax)
    category_legend(figure, found["shown"])
    return figure


def _log(ax: Any, found: dict[str, Any], other: str) -> None:
    """Features that fire in one condition only have no place on log axes; they are counted."""
    x, y = found["mean"]["base_text"], found["mean"][other]
    both = (x > 0) & (y > 0)
    _scatter(ax, found, x, y, both)
    ax.set(xscale="log", yscale="log", xlabel="mean activation, base text", ylabel=f"mean activation, {words(other)}")
    in_one = int(((x > 0) != (y > 0)).sum())
    titled(ax, f"Base text and {words(other)}\n({int(both.sum()):,} fire in both, {in_one:,} in one)")
    ends = [min(x[both].min(), y[both].min()), max(x[both].max(), y[both].max())]
    ax.plot(ends, ends, color=DARK, lw=0.9, ls="--", zorder=0)


def _zoom(ax: Any, found: dict[str, Any]) -> None:
    x, y, end = found["mean"]["base_text"], found["mean"]["adapted_text"], found["zoom"]
    _scatter(ax, found, x, y, ((x > 0) | (y > 0)) & (x <= end) & (y <= end))
    ax.plot([0, end], [0, end], color=DARK, lw=0.9, ls="--", zorder=0)
    margin = 0.02 * end
    ax.set(xlim=(-margin, end + margin), ylim=(-margin, end + margin))
    ax.set(xlabel="mean activation, base text", ylabel="mean activation, adapted text")
    titled(ax, f"Base and adapted text, zoomed\n({found['outside']:,} features lie beyond {end:g})")


def _scatter(ax: Any, found: dict[str, Any], x: Floats, y: Floats, shown: Any) -> None:
    for name in found["names"]:
        here = shown & (found["category"] == name)
        if here.any():
            points(ax, x[here], y[here], name)


def _rounded_up(value: float) -> float:
    """To one digit, upwards: a limit that a reader can name."""
    step = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / step) * step:.1g}")
