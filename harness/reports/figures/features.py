"""Chosen features one by one: in both models, and where pictures were read, on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.census import Census, FeatureAnalysis
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import CONDITION_COLORS, drawable, new_figure, nothing, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_VISION = 12


def compared_numbers(analyses: list[FeatureAnalysis]) -> list[dict[str, Any]]:
    """Per feature its label, its category, and its mean activation in each condition (None: no pictures)."""
    return [
        {
            "label": f"{a.row.feature}, {words(a.row.category)}: {_tokens(a)}".rstrip(": "),
            "category": a.row.category,
            "base_text": a.row.base_text_mean,
            "adapted_text": a.row.adapted_text_mean,
            "adapted_pictures": a.row.adapted_pictures_mean,
        }
        for a in analyses
    ]


def draw_compared(rows: list[dict[str, Any]]) -> Figure:
    """A bar for each condition, features grouped by category."""
    figure, axes = new_figure(1, 1, 8.5, 1.4 + 0.42 * max(len(rows), 3))
    ax = axes[0, 0]
    titled(ax, "The strongest features of each category, with their strongest tokens")
    if not rows:
        nothing(ax, "no feature was decided")
        return figure
    at = np.arange(len(rows))
    names = [n for n in ("base_text", "adapted_text", "adapted_pictures") if rows[0][n] is not None]
    for i, name in enumerate(names):
        place = at + (i - (len(names) - 1) / 2) * 0.26
        ax.barh(place, [row[name] for row in rows], 0.24, color=CONDITION_COLORS[name], label=words(name))
    ax.set_yticks(at, [row["label"] for row in rows], fontsize=8)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)  # two dollars among the tokens would be read as mathematics, and may not parse
    ax.invert_yaxis()
    ax.set(xlabel="mean activation over tokens")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=len(names), fontsize=8)
    return figure


def vision_numbers(census: Census, spread: Spread) -> dict[str, Any]:
    """The features that are new in pictures, strongest on image tokens first: shares of prompts and of pictures."""
    features = list(census.categories.get("new_vision", ()))
    if "adapted_image_tokens" not in spread.mean:
        return {"features": [], "why": "no pictures were read"}
    mean = spread.mean["adapted_image_tokens"]
    chosen = sorted(features, key=lambda f: (-mean[f], f))[:MOST_VISION]
    sides = ("base_text", "adapted_text", "adapted_image_tokens")
    return {
        "features": chosen,
        "why": "no feature is new in pictures here",
        "of": len(features),
        "share": {side: [float(spread.share[side][f]) for f in chosen] for side in sides},
        "prompts": {side: spread.prompts[side] for side in sides},
        "mean": [float(mean[f]) for f in chosen],
        "fvu": census.conditions["adapted_image_tokens"].fvu,
    }


def draw_vision(found: dict[str, Any]) -> Figure:
    """On which share of prompts and pictures each fires, and how strongly on image tokens."""
    figure, axes = new_figure(1, 2, 9.5, 1.8 + 0.3 * max(len(found["features"]), 4))
    left, right = axes[0]
    if not found["features"]:
        nothing(left, found["why"])
        right.set_axis_off()
        return figure
    at = np.arange(len(found["features"]))
    for i, (side, shares) in enumerate(found["share"].items()):
        label = f"{words(side)} (n={found['prompts'][side]})"
        left.barh(at + (i - 1) * 0.26, shares, 0.24, color=CONDITION_COLORS[side], label=label)
    left.set_yticks(at, [str(f) for f in found["features"]])
    left.set(xlabel="share of prompts, or of pictures, on which it fires", ylabel="feature", xlim=(0, 1))
    titled(left, f"New in pictures: {len(at)} of {found['of']}")
    right.barh(at, found["mean"], 0.6, color=CONDITION_COLORS["adapted_image_tokens"])
    right.set_yticks(at, [""] * len(at))
    right.set(xlabel="mean activation over image tokens")
    titled(right, f"FVU of the SAE on image tokens: {found['fvu']:.2f}")
    for ax in (left, right):
        ax.invert_yaxis()
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=3, fontsize=8)
    return figure


def _tokens(analysis: FeatureAnalysis) -> str:
    tokens = analysis.adapted_top_tokens or analysis.base_top_tokens
    shown = list(dict.fromkeys(token.strip() for token, _ in tokens))[:3]
    return " ".join(drawable(token[:12]) for token in shown if token.isprintable())
