"""Prove that a site is what its name says: one short pass when a model is loaded, then the layer alone in float32.

resid_pre and resid_post are the residual stream: what leaves one layer is, bit for bit, what enters the next. mlp_out
is a part of it: resid_pre + attention + mlp_out = resid_post, token by token, to rounding, relative to the smaller
part. (Where both parts read resid_pre, as in GPT-NeoX, the sum is the same.) A layer that scales, gates or normalizes
the module's output before adding it fails the sum, and the site is refused by name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from harness.capture.hooks import first_tensor, given_to
from harness.capture.layers import decoder_layers, decoder_of, holder_of, named_site
from harness.errors import EnvironmentFault
from harness.inputs import parse_hook

PROBE_TOKENS = 12
# How far the sum may be off beside rounding, relative to the smaller part's norm.
SLACK = 1e-4
# A token says something about the sum where rounding is at most this much of the smaller part; half of them must.
RESOLVED = 0.05


@dataclass(slots=True)
class _Call:
    """One call of one module, with the activations that it was given and gave (None: no tensor)."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    given: torch.Tensor | None
    gave: torch.Tensor | None = None


_PROVEN: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


def prove(model: nn.Module, hook: str) -> None:
    """Raise EnvironmentFault unless `hook` reads what its name says in this model; asked again, it takes no time.

    Raises `site_unproven`, `not_finite`, or what named_site raises.
    """
    if hook in _PROVEN.get(model, ()):
        return
    layer, site = parse_hook(hook)
    named_site(model, hook)
    with torch.inference_mode():
        try:
            shape, forward = _probe(model)
            calls = _around(model, layer, forward)
            _prove_stream(model, hook, shape, calls)
            if site == "hook_mlp_out":
                _prove_sum(model, hook, calls)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            first = (str(error).strip().splitlines() or [""])[0][:200]
            raise _unproven(model, hook, f"the proof failed: {type(error).__name__}: {first}") from error
    _PROVEN.setdefault(model, set()).add(hook)


def _probe(model: nn.Module) -> tuple[tuple[int, int], Callable[[], Any]]:
    """([texts, tokens], a pass of the whole decoder over them). Texts and tokens are two different numbers."""
    device = next((one.device for one in model.parameters() if not one.is_meta), torch.device("cpu"))
    ids = torch.tensor([probe_ids(model)], device=device)
    decoder, mask = decoder_of(model), torch.ones_like(ids)
    return (1, ids.shape[1]), lambda: decoder(input_ids=ids, attention_mask=mask, use_cache=False)


def probe_ids(model: nn.Module) -> list[int]:
    """Token ids spread over the vocabulary, less those that stand for pictures."""
    config: Any = model.config
    size = int(config.get_text_config(decoder=True).vocab_size)
    pictures = {getattr(config, name, None) for name in ("image_token_id", "image_token_index")}
    return [i for i in range(3, size, max(1, size // (PROBE_TOKENS + 3))) if i not in pictures][:PROBE_TOKENS]


def _around(model: nn.Module, layer: int, forward: Callable[[], Any]) -> list[_Call]:
    """The calls of this layer, of its neighbours and of what comes after the last layer, in one whole pass."""
    layers = decoder_layers(model)
    watched = list(layers[max(layer - 1, 0) : layer + 2])
    if layer + 1 == len(layers):
        watched += [child for child in holder_of(model).children() if child is not layers]
    with _recording(list(dict.fromkeys(watched))) as calls:
        forward()
    return calls


@contextmanager
def _recording(modules: list[nn.Module]) -> Iterator[list[_Call]]:
    calls: list[_Call] = []
    open_calls: list[_Call] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = given_to(args, kwargs)
        call = _Call(module, args, kwargs, None if given is None else given.clone())
        calls.append(call)
        open_calls.append(call)

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        gave = first_tensor(output)
        open_calls.pop().gave = None if gave is None else gave.clone()

    handles = [one.register_forward_pre_hook(before, with_kwargs=True) for one in modules]
    handles += [one.register_forward_hook(after) for one in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _prove_stream(model: nn.Module, hook: str, shape: tuple[int, int], calls: list[_Call]) -> None:
    layers, (layer, site) = decoder_layers(model), parse_hook(hook)
    wanted = torch.Size([*shape, _width(model)])
    times = sum(call.module is layers[layer] for call in calls)
    if times != 1:
        raise _unproven(model, hook, f"one pass runs layer {layer} {times} times")
    at = next(i for i, call in enumerate(calls) if call.module is layers[layer])
    here = calls[at]
    for what, value in (("takes", here.given), ("gives", here.gave)):
        if value is None or value.shape != wanted:
            raise _unproven(
                model, hook, f"for {list(shape)} tokens layer {layer} {what} {_shape(value)}, not {list(wanted)}"
            )
    if site != "hook_resid_post" and layer > 0 and not _same(calls[at - 1].gave, here.given):
        raise _unproven(model, hook, f"what enters layer {layer} is not what left layer {layer - 1}")
    after = [call for call in calls[at + 1 :] if call.given is not None]
    if site != "hook_resid_pre" and not (after and _same(after[0].given, here.gave)):
        raise _unproven(model, hook, f"what leaves layer {layer} is not what enters the next module")


def _prove_sum(model: nn.Module, hook: str, calls: list[_Call]) -> None:
    layer = decoder_layers(model)[parse_hook(hook)[0]]
    call = next(call for call in calls if call.module is layer)
    name = next(name for name, module in layer.named_modules() if module is named_site(model, hook).module)
    twin = _in_float32(layer)
    mlp = twin.get_submodule(name)
    parts = [module for path, module in twin.named_children() if path != name and module is not mlp]
    with _recording([mlp, *parts]) as inner, _recording([twin]) as outer:
        twin(*_as_float32(call.args), **_as_float32(call.kwargs))
    _check_sum(model, hook, outer[0], [c for c in inner if c.module is mlp], [c for c in inner if c.module is not mlp])


def _check_sum(model: nn.Module, hook: str, whole: _Call, mlp: list[_Call], others: list[_Call]) -> None:
    assert whole.given is not None
    assert whole.gave is not None
    if not torch.isfinite(whole.gave).all():
        raise EnvironmentFault(
            "not_finite", f"the stream at {hook} is NaN or infinite.", "Read in float32 or bfloat16."
        )
    added = mlp[0].gave if len(mlp) == 1 else None
    if added is None or added.shape != whole.gave.shape:
        raise _unproven(model, hook, f"its module is called {len(mlp)} times and gives {_shape(added)}")
    rest = whole.gave.double() - whole.given.double() - added.double()
    fits = [c.gave for c in others if c.gave is not None and c.gave.shape == rest.shape]
    if not any(_adds_up(whole, rest, added, part) for part in fits):
        why = "resid_pre + attention + mlp_out is not resid_post: the layer changes its MLP's output before adding it"
        raise _unproven(model, hook, why)


def _adds_up(whole: _Call, rest: torch.Tensor, mlp: torch.Tensor, part: torch.Tensor) -> bool:
    """Whether `part` is the rest of the sum at every token, to rounding, and rounding leaves both parts to be seen."""
    assert whole.given is not None
    assert whole.gave is not None
    error, least = _norm(rest - part.double()), torch.minimum(_norm(mlp), _norm(part))
    unit = torch.finfo(whole.gave.dtype).eps / 2
    rounding = 2 * unit * (_norm(whole.given) + _norm(part) + _norm(mlp) + _norm(whole.gave))
    seen = rounding < RESOLVED * least
    return bool((error <= SLACK * least + rounding).all()) and bool(seen.float().mean() >= 0.5)


def _in_float32(layer: nn.Module) -> nn.Module:
    """The layer itself where it is float32 (or lies elsewhere, and only its own hooks can fetch it), else a copy."""
    if all(p.dtype == torch.float32 or p.is_meta for p in layer.parameters()):
        return layer
    return copy.deepcopy(layer).float()


def _as_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(_as_float32(one) for one in value)
    if isinstance(value, dict):
        return {key: _as_float32(one) for key, one in value.items()}
    return value


def _norm(x: torch.Tensor) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.vector_norm(x.double(), dim=-1)
    return norm


def _same(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    """Bit for bit; what overflowed is the same as itself, and is named where it is read."""
    if a is None or b is None or a.shape != b.shape:
        return False
    return torch.equal(a.nan_to_num(), b.to(a.device).nan_to_num())


def _width(model: nn.Module) -> int:
    config: Any = model.config
    return int(config.get_text_config(decoder=True).hidden_size)


def _shape(value: torch.Tensor | None) -> str:
    return "no tensor" if value is None else str(list(value.shape))


def _unproven(model: nn.Module, hook: str, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "site_unproven",
        f"{hook} of {type(model).__name__} is refused: {why}.",
        "Read hook_resid_pre or hook_resid_post, where it is not they that are refused.",
    )
