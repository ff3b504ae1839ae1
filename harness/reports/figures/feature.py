"""One feature: mean and maximum in each condition, its strongest tokens in each model, its values on image tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.census import Census, FeatureAnalysis
from harness.reports.figures.style import CONDITIONS, DARK, bars, drawable, new_figure, titled, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 30
_LONGEST = 20  # characters of a token


def numbers(census: Census, analysis: FeatureAnalysis) -> dict[str, Any]:
    """mean, max: per condition; tokens: per model, (token, activation); image_tokens: the activation of a new_vision
    feature on every image token, None for features of other categories."""
    at = analysis.row.feature
    seen = census.sides.get("adapted_image_tokens") if analysis.row.category == "new_vision" else None
    return {
        "feature": at,
        "category": analysis.row.category,
        "mean": {name: float(one.mean[at]) for name, one in census.strength.items()},
        "max": {name: float(one.max[at]) for name, one in census.strength.items()},
        "tokens": {"base_text": analysis.base_top_tokens, "adapted_text": analysis.adapted_top_tokens},
        "image_tokens": None if seen is None else seen.codes.token_column(at)[seen.counted],
    }


def draw(found: dict[str, Any], about: str) -> Figure:
    """Up to four panels; a model in whose text it never fires has none, and the first panel says so."""
    panels: list[Callable[[Any], None]] = [partial(_statistics, found=found)]
    top = max([value for tokens in found["tokens"].values() for _, value in tokens], default=1.0)
    for side, tokens in found["tokens"].items():
        if tokens:
            panels.append(partial(_tokens, side=side, tokens=tokens, top=top))
    if found["image_tokens"] is not None:
        panels.append(partial(_image_tokens, values=found["image_tokens"]))
    about = f"Feature {found['feature']}, {words(found['category'])}\n{about}"
    figure, axes = new_figure(1, len(panels), 1.6 + 3.3 * len(panels), 3.9, about)
    for ax, panel in zip(axes[0], panels, strict=True):
        panel(ax)
    return figure


def _statistics(ax: Any, found: dict[str, Any]) -> None:
    names = list(found["mean"])
    at = np.arange(len(names))
    for offset, what, face in ((-0.2, "mean", "#444444"), (0.2, "max", "#DDDDDD")):
        drawn = ax.barh(
            at + offset, [found[what][n] for n in names], 0.38, color=face, ec=DARK, lw=0.6, label=_LABEL[what]
        )
        ax.bar_label(drawn, [f"{found[what][n]:.3g}" for n in names], padding=3, fontsize=9)
    ax.set_yticks(at, [words(name).replace("adapted ", "adapted\n") for name in names])
    ax.invert_yaxis()
    ax.margins(x=0.22)
    silent = [words(side) for side, tokens in found["tokens"].items() if not tokens]
    ax.set(xlabel="activation over tokens" + "".join(f"\n(it fires on no word of {side})" for side in silent))
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


_LABEL = {"mean": "mean", "max": "maximum"}


def _tokens(ax: Any, side: str, tokens: Any, top: float) -> None:
    at = np.arange(len(tokens))
    drawn = bars(ax, at, [value for _, value in tokens], 0.7, side)
    ax.bar_label(drawn, [f"{value:.3g}" for _, value in tokens], padding=3, fontsize=9)
    ax.set_yticks(at, [drawable(token.strip()[:_LONGEST]) for token, _ in tokens])
    for label in ax.get_yticklabels():
        label.set_parse_math(False)  # two dollars among the tokens would be read as mathematics, and may not parse
    ax.set_ylim(4.6, -0.6)
    ax.set(xlabel="activation", xlim=(0, top * 1.2))
    titled(ax, f"Strongest tokens, {words(side)}")


def _image_tokens(ax: Any, values: Any) -> None:
    """Silence is most of them and would hide the rest: it is counted in the title."""
    fires = values[values > 0]
    line = CONDITIONS["adapted_image_tokens"]
    ax.hist(fires, bins=min(BINS, max(5, len(fires) // 4)), color=line.color, ec=DARK, lw=0.6)
    ax.set(xlabel="activation on image tokens", ylabel="image tokens")
    titled(ax, f"It fires on {len(fires):,} of {len(values):,} image tokens")
