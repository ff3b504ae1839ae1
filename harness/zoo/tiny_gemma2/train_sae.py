"""Train tiny-gemma2's SAE with the same engine that `interp train-sae` runs: about a minute on two cores."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from harness.capture.training.config import TrainConfig, Trained
from harness.zoo.tiny_gemma2 import corpus

LAYER, D_SAE, K, TOKENS, SEED = 3, 1024, 12, 1_200_000, 0


def run(model: Path, out: Path) -> Trained:
    """Train on the residual stream after layer 3 of the model in `model`, and write the SAE to `out`."""
    from harness.capture.training.run import train_sae

    training, held_out = corpus.split()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "tiny-world-and-stdlib.jsonl", Path(folder) / "held-out.jsonl"]
        for file, texts in zip(files, (training, held_out), strict=True):
            file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        config = TrainConfig(
            model=model,
            layer=LAYER,
            corpus=(files[0],),
            held_out=(files[1],),
            out=out,
            d_sae=D_SAE,
            k=K,
            tokens=TOKENS,
            seed=SEED,
            lr=2e-3,
            name="tiny-gemma2",
            about="The tiny world of lexicon.py and frames.py, and Python's standard library (PSF licence).",
        )
        return train_sae(config)
