"""What all figures share: marks that can be told apart without color, sizes, files that are the same every time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK, PALE = "#333333", "#666666"


class Mark(NamedTuple):
    """How a category's points are drawn, and the bars of its number."""

    color: str
    marker: str


class Line(NamedTuple):
    """How a condition's lines and bars are drawn."""

    color: str
    style: Any
    hatch: str


# Okabe and Ito's palette, each with a shape of its own; gray for what was not decided.
CATEGORIES = {
    "stable": Mark("#0072B2", "o"),
    "rescaled": Mark("#56B4E9", "s"),
    "shifted": Mark("#E69F00", "^"),
    "between": Mark("#A8960C", "D"),
    "lost": Mark("#D55E00", "v"),
    "new_text": Mark("#CC79A7", "P"),
    "new_vision": Mark("#009E73", "*"),
    "indeterminate": Mark("#999999", "."),
    "unclassified": Mark("#999999", "."),
    "dead": Mark("#BBBBBB", "x"),
}
CONDITIONS = {
    "base_text": Line("#0072B2", "-", ""),
    "adapted_text": Line("#E69F00", "--", "///"),
    "adapted_pictures": Line("#CC79A7", ":", "..."),
    "adapted_image_tokens": Line("#009E73", (0, (6, 2, 1, 2)), "xxx"),
}
_RC = {
    "font.size": 10,
    "axes.titlesize": 11,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "interp-specs",
}
_MANY = 1_000  # from here on points are small and pale, and one picture inside an SVG


def above(category: str) -> int:
    """The layer of a category's points: those that were decided lie over the many that were not."""
    return 1 if category in ("indeterminate", "unclassified", "dead") else 2


def words(name: str) -> str:
    return name.replace("_", " ")


def new_figure(rows: int, columns: int, width: float, height: float, about: str) -> tuple[Figure, Any]:
    """A figure that no window shows, headed by the lines of what it is about, and its axes as an array."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context(_RC):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
        FigureCanvasAgg(figure)
        head = figure.suptitle(
            "\n".join(fill(one, int(width * 13)) for one in about.splitlines()),
            x=0.01,
            ha="left",
            fontsize=8.5,
            color=DARK,
        )
        head.set_parse_math(False)  # two dollars in a name would be read as mathematics
        axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.ravel():
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """NAME.svg and NAME.png; no time of writing in either, so that the same numbers give the same bytes."""
    from matplotlib import rc_context

    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with rc_context(_RC):
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=150, metadata={"Software": None})
    return paths


def titled(ax: Any, title: str) -> None:
    ax.set_title(title, loc="left", wrap=True)


def points(ax: Any, x: Any, y: Any, category: str, size: float = 14) -> None:
    """One category's points, in its color and shape."""
    mark, many = CATEGORIES[category], len(x) > _MANY
    size = size * {"*": 2.6, "P": 1.6, ".": 1.4}.get(mark.marker, 1) * (0.3 if many else 1)
    ax.scatter(
        x, y, s=size, c=mark.color, marker=mark.marker, alpha=0.4 if many else 0.75,
        linewidths=0.8 if mark.marker == "x" else 0, zorder=above(category), rasterized=many,
    )  # fmt: skip


def category_legend(figure: Figure, names: list[str]) -> None:
    """The shapes of the categories that are drawn, under all panels; none where one category needs no telling apart."""
    from matplotlib.lines import Line2D

    if len(names) < 2:
        return
    handles = [
        Line2D([], [], color=CATEGORIES[n].color, marker=CATEGORIES[n].marker, ls="", label=words(n)) for n in names
    ]
    figure.legend(handles=handles, loc="outside lower center", frameon=False, ncols=min(len(names), 7))


def bars(ax: Any, at: Any, values: Any, width: float, condition: str, label: str | None = None) -> Any:
    """Horizontal bars of one condition, in its color and hatch."""
    line = CONDITIONS[condition]
    return ax.barh(at, values, width, color=line.color, hatch=line.hatch, edgecolor=DARK, lw=0.6, label=label)


def drawable(text: str) -> str:
    r"""Characters that the font lacks as \u4e2d: a box says nothing."""
    return "".join(c if _font().get_char_index(ord(c)) else f"\\u{ord(c):04x}" for c in text)


@cache
def _font() -> Any:
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont("DejaVu Sans"))
