"""Each feature's mean activation in one condition against another: base and adapted text, base text and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.codes import Floats
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import DARK, PALE, category_legend, new_figure, points, titled, words

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
    """Base against adapted text on log axes, the same zoomed on linear axes, and base text against pictures."""
    compared = [name for name in ("adapted_text", "adapted_pictures") if name in found["mean"]]
    figure, axes = new_figure(1, len(compared) + 1, 4 * (len(compared) + 1), 4.6, about)
    _log(axes[0, 0], found, "adapted_text")
    _zoom(axes[0, 1], found)
    if "adapted_pictures" in compared:
        _log(axes[0, 2], found, "adapted_pictures")
    category_legend(figure, found["shown"])
    return figure


def _log(ax: Any, found: dict[str, Any], other: str) -> None:
    """Features that fire in one condition only have no place on log axes; they are counted."""
    x, y = found["mean"]["base_text"], found["mean"][other]
    both = (x > 0) & (y > 0)
    _scatter(ax, found, x, y, both)
    ax.set(xscale="log", yscale="log", xlabel="mean activation, base text", ylabel=f"mean activation, {words(other)}")
    titled(ax, f"Base text and {words(other)}\n({int(both.sum()):,} features fire in both)")
    if both.any():
        ends = [min(x[both].min(), y[both].min()), max(x[both].max(), y[both].max())]
        ax.plot(ends, ends, color=DARK, lw=0.9, ls="--", zorder=0)
    _note(ax, f"{int(((x > 0) != (y > 0)).sum()):,} more fire in one only")


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


def _note(ax: Any, text: str) -> None:
    ax.text(0.98, 0.02, text, ha="right", va="bottom", transform=ax.transAxes, fontsize=8.5, color=PALE)


def _rounded_up(value: float) -> float:
    """To one digit, upwards: a limit that a reader can name."""
    step = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / step) * step:.1g}")
