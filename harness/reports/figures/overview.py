"""The distribution overview: how strong features are in each condition, how many fall into each category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.reports.figures.spread import Spread
from harness.reports.figures.style import CATEGORY_COLORS, CONDITION_COLORS, above, new_figure, nothing, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 30


def numbers(spread: Spread) -> dict[str, Any]:
    """What is drawn: histograms of log10 means, counts a category, points base against adapted, log2 boosts."""
    logs = {name: np.log10(mean[mean > 0]) for name, mean in spread.mean.items() if (mean > 0).any()}
    edges = np.linspace(*_ends(list(logs.values())), BINS + 1)
    names = [name for name in CATEGORY_COLORS if (spread.category == name).any()]
    both = (spread.mean["base_text"] > 0) & (spread.mean["adapted_text"] > 0)
    return {
        "edges": edges,
        "histograms": {name: np.histogram(values, edges)[0] for name, values in logs.items()},
        "counts": {name: int((spread.category == name).sum()) for name in names},
        "points": (spread.mean["base_text"][both], spread.mean["adapted_text"][both], spread.category[both]),
        "in_one": spread.in_one,
        "boosts": _boosts(spread),
        "tokens": spread.tokens,
    }


def draw(found: dict[str, Any]) -> Figure:
    """2 x 2 panels."""
    figure, axes = new_figure(2, 2, 9.5, 7.0)
    _strengths(axes[0, 0], found)
    _counts(axes[0, 1], found["counts"])
    scatter(axes[1, 0], found["points"], found["in_one"])
    _boost_panel(axes[1, 1], found["boosts"])
    return figure


def scatter(ax: Any, points: Any, in_one: int) -> None:
    """Mean activations of one model against the other's, log-log, with the line of no change; those that fire in one
    model only have no place on it, and are counted."""
    x, y, category = points
    for name, color in CATEGORY_COLORS.items():
        here = category == name
        if here.any():
            ax.scatter(x[here], y[here], s=9, c=color, alpha=0.7, linewidths=0, label=words(name), zorder=above(name))
    ax.set(xscale="log", yscale="log", xlabel="mean activation, base text", ylabel="mean activation, adapted text")
    titled(ax, f"Each feature in both models (n={len(x):,} that fire in both)")
    if in_one:
        text = f"{in_one:,} more fire in one only"
        ax.text(0.98, 0.02, text, ha="right", va="bottom", transform=ax.transAxes, fontsize=7, color="#555555")
    if len(x):
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color="#333333", lw=0.8, ls="--", zorder=0)
        ax.legend(frameon=False, fontsize=7, markerscale=1.5)


def _strengths(ax: Any, found: dict[str, Any]) -> None:
    for name, counts in found["histograms"].items():
        label = f"{words(name)} (n={int(counts.sum()):,})"
        ax.stairs(counts, found["edges"], color=CONDITION_COLORS[name], label=label, lw=1.4)
    ax.set(xlabel="log10 of a feature's mean activation over tokens", ylabel="features")
    titled(ax, "How strong features are, silent ones left out")
    ax.set_ylim(0, max(ax.get_ylim()[1], 1) * (1.05 + 0.08 * len(found["histograms"])))  # room for the legend
    ax.legend(frameon=False, fontsize=7)


def _counts(ax: Any, counts: dict[str, int]) -> None:
    names = list(counts)
    bars = ax.barh([words(n) for n in names], list(counts.values()), color=[CATEGORY_COLORS[n] for n in names])
    ax.bar_label(bars, [f"{n:,}" for n in counts.values()], padding=3, fontsize=8)
    ax.invert_yaxis()
    ax.margins(x=0.14)
    ax.set(xlabel="features")
    titled(ax, f"Categories of all {sum(counts.values()):,} features")


def _boosts(spread: Spread) -> Any:
    if "adapted_pictures" not in spread.mean:
        return np.zeros(0)
    a, b = spread.mean["adapted_text"], spread.mean["adapted_pictures"]
    both = (a > 0) & (b > 0)
    return np.log2(b[both] / a[both])


def _boost_panel(ax: Any, boosts: Any) -> None:
    titled(ax, f"Pictures against text (n={len(boosts):,} that fire on both)")
    if not len(boosts):
        nothing(ax, "no pictures were read")
        return
    ax.hist(boosts, bins=BINS, color=CONDITION_COLORS["adapted_pictures"])
    ax.axvline(0, color="#333333", lw=0.8, ls="--")
    ax.set(xlabel="log2 of mean on pictures over mean on text, adapted model", ylabel="features")


def _ends(values: list[Any]) -> tuple[float, float]:
    joined = np.concatenate(values) if values else np.zeros(1)
    low, high = float(joined.min()), float(joined.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
