"""Loading a language model, or one that reads pictures too: the pinned weights, all of them, finite, in eager
attention, or a clear fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.capture.batching import Shapes
from harness.capture.checks import must_be_finite, quoted, refuse_unsafe_loading
from harness.capture.layers import decoder_of
from harness.capture.limits import Limits
from harness.capture.loaded import LoadedModel
from harness.capture.network import be_impatient
from harness.capture.tokenizer_file import refuse_other_tokens
from harness.capture.tokens import Texts
from harness.capture.visual import load_visual
from harness.checkpoints import refuse_damage, refuse_kind, refuse_pointers
from harness.digests import MODEL_FILES, TOKENIZER_FILES, hub_revision, model_folder, verify_model
from harness.errors import EnvironmentFault, contained
from harness.inputs import ModelRef, Subject
from harness.keys import ATTENTION, resolve_device
from harness.repository import located

Progress = Callable[[str], None]
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

# Plain stacks, where layer L is the same module in a shorter model: gemma-2-2b to layer 10 takes 2.89 GB instead of
# 5.23. Others (layers that share keys and values, encoders) are loaded whole and stopped early.
PLAIN_STACKS = frozenset({"gemma", "gemma2", "gemma3_text", "llama", "mistral", "qwen2", "qwen3"})


def load_texts(subject: Subject, progress: Progress = lambda line: None) -> Texts:
    """The tokenizer of `subject`'s model alone: a prompt that cannot be read is known before weights are loaded.

    Raises EnvironmentFault: `tokenizer_unreadable`, `tokenizer_mismatch`, and what load_model raises about files.
    """
    from transformers import AutoConfig, AutoTokenizer

    folder = _folder(subject.model, progress)
    with _quiet(), _explained(subject.model):
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    with _quiet(), _tokenizer_explained(subject.model):
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **_LOCAL)
        refuse_other_tokens(subject.model.name, folder, tokenizer)
        visual = load_visual(folder, config, tokenizer, _LOCAL) if _sees(subject) else None
    return Texts(tokenizer, str(config.model_type), visual, Limits.of(config))


def _sees(subject: Subject) -> bool:
    return subject.model.modality == "image_text"


def load_model(
    subject: Subject, layers: int, texts: Texts | None = None, progress: Progress = lambda line: None
) -> LoadedModel:
    """The model of `subject` with at least its first `layers` layers, and its tokenizer, checked.

    Raises EnvironmentFault: `unsafe_loading`, `device_missing`, `weights_missing`, `weights_unreadable`,
    `weights_unused`, `lfs_pointer`, `adapter_beside_weights`, `quantized_weights`, `digest_mismatch`, `not_finite`,
    `out_of_memory`, or what harness/capture/converted.py raises.
    """
    refuse_unsafe_loading()
    # No TF32: it keeps 10 bits of float32's 23, and a feature near its threshold would fire or not as a setting has it.
    torch.set_float32_matmul_precision("highest")
    device = usable_device(subject)
    folder = _folder(subject.model, progress)
    with _quiet(), _explained(subject.model):
        model = _load(folder, subject, layers)
        model = model if subject.device_map else model.to(device)
    must_be_finite(model, f"model {subject.model.name}")
    texts = texts or load_texts(subject, progress)
    return LoadedModel(model, texts.tokenizer, device, Shapes.for_memory(_gpu_gib(device)), texts.visual)


def usable_device(subject: Subject) -> torch.device:
    """The subject's device, `auto` resolved; raises EnvironmentFault `device_missing`."""
    name = resolve_device(subject.device)
    if name == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault(
            "device_missing",
            f"{subject.name} is read on cuda, and torch {torch.__version__} finds no such device here.",
            "Run it where one is, or import the evidence.",
        )
    return torch.device(name)


def _folder(ref: ModelRef, progress: Progress) -> Path:
    """Where the files lie, fetched or converted if need be, with the pins held against them."""
    if ref.source == "package":
        from harness.capture.converted import converted_checkpoint

        folder: Path | None = converted_checkpoint(ref.location, progress)
    else:
        folder = model_folder(ref)
    if ref.source == "hub" and not _has_weights(folder):
        folder = _fetched(ref, progress)
    if folder is not None:
        refuse_pointers(f"model {ref.name}", folder, (*MODEL_FILES, *TOKENIZER_FILES))
        refuse_kind(ref.name, folder)
    if folder is None or not _has_weights(folder):
        raise _missing(ref, f"no *.safetensors in {located(ref.location, ref.root)}")
    refuse_damage(ref.name, folder)
    verify_model(ref, folder)
    return folder


def _has_weights(folder: Path | None) -> bool:
    return folder is not None and any(folder.glob("*.safetensors"))


def _fetched(ref: ModelRef, progress: Progress) -> Path:
    """Only what is digested, so that nothing else is ever read; no *.bin, no code."""
    from huggingface_hub import snapshot_download

    progress(f"fetching {ref.location}")
    be_impatient()
    with _explained(ref):
        wanted = [*MODEL_FILES, *TOKENIZER_FILES]
        return Path(snapshot_download(ref.location, revision=hub_revision(ref), allow_patterns=wanted))


def _load(folder: Path, subject: Subject, layers: int) -> nn.Module:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, **_LOCAL)
    _shorten(config.get_text_config(decoder=True) if _sees(subject) else config, layers)
    model, info = _auto_class(config).from_pretrained(
        folder,
        config=config,
        dtype=getattr(torch, subject.dtype),
        attn_implementation=ATTENTION,
        use_safetensors=True,
        output_loading_info=True,
        **_placement(subject),
        **_LOCAL,
    )
    absent = sorted(set(info["missing_keys"]) - _without_head(model, info["missing_keys"]))
    if absent:  # transformers would go on with random numbers in their place
        raise _missing(subject.model, f"{len(absent)} tensors are not in the checkpoint, the first {absent[0]}")
    _refuse_unused(subject.model, model, info["unexpected_keys"])
    loaded: nn.Module = model.eval().requires_grad_(False)
    return loaded


def _refuse_unused(ref: ModelRef, model: Any, unused: Iterable[str]) -> None:
    """Raise EnvironmentFault `weights_unused` where the checkpoint has a tensor for a module that is read, and the
    module has no use for it: a bias that config.json leaves out, say. transformers drops it without a word.

    Whole modules may be left over: layers beyond those that are read, a vision tower.
    """
    modules = dict(model.named_modules())
    wholes = {id(model), id(model.base_model), id(decoder_of(model))}
    for name in sorted(unused):
        for full in (name, f"{model.base_model_prefix}.{name}"):
            owner = next((modules[one] for one in _above(full) if one in modules), model)
            if id(owner) not in wholes and not isinstance(owner, nn.ModuleList | nn.ModuleDict):
                text = f"the checkpoint of model {ref.name} has {name}, for which its config.json has no use."
                fix = "Restore the config.json that belongs to these weights."
                raise EnvironmentFault("weights_unused", text, fix)


def _above(name: str) -> Iterator[str]:
    """The modules that a tensor may stand in, nearest first."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _without_head(model: Any, missing: Iterable[str]) -> set[str]:
    """The names of `missing` that are the unembedding's own; it then has no weights, where random numbers stood.

    The residual stream can be read without it. A head that is tied to the embedding is never missing.
    """
    head = model.get_output_embeddings()
    own = {name for name, module in model.named_modules() if module is head}
    names = {f"{name}.{part}" for name in own for part in ("weight", "bias")} & set(missing)
    for name in names:
        setattr(head, name.rpartition(".")[2], None)
    return names


def _auto_class(config: Any) -> Any:
    """transformers' class of this kind of model: PaliGemma is no causal language model, only image-text-to-text."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return AutoModelForCausalLM if causal else AutoModelForImageTextToText


def _placement(subject: Subject) -> dict[str, Any]:
    if subject.device_map is None:
        return {}
    if find_spec("accelerate") is None:
        raise EnvironmentFault(
            "accelerate_missing", f"{subject.name} has `device_map`.", "Run `pip install 'interp-specs[big]'`."
        )
    return {"device_map": subject.device_map}


def _shorten(config: Any, layers: int) -> None:
    if config.model_type in PLAIN_STACKS and layers < config.num_hidden_layers:
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]


def _gpu_gib(device: torch.device) -> float | None:
    return torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else None


def _missing(ref: ModelRef, detail: str) -> EnvironmentFault:
    mend = {
        "path": "Build or fetch them, or mend the path in specs/subjects.yaml.",
        "hub": f"Log in and run `hf download {ref.location}`, or allow network access.",
        "package": f"Reinstall {ref.location}.",
    }[ref.source]
    return EnvironmentFault("weights_missing", f"the weights of model {ref.name} are not here: {detail}.", mend)


@contextmanager
def _explained(ref: ModelRef) -> Iterator[None]:
    """What third-party loaders raise, as one message: they raise anything from OSError to bare KeyError."""
    try:
        with contained():
            yield
    except EnvironmentFault:
        raise
    except torch.OutOfMemoryError as error:
        raise EnvironmentFault("out_of_memory", f"model {ref.name} does not fit on the device.") from error
    except OSError as error:
        raise _missing(ref, quoted(error)) from error
    except Exception as error:
        text = f"the weights of model {ref.name} cannot be loaded: {type(error).__name__}: {quoted(error)}."
        raise EnvironmentFault("weights_unreadable", text, "Fetch them again.") from error


@contextmanager
def _tokenizer_explained(ref: ModelRef) -> Iterator[None]:
    """The same of a tokenizer, whose files are others."""
    try:
        with contained():
            yield
    except EnvironmentFault:
        raise
    except Exception as error:
        text = f"the tokenizer of model {ref.name} cannot be loaded: {type(error).__name__}: {quoted(error)}."
        raise EnvironmentFault(
            "tokenizer_unreadable", text, "Fetch tokenizer.json and what is beside it again."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without bars, and without the report of layers left out on purpose."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
