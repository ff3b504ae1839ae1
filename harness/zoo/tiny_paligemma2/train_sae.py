"""Train tiny-paligemma2's own SAE on text and on prompts with pictures, with the engine of `interp train-sae`.

The engine reads corpora of text only; here its trainer is fed with activations harvested by read_pictures.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from harness.capture.specials import special_ids
from harness.zoo.tiny_gemma2 import corpus
from harness.zoo.tiny_paligemma2.pictures import TRAINED, drawn

LAYER, D_SAE, K, SEED, ROWS = 3, 1024, 12, 0, 1024
TEXT_TOKENS, PICTURES = 350_000, 10_000
HOOK = f"blocks.{LAYER}.hook_resid_post"


def read_text(model: Any, tokenizer: Any, texts: list[str], limit: int) -> torch.Tensor:
    """Residuals [n_tokens, d_in] of texts read causally, in contexts of 128 tokens, less special tokens."""
    from harness.capture.training.contexts import contexts
    from harness.capture.training.harvest import harvest

    cut = contexts(texts, tokenizer, 128, limit)
    return torch.cat(list(harvest(_causal(model), cut, special_ids(tokenizer), "cpu", "float32")))


def _causal(model: Any) -> Any:
    from harness.capture.hooks import run
    from harness.capture.layers import find_site

    site = find_site(model, HOOK)

    def read(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        given = {"attention_mask": mask, "token_type_ids": torch.ones_like(ids), "use_cache": False}
        return run(lambda: model.base_model(input_ids=ids, **given), {HOOK: site})[HOOK]

    return read


def read_pictures(model: Any, prompts: torch.Tensor, pixels: torch.Tensor) -> Iterator[torch.Tensor]:
    """Residuals [rows, length, d_in] of prompts [n, length] with their pictures, read as a prefix, 250 at a time."""
    from harness.capture.hooks import run
    from harness.capture.layers import find_site

    site = find_site(model, HOOK)
    for ids, pictures in zip(torch.split(prompts, 250), torch.split(pixels, 250), strict=True):
        given = {
            "attention_mask": torch.ones_like(ids),
            "token_type_ids": torch.zeros_like(ids),
            "pixel_values": pictures.to(model.dtype),
            "use_cache": False,
        }
        with torch.no_grad():
            yield run(partial(model.base_model, input_ids=ids, **given), {HOOK: site})[HOOK]


def picture_activations(model: Any, tokenizer: Any, n: int, seed: int) -> torch.Tensor:
    """Residuals of image and text tokens of n new pictures of trained pairs, each prefix a third of them."""
    from harness.zoo.tiny_paligemma2.captions import PREFIXES, image_prompt
    from harness.zoo.tiny_paligemma2.tower import inputs

    _, images = drawn(n, seed, TRAINED)
    bos, parts = tokenizer.bos_token_id, []
    for i, prefix in enumerate(PREFIXES):
        pixels = inputs(images[i :: len(PREFIXES)])
        ids = torch.tensor([image_prompt(tokenizer, prefix)] * len(pixels))
        parts += [batch[:, ids[0] != bos].flatten(0, 1) for batch in read_pictures(model, ids, pixels)]
    return torch.cat(parts)


def run(model_folder: Path, out: Path) -> None:
    """Train on the residual stream after layer 3, and write the SAE to `out`."""
    from transformers import AutoTokenizer, PaliGemmaForConditionalGeneration

    from harness.capture.training import trainer
    from harness.capture.training.config import TrainConfig

    loaded = PaliGemmaForConditionalGeneration.from_pretrained(
        model_folder, dtype="float32", attn_implementation="eager"
    )
    model, tokenizer = loaded.eval(), AutoTokenizer.from_pretrained(model_folder)
    text = read_text(model, tokenizer, corpus.split()[0], TEXT_TOKENS)
    activations = torch.cat([text, picture_activations(model, tokenizer, PICTURES, SEED + 3)])
    order = torch.randperm(len(activations), generator=torch.Generator().manual_seed(SEED))
    batches = torch.split(activations[order[: len(order) // ROWS * ROWS]], ROWS)
    config = TrainConfig(
        model=model_folder, layer=LAYER, corpus=(), out=out, d_sae=D_SAE, k=K, tokens=len(batches) * ROWS,
        batch_tokens=ROWS, seed=SEED, lr=2e-3, name="tiny-paligemma2",
    )  # fmt: skip
    state = trainer.new_state(config, activations.shape[1], prepend_bos=True)
    trainer.start_from(state, activations)
    for number, rows in enumerate(batches):
        trainer.step(state, rows)
        if number % 100 == 0:
            print(f"SAE: step {number} of {len(batches)}: FVU {state.curve[-1]['fvu']:.3f}", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    trainer.write_sae(state, config)
