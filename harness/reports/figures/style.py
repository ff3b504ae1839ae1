"""What all figures share: colors that color-blind readers tell apart, sizes, and files that are the same every time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette; gray for what was not decided.
CATEGORY_COLORS = {
    "stable": "#0072B2",
    "rescaled": "#56B4E9",
    "shifted": "#E69F00",
    "between": "#F0E442",
    "lost": "#D55E00",
    "new_text": "#CC79A7",
    "new_vision": "#009E73",
    "indeterminate": "#999999",
    "unclassified": "#999999",
    "dead": "#DDDDDD",
}
CONDITION_COLORS = {
    "base_text": "#0072B2",
    "adapted_text": "#E69F00",
    "adapted_pictures": "#CC79A7",
    "adapted_image_tokens": "#009E73",
}
_RC = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "interp-specs",
}


def above(category: str) -> int:
    """The layer of a category's points: those that were decided lie over the many that were not."""
    return 1 if category in ("indeterminate", "unclassified", "dead") else 2


def words(name: str) -> str:
    return name.replace("_", " ")


def new_figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    """A figure that no window shows, and its axes as an array."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.ravel():
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """NAME.svg and NAME.png; no date in either, so that the same numbers give the same bytes."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    with rc_context(_RC):
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=150, metadata={"Software": None})
    return paths


def drawable(text: str) -> str:
    r"""Characters that the font lacks as \u4e2d: a box says nothing."""
    return "".join(c if _font().get_char_index(ord(c)) else f"\\u{ord(c):04x}" for c in text)


@cache
def _font() -> Any:
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont("DejaVu Sans"))


def titled(ax: Any, title: str) -> None:
    ax.set_title(title, fontsize=10)


def nothing(ax: Any, why: str) -> None:
    """An empty panel says why it is empty."""
    ax.text(0.5, 0.5, why, ha="center", va="center", transform=ax.transAxes, color="#555555", wrap=True)
    ax.set_xticks([])
    ax.set_yticks([])
