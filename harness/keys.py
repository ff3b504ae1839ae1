"""Content keys: what evidence depends on, so that a warm run never replays what is no longer true.

A key is the sha256 of canonical JSON of named fields. What is left out of them, and why:

- marks and groups of a prompt: they say which tokens a claim counts and which prompts share a template;
  the activations are the same;
- counting policy (pool, tokens, special tokens), feature, suite, spec: derived from the codes of all
  tokens and all features when judging;
- batch composition and the name of the device: a prompt is computed in one shape (capture/batching.py), and
  evidence read on a GPU must be a hit for a reviewer without one; the device's class is in;
- device_map: which part of a model lies on which device of one class changes no value;
- why something is read otherwise than the SAE was trained (`read_otherwise`): what is read so is in, the reason moves
  no value;
- what `bos: auto` comes to: it follows from what the SAE says of its training, which its digest, or a release's name
  and the version of sae-lens, has. So an imported pack is a hit where the SAE's own files are not;
- what subjects.yaml states of an SAE's shape and form: it is compared with the SAE itself, read or stored;
- a subject's, model's or SAE's name, and where its files lie: the digests say what they are;
- the median norms by which sinks are told, where they are not pinned: they follow from the weights, the hook point,
  the precision and the probe, and all of these are in (the probe by its digest);
- the local part of torch's version (`+cpu`, `+cu128`): the device's class says it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

from harness.attention_sinks import OVER, written_norms
from harness.digests import (
    MODEL_FILES,
    TOKENIZER_FILES,
    files_digest,
    hub_commit,
    model_folder,
    repository_commit,
    sae_files,
)
from harness.errors import EnvironmentFault
from harness.inputs import Corpus, ModelRef, Prompt, SaeRef, Subject
from harness.probe import probe_digest
from harness.releases import find_release
from harness.repository import located

# Raise when capture/ reads another value, or stores another field, from the same inputs.
CAPTURE_VERSION = "3"
# Raise when capture/derived.py makes another SAE of the same weights.
DERIVED_VERSION = "1"
ATTENTION = "eager"
# What the harness does with every SAE. What an SAE says of its training (trained.py) is in the digest of its files, or
# follows from a release's name and the version of sae-lens, so the rule alone stands here.
SAE_HANDLING = "float32, decoder norms not folded, normalization and centring as it says"
# Without torchvision transformers falls back to PIL silently, with other pixels: so it is asked for by name.
IMAGE_BACKEND = "pil"
# In place of a commit that is not known here. The engine keeps no evidence under such a key: main moves.
NO_COMMIT = "no commit found"
BLOCK_TOKENS = 1024  # tokens of a corpus in one block of sums, the jackknife's unit

VERSION_FIELDS = ("torch", "transformers", "tokenizers", "sae_lens", "capture")


def code_parts(subject: Subject) -> dict[str, str]:
    """Everything but the prompt that a subject's codes depend on, by name.

    Digests are the pinned ones (harness/digests.py compares them with the files). Unpinned, a path's are those of
    the files found; a hub model and an SAE release have the commit in the hub's cache, a package its version.
    """
    pictures = {"image_processor": IMAGE_BACKEND} if subject.model.modality == "image_text" else {}
    otherwise = ", ".join(sorted(key for key, _ in subject.read_otherwise))
    return {
        **pictures,
        **({"read_otherwise": otherwise} if otherwise else {}),
        "weights": _weights(subject.model),
        "tokenizer": _tokenizer(subject.model),
        "sae": _sae(subject.sae),
        "sae_handling": SAE_HANDLING,
        "hook": subject.hook,
        "dtype": subject.dtype,
        "device": resolve_device(subject.device),
        "attention": ATTENTION,
        "bos": subject.bos,
        "sinks": _sinks(subject),
        "max_tokens": str(subject.max_tokens),
        "capture": CAPTURE_VERSION,
        "torch": installed_version("torch").partition("+")[0],
        "transformers": installed_version("transformers"),
        "tokenizers": installed_version("tokenizers"),
        "sae_lens": installed_version("sae-lens"),
    }


def lacks_commit(subject: Subject) -> bool:
    """Whether a model or SAE of the hub has neither a digest nor a commit here: no evidence may be kept of it."""
    parts = code_parts(subject)
    return any(parts[name].partition("@")[2].startswith(NO_COMMIT) for name in ("weights", "sae"))


def code_key(subject: Subject) -> str:
    """The key of what one subject reads, 64 hexadecimal digits."""
    return digest_of(code_parts(subject))


@lru_cache(maxsize=1 << 17)
def prompt_key(prompt: Prompt) -> str:
    """The key of one input: its exact text, whether it may be cut at max_tokens, and, where they are not the default
    of plain text, the picture's bytes, the attention and the role in the chat template.

    The template and the configuration of the image processor are files beside the tokenizer's: its digest has them.
    Remembered, since the plan, the store's rows and the run's record all ask.
    """
    parts = {"text": prompt.text, "truncate": str(prompt.truncate)}
    if prompt.image is not None:
        parts["image"] = prompt.image.digest
    if prompt.is_causal == (prompt.image is not None):
        parts["attention"] = str(prompt.attention)
    if prompt.chat is not None:
        parts["chat"] = prompt.chat
    return digest_of(parts)


def corpus_key(corpus: Corpus) -> str:
    """The key of one corpus: its bytes, and how it is cut."""
    return digest_of(
        {
            "digest": corpus.digest,
            "context_length": str(corpus.context_length),
            "token_limit": str(corpus.token_limit),
            "block_tokens": str(BLOCK_TOKENS),
        }
    )


def digest_of(parts: Mapping[str, str]) -> str:
    """sha256 of canonical JSON: sorted keys, no spaces, ASCII (a lone surrogate in a text has a key, too)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def resolve_device(device: str) -> str:
    """`auto` -> cpu or cuda, without torch: INTERP_DEVICE, else whether a device that may be seen is there.

    INTERP_DEVICE=cpu also moves subjects of cuda to the CPU (slow; their evidence is keyed as the CPU's).
    """
    if device == "cpu":
        return device
    named = os.environ.get("INTERP_DEVICE", "").strip().lower()
    if named in ("cpu", "cuda"):
        return named
    if named:
        raise EnvironmentFault("device_unknown", f"INTERP_DEVICE is {named!r}.", "Set it to cpu or cuda.")
    if device != "auto":
        return device
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1", "NoDevFiles")
    return "cuda" if not hidden and _has_nvidia_device() else "cpu"


def _has_nvidia_device() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _weights(model: ModelRef) -> str:
    if model.digest is not None:
        return model.digest
    if model.source == "hub":
        return f"{model.location}@{hub_commit(model) or NO_COMMIT}"
    return _package(model) if model.source == "package" else _found(model, MODEL_FILES)


def _tokenizer(model: ModelRef) -> str:
    if model.tokenizer_digest is not None:
        return model.tokenizer_digest
    return _found(model, TOKENIZER_FILES) if model.source == "path" else f"with {_weights(model)}"


def _sinks(subject: Subject) -> str:
    """The rule, with the medians that are pinned or else the digest of the probe that they come of."""
    if subject.sinks == "none":
        return "none"
    over = f"over {OVER:g}, checked" if subject.sinks == "auto" else f"over {subject.sinks:g}"
    if subject.norms is not None:
        return f"{over}, medians {written_norms(subject.norms)}"
    return f"{over}, medians of probe {probe_digest(subject.model.modality == 'image_text')[:16]}"


def _found(model: ModelRef, patterns: tuple[str, ...]) -> str:
    folder = model_folder(model)
    return (files_digest(folder, patterns) if folder is not None else None) or f"absent: {model.location}"


def _package(model: ModelRef) -> str:
    try:
        return f"{model.location}=={metadata.version(model.location)}"
    except metadata.PackageNotFoundError:
        return f"{model.location}, not installed"


def _sae(sae: SaeRef) -> str:
    derived = f", {sae.derived} {DERIVED_VERSION}" if sae.derived is not None else ""
    return _sae_weights(sae) + (f", k {sae.k}" if sae.k is not None else "") + derived


def _sae_weights(sae: SaeRef) -> str:
    if sae.digest is not None:
        return sae.digest
    if sae.source == "release":
        return f"{sae.location}/{sae.sae_id or ''}@{_release_commit(sae) or NO_COMMIT}"
    return files_digest(located(sae.location, sae.root), sae_files(sae)) or f"absent: {sae.location}"


def _release_commit(sae: SaeRef) -> str | None:
    """The commit of the repository that a release is read from: no loader takes one, all of them read main."""
    release = find_release(sae.location)
    return repository_commit(release.repository if release is not None else sae.location)


@cache
def installed_version(package: str) -> str:
    """The version of an installed package, without importing it; asked once (.5 ms each)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
