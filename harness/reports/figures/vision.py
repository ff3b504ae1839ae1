"""The features that are new in pictures: on which share of prompts and pictures each fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.census import Census
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import bars, new_figure, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 12
_SIDES = ("base_text", "adapted_text", "adapted_image_tokens")


def numbers(census: Census, spread: Spread) -> dict[str, Any]:
    """Features, strongest on image tokens first, their shares of prompts and of pictures, and the SAE's FVU there."""
    features = list(census.categories.get("new_vision", ())) if spread.pictures else []
    mean = spread.mean.get("adapted_image_tokens", np.zeros(0))
    chosen = sorted(features, key=lambda f: (-mean[f], f))[:MOST]
    return {
        "features": chosen,
        "of": len(features),
        "share": {side: [float(spread.share[side][f]) for f in chosen] for side in _SIDES if chosen},
        "prompts": {side: spread.prompts[side] for side in _SIDES if chosen},
        "fvu": census.conditions["adapted_image_tokens"].fvu if chosen else float("nan"),
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """One panel, a bar for each condition. Activations far from what an SAE was trained on excite arbitrary features:
    the title gives its FVU there."""
    n = len(found["features"])
    figure, axes = new_figure(1, 1, 9, 1.9 + 0.48 * n, about)
    ax, at = axes[0, 0], np.arange(n)
    for i, (side, shares) in enumerate(found["share"].items()):
        of = " pictures" if side == "adapted_image_tokens" else ""
        bars(ax, at + (i - 1) * 0.27, shares, 0.25, side, f"{words(side)} (n={found['prompts'][side]:,}{of})")
    ax.set_yticks(at, [f"feature {f}" for f in found["features"]])
    ax.set_ylim(n - 0.45, -0.55)
    ax.set(xlabel="share of prompts, or of pictures, on which it fires", xlim=(0, 1))
    titled(ax, f"New in pictures: {n} of {found['of']:,} (the SAE's FVU on image tokens: {found['fvu']:.2f})")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=3)
    return figure
