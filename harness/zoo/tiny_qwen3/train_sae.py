"""Train tiny-qwen3's TopK SAE with the engine of `interp train-sae`, and write it as Qwen-Scope writes its own."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from harness.capture.training.config import TrainConfig
from harness.zoo.tiny_gemma2 import corpus

LAYER, D_SAE, K, TOKENS, SEED = 3, 1024, 12, 500_000, 0
FILE = f"layer{LAYER}.sae.pt"


def run(model: Path, out: Path) -> None:
    """Train on the residual stream after layer 3; `out` gets layer3.sae.pt, the loss curve and the trainer's card."""
    from harness.capture.training.fidelity import load_sae
    from harness.capture.training.run import train_sae

    training, held_out = corpus.split()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "tiny-world-and-stdlib.jsonl", Path(folder) / "held-out.jsonl"]
        for file, texts in zip(files, (training, held_out), strict=True):
            file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        trained = Path(folder) / "sae"
        config = TrainConfig(
            model=model, layer=LAYER, corpus=(files[0],), held_out=(files[1],), out=trained, d_sae=D_SAE, k=K,
            architecture="topk", tokens=TOKENS, seed=SEED, lr=2e-3, name="tiny-qwen3",
            about="The tiny world of tiny_gemma2 (lexicon.py, frames.py), and Python's standard library (PSF).",
        )  # fmt: skip
        train_sae(config)
        out.mkdir(parents=True, exist_ok=True)
        torch.save(as_qwen_scope(load_sae(trained)), out / FILE)
        for name in ("CARD.md", "loss.csv"):
            shutil.copy(trained / name, out / name)


def as_qwen_scope(sae: Any) -> dict[str, torch.Tensor]:
    """Qwen-Scope's checkpoint: W_enc [d_sae, d_in], W_dec [d_in, d_sae], b_enc [d_sae], b_dec [d_in], all fp32.

    Its encoder reads the input as it is, sae-lens' reads it less b_dec: (x - b_dec) W + b = x W + (b - b_dec W).
    """
    assert sae.cfg.architecture() == "topk"
    W_enc, W_dec, b_enc, b_dec = (getattr(sae, n).detach().float() for n in ("W_enc", "W_dec", "b_enc", "b_dec"))
    if sae.cfg.rescale_acts_by_decoder_norm:  # Qwen-Scope's are not rescaled: fold the norms
        norms = W_dec.norm(dim=1)
        W_enc, b_enc, W_dec = W_enc * norms, b_enc * norms, W_dec / norms[:, None]
    if sae.cfg.apply_b_dec_to_input:
        b_enc = b_enc - b_dec @ W_enc
    return {"W_enc": W_enc.T.clone(), "W_dec": W_dec.T.clone(), "b_enc": b_enc.clone(), "b_dec": b_dec.clone()}
