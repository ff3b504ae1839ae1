"""How an SAE was trained, as it says itself: the hook point, the model, BOS, centring, normalization, shape.

Three sources: cfg.json of a folder, sae-lens' registry for a release, the file's name for a Qwen-Scope folder. All of
them are read without torch and without sae_lens, and give the same on every machine that has the same files and the
same sae-lens. What a source does not say is None, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.digests import QWEN_SCOPE_FILES, SAE_FILES
from harness.inputs import SaeRef
from harness.loaders import published_config
from harness.releases import find_release
from harness.repository import located

# cfg.json of sae-lens before 6.0 has every field at the top, some of them under other names.
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "hook_point_layer": "hook_layer",
    "activation_fn_str": "activation_fn",
}
_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")
# The output of a whole decoder layer, by its name inside transformers' models.
_LAYER = re.compile(r"^(?:model\.|transformer\.|language_model\.|gpt_neox\.|decoder\.)*(?:layers|h)\.(\d+)$")
_QWEN_SCOPE_FILE = re.compile(r"^layer(\d+)\.sae\.pt$")


@dataclass(frozen=True, slots=True)
class Training:
    """What an SAE says about its training. Every field is None where its source does not say.

    source: where this was read, as messages name it. hook_name: in TransformerLens' terms (`blocks.9.hook_resid_post`),
    or as the SAE has it where that names another kind of place. hook_name_out: where a transcoder writes.
    model_name, model_revision: the model that it was trained on. prepend_bos: whether texts began with BOS.
    context_size: tokens of a text in training. is_centred: whether the mean over d_in was subtracted from what the
    model writes to the stream (`center_writing_weights`). normalize_activations: as sae-lens names it.
    norm_scaling_factor: the factor that sae-lens folds into the weights of a release when it loads it.
    hook_head_index: the only attention head that it reads. seqpos_slice: the positions that it was trained on, as
    (start, stop, step) of a slice, unless these are all. architecture, activation_fn, k: its form. reshape: how
    activations are reshaped before it. exclude_special_tokens: whether special tokens were left out of its training.
    is_whole: whether all that it says is known here, so that None means that it does not say.
    """

    source: str = "nothing"
    hook_name: str | None = None
    hook_name_out: str | None = None
    model_name: str | None = None
    model_revision: str | None = None
    prepend_bos: bool | None = None
    context_size: int | None = None
    is_centred: bool | None = None
    normalize_activations: str | None = None
    norm_scaling_factor: float | None = None
    hook_head_index: int | str | None = None
    seqpos_slice: tuple[int | None, ...] | str | None = None
    architecture: str | None = None
    activation_fn: str | None = None
    d_in: int | None = None
    d_sae: int | None = None
    k: int | None = None
    reshape: str | None = None
    exclude_special_tokens: bool | None = None
    is_whole: bool = False

    @property
    def layer(self) -> int | None:
        """The layer of `blocks.L.*`; None for any other place."""
        match = _BLOCK.match(self.hook_name or "")
        return int(match[1]) if match else None

    @property
    def site(self) -> str | None:
        """What follows the layer: hook_resid_post, attn.hook_z, ln2.hook_normalized; None for any other place."""
        match = _BLOCK.match(self.hook_name or "")
        return match[2] if match else None


def training_of(sae: SaeRef) -> Training:
    """What the SAE says about its training, by its source; nothing is loaded and nothing fetched.

    A release in sae-lens' own format says most of this in a cfg.json on the hub: then only what its id and the registry
    say is here, and the rest is known once it is loaded (`training_of_config`).
    """
    if sae.source == "release":
        return _published(sae.location, sae.sae_id or "")
    folder = located(sae.location, sae.root)
    return _qwen_scope(folder) if sae.format == "qwen_scope" else _written(folder)


def training_of_config(config: Mapping[str, Any], source: str) -> Training:
    """What a cfg.json, or the configuration of a loaded SAE, says.

    Before sae-lens 6 texts began with BOS where the file is silent, and `architecture` was standard: that is how
    sae-lens itself completes such a file. A value of another type than sae-lens writes (a list of hook points, as a
    crosscoder has it) is kept as text, so that it agrees with nothing; numbers and flags of another type are not said.
    """
    said = _flat(config)
    defaults: dict[str, Any] = {"prepend_bos": True, "architecture": "standard"} if _is_before_6(said) else {}
    kwargs = said.get("activation_fn_kwargs")
    processing = said.get("model_from_pretrained_kwargs")
    processing = processing if isinstance(processing, Mapping) else {}
    k = said.get("k", kwargs.get("k") if isinstance(kwargs, Mapping) else None)
    architecture = _text(said.get("architecture")) or defaults.get("architecture")
    if _is_before_6(said) and said.get("activation_fn") == "topk" and k is not None:
        architecture = "topk"  # sae-lens had no architecture of that name yet
    return Training(
        source=source,
        hook_name=_hook_name(said),
        hook_name_out=_text(said.get("hook_name_out")),
        model_name=_text(said.get("model_name")),
        model_revision=_revision(processing),
        prepend_bos=_flag(said.get("prepend_bos", defaults.get("prepend_bos"))),
        context_size=_count(said.get("context_size")),
        is_centred=_flag(processing.get("center_writing_weights")),
        normalize_activations=_normalization(said.get("normalize_activations")),
        hook_head_index=_index(said.get("hook_head_index")),
        seqpos_slice=_positions(said.get("seqpos_slice")),
        architecture=architecture,
        activation_fn=_text(said.get("activation_fn")),
        d_in=_count(said.get("d_in")),
        d_sae=_count(said.get("d_sae")),
        k=_count(k),
        reshape=_text(said.get("reshape_activations")),
        exclude_special_tokens=_excludes(said.get("exclude_special_tokens")),
        is_whole=True,
    )


def standard_hook(name: str) -> str:
    """The name in TransformerLens' terms: `model.layers.9`, the output of a decoder layer, is its resid_post."""
    match = _LAYER.match(name)
    return f"blocks.{match[1]}.hook_resid_post" if match else name


def _published(release: str, sae_id: str) -> Training:
    found = find_release(release)
    if found is None or sae_id not in found.paths:
        return Training(f"sae-lens' registry, which does not list {release}")
    config = published_config(found, sae_id)
    training = training_of_config(config, "sae-lens' registry")
    return replace(
        training,
        architecture=training.architecture if "architecture" in config else None,  # no loader's default is meant here
        prepend_bos=None if found.loader == "sae_lens" else training.prepend_bos,  # its cfg.json on the hub says it
        is_whole=found.loader != "sae_lens",
        norm_scaling_factor=found.scaling.get(sae_id),
    )


def _written(folder: Path) -> Training:
    try:
        config = json.loads((folder / SAE_FILES[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Training()  # said where the SAE is loaded: `sae_missing`
    return training_of_config(config, SAE_FILES[0]) if isinstance(config, Mapping) else Training()


def _qwen_scope(folder: Path) -> Training:
    """The format says where it reads by its file's name, and that it is TopK; nothing else."""
    files = [path.name for pattern in QWEN_SCOPE_FILES for path in folder.glob(pattern)]
    match = _QWEN_SCOPE_FILE.match(files[0]) if len(files) == 1 else None
    hook = f"blocks.{match[1]}.hook_resid_post" if match else None
    source = f"its file's name {files[0]}" if len(files) == 1 else "its file's name"
    return Training(source, hook_name=hook, architecture="topk", is_whole=len(files) == 1)


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Top-level fields under today's names, with those of `metadata` over them."""
    top = {_RENAMED.get(key, key): value for key, value in config.items() if key != "metadata"}
    metadata = config.get("metadata")
    return {**top, **metadata} if isinstance(metadata, Mapping) else top


def _is_before_6(said: Mapping[str, Any]) -> bool:
    """Whether sae-lens completes this file as one from before version 6; a file that says no version is."""
    match = re.match(r"\d+", str(said.get("sae_lens_version") or "0"))
    return match is None or int(match[0]) < 6


def _hook_name(said: Mapping[str, Any]) -> str | None:
    name = _text(said.get("hook_name"))
    if name is not None and "{layer}" in name:
        layer = _index(said.get("hook_layer"))
        return None if layer is None else standard_hook(name.replace("{layer}", str(layer)))
    return standard_hook(name) if name is not None else None


def _normalization(value: object) -> str | None:
    """sae-lens 2 wrote true or false: true is what expected_average_only_in became."""
    if isinstance(value, bool):
        return "expected_average_only_in" if value else "none"
    return _text(value)


def _revision(processing: Mapping[str, Any]) -> str | None:
    """Which checkpoint of the model, where a name alone would be another one."""
    named = [f"{key} {processing[key]}" for key in ("revision", "checkpoint_index", "checkpoint_value")
             if processing.get(key) is not None]  # fmt: skip
    return ", ".join(named) or None


def _positions(value: object) -> tuple[int | None, ...] | str | None:
    """None where no position is left out: sae-lens writes [null] for all of them."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) > 3 or not all(one is None or _is_whole(one) for one in value):
        return str(value)
    places = tuple(value)
    picked = slice(*places) if places else slice(None)
    is_all = picked.start in (None, 0) and picked.stop is None and picked.step in (None, 1)
    return None if is_all else places


def _excludes(value: object) -> bool | None:
    """True or a list of token ids: these were left out of the training."""
    if isinstance(value, bool):
        return value
    return bool(value) if isinstance(value, Sequence) and not isinstance(value, str) else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _count(value: object) -> int | None:
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and value == int(value)
    return int(value) if is_count else None  # type: ignore[call-overload]


def _index(value: object) -> int | str | None:
    if value is None or isinstance(value, bool):
        return None
    return value if isinstance(value, int) else str(value)
