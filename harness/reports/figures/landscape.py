"""The landscape: six views of all features between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.reports.figures.overview import scatter
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import CATEGORY_COLORS, above, new_figure, nothing, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 25


def numbers(spread: Spread) -> dict[str, Any]:
    """Per panel what is drawn, by category where it is a histogram."""
    both = (spread.mean["base_text"] > 0) & (spread.mean["adapted_text"] > 0)
    share = spread.share
    image = share.get("adapted_image_tokens")
    return {
        "points": (spread.mean["base_text"][both], spread.mean["adapted_text"][both], spread.category[both]),
        "in_one": spread.in_one,
        "jaccard": _by_category(spread, spread.jaccard),
        "pearson": _by_category(spread, spread.pearson),
        "log_ratio": _by_category(spread, spread.log_ratio),
        "shares": (share["base_text"], share["adapted_text"], spread.category),
        "image_shares": None if image is None else (share["adapted_text"], image, spread.category),
        "prompts": spread.prompts,
    }


def draw(found: dict[str, Any]) -> Figure:
    """2 x 3 panels."""
    figure, axes = new_figure(2, 3, 13.5, 7.6)
    scatter(axes[0, 0], found["points"], found["in_one"])
    _stacked(axes[0, 1], found["jaccard"], "Do they fire on the same tokens?", "Jaccard of firing", (0, 1))
    _stacked(axes[0, 2], found["pearson"], "In the same pattern?", "Pearson's r on the same tokens", (-1, 1))
    ratio = _reach(found["log_ratio"])
    _stacked(axes[1, 0], found["log_ratio"], "As strongly?", "log2 of adapted over base mean", (-ratio, ratio))
    n = found["prompts"]
    _shares(
        axes[1, 1], found["shares"], "How often, in text",
        f"share of prompts, base (n={n['base_text']})", f"share of prompts, adapted (n={n['adapted_text']})",
    )  # fmt: skip
    _pictures(axes[1, 2], found, n)
    return figure


def _by_category(spread: Spread, values: Any) -> dict[str, Any]:
    kept = {name: values[(spread.category == name) & np.isfinite(values)] for name in CATEGORY_COLORS}
    return {name: some for name, some in kept.items() if len(some)}


def _reach(found: dict[str, Any]) -> float:
    values = np.concatenate(list(found.values())) if found else np.zeros(1)
    return float(max(1.0, np.quantile(np.abs(values), 0.995)))


def _stacked(ax: Any, found: dict[str, Any], title: str, label: str, ends: tuple[float, float]) -> None:
    n = sum(len(values) for values in found.values())
    titled(ax, f"{title} (n={n:,})")
    if not n:
        nothing(ax, "the two models read other tokens")
        return
    clipped = [np.clip(values, *ends) for values in found.values()]
    colors = [CATEGORY_COLORS[name] for name in found]
    ax.hist(clipped, bins=np.linspace(*ends, BINS + 1), stacked=True, color=colors, label=[words(n) for n in found])
    ax.set(xlabel=label, ylabel="features")
    ax.legend(frameon=False, fontsize=7)


def _shares(ax: Any, found: Any, title: str, x_label: str, y_label: str) -> None:
    x, y, category = found
    titled(ax, f"{title} (n={len(x):,})")
    for name, color in CATEGORY_COLORS.items():
        here = category == name
        ax.scatter(x[here], y[here], s=9, c=color, alpha=0.7, linewidths=0, zorder=above(name))
    ax.plot([0, 1], [0, 1], color="#333333", lw=0.8, ls="--", zorder=0)
    ax.set(xlabel=x_label, ylabel=y_label, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _pictures(ax: Any, found: dict[str, Any], n: dict[str, int]) -> None:
    if found["image_shares"] is None:
        titled(ax, "How often, on pictures")
        nothing(ax, "no pictures were read")
        return
    _shares(
        ax, found["image_shares"], "How often, on pictures",
        f"share of prompts, adapted (n={n['adapted_text']})", f"share of pictures (n={n['adapted_image_tokens']})",
    )  # fmt: skip
