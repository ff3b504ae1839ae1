"""The source notebook's classification of features by the ratio of their mean activations.

Kept for parity. It is blind to where a feature fires: two features on different tokens at equal rates have a ratio
of .95 and a Pearson of -.01 (simulated); and one BOS token in one model only turns a ratio of 1 into .04.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats, Mask
from harness.stats.firing import token_of_entry
from harness.stats.transfer.conditions import Condition

Classes = NDArray[np.int8]
RATIO_CLASSES = ("stable", "shifted", "new_vision", "new_text", "unclassified", "dead")


@dataclass(frozen=True, slots=True)
class RatioRule:
    """The notebook's five thresholds; each is exceeded, never merely reached.

    activation: a token's value above this is active. active_share: a feature is active in a condition where more than
    this share of its tokens is. factor: a new feature's mean is more than this many times that of the base.
    stability, shift: smaller mean over larger mean, above which a feature is stable, or else shifted.
    """

    stability: float = 0.7
    shift: float = 0.3
    activation: float = 0.1
    active_share: float = 0.01
    factor: float = 3.0


@dataclass(frozen=True, slots=True)
class RatioTransfer:
    """Per feature, [d_sae]: its class (index into RATIO_CLASSES), its means, and the ratio of base and adapted."""

    classes: Classes
    base_mean: Floats
    adapted_mean: Floats
    images_mean: Floats
    ratio: Floats


def ratio_of_means(
    base: Condition, adapted: Condition, images: Condition | None = None, rule: RatioRule | None = None
) -> RatioTransfer:
    """Class of every feature. `images`: the adapted model on pictures, of which the notebook pools all tokens.

    In order: dead; new_vision (active on images, not in the base, mean > factor x base's); new_text (the same on
    text); stable; shifted. The rest is unclassified: active, and under the lower ratio or in one condition only.
    """
    rule = rule or RatioRule()
    d_sae = base.codes.d_sae
    nothing = np.zeros(d_sae, bool), np.zeros(d_sae)
    (in_base, g), (in_text, t) = (_active(one, rule) for one in (base, adapted))
    in_images, m = _active(images, rule) if images is not None else nothing
    larger = np.maximum(g, t)
    ratio = np.divide(np.minimum(g, t), larger, out=np.zeros(d_sae), where=larger > 0)
    both = in_base & in_text
    chosen: list[Mask] = [
        ~(in_base | in_text | in_images),
        in_images & ~in_base & (m > g * rule.factor),
        in_text & ~in_base & (t > g * rule.factor),
        both & (ratio > rule.stability),
        both & (ratio > rule.shift),
    ]
    numbers = [RATIO_CLASSES.index(name) for name in ("dead", "new_vision", "new_text", "stable", "shifted")]
    classes = np.select(chosen, numbers, RATIO_CLASSES.index("unclassified")).astype(np.int8)
    return RatioTransfer(classes, g, t, m, ratio)


def _active(one: Condition, rule: RatioRule) -> tuple[Mask, Floats]:
    """(active, mean activation) of every feature over the counted tokens.

    Compared and divided in single precision, as the notebook's tensors are: at 7 against 10 tokens the ratio is .7,
    and only the rounding of both means says on which side. Sums are fp64.
    """
    use = one.counted[token_of_entry(one.codes)]
    index, value = one.codes.index[use], one.codes.value[use]
    d_sae, n = one.codes.d_sae, np.float32(one.n_tokens)
    above = np.bincount(index[value > np.float32(rule.activation)], minlength=d_sae).astype(np.float32)
    total = np.bincount(index, weights=value.astype(np.float64), minlength=d_sae).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        share, mean = (above / n).astype(np.float64), (total / n).astype(np.float64)
    return share > rule.active_share, mean
