"""The observation-only utilities for Qwen-Scope features, under the names that their users know.

For people who come from that module: one import gives all of its names, with its arguments, its tensors and its text.
Each is a thin cover over the library (harness/explore.py), which also counts all tokens, ranks by AUROC and remembers
what it read; docs/source-names.md puts both side by side. Nothing here steers, ablates or generates.

Codes are torch tensors, [n_prompts, n_features], float32, on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import explore
from harness.codes import Floats, NoSuchFeature

if TYPE_CHECKING:
    import torch

__all__ = [
    "FeatureRanking",
    "capture_residual",
    "differential_features",
    "encode_prompts",
    "fire_rate",
    "pretty_ranking",
    "scan_prompts_for_feature",
    "top_features_for_prompt",
]


@dataclass(frozen=True, slots=True)
class FeatureRanking:
    """One feature of a ranking. `score` is the difference of means, or the activation on the one prompt."""

    feature_id: int
    score: float
    pos_mean: float | None = None
    neg_mean: float | None = None
    pos_fire_rate: float | None = None
    neg_fire_rate: float | None = None


@contextmanager
def capture_residual(model: Any, layer_idx: int) -> Iterator[dict[str, torch.Tensor]]:
    """Collect what layer `layer_idx` gives during the forward passes of the block, under "h", [batch, tokens, d_in].

    The last pass is kept. The hook only reads, and is removed however the block ends. Raises EnvironmentFault for a
    layer that the model does not have.
    """
    from harness.running.doors import capture_stream

    with capture_stream(model, layer_idx, "h") as bucket:
        yield bucket


def encode_prompts(model: Any, tokenizer: Any, sae: Any, prompts: Sequence[str], layer_idx: int) -> torch.Tensor:
    """Encode the residual stream of each prompt's last token, special tokens included, [n_prompts, n_features].

    `sae`: from sae-lens, or anything with `encode` and `decode` over [n, d_in]. Raises ValueError without prompts,
    EnvironmentFault for a prompt that cannot be read.
    """
    import torch

    given = _given(prompts)
    opened = explore.open_subject(
        model=model, tokenizer=tokenizer, sae=sae, layer=layer_idx, tokens="all", special_tokens="counted"
    )
    return torch.from_numpy(opened.pooled(given, "last").dense().astype(np.float32))


def top_features_for_prompt(
    model: Any, tokenizer: Any, sae: Any, prompt: str, layer_idx: int, top_n: int = 10
) -> list[FeatureRanking]:
    """Rank the features that fire on the last token of one prompt, strongest first, ties by number."""
    codes = encode_prompts(model, tokenizer, sae, [prompt], layer_idx)[0].double().numpy()
    firing = np.flatnonzero(codes)
    order = firing[np.lexsort((firing, -codes[firing]))][: _wanted(top_n)]
    return [FeatureRanking(int(feature), float(codes[feature])) for feature in order]


def differential_features(pos_codes: Any, neg_codes: Any, top_n: int = 20) -> list[FeatureRanking]:
    """Rank features by mean(pos_codes) - mean(neg_codes), largest first, ties by number.

    Codes are [n_prompts, n_features]: tensors of any dtype and device, with or without a gradient, or arrays. Raises
    ValueError where a side has no prompt, is no matrix, or has another width.
    """
    positive, negative = _matrix(pos_codes, "pos_codes"), _matrix(neg_codes, "neg_codes")
    ranked = explore.differential_features(positive, negative, _wanted(top_n), "mean")
    return [
        FeatureRanking(row.feature, row.score, row.pos_mean, row.neg_mean, row.pos_fire_rate, row.neg_fire_rate)
        for row in ranked
    ]


def scan_prompts_for_feature(codes: Any, feature_id: int) -> torch.Tensor:
    """Return one feature's activation on every prompt, [n_prompts]: zero where it does not fire. NoSuchFeature."""
    import torch

    return torch.from_numpy(_column(codes, feature_id).astype(np.float32))


def fire_rate(codes: Any, feature_id: int) -> float:
    """Return the share of prompts on which a feature fires (value != 0). NoSuchFeature."""
    return float(np.mean(_column(codes, feature_id) != 0))


def pretty_ranking(rs: Iterable[FeatureRanking]) -> str:
    """Write one line a feature: its activation, or the difference with both means and both firing rates."""
    return "\n".join(_line(row) for row in rs)


def _line(row: FeatureRanking) -> str:
    head = f" feat {row.feature_id:>6d} "
    if row.pos_mean is None:
        return f"{head}act={row.score:+8.4f}"
    means = f"pos_mean={row.pos_mean:+8.4f} neg_mean={row.neg_mean:+8.4f}"
    return f"{head}diff={row.score:+8.4f} {means} pos_fire={row.pos_fire_rate:.2f} neg_fire={row.neg_fire_rate:.2f}"


def _given(prompts: Sequence[str]) -> list[str]:
    if isinstance(prompts, str):
        raise ValueError("encode_prompts takes a list of prompts, and this is one text: write [prompt]")
    if not len(prompts):
        raise ValueError("encode_prompts needs at least one prompt, and the list is empty")
    return list(prompts)


def _wanted(top_n: int) -> int:
    if top_n < 1:
        raise ValueError(f"top_n is {top_n}; a ranking has at least one feature")
    return top_n


def _column(codes: Any, feature: int) -> Floats:
    matrix = _matrix(codes, "codes")
    if not 0 <= feature < matrix.shape[1]:  # a tensor would count a negative number from the end
        raise NoSuchFeature(feature, matrix.shape[1])
    return np.asarray(matrix[:, feature])


def _matrix(codes: Any, name: str) -> Floats:
    """As float64, [n_prompts, n_features], from a tensor or an array."""
    to_numpy = getattr(codes, "detach", None)
    made = codes.detach().cpu().double().numpy() if callable(to_numpy) else np.asarray(codes, np.float64)
    if made.ndim != 2:
        raise ValueError(f"{name} is [n_prompts, n_features]; this one has the shape {list(made.shape)}")
    if not len(made):
        raise ValueError(f"{name} holds no prompt, so it has no mean: encode at least one")
    return np.asarray(made, np.float64)
