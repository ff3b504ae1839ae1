"""The overview: how strong features are in each condition, and what each category holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.census import CategoryRow, Census
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import CATEGORIES, CONDITIONS, DARK, new_figure, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 30


def numbers(census: Census, spread: Spread) -> dict[str, Any]:
    """What is drawn: histograms of log10 means, and a row for each category."""
    logs = {name: np.log10(mean[mean > 0]) for name, mean in spread.mean.items() if (mean > 0).any()}
    edges = np.linspace(*_ends(list(logs.values())), BINS + 1)
    return {
        "edges": edges,
        "histograms": {name: np.histogram(values, edges)[0] for name, values in logs.items()},
        "counts": census.counts,
        "rows": {row.category: row for row in census.category_rows()},
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """Strengths, where some feature fires, and categories with their table."""
    panels = 2 if found["histograms"] else 1
    figure, axes = new_figure(1, panels, 5.75 * panels, 0.26 * len(found["counts"]) + 2.2, about)
    if found["histograms"]:
        _strengths(axes[0, 0], found)
    _categories(axes[0, -1], found["counts"], found["rows"])
    return figure


def _strengths(ax: Any, found: dict[str, Any]) -> None:
    for name, counts in found["histograms"].items():
        line = CONDITIONS[name]
        label = f"{words(name)} (n={int(counts.sum()):,})"
        ax.stairs(counts, found["edges"], color=line.color, ls=line.style, lw=1.8, label=label)
    ax.set(xlabel="mean activation over tokens", ylabel="features")
    ends = np.arange(np.ceil(found["edges"][0]), np.floor(found["edges"][-1]) + 1)
    if len(ends) > 1:
        ax.set_xticks(ends, [f"{10.0**end:g}" for end in ends])
    else:
        ax.xaxis.set_major_formatter(lambda x, _: f"{10.0**x:.2g}")
    titled(ax, "How strong features are, silent ones left out")
    ax.set_ylim(0, max(ax.get_ylim()[1], 1) * (1.1 + 0.11 * len(found["histograms"])))  # room for the legend
    ax.legend(frameon=False, loc="upper left")


def _categories(ax: Any, counts: dict[str, int], rows: dict[str, CategoryRow]) -> None:
    """Bars, and to their right the notebook's table: count, mean in base, in adapted, ratio."""
    names, most = list(counts), max(*counts.values(), 1)
    colors = [CATEGORIES[name].color for name in names]
    ax.barh([words(name) for name in names], list(counts.values()), color=colors, ec=DARK, lw=0.6)
    ax.set(xlabel="features", xlim=(0, 2.3 * most), ylim=(len(names) - 0.5, -1.3))
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= most])
    ax.spines["bottom"].set_bounds(0, most)
    ax.xaxis.set_label_coords(0.22, -0.12)
    titled(ax, f"Categories of all {sum(counts.values()):,} features, and their means on text")
    columns = {0.56: "count", 0.71: "base", 0.87: "adapted", 1.0: "ratio"}
    for x, text in columns.items():
        ax.text(x, -0.9, text, ha="right", va="center", transform=ax.get_yaxis_transform(), fontweight="bold")
    for y, name in enumerate(names):
        for x, text in zip(columns, _cells(counts[name], rows.get(name)), strict=True):
            ax.text(x, y, text, ha="right", va="center", transform=ax.get_yaxis_transform())


def _cells(count: int, row: CategoryRow | None) -> tuple[str, str, str, str]:
    if row is None:
        return f"{count:,}", "", "", ""
    ratio = f"{row.transfer_ratio:.2f}" if row.base_text_mean > 0 else ""
    return f"{count:,}", f"{row.base_text_mean:.3g}", f"{row.adapted_text_mean:.3g}", ratio


def _ends(values: list[Any]) -> tuple[float, float]:
    joined = np.concatenate(values) if values else np.zeros(1)
    low, high = float(joined.min()), float(joined.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
