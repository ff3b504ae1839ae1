"""An SAE in Qwen-Scope's own file format, from disk: what sae-lens' qwen_scope loader does for those on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from harness.capture.checks import temporary_folder
from harness.errors import EnvironmentFault

PARTS = ("W_enc", "W_dec", "b_enc", "b_dec")


def read_qwen_scope(path: Path, k: int, device: str) -> Any:
    """sae-lens' TopKSAE from a checkpoint {W_enc [d_sae, d_in], W_dec [d_in, d_sae], b_enc [d_sae], b_dec [d_in]}.

    k: features a token, which the file does not say. Values are what sae-lens 6.54's own loader makes of the same
    file (TopK, then ReLU; b_dec is not subtracted from the input).

    Raises EnvironmentFault `sae_missing`, `no_temporary_folder`, `sae_unreadable` (a pickle that is not weights, or not
    these).
    """
    with temporary_folder("sae-lens"):
        from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

    parts = _checked(path, _read(path, device))
    d_in, d_sae = parts["W_dec"].shape
    config = TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, dtype="float32", device=device, apply_b_dec_to_input=False)
    sae = TopKSAE(config)
    transposed = {name: (t.T if t.ndim == 2 else t).contiguous() for name, t in parts.items()}
    sae.load_state_dict(transposed)
    return sae


def _read(path: Path, device: str) -> object:
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise EnvironmentFault("sae_missing", f"no {path.name} in {path.parent}.", "Fetch or train the SAE.") from error
    except Exception as error:
        raise _not_weights(path, f"torch reads no weights from it ({type(error).__name__})") from error


def _checked(path: Path, found: object) -> dict[str, torch.Tensor]:
    if not isinstance(found, dict) or not all(isinstance(found.get(name), torch.Tensor) for name in PARTS):
        held = ", ".join(map(str, list(found)[:6])) if isinstance(found, dict) else type(found).__name__
        raise _not_weights(path, f"it holds {held or 'nothing'}, not the tensors {', '.join(PARTS)}")
    parts = {name: found[name].float() for name in PARTS}
    d_in, d_sae = (*parts["W_dec"].shape, 0, 0)[:2]
    fitting = {"W_enc": (d_sae, d_in), "W_dec": (d_in, d_sae), "b_enc": (d_sae,), "b_dec": (d_in,)}
    wrong = [f"{name} {tuple(t.shape)}" for name, t in parts.items() if tuple(t.shape) != fitting[name]]
    if wrong:
        raise _not_weights(path, f"its shapes do not fit W_dec's ({d_in}, {d_sae}): {', '.join(wrong)}")
    return parts


def _not_weights(path: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "sae_unreadable",
        f"{path.name} is not an SAE in Qwen-Scope's format: {why}.",
        "Fetch it again; a checkpoint is a dict of tensors and nothing else is unpickled.",
    )
