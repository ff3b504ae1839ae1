"""How much of the activations the SAE misses in each condition: a box for the MSE of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.census import Census
from harness.reports.figures.style import CONDITIONS, DARK, new_figure, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def numbers(census: Census) -> dict[str, Any]:
    """errors: per condition, [n_counted_tokens], a token's squared error as a mean over dimensions; mse: the mean of
    these; fvu: their share of the variance."""
    return {
        "errors": {n: side.codes.ee[side.counted] / side.codes.d_in for n, side in census.sides.items()},
        "mse": {name: one.mse for name, one in census.conditions.items()},
        "fvu": {name: one.fvu for name, one in census.conditions.items()},
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """One panel, logarithmic: a condition's median, quartiles, 5th and 95th percentile, and its mean as a diamond."""
    errors = {name: values for name, values in found["errors"].items() if (values > 0).any()}
    figure, axes = new_figure(1, 1, 2.2 + 1.7 * len(errors), 4.4, about)
    ax = axes[0, 0]
    drawn = ax.boxplot(
        list(errors.values()), whis=(5, 95), widths=0.55, showfliers=False, patch_artist=True, showmeans=True,
        medianprops={"color": "black", "lw": 2.2},
        meanprops={"marker": "D", "mfc": "white", "mec": "black", "ms": 6},
    )  # fmt: skip
    for box, name in zip(drawn["boxes"], errors, strict=True):
        box.set(facecolor=CONDITIONS[name].color, hatch=CONDITIONS[name].hatch, edgecolor=DARK, alpha=0.75)
    ax.set_xticks(range(1, len(errors) + 1), [_label(name, found) for name in errors])
    ax.set(yscale="log", ylabel="squared error of a token per dimension")
    titled(ax, "What the SAE misses (box: quartiles, whiskers: 5 to 95 %, diamond: mean)")
    return figure


def _label(name: str, found: dict[str, Any]) -> str:
    tokens = len(found["errors"][name])
    return f"{words(name)}\n{tokens:,} tokens\nMSE {found['mse'][name]:.3g}\nFVU {found['fvu'][name]:.2f}"
