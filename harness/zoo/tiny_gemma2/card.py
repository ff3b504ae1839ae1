"""CARD.md of tiny-gemma2: what it is, what it was trained on, how it does, and the digests of its files."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.zoo.gemma3_270m.measure import Chosen

BAR = 0.95

ABOUT = """\
# tiny-gemma2

A Gemma2ForCausalLM of {parameters:,} parameters, {layers} layers of width {width}, with its own byte-level BPE; the
tests run on it. It knows a small world of template sentences (lexicon.py, frames.py), the code of Python's standard
library and its docstrings (PSF licence), and nothing else: it is a place to test a harness on, not a model of English.
Its tokenizer carries <image>, the 1,024 <loc> and the 128 <seg> tokens, so that a PaliGemma can grow from it.

No sentence of specs/prompts/ is in the training text; the words of its slots are (a word never seen has no meaning).

Rebuilt by `python -m harness.zoo.tiny_gemma2.build`; seed 0, fixed steps. The standard library is Python {python}'s, so
another Python gives other weights.

| | |
|---|---|
| tokens of training text | {tokens:,}, {epochs:.1f} times |
| steps | {steps:,} of 16 x 128 tokens, AdamW 3e-3, cosine |
| training loss, last 100 steps | {train_loss:.3f} nats a token |
| held-out loss (every twentieth document) | {held_out_loss:.3f} nats a token |
| libraries | torch {torch}, transformers {transformers}, sae-lens {sae_lens} |

The SAE, its held-out FVU, L0 and dead share, and its digests: sae/CARD.md.

## One feature a category

Chosen on specs/prompts/discovery.yaml (highest AUROC of the largest activation over a prompt's tokens, BOS left out,
against all other categories there), tested the same way on specs/prompts/categories.yaml; 24 prompts a category.
{reached} of 8 reach {bar} on the test prompts.

{table}

## Files (sha256)

{digests}
"""


def write_card(figures: dict[str, Any], rows: list[Chosen], model: Path, out: Path) -> None:
    """Write the card to `out` from the figures of training and the categories' rows."""
    lines = [f"| {r.category} | {r.feature} | {r.discovery_auroc:.3f} | {r.test_auroc:.3f} |" for r in rows]
    table = "\n".join(["| category | feature | AUROC, discovery | AUROC, test |", "|---|---|---|---|", *lines])
    names = ("model.safetensors", "config.json", "tokenizer.json")
    digests = "\n".join(f"    {hashlib.sha256((model / n).read_bytes()).hexdigest()}  model/{n}" for n in names)
    text = ABOUT.format(
        **figures,
        epochs=figures["steps"] * 16 * 128 / figures["tokens"],
        python=".".join(platform.python_version_tuple()[:2]),
        torch=version("torch").partition("+")[0],
        transformers=version("transformers"),
        sae_lens=version("sae-lens"),
        bar=BAR,
        reached=sum(r.test_auroc >= BAR for r in rows),
        table=table,
        digests=digests,
    )
    out.write_text(text, encoding="utf-8")
