"""The tokens that decoder directions promote: one product of weights, no forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from harness.capture.layers import decoder_of
from harness.capture.specials import special_ids
from harness.errors import EnvironmentFault
from harness.promotion import KEPT, SAMPLE, Promotions, sampled_features

_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")
_VOCABULARY_AT_ONCE = 32_768  # tokens; with 512 features the product is 64 MB


def promotions(model: nn.Module, tokenizer: Any, sae: Any, rows: Sequence[str]) -> list[tuple[str, Promotions]]:
    """A row a feature, and one for the sample, as `rows` names them.

    The effect on a token's logit of one unit of a feature's activation, short of the final norm's division:
    (W_dec[f] * gain of the final norm) @ unembedding[token]; a soft cap on the logits keeps their order. Special
    tokens are left out. Raises EnvironmentFault: `decoder_unreadable`, `unknown_feature`.
    """
    decoder = _decoder(sae)
    wanted = {row: sampled_features(len(decoder)) if row == SAMPLE else (int(row),) for row in rows}
    features = sorted({feature for chosen in wanted.values() for feature in chosen})
    if features and features[-1] >= len(decoder):
        text = f"feature {features[-1]} does not exist: the SAE has {len(decoder):,} features."
        raise EnvironmentFault("unknown_feature", text)
    effects, ids = _most_raised(decoder[features], model, special_ids(tokenizer))
    listed = {f: _list(tokenizer, i, e) for f, i, e in zip(features, ids.tolist(), effects.tolist(), strict=True)}
    return [
        (row, Promotions({f: listed[f] for f in chosen}, frozenset(chosen if row == SAMPLE else ()), len(decoder)))
        for row, chosen in wanted.items()
    ]


@torch.inference_mode()
def _most_raised(directions: torch.Tensor, model: nn.Module, left_out: frozenset[int]) -> tuple[torch.Tensor, ...]:
    """(effects, token ids), each [n_features, KEPT], strongest first; directions [n_features, d_in]."""
    head = _unembedding(model)
    read = _through_norm(directions.to(head.device).float(), _final_norm(model))
    banned = torch.tensor(sorted(left_out), device=head.device, dtype=torch.long)
    effects = torch.empty(len(read), 0, device=head.device)
    ids = torch.empty(len(read), 0, device=head.device, dtype=torch.long)
    for first in range(0, len(head), _VOCABULARY_AT_ONCE):
        part = read @ head[first : first + _VOCABULARY_AT_ONCE].float().T
        here = banned[(banned >= first) & (banned < first + part.shape[1])] - first
        part[:, here] = -torch.inf
        new = torch.arange(first, first + part.shape[1], device=head.device).expand_as(part)
        effects, ids = torch.cat([effects, part], 1), torch.cat([ids, new], 1)
        effects, at = effects.sort(dim=1, descending=True, stable=True)
        effects, ids = effects[:, :KEPT], ids.gather(1, at)[:, :KEPT]
    return effects, ids


def _through_norm(directions: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    """What the final norm does to a direction, but for its division, which is one number for all tokens.

    A norm of ones is its gain, however the class writes it (Gemma's is 1 + weight); a LayerNorm also centres.
    """
    if isinstance(norm, nn.LayerNorm):
        return (directions - directions.mean(1, keepdim=True)) * norm.weight.float()
    weight = next(norm.parameters())
    gain: torch.Tensor = norm(torch.ones(1, directions.shape[1], device=weight.device, dtype=weight.dtype))
    return directions * gain.to(directions.device).float()


def _final_norm(model: nn.Module) -> nn.Module:
    decoder = decoder_of(model)
    for name in _NORMS:
        found = getattr(decoder, name, None)
        if isinstance(found, nn.Module):
            return found
    raise _unreadable(f"{type(decoder).__name__} has no final norm under a known name ({', '.join(_NORMS)})")


def _unembedding(model: Any) -> torch.Tensor:
    """[vocabulary, d_in]."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is None:
        text = f"the unembedding of {type(model).__name__} is not in its checkpoint, and is not tied to the embedding."
        raise EnvironmentFault("weights_missing", text, "Fetch a checkpoint with its head, or drop the claim.")
    if head is None or head.weight.is_meta:
        raise _unreadable(f"the unembedding of {type(model).__name__} is not in memory")
    weight: torch.Tensor = head.weight
    return weight


def _decoder(sae: Any) -> torch.Tensor:
    """[d_sae, d_in]."""
    decoder = getattr(sae, "W_dec", None)
    if decoder is None:
        raise _unreadable(f"{type(sae).__name__} has no W_dec")
    weight: torch.Tensor = decoder.detach()
    return weight


def _unreadable(what: str) -> EnvironmentFault:
    return EnvironmentFault("decoder_unreadable", f"what a feature promotes cannot be read: {what}.")


def _list(tokenizer: Any, ids: Sequence[int], effects: Sequence[float]) -> tuple[tuple[str, float], ...]:
    return tuple((tokenizer.decode([i]), effect) for i, effect in zip(ids, effects, strict=True))
