"""Rebuild tiny-qwen3 and its SAE: `python -m harness.zoo.tiny_qwen3.build`, 15 minutes of one busy core."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    """Train the model, then the SAE, then measure both and write the card."""
    from harness.zoo.tiny_qwen3 import train_model, train_sae

    figures = train_model.run(HERE / "model")
    print(json.dumps(figures), flush=True)
    shutil.rmtree(HERE / "sae", ignore_errors=True)
    train_sae.run(HERE / "model", HERE / "sae")
    finish(figures)


def finish(figures: dict[str, Any]) -> None:
    """Choose and test a feature a category, and write the card."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.capture.qwen_scope import read_qwen_scope
    from harness.capture.training.harvest import reader
    from harness.zoo.gemma3_270m.measure import chosen_features
    from harness.zoo.tiny_qwen3.card import write_card
    from harness.zoo.tiny_qwen3.train_sae import FILE, LAYER, K

    model = AutoModelForCausalLM.from_pretrained(HERE / "model", dtype="float32", attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(HERE / "model")
    read = reader(model, f"blocks.{LAYER}.hook_resid_post")
    rows = chosen_features(tokenizer, read, read_qwen_scope(HERE / "sae" / FILE, K, "cpu"))
    sizes = {"layers": model.config.num_hidden_layers, "width": model.config.hidden_size}
    write_card({**figures, **sizes}, rows, HERE)
    print(json.dumps([(r.category, r.feature, round(r.discovery_auroc, 3), round(r.test_auroc, 3)) for r in rows]))


if __name__ == "__main__":
    main()
