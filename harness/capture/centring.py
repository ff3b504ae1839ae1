"""The centred stream: SAEs that were trained on a model whose writes to the stream have no mean over d_in.

TransformerLens' `center_writing_weights` subtracts from everything that a block writes its mean over d_in. LayerNorm
subtracts that mean before it reads, so such a model computes the same, and its stream is the usual one less its mean
over d_in, token by token: exactly what is done here. A norm that does not subtract the mean (RMSNorm) reads another
stream, so such models are refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness.capture.layers import decoder_layers, decoder_of
from harness.errors import EnvironmentFault

_MARK = "reads_centred_stream"


def read_centred(sae: Any, is_centred: bool) -> None:
    """Note on a loaded SAE whether it reads the centred stream."""
    setattr(sae, _MARK, is_centred)


def wants_centred(sae: Any) -> bool:
    """Whether this SAE reads the centred stream: as noted when it was loaded, else as sae-lens' metadata says."""
    noted = getattr(sae, _MARK, None)
    if noted is not None:
        return bool(noted)
    metadata = getattr(getattr(sae, "cfg", None), "metadata", None)
    processing = getattr(metadata, "model_from_pretrained_kwargs", None) or {}
    return isinstance(processing, dict) and processing.get("center_writing_weights") is True


def centred(h: torch.Tensor) -> torch.Tensor:
    """Activations less their mean over the last dimension, in the same dtype."""
    return h - h.mean(dim=-1, keepdim=True)


def must_be_centrable(model: nn.Module, name: str) -> None:
    """Raise EnvironmentFault `sae_unsupported` where subtracting the mean is not what centred weights do.

    It is where every layer reads the stream through LayerNorm: all norms are nn.LayerNorm, none of them writes to the
    stream itself, as one behind the embedding or behind a block's sum (OPT-350m) does.
    """
    found = _what_keeps_a_mean(model)
    if found is None:
        return
    raise EnvironmentFault(
        "sae_unsupported",
        f"SAE {name} was trained on a centred stream (center_writing_weights), and {type(model).__name__} {found}.",
        "Name an SAE of the raw stream, or say why it is meant: `read_otherwise: {centring: why}` on the subject.",
    )


def _what_keeps_a_mean(model: nn.Module) -> str | None:
    layers = decoder_layers(model)
    inside = {id(module) for module in layers.modules()}
    norms = [(name, module) for name, module in decoder_of(model).named_modules() if _is_norm(module)]
    other = next((module for _, module in norms if not isinstance(module, nn.LayerNorm)), None)
    if other is not None:
        return f"has {type(other).__name__}, which reads the mean"
    if not any(id(module) in inside for _, module in norms):
        return "has no LayerNorm"
    name, first = norms[0]  # in the order in which the model has them; OPT has its last one first
    if id(first) not in inside and "final" not in name:
        return "writes a LayerNorm's output to the stream, behind its embedding"
    config: Any = model.config
    if getattr(config, "do_layer_norm_before", True) is False:
        return "writes a LayerNorm's output to the stream, behind every sum"
    return None


def _is_norm(module: nn.Module) -> bool:
    """By class name: transformers has some 50 classes of norms, and none of another kind is called so."""
    return isinstance(module, nn.LayerNorm) or "norm" in type(module).__name__.lower()
