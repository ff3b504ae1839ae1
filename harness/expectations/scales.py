"""The scale of every metric, and the bounds that exclude nothing on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.expectations.base import Expectation
from harness.expectations.bounds import Bound, RelativeBound, ShareBound


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that a metric can have, or those that say something: `low` to `high`.

    why_low, why_high: what has the value at that end, where it is not the end of the scale itself.
    """

    low: float = -math.inf
    high: float = math.inf
    why_low: str = ""
    why_high: str = ""

    def holds_all(self, bound: Bound) -> bool:
        """Whether every value of the scale is inside the bound."""
        return bound.low <= self.low and bound.high >= self.high


_SHARE = Scale(0, 1)
_FROM_ZERO = Scale(low=0)
_COSINE = Scale(-1, 1)
_AUROC = Scale(0.5, 1, why_low="two sets that do not differ have .5")
SCALES: dict[str, Scale] = {
    "auroc": _AUROC,
    "mean_difference": Scale(low=0, why_low="two sets that do not differ have 0"),
    "margin": Scale(-1, 1),
    "rate": _SHARE,
    "share": _SHARE,
    "precision": Scale(0.5, 1, why_low="a feature that fires on both sets alike has .5"),
    "recall": _SHARE,
    "false_positives": _SHARE,
    "lift": Scale(low=1, why_low="the tokens of the prompts themselves have 1"),
    "median": _FROM_ZERO,
    "mean": _FROM_ZERO,
    "max": _FROM_ZERO,
    "mse": _FROM_ZERO,
    "fvu": Scale(0, 1, why_high="the mean activation alone, without an SAE, has 1"),
    "cosine": _COSINE,
    "residual_cosine": _COSINE,
    "norm_ratio": _FROM_ZERO,
    "l0": _FROM_ZERO,
    "l0_ratio": _FROM_ZERO,
    "live_features": _FROM_ZERO,
    "drop": Scale(),
    **dict.fromkeys(
        ("stable", "rescaled", "shifted", "between", "lost", "new_text", "new_vision", "undecided"), _SHARE
    ),
}
RANKS = ("top", "among")


def scale_of(metric: str, bound: Bound) -> Scale:
    """Return the scale of a kind's metric; a share that the table does not name runs from 0 to 1."""
    if isinstance(bound, RelativeBound) and bound.over is not None:
        return _FROM_ZERO if bound.over.by == "ratio" else Scale()
    return SCALES.get(metric, _SHARE if isinstance(bound, ShareBound) else Scale())


def vacuous_bounds(expectation: Expectation) -> Iterator[tuple[str, str]]:
    """Yield (field, message) of every bound that all values of its metric meet, and of what else excludes nothing."""
    for name in type(expectation).model_fields:
        bound = getattr(expectation, name)
        if isinstance(bound, Bound) and (scale := scale_of(name, bound)).holds_all(bound):
            yield name, f"`{name}` {bound} excludes nothing: {_because(name, bound, scale)}"
    yield from expectation.excludes_nothing()


def vacuous_ranks(expectation: Expectation, d_sae: int) -> Iterator[tuple[str, str]]:
    """Yield (field, message) of every rank that all features of an SAE reach."""
    for name in RANKS:
        rank = getattr(expectation, name, None)
        if isinstance(rank, int) and rank >= d_sae:
            message = f"`{name}: {rank}` excludes nothing: the SAE has {d_sae:,} features. Write a rank that few reach"
            yield name, message


def _because(name: str, bound: Bound, scale: Scale) -> str:
    """Why it excludes nothing, and what to write instead."""
    if bound.between is not None:
        return f"every {name} is inside. Narrow the range"
    if bound.at_least is not None:
        return f"{scale.why_low or f'no {name} is under {_number(scale.low)}'}. Raise it above {_number(scale.low)}"
    return f"{scale.why_high or f'no {name} is over {_number(scale.high)}'}. Lower it below {_number(scale.high)}"


def _number(value: float) -> str:
    return f"{value:g}".replace("0.", ".", 1)
