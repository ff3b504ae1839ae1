"""The fields of an SAE's cfg.json over the versions of sae-lens: their names, their types, and what makes them unclear.

A file that says one thing in two ways, or says it in a way that has no meaning, would be read by whichever of the two
sae-lens happens to take. Each such field is one line of `unclear`, and the SAE is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# cfg.json of sae-lens before 6.0 has every field at the top, some of them under other names; so have transcoders of
# the same time.
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "hook_point_layer": "hook_layer",
    "activation_fn_str": "activation_fn",
    "out_hook_point": "hook_name_out",
    "hook_point_out": "hook_name_out",
}
_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")
# The output of a whole decoder layer, by its name inside transformers' models.
_LAYER = re.compile(r"^(?:model\.|transformer\.|language_model\.|gpt_neox\.|decoder\.)*(?:layers|h)\.(\d+)$")
_OF_K = ("topk", "abstopk")


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under today's names: those of `metadata`, and those at the top where `metadata` does not say."""
    said: dict[str, Any] = {}
    for place in _places(config):
        said |= {key: value for key, value in place.items() if said.get(key) is None}
    return said


def read_once(written: str) -> tuple[Any, list[str]]:
    """(what a JSON text says, a piece of a sentence for each key that an object of it has twice).

    Of two equal keys JSON's readers take the last without a word. Raises ValueError.
    """
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        twice.extend(f"{key} is there {many} times" for key, many in counts.items() if many > 1)
        return dict(pairs)

    return json.loads(written, object_pairs_hook=once), twice


def is_before_6(said: Mapping[str, Any]) -> bool:
    """Whether sae-lens completes this file as one from before version 6; a file that says no version is."""
    match = re.match(r"\d+", str(said.get("sae_lens_version") or "0"))
    return match is None or int(match[0]) < 6


def unclear_fields(config: Mapping[str, Any]) -> Iterator[str]:
    """A piece of a sentence for each field that is said in two ways, or in a way that has no meaning."""
    said = flat(config)
    for name, parse in _PARSED.items():
        given = [place[name] for place in _places(config) if place.get(name) is not None]
        yield from _unclear(name, given, parse)
    for name in ("metadata", "model_from_pretrained_kwargs"):
        if said.get(name) is not None and not isinstance(said[name], Mapping):
            yield f"{name} is {said[name]!r}, no object"
    centred = [kwargs["center_writing_weights"] for kwargs in _processings(config)]
    yield from _unclear("center_writing_weights", centred, flag)
    yield from _unclear_k(config, said)
    yield from _unclear_layer(said)
    reads, writes = count(said.get("d_in")), count(said.get("d_out"))
    if reads != writes and None not in (reads, writes):
        yield f"d_in is {reads} and d_out {writes}"
    if said.get("is_transcoder") is True and said.get("hook_name_out") is None:
        yield "is_transcoder is true, and nothing says where it writes"


def standard_hook(name: str) -> str:
    """The name in TransformerLens' terms: `model.layers.9`, the output of a decoder layer, is its resid_post."""
    match = _LAYER.match(name)
    return f"blocks.{match[1]}.hook_resid_post" if match else name


def split_hook(name: str | None) -> tuple[int | None, str | None]:
    """(layer, site) of `blocks.L.site`; (None, None) for any other place."""
    match = _BLOCK.match(name or "")
    return (int(match[1]), match[2]) if match else (None, None)


def hook_of(said: Mapping[str, Any]) -> str | None:
    """Where the SAE reads. A `{layer}` that nothing fills in is kept, so that it agrees with no place."""
    name, layer = text(said.get("hook_name")), index(said.get("hook_layer"))
    if name is not None and layer is not None:
        name = name.replace("{layer}", str(layer))
    return standard_hook(name) if name is not None else None


def k_of(said: Mapping[str, Any]) -> int | None:
    """Features a token of a TopK SAE, from `k` or, before sae-lens 6, from the activation function's arguments."""
    kwargs = said.get("activation_fn_kwargs")
    return count(said.get("k", kwargs.get("k") if isinstance(kwargs, Mapping) else None))


def normalization(value: object) -> str | None:
    """sae-lens 2 wrote true or false: true is what expected_average_only_in became."""
    if isinstance(value, bool):
        return "expected_average_only_in" if value else "none"
    return text(value)


def positions(value: object) -> tuple[int | None, ...] | str | None:
    """None where no position is left out: sae-lens writes [null] for all of them."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) > 3 or not all(one is None or _is_whole(one) for one in value):
        return str(value)
    places = tuple(value)
    picked = slice(*places) if places else slice(None)
    is_all = picked.start in (None, 0) and picked.stop is None and picked.step in (None, 1)
    return None if is_all else places


def excludes(value: object) -> bool | None:
    """True or a list of token ids: these were left out of the training."""
    if isinstance(value, bool):
        return value
    return bool(value) if isinstance(value, Sequence) and not isinstance(value, str) else None


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        return None
    return int(value) if value == int(value) else None


def index(value: object) -> int | str | None:
    if value is None or isinstance(value, bool):
        return None
    return value if isinstance(value, int) else str(value)


# A value that its function gives None for has no meaning; None itself is no value.
_PARSED: dict[str, Callable[[Any], Any]] = {
    "hook_name": lambda value: standard_hook(str(value)),
    "hook_name_out": lambda value: standard_hook(str(value)),
    "prepend_bos": flag,
    "normalize_activations": lambda value: normalization(value) or "none",
    "hook_head_index": index,
    "seqpos_slice": lambda value: positions(value) or "all",
    "exclude_special_tokens": excludes,
    "architecture": lambda value: text(value) or "none",
    "activation_fn": lambda value: text(value) or "none",
    "reshape_activations": lambda value: text(value) or "none",
    "apply_b_dec_to_input": flag,
    "rescale_acts_by_decoder_norm": flag,
    "d_in": count,
    "d_sae": count,
    "k": count,
}


def _unclear(name: str, given: Sequence[Any], parse: Callable[[Any], Any]) -> Iterator[str]:
    meant = [parse(value) for value in given]
    for value, one in zip(given, meant, strict=True):
        if one is None:
            yield f"{name} is {value!r}, which has no meaning"
    different = [one for one in dict.fromkeys(meant) if one is not None]
    if len(different) > 1:
        yield f"{name} is both {different[0]!r} and {different[1]!r}"


def _unclear_k(config: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    """sae-lens takes 100 for a `k` that is not there."""
    kwargs = [place.get("activation_fn_kwargs") for place in _places(config)]
    of_function = [one["k"] for one in kwargs if isinstance(one, Mapping) and one.get("k") is not None]
    ks = [count(k) for k in (said.get("k"), *of_function) if k is not None]
    if len(set(ks)) > 1:
        yield f"k is both {ks[0]!r} and {next(k for k in ks if k != ks[0])!r}"
    if said.get("architecture") in _OF_K and not ks:
        yield f"it is {said['architecture']} and has no k"
    most = count(said.get("d_sae"))
    if most is not None and any(k is not None and k > most for k in ks):
        yield f"k is {max(k for k in ks if k is not None)} of {most} features"


def _unclear_layer(said: Mapping[str, Any]) -> Iterator[str]:
    """Old files give the layer a second time, beside the hook point's name."""
    of_name, of_field = split_hook(hook_of(said))[0], said.get("hook_layer")
    if of_name is not None and of_field is not None and of_field != of_name:
        yield f"hook_name is {said['hook_name']!r} and hook_layer {of_field!r}"


def _places(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where fields stand, first whose word counts first: `metadata`, the top, then old names in either."""
    metadata = config.get("metadata")
    whole = [metadata, config] if isinstance(metadata, Mapping) else [config]
    new = [{key: value for key, value in one.items() if key not in _RENAMED} for one in whole]
    old = [{_RENAMED[key]: value} for one in whole for key, value in one.items() if key in _RENAMED]
    return new + old


def _processings(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [place.get("model_from_pretrained_kwargs") for place in _places(config)]
    return [one for one in found if isinstance(one, Mapping) and one.get("center_writing_weights") is not None]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
