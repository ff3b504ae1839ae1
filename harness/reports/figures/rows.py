"""One number of many features, a row for each category: all of them as points, and their quartiles as a box."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.codes import Floats
from harness.reports.figures.style import DARK, PALE, points, titled, words

_FEWEST = 5  # values that quartiles say something of


def category_rows(
    ax: Any, found: dict[str, Floats], title: str, label: str, ends: tuple[float, float], line: float | None = None
) -> None:
    """Values beyond `ends` are drawn at them. `line`: the value of no change."""
    scatter = np.random.default_rng(0)
    for row, (name, values) in enumerate(found.items()):
        inside = np.clip(values, *ends)
        points(ax, inside, row + scatter.uniform(-0.3, 0.3, len(inside)), name, size=10)
        if len(inside) >= _FEWEST:
            _box(ax, inside, row)
    ax.set_yticks(range(len(found)), [f"{words(name)}\n(n={len(values):,})" for name, values in found.items()])
    ax.set_ylim(len(found) - 0.5, -0.5)
    margin = 0.02 * (ends[1] - ends[0])
    ax.set(xlabel=label, xlim=(ends[0] - margin, ends[1] + margin))
    if line is not None:
        ax.axvline(line, color=PALE, lw=0.9, ls="--", zorder=0)
    titled(ax, title)


def ratio_ticks(ax: Any, reach: int) -> None:
    """Ticks of a log2 axis as ratios, such as 1/4 and 4; signs at its ends say that values beyond lie there, too."""
    at = [-reach, *(tick for tick in range(-reach + 2, reach - 1) if tick % 2 == 0), reach]
    ax.set_xticks(at, [_ratio(tick, reach) for tick in at])


def _ratio(tick: int, reach: int) -> str:
    text = f"{2**tick}" if tick >= 0 else f"1/{2**-tick}"
    return {-reach: f"\u2264{text}", reach: f"\u2265{text}"}.get(tick, text)


def _box(ax: Any, values: Floats, row: int) -> None:
    ax.boxplot(
        [values], positions=[row], widths=0.62, orientation="horizontal", whis=(5, 95), showfliers=False,
        manage_ticks=False, boxprops={"color": DARK, "lw": 1}, whiskerprops={"color": DARK, "lw": 1},
        capprops={"color": DARK, "lw": 1}, medianprops={"color": "black", "lw": 2.2}, zorder=3,
    )  # fmt: skip
