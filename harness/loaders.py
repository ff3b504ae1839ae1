"""What sae-lens' loaders of published SAEs derive from a release's name, an SAE's id and its path.

Each function gives the same fields as the loader's own `get_*_config_from_hf` does, as far as they follow from names:
what a loader reads from a file on the hub is left out. A test compares them with those functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from harness.releases import Release

Config = dict[str, Any]

WIDTHS = {
    "4k": 4096, "16k": 16384, "32k": 32768, "65k": 65536, "131k": 131072, "262k": 262144, "524k": 524288, "1m": 1048576,
}  # fmt: skip
GEMMA_2 = {
    "2b-it": 2304, "9b-it": 3584, "27b-it": 4608, "2b": 2304, "9b": 3584, "27b": 4608,
}  # fmt: skip
GEMMA_2_HEADS = {"2b": 2048, "9b": 4096, "27b": 4608}
QWEN_SCOPE = {
    "Qwen3-1.7B-Base": 2048, "Qwen3-8B-Base": 4096, "Qwen3-30B-A3B-Base": 2048, "Qwen3.5-2B-Base": 2048,
    "Qwen3.5-9B-Base": 4096, "Qwen3.5-27B": 5120, "Qwen3.5-35B-A3B-Base": 2048,
}  # fmt: skip
LLAMA_SCOPE_SITES = {"R": "hook_resid_post", "M": "hook_mlp_out", "A": "hook_attn_out"}
GOODFIRE = {
    "Goodfire/Llama-3.3-70B-Instruct-SAE-l50": ("meta-llama/Llama-3.3-70B-Instruct", 50, 8192),
    "Goodfire/Llama-3.1-8B-Instruct-SAE-l19": ("meta-llama/Llama-3.1-8B-Instruct", 19, 4096),
}


def published_config(release: Release, sae_id: str) -> Config:
    """The fields of cfg.json that are known of one SAE of a release, without its files; the release's overrides win.

    A loader that this does not know gives the registry's model name only.
    """
    derive = _LOADERS.get(release.loader)
    derived = derive(release, sae_id, release.paths[sae_id]) if derive is not None else {}
    known = {"model_name": release.model or None, **derived, **release.overrides}
    return {key: value for key, value in known.items() if value is not None}


def _sae_lens(release: Release, sae_id: str, path: str) -> Config:
    """Ids are hook names, some with the width behind (blocks.8.hook_resid_pre_768)."""
    match = re.match(r"^(blocks\.\d+\.[\w.]*?hook_[a-z_]*[a-z])(?:_\d+)?$", sae_id)
    return {"hook_name": match[1] if match else None}


def _hook_z(release: Release, sae_id: str, path: str) -> Config:
    layer, width = _number(r"_L(\d+)_", path), _number(r"_ds(\d+)_", path)
    return {
        "architecture": "standard", "hook_name": _block(layer, "attn.hook_z"), "d_sae": width,
        "model_name": "gpt2-small", "context_size": 128, "prepend_bos": True, "normalize_activations": "none",
        "reshape_activations": "hook_z", "activation_fn": "relu",
    }  # fmt: skip


def _gemma_2(release: Release, sae_id: str, path: str) -> Config:
    size = next((size for size in GEMMA_2 if size in release.repository), None)
    layer, embeds = _number(r"layer_(\d+)", path), "embedding" in path
    site, d_in = "hook_resid_post", GEMMA_2.get(size or "")
    if "res" not in release.repository:
        site = "hook_mlp_out" if "mlp" in release.repository else "attn.hook_z"
    if site == "attn.hook_z":
        d_in = GEMMA_2_HEADS.get(size or "", d_in)
    return {
        "architecture": "jumprelu", "hook_name": "hook_embed" if embeds else _block(layer, site), "d_in": d_in,
        "d_sae": _width(path), "model_name": f"gemma-2-{size}" if size else None, "context_size": 1024,
        "prepend_bos": True, "normalize_activations": "none", "activation_fn": "relu",
    }  # fmt: skip


def _gemma_3(release: Release, sae_id: str, path: str) -> Config:
    """A transcoder's width stands in its path as an SAE's does; a CLT has as many features in every layer."""
    layer = _number(r"layer_(\d+)", path)
    sites = {"resid_post": "hook_resid_post", "attn_out": "attn.hook_z", "mlp_out": "hook_mlp_out"}
    site = next((hook for part, hook in sites.items() if part in path), None)
    crosses = site is None and ("transcoder" in path or "clt" in path)
    model = release.repository.replace("gemma-scope-2", "gemma-3")
    form = "jumprelu_skip_transcoder" if "affine" in path else "jumprelu_transcoder"
    return {
        "architecture": form if crosses else "jumprelu",
        "hook_name": _block(layer, "hook_mlp_in" if crosses else site),
        "hook_name_out": _block(layer, "hook_mlp_out") if crosses else None,
        "d_sae": _width(path) if "clt" not in path else None,
        "model_name": model.replace("-pt", "") if "270m" in model else model,
        "context_size": 1024, "prepend_bos": True, "normalize_activations": "none", "reshape_activations": "none",
    }  # fmt: skip


def _gemma_2_transcoder(release: Release, sae_id: str, path: str) -> Config:
    size, layer = next((size for size in GEMMA_2 if size in release.repository), None), _number(r"layer_(\d+)", path)
    return {
        "architecture": "jumprelu_transcoder", "hook_name": _block(layer, "ln2.hook_normalized"),
        "hook_name_out": _block(layer, "hook_mlp_out"), "d_in": GEMMA_2.get(size or ""), "d_sae": _width(path),
        "model_name": f"gemma-2-{size}" if size else None, "context_size": 1024, "prepend_bos": True,
        "normalize_activations": "none", "activation_fn": "relu",
    }  # fmt: skip


def _llama_scope(release: Release, sae_id: str, path: str) -> Config:
    """`Llama3_1-8B-Base-L0R-8x` or `.../L0R`: layer, then R (residual), M (MLP) or A (attention)."""
    match = re.search(r"(?:^|[-/])L(\d+)([RMA])(?:-|$)", path)
    return {
        "architecture": "jumprelu", "hook_name": _block(int(match[1]), LLAMA_SCOPE_SITES[match[2]]) if match else None,
        "model_name": "meta-llama/Llama-3.1-8B", "context_size": 1024, "prepend_bos": True, "activation_fn": "relu",
        "normalize_activations": "expected_average_only_in",
    }  # fmt: skip


def _dictionary_learning(release: Release, sae_id: str, path: str) -> Config:
    """Form and k stand in a config.json on the hub."""
    layer = _number(r"resid_post_layer_(\d+)", path)
    power = _number(r"width-2pow(\d+)", path)
    return {
        "architecture": None, "hook_name": _block(layer, "hook_resid_post"), "prepend_bos": True,
        "d_sae": None if power is None else 2**power, "normalize_activations": "none",
    }  # fmt: skip


def _deepseek(release: Release, sae_id: str, path: str) -> Config:
    return {
        "architecture": "standard", "hook_name": _block(_number(r"l(\d+)", path), "hook_resid_post"), "d_in": 4096,
        "d_sae": 65536, "model_name": "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "context_size": 1024,
        "prepend_bos": True, "normalize_activations": "none", "activation_fn": "relu",
    }  # fmt: skip


def _qwen_scope(release: Release, sae_id: str, path: str) -> Config:
    match = re.search(r"SAE-Res-(.+)-W(\d+)K-L0_(\d+)", release.repository)
    model = match[1] if match else ""
    return {
        "architecture": "topk", "hook_name": _block(_number(r"layer(\d+)\.sae\.pt", path), "hook_resid_post"),
        "d_in": QWEN_SCOPE.get(model), "d_sae": int(match[2]) * 1024 if match else None, "context_size": 1024,
        "k": int(match[3]) if match else None, "model_name": f"Qwen/{model}" if match else None, "prepend_bos": True,
        "normalize_activations": "none", "activation_fn": "topk",
    }  # fmt: skip


def _goodfire(release: Release, sae_id: str, path: str) -> Config:
    model, layer, d_in = GOODFIRE.get(release.repository, (None, None, None))
    return {
        "architecture": "standard", "hook_name": _block(layer, "hook_resid_post"), "d_in": d_in, "d_sae": 65536,
        "model_name": model,
    }  # fmt: skip


def _mwhanna(release: Release, sae_id: str, path: str) -> Config:
    layer = _number(r"layer_(\d+)", path)
    return {
        "architecture": "transcoder", "hook_name": _block(layer, "mlp.hook_in"),
        "hook_name_out": _block(layer, "hook_mlp_out"), "normalize_activations": "none", "activation_fn": "relu",
    }  # fmt: skip


def _clt_layer(release: Release, sae_id: str, path: str) -> Config:
    """Where one layer of a cross-layer transcoder reads stands in a config.yaml on the hub."""
    return {"architecture": "transcoder", "normalize_activations": "none", "activation_fn": "relu"}


def _temporal(release: Release, sae_id: str, path: str) -> Config:
    return {"architecture": "temporal", "hook_name": _block(_number(r"layer_(\d+)", path), "hook_resid_post")}


def _block(layer: int | None, site: str | None) -> str | None:
    return None if layer is None or site is None else f"blocks.{layer}.{site}"


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text)
    return int(match[1]) if match else None


def _width(path: str) -> int | None:
    match = re.search(r"width_(\d+[km])", path)
    return WIDTHS.get(match[1]) if match else None


_LOADERS: dict[str, Callable[[Release, str, str], Config]] = {
    "sae_lens": _sae_lens,
    "connor_rob_hook_z": _hook_z,
    "gemma_2": _gemma_2,
    "gemma_3": _gemma_3,
    "gemma_2_transcoder": _gemma_2_transcoder,
    "llama_scope": _llama_scope,
    "llama_scope_r1_distill": _llama_scope,
    "dictionary_learning_1": _dictionary_learning,
    "deepseek_r1": _deepseek,
    "qwen_scope": _qwen_scope,
    "goodfire": _goodfire,
    "mwhanna_transcoder": _mwhanna,
    "mntss_clt_layer_transcoder": _clt_layer,
    "temporal": _temporal,
}
