"""How much stronger features are than in the base, on text and on pictures, and on pictures than on text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.codes import Floats
from harness.reports.figures.rows import category_rows, ratio_ticks
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import CONDITIONS, PALE, new_figure, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REACH = 5  # powers of two; a feature that fires in one condition only is at the end of the scale
BINS = 21  # odd: features that did not change are in the middle of a bar


def numbers(spread: Spread) -> dict[str, Any]:
    """over_base: per condition, mean over that on the base's text, of each feature that fires anywhere; boosts: mean on
    pictures over that on the adapted model's text, by category."""
    others = [name for name in ("adapted_text", "adapted_pictures") if name in spread.mean]
    boosts = {}
    if spread.pictures:
        boosts = spread.by_category(np.where(spread.live, spread.over("adapted_pictures", "adapted_text"), np.nan))
    return {"over_base": {name: spread.over(name, "base_text")[spread.live] for name in others}, "boosts": boosts}


def draw(found: dict[str, Any], about: str) -> Figure:
    """Histograms of the ratios over the base; with pictures, the boost by category beside them."""
    boosts = found["boosts"]
    width, height = (10.5, max(4.2, 1.9 + 0.42 * len(boosts))) if boosts else (6.5, 4.2)
    figure, axes = new_figure(1, 2 if boosts else 1, width, height, about)
    _histograms(axes[0, 0], found["over_base"])
    if boosts:
        logs = {name: _log2(values) for name, values in boosts.items()}
        n = sum(len(values) for values in boosts.values())
        title, label = f"Pictures against text, adapted model (n={n:,})", "mean on pictures over mean on text"
        category_rows(axes[0, 1], logs, title, label, (-REACH, REACH), line=0)
        ratio_ticks(axes[0, 1], REACH)
    return figure


def _histograms(ax: Any, found: dict[str, Floats]) -> None:
    edges = np.linspace(-REACH, REACH, BINS + 1)
    for name, values in found.items():
        line, fill = CONDITIONS[name], name == "adapted_text"
        counts = np.histogram(_log2(values), edges)[0]
        style: dict[str, Any] = {"fill": True, "fc": "#F5D48A", "ec": line.color} if fill else {"color": line.color}
        ax.stairs(counts, edges, lw=1.8, ls="-" if fill else "--", label=words(name), zorder=1 if fill else 2, **style)
    ax.axvline(0, color=PALE, lw=0.9, ls="--", zorder=0)
    ax.set(xlabel="mean activation over that on the base's text", ylabel="features")
    ratio_ticks(ax, REACH)
    n = len(next(iter(found.values())))
    titled(ax, f"Against the base (n={n:,} that fire anywhere)")
    if len(found) > 1:
        ax.legend(frameon=False)


def _log2(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        logs: Floats = np.clip(np.log2(values), -REACH, REACH)
    return logs
