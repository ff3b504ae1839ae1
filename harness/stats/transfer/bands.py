"""What a drop in explained variance says of using an SAE on another model than it was trained on."""

from __future__ import annotations

from typing import Literal, get_args

Band = Literal["excellent", "works", "degraded", "does_not_transfer"]
BANDS: tuple[Band, ...] = get_args(Band)
MOST_L0_RATIO = 2.0
MOST_DROP: dict[str, float] = {"excellent": 0.05, "works": 0.2, "degraded": 0.5}
SUGGESTIONS: dict[Band, str] = {
    "excellent": "use it",
    "works": "use it; recalibrate thresholds where the strength of a feature matters",
    "degraded": "recalibrate its biases and thresholds on the new model before using it, and measure again",
    "does_not_transfer": "retrain it on the new model",
}


def band_of(native: float, transferred: float, l0_ratio: float | None) -> Band:
    """The band of an SAE whose explained variance is `native` at home and `transferred` on the other model.

    Drop up to .05 excellent, .2 works, .5 degraded; a greater drop, a negative explained variance or an L0 over twice
    the native one does not transfer. l0_ratio None: not a number that says anything (TopK). Anchors: Mistral-7B base
    to instruct .692 -> .610, Qwen1.5-0.5B .761 -> .593, Gemma-1-2B -> -15.0 with L0 60 -> 219 (ckkissane/sae-transfer).
    """
    if transferred < 0 or (l0_ratio is not None and l0_ratio > MOST_L0_RATIO):
        return "does_not_transfer"
    # Rounded, or .9 - .7 would be above .2.
    drop = round(native - transferred, 12)
    return next((band for band in BANDS[:-1] if drop <= MOST_DROP[band]), "does_not_transfer")
