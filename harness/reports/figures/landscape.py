"""The landscape: do features fire on the same tokens, in the same pattern, and as often?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.reports.figures.rows import category_rows
from harness.reports.figures.spread import Spread
from harness.reports.figures.style import DARK, category_legend, new_figure, points, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def numbers(spread: Spread) -> dict[str, Any]:
    """Per panel what is drawn; empty where two models read other tokens, or no pictures were read."""
    share = spread.share
    return {
        "jaccard": spread.by_category(spread.jaccard),
        "pearson": spread.by_category(spread.pearson),
        "shares": share["base_text"],
        "adapted": share["adapted_text"],
        "image_shares": share.get("adapted_image_tokens"),
        "category": spread.category,
        "names": spread.names,
        "shown": [name for name in spread.names if (spread.live & (spread.category == name)).any()],
        "prompts": spread.prompts,
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """A panel for each thing that can be said of these codes, at most 2 x 2."""
    panels: list[Callable[[Any], None]] = []
    for key, title, label, ends in (
        ("jaccard", "Do they fire on the same tokens?", "Jaccard of firing", (0.0, 1.0)),
        ("pearson", "In the same pattern?", "Pearson's r on the same tokens", (-1.0, 1.0)),
    ):
        if found[key]:
            panels.append(partial(category_rows, found=found[key], title=title, label=label, ends=ends))
    n = found["prompts"]
    base, adapted = (f"share of prompts, {side} (n={n[f'{side}_text']:,})" for side in ("base", "adapted"))
    text = found["shares"], found["adapted"], (base, adapted)
    if (found["shares"] > 0).any() or (found["adapted"] > 0).any():
        panels.append(lambda ax: _shares(ax, found, "How often, in text?", *text))
    if found["image_shares"] is not None:
        seen = (
            found["adapted"],
            found["image_shares"],
            (adapted, f"share of pictures (n={n['adapted_image_tokens']:,})"),
        )
        panels.append(lambda ax: _shares(ax, found, "How often, on pictures?", *seen))
    columns = 2 if len(panels) in (2, 4) else len(panels)
    rows = len(panels) // columns
    figure, axes = new_figure(rows, columns, {1: 5.5, 2: 10, 3: 13}[columns], 0.9 + 4.0 * rows, about)
    for ax, panel in zip(axes.ravel(), panels, strict=True):
        panel(ax)
    category_legend(figure, found["shown"])
    return figure


def _shares(ax: Any, found: dict[str, Any], title: str, x: Any, y: Any, labels: tuple[str, str]) -> None:
    fires = (x > 0) | (y > 0)
    titled(ax, f"{title} ({int(fires.sum()):,} features fire)")
    for name in found["names"]:
        here = fires & (found["category"] == name)
        if here.any():
            points(ax, x[here], y[here], name)
    ax.plot([0, 1], [0, 1], color=DARK, lw=0.9, ls="--", zorder=0)
    ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
