"""How an SAE was trained, as it says itself: the hook point, the model, BOS, centring, normalization, shape.

Three sources: cfg.json of a folder, sae-lens' registry for a release, the file's name for a Qwen-Scope folder. All of
them are read without torch and without sae_lens, and give the same on every machine that has the same files and the
same sae-lens. What a source does not say is None, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.digests import QWEN_SCOPE_FILES, SAE_FILES
from harness.inputs import SaeRef
from harness.loaders import published_config
from harness.releases import find_release
from harness.repository import located
from harness.saefields import (
    count,
    excludes,
    flag,
    flat,
    hook_of,
    index,
    is_before_6,
    k_of,
    normalization,
    positions,
    read_once,
    split_hook,
    text,
    unclear_fields,
)

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
    unclear: what it says in two ways, or in a way that has no meaning (saefields.py), each as a piece of a sentence.
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
    unclear: tuple[str, ...] = ()
    is_whole: bool = False

    @property
    def layer(self) -> int | None:
        """The layer of `blocks.L.*`; None for any other place."""
        return split_hook(self.hook_name)[0]

    @property
    def site(self) -> str | None:
        """What follows the layer: hook_resid_post, attn.hook_z, ln2.hook_normalized; None for any other place."""
        return split_hook(self.hook_name)[1]


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
    crosscoder has it) is kept as text, so that it agrees with nothing; numbers and flags of another type are `unclear`.
    """
    said = flat(config)
    defaults: dict[str, Any] = {"prepend_bos": True, "architecture": "standard"} if is_before_6(said) else {}
    processing = said.get("model_from_pretrained_kwargs")
    processing = processing if isinstance(processing, Mapping) else {}
    k, architecture = k_of(said), text(said.get("architecture")) or defaults.get("architecture")
    if is_before_6(said) and said.get("activation_fn") == "topk" and k is not None:
        architecture = "topk"  # sae-lens had no architecture of that name yet
    return Training(
        source=source,
        hook_name=hook_of(said),
        hook_name_out=text(said.get("hook_name_out")),
        model_name=text(said.get("model_name")),
        model_revision=_revision(processing),
        prepend_bos=flag(said.get("prepend_bos", defaults.get("prepend_bos"))),
        context_size=count(said.get("context_size")),
        is_centred=flag(processing.get("center_writing_weights")),
        normalize_activations=normalization(said.get("normalize_activations")),
        hook_head_index=index(said.get("hook_head_index")),
        seqpos_slice=positions(said.get("seqpos_slice")),
        architecture=architecture,
        activation_fn=text(said.get("activation_fn")),
        d_in=count(said.get("d_in")),
        d_sae=count(said.get("d_sae")),
        k=k,
        reshape=text(said.get("reshape_activations")),
        exclude_special_tokens=excludes(said.get("exclude_special_tokens")),
        unclear=tuple(unclear_fields(config)),
        is_whole=True,
    )


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
        unclear=(),  # k and others of a release may stand in its cfg.json alone
    )


def _written(folder: Path) -> Training:
    try:
        config, twice = read_once((folder / SAE_FILES[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Training()  # said where the SAE is loaded: `sae_missing`
    if not isinstance(config, Mapping):
        return Training()
    training = training_of_config(config, SAE_FILES[0])
    return replace(training, unclear=(*training.unclear, *twice))


def _qwen_scope(folder: Path) -> Training:
    """The format says where it reads by its file's name, and that it is TopK; nothing else."""
    files = [path.name for pattern in QWEN_SCOPE_FILES for path in folder.glob(pattern)]
    match = _QWEN_SCOPE_FILE.match(files[0]) if len(files) == 1 else None
    hook = f"blocks.{match[1]}.hook_resid_post" if match else None
    source = f"its file's name {files[0]}" if len(files) == 1 else "its file's name"
    return Training(source, hook_name=hook, architecture="topk", is_whole=len(files) == 1)


def _revision(processing: Mapping[str, Any]) -> str | None:
    """Which checkpoint of the model, where a name alone would be another one."""
    named = [f"{key} {processing[key]}" for key in ("revision", "checkpoint_index", "checkpoint_value")
             if processing.get(key) is not None]  # fmt: skip
    return ", ".join(named) or None
