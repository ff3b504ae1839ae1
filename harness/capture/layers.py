"""Which module holds a layer's residual stream, for any causal language model of transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from harness.errors import EnvironmentFault
from harness.inputs import parse_hook

# What a layer's children are called whose output may be what the MLP adds, the last before the sum first.
# harness/capture/proving.py says whether it is.
_MLP = (
    "post_feedforward_layernorm", "post_mlp_layernorm", "mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "fc2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A module, and whether its input (`before`) or its output is read."""

    module: nn.Module
    before: bool


def decoder_of(model: nn.Module) -> nn.Module:
    """The text decoder: the model less its head and less any vision tower."""
    find: Any = getattr(model, "get_decoder", None)
    decoder = find() if callable(find) else None
    return decoder if isinstance(decoder, nn.Module) else model


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The shallowest ModuleList inside the decoder that is as long as the text configuration says.

    Unique for 243 of transformers 5.23's 253 causal classes; a search of the whole model would meet vision
    towers of equal depth. Raises EnvironmentFault `layers_not_found` with the candidates.
    """
    config: Any = model.config
    count = int(config.get_text_config(decoder=True).num_hidden_layers)
    lists = [(name, m) for name, m in decoder_of(model).named_modules() if isinstance(m, nn.ModuleList)]
    fitting = [(name, m) for name, m in lists if len(m) == count]
    depth = min((name.count(".") for name, _ in fitting), default=0)
    shallowest = [m for name, m in fitting if name.count(".") == depth]
    if len(shallowest) != 1:
        seen = ", ".join(f"{name} ({len(m)})" for name, m in (fitting or lists)) or "none"
        raise EnvironmentFault(
            "layers_not_found",
            f"{type(model).__name__} says that it has {count} layers; lists of modules in its decoder: {seen}.",
            "This architecture is not supported; please report it.",
        )
    return shallowest[0]


def holder_of(model: nn.Module) -> nn.Module:
    """The module whose direct child the list of layers is: its other children run before and after them."""
    layers = decoder_layers(model)
    return next(module for module in decoder_of(model).modules() if any(c is layers for c in module.children()))


def find_site(model: nn.Module, hook: str) -> Site:
    """The module that `blocks.L.hook_*` names, in TransformerLens' terms, proven by a short pass the first time.

    Raises EnvironmentFault `site_unproven` (harness/capture/proving.py), and what named_site does.
    """
    from harness.capture.proving import prove

    site = named_site(model, hook)
    prove(model, hook)
    return site


def named_site(model: nn.Module, hook: str) -> Site:
    """The module that has the right name.

    resid_pre and resid_post are what enters and leaves layer L. mlp_out is what the MLP adds to the residual stream,
    so where a norm stands between them (Gemma 2 and 3, GLM-4), it is that norm's output. Names only suggest the module:
    harness/capture/proving.py shows that it is the right one, or refuses it. Raises EnvironmentFault
    `layers_not_found`, `layer_out_of_range`, `site_not_found`.
    """
    layer, site = parse_hook(hook)
    layers = decoder_layers(model)
    if layer >= len(layers):
        raise EnvironmentFault(
            "layer_out_of_range",
            f"{hook}: {type(model).__name__} has {len(layers)} layers, 0 to {len(layers) - 1}.",
            "Mend `hook` in specs/subjects.yaml.",
        )
    if site == "hook_mlp_out":
        return Site(_mlp_out(layers[layer], hook), before=False)
    return Site(layers[layer], before=site == "hook_resid_pre")


def _mlp_out(layer: nn.Module, hook: str) -> nn.Module:
    after = next((found for name in _MLP if isinstance(found := getattr(layer, name, None), nn.Module)), None)
    if after is None:
        raise EnvironmentFault(
            "site_not_found",
            f"{hook}: {type(layer).__name__} has no module whose output is what its MLP adds to the residual stream.",
            "Read hook_resid_pre or hook_resid_post.",
        )
    return after
