"""What becomes of every feature between two models: classes, conditions and examples, for tables and figures.

Conditions: base_text and adapted_text are the same prompts in both models; adapted_pictures is all tokens of pictures
with their captions, as the source notebook pools them; adapted_image_tokens the image tokens alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from harness.codes import Codes, Kind, Specials
from harness.errors import one_of
from harness.heatmaps import table
from harness.spelling import spelled_alone
from harness.stats.fidelity import blocks_of_codes, fvu, mse, value_of
from harness.stats.transfer.aligned import ALIGNED_CLASSES, AlignedRule, AlignedTransfer, aligned
from harness.stats.transfer.conditions import Condition, Strength, condition, strength_of_all
from harness.stats.transfer.deciding import Deciding, deciding
from harness.stats.transfer.ratio import RATIO_CLASSES, RatioRule, RatioTransfer, ratio_of_means
from harness.stats.transfer.reach import reachable_classes
from harness.stats.units import Grouping

# Where a category's examples are strongest, as the notebook chooses them; the base's text for all others.
_CHOSEN_ON = {"new_vision": "adapted_pictures", "new_text": "adapted_text"}
_LEFT_OUT = ("dead", "indeterminate", "unclassified")
NOTHING = 1e-6  # what the notebook adds to a mean before it divides by it


class OtherWidth(ValueError):
    """Codes of two SAEs, whose features are not the same ones."""


@dataclass(frozen=True, slots=True)
class ConditionSummary:
    """mean_activation: over all features and counted tokens, silence as 0. mse, fvu: what the SAE misses of these
    tokens, per dimension and as a share of their variance."""

    prompts: int
    tokens: int
    live_features: int
    mean_activation: float
    mse: float
    fvu: float


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """A category that some feature is in: the mean over its features of their mean activation on the text of each
    model, and the ratio of these two, adapted over base."""

    category: str
    features: int
    base_text_mean: float
    adapted_text_mean: float
    transfer_ratio: float


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature in numbers; None where no pictures were read.

    transfer_ratio: mean on adapted text over the base's. boost_over_text, boost_over_base: mean on pictures over that
    on the adapted model's text, and over the base's: the notebook calls both vision boost.
    """

    feature: int
    category: str
    base_text_mean: float
    base_text_max: float
    adapted_text_mean: float
    adapted_text_max: float
    adapted_pictures_mean: float | None
    adapted_pictures_max: float | None
    adapted_image_tokens_mean: float | None
    adapted_image_tokens_max: float | None
    transfer_ratio: float
    boost_over_text: float | None
    boost_over_base: float | None


@dataclass(frozen=True, slots=True)
class FeatureAnalysis:
    """A feature with its strongest text tokens in both models: (token, activation). Special
    tokens, sinks and blanks are left out."""

    row: FeatureRow
    base_top_tokens: tuple[tuple[str, float], ...]
    adapted_top_tokens: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Census:
    """Every feature's category. codes: those of each condition, for figures; strength: per feature, [d_sae].

    rule: that of the aligned classes. reachable: the classes that this many prompts and pictures can show at all.
    undecided: what the undecided features look like, and the prompts and pictures that would decide them (aligned).
    """

    method: Literal["aligned", "ratio_of_means"]
    categories: Mapping[str, tuple[int, ...]]
    conditions: Mapping[str, ConditionSummary]
    strength: Mapping[str, Strength]
    sides: Mapping[str, Condition]
    found: AlignedTransfer | RatioTransfer
    rule: AlignedRule
    reachable: frozenset[str]
    undecided: Mapping[str, Deciding]

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(features) for name, features in self.categories.items()}

    def __repr__(self) -> str:
        counted = ", ".join(f"{n:,} {name}" for name, n in self.counts.items() if n)
        return f"Census ({self.method}) of {sum(self.counts.values()):,} features: {counted}"

    def _repr_html_(self) -> str:
        features = [f"{n:,}" for n in self.counts.values()]
        read = {"condition": list(self.conditions)} | {
            field.name: [f"{getattr(one, field.name):,.4g}" for one in self.conditions.values()]
            for field in fields(ConditionSummary)
        }
        return table({"category": list(self.counts), "features": features}, self.method) + table(read, "what was read")

    def row(self, feature: int) -> FeatureRow:
        """One feature's numbers in all conditions."""
        name = next(name for name, features in self.categories.items() if feature in features)
        base, text = (self.strength[side] for side in ("base_text", "adapted_text"))
        g, t = float(base.mean[feature]), float(text.mean[feature])
        m, m_max = self._on_pictures("adapted_pictures", feature)
        image, image_max = self._on_pictures("adapted_image_tokens", feature)
        return FeatureRow(
            feature=feature,
            category=name,
            base_text_mean=g,
            base_text_max=float(base.max[feature]),
            adapted_text_mean=t,
            adapted_text_max=float(text.max[feature]),
            adapted_pictures_mean=m,
            adapted_pictures_max=m_max,
            adapted_image_tokens_mean=image,
            adapted_image_tokens_max=image_max,
            transfer_ratio=t / (g + NOTHING),
            boost_over_text=None if m is None else m / (t + NOTHING),
            boost_over_base=None if m is None else m / (g + NOTHING),
        )

    def _on_pictures(self, side: str, feature: int) -> tuple[float | None, float | None]:
        seen = self.strength.get(side)
        return (None, None) if seen is None else (float(seen.mean[feature]), float(seen.max[feature]))

    def category_rows(self) -> list[CategoryRow]:
        """One row for each category that has features, in the method's order."""
        means = [self.strength[side].mean for side in ("base_text", "adapted_text")]
        rows = []
        for name, features in self.categories.items():
            if features:
                base, adapted = (float(mean[list(features)].mean()) for mean in means)
                rows.append(CategoryRow(name, len(features), base, adapted, adapted / (base + NOTHING)))
        return rows

    def rows(self, limit: int = 50) -> list[FeatureRow]:
        """At most `limit` features of each category, lowest numbers first; the undecided and the dead left out."""
        named = [features for name, features in self.categories.items() if name not in _LEFT_OUT]
        return [self.row(feature) for features in named for feature in features[:limit]]

    def strongest(self, category: str, n: int = 4) -> tuple[int, ...]:
        """The category's n features of the highest mean, where it is at home; ties by number."""
        features = np.array(self.categories[category], np.int64)
        if not len(features):
            return ()
        mean = self.strength[_CHOSEN_ON.get(category, "base_text")].mean[features]
        return tuple(int(f) for f in features[np.argsort(-mean, kind="stable")][:n])

    def analyses(self, n: int = 4, tokens: int = 5) -> list[FeatureAnalysis]:
        """The n strongest features of each category, with their strongest tokens in both models."""
        chosen = [f for name in self.categories if name not in _LEFT_OUT for f in self.strongest(name, n)]
        return [self.analysis(feature, tokens) for feature in chosen]

    def analysis(self, feature: int, tokens: int = 5) -> FeatureAnalysis:
        base, adapted = (
            strongest_tokens(self.sides[side].codes, feature, tokens) for side in ("base_text", "adapted_text")
        )
        return FeatureAnalysis(self.row(feature), base, adapted)


def census_of(
    base: Codes,
    adapted: Codes,
    images: Codes | None = None,
    method: Literal["aligned", "ratio_of_means"] = "aligned",
    special_tokens: Specials = "ignored",
    rule: AlignedRule | RatioRule | None = None,
    grouping: Grouping | None = None,
) -> Census:
    """Classify every feature from the codes of the same prompts in both models, and of pictures in the adapted one.

    grouping: which prompts are one unit; each its own unless given. Raises Misaligned (aligned) where the two models
    read other tokens, OtherWidth where their SAEs differ, ValueError where the rule is not the method's.
    """
    one_of("method", method, ("aligned", "ratio_of_means"))
    if base.d_sae != adapted.d_sae:
        raise OtherWidth(f"the two models are read through {base.d_sae} and {adapted.d_sae} features: not the same SAE")
    text = {
        "base_text": condition(base, base.counted("text", special_tokens), grouping),
        "adapted_text": condition(adapted, adapted.counted("text", special_tokens), grouping),
    }
    seen = {} if images is None else {
        "adapted_pictures": condition(images, images.counted("all", special_tokens)),
        "adapted_image_tokens": condition(images, images.counted("image")),
    }  # fmt: skip
    sides = {**text, **seen}
    found = _classified(sides, method, rule)
    names = ALIGNED_CLASSES if isinstance(found, AlignedTransfer) else RATIO_CLASSES
    strength = {name: strength_of_all(side) for name, side in sides.items()}
    return Census(
        method=method,
        categories={n: tuple(np.flatnonzero(found.classes == i).tolist()) for i, n in enumerate(names)},
        conditions={name: _summary(side, strength[name]) for name, side in sides.items()},
        strength=strength,
        sides=sides,
        found=found,
        rule=_aligned_rule(rule),
        reachable=_reachable(sides, rule) if isinstance(found, AlignedTransfer) else frozenset(RATIO_CLASSES[:4]),
        undecided=deciding(found, _aligned_rule(rule)) if isinstance(found, AlignedTransfer) else {},
    )


def _classified(
    sides: Mapping[str, Condition], method: str, rule: AlignedRule | RatioRule | None
) -> AlignedTransfer | RatioTransfer:
    base, adapted = sides["base_text"], sides["adapted_text"]
    if method == "aligned" and not isinstance(rule, RatioRule):
        return aligned(base, adapted, sides.get("adapted_image_tokens"), rule)
    if method == "ratio_of_means" and not isinstance(rule, AlignedRule):
        return ratio_of_means(base, adapted, sides.get("adapted_pictures"), rule)
    raise ValueError(f"{method!r} takes no {type(rule).__name__}; methods are aligned and ratio_of_means")


def _reachable(sides: Mapping[str, Condition], rule: AlignedRule | RatioRule | None) -> frozenset[str]:
    pictures = sides["adapted_image_tokens"].n_units if "adapted_image_tokens" in sides else 0
    return reachable_classes(sides["base_text"].n_units, pictures, _aligned_rule(rule))


def _aligned_rule(rule: AlignedRule | RatioRule | None) -> AlignedRule:
    return rule if isinstance(rule, AlignedRule) else AlignedRule()


def _summary(side: Condition, strength: Strength) -> ConditionSummary:
    blocks = blocks_of_codes(side.codes, side.counted, side.unit)
    live, mean = int((strength.firing > 0).sum()), float(strength.mean.mean())
    prompts = len(np.unique(side.codes.prompt[side.counted]))
    return ConditionSummary(prompts, side.n_tokens, live, mean, value_of(mse, blocks), value_of(fvu, blocks))


def strongest_tokens(codes: Codes, feature: int, n: int = 5) -> tuple[tuple[str, float], ...]:
    """The n text tokens on which a feature is strongest, where it fires at all; one text may stand there twice."""
    value = codes.token_column(feature)
    shown = (codes.kind == Kind.TEXT) & ~codes.sink & (value > 0)
    order = [int(t) for t in np.argsort(-value, kind="stable") if shown[t] and codes.token[t].strip()]
    return tuple((spelled_alone(codes, t), float(value[t])) for t in order[:n])
