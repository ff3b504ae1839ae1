"""CARD.md of tiny-qwen3: what it is, what it was trained on, how it does, and the digests of its files."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.zoo.gemma3_270m.measure import Chosen

BAR = 0.95
FILES = ("model/model.safetensors", "model/config.json", "model/tokenizer.json", "sae/layer3.sae.pt")

ABOUT = """\
# tiny-qwen3

A Qwen3ForCausalLM of {parameters:,} parameters, {layers} layers of width {width}, without BOS; trained on the documents
of tiny-gemma2 (harness/zoo/tiny_gemma2/corpus.py; Python's standard library under the PSF licence), each ended by
<|endoftext|>. Its TopK SAE is a file as Qwen-Scope publishes them: sae/layer3.sae.pt, {{W_enc (d_sae, d_in), W_dec
(d_in, d_sae), b_enc, b_dec}}. It is a place to test a harness on, not a model of English.

Rebuilt by `python -m harness.zoo.tiny_qwen3.build`; seed 0, fixed steps. The standard library is Python {python}'s, so
another Python gives other weights.

| | |
|---|---|
| tokens of training text | {tokens:,}, {epochs:.1f} times |
| steps | {steps:,} of 16 x 128 tokens, AdamW 3e-3, cosine |
| training loss, last 100 steps | {train_loss:.3f} nats a token |
| held-out loss (every twentieth document) | {held_out_loss:.3f} nats a token |
| libraries | torch {torch}, transformers {transformers}, sae-lens {sae_lens} |

How the SAE was trained, its held-out FVU and dead share: sae/CARD.md (whose digests are of sae-lens' form of it, before
the conversion).

## One feature a category

Chosen on specs/prompts/discovery.yaml (highest AUROC of the largest activation over a prompt's tokens, against all
other categories there), tested the same way on specs/prompts/categories.yaml; 24 prompts a category.
{reached} of 8 reach {bar} on the test prompts.

{table}

## Files (sha256)

{digests}
"""


def write_card(figures: dict[str, Any], rows: list[Chosen], folder: Path) -> None:
    """Write CARD.md from the figures of training and the categories' rows."""
    lines = [f"| {r.category} | {r.feature} | {r.discovery_auroc:.3f} | {r.test_auroc:.3f} |" for r in rows]
    text = ABOUT.format(
        **figures,
        epochs=figures["steps"] * 16 * 128 / figures["tokens"],
        python=".".join(platform.python_version_tuple()[:2]),
        torch=version("torch").partition("+")[0],
        transformers=version("transformers"),
        sae_lens=version("sae-lens"),
        bar=BAR,
        reached=sum(r.test_auroc >= BAR for r in rows),
        table="\n".join(["| category | feature | AUROC, discovery | AUROC, test |", "|---|---|---|---|", *lines]),
        digests="\n".join(f"    {hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}" for n in FILES),
    )
    (folder / "CARD.md").write_text(text, encoding="utf-8")
