"""Teach tiny-gemma2 to caption pictures: every other batch is its own text, so that it does not forget."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.zoo.tiny_gemma2 import corpus
from harness.zoo.tiny_gemma2.train_model import pack
from harness.zoo.tiny_paligemma2 import tower as towers
from harness.zoo.tiny_paligemma2.captions import IGNORED, Captioned, batch, never_after, right, rows_for
from harness.zoo.tiny_paligemma2.pictures import HELD_OUT, TRAINED, drawn

SEED, STEPS, PICTURE_ROWS, TEXT_ROWS, WARMUP, PICTURES = 0, 2400, 64, 16, 100, 30_000
RATES = {"language_model": 1.2e-3, "multi_modal_projector": 2e-3}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
PROCESSOR = {
    "image_processor": {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessorPil",
        "image_seq_length": 16,
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": 56, "width": 56},
    },
    "processor_class": "PaliGemmaProcessor",
}


def grown(base: Any, tower: Any, image_token: int) -> Any:
    """A PaliGemma with the base's text weights, this tower and a new projector."""
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    torch.manual_seed(SEED)
    text = base.config
    config = PaliGemmaConfig(
        text_config=text.to_dict(),
        vision_config=tower.config.to_dict(),
        image_token_index=image_token,
        projection_dim=text.hidden_size,
        hidden_size=text.hidden_size,
        **{f"{name}_token_id": getattr(text, f"{name}_token_id") for name in ("bos", "eos", "pad")},
    )
    config._attn_implementation = "eager"
    model = PaliGemmaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(base.model.state_dict())
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.tie_weights()
    scale = float(base.get_input_embeddings().weight.detach().std()) * math.sqrt(text.hidden_size)
    # The tower ends in a layer norm, so image rows begin as large as the rows of words are.
    nn.init.normal_(model.model.multi_modal_projector.linear.weight, std=scale / math.sqrt(tower.config.hidden_size))
    return model


class Looked:
    """What the frozen tower makes of each picture, computed once: [n, 16, width]."""

    def __init__(self, model: Any, images: NDArray[np.uint8]) -> None:
        self.model = model
        with torch.no_grad():
            parts = [model.model.vision_tower(towers.inputs(p)).last_hidden_state for p in _parts(images)]
        self.patches = torch.cat(parts)

    def rows(self, at: torch.Tensor) -> dict[str, Any]:
        """The model's inputs for these pictures, in place of pixel_values."""
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        projected = self.model.model.multi_modal_projector(self.patches[at])
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=projected)}}


def _parts(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(images), 500):
        yield images[start : start + 500]


def train(model: Any, tokenizer: Any, looked: Looked, rows: Sequence[Captioned], text: torch.Tensor) -> None:
    """Train language model and projector in place: a batch of pictures, then one of text."""
    groups: list[dict[str, Any]] = [
        {"params": list(getattr(model.model, name).parameters()), "lr": rate} for name, rate in RATES.items()
    ]
    parameters = [p for group in groups for p in group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: towers.rate(step, STEPS, WARMUP))
    order = torch.Generator().manual_seed(SEED)
    banned = never_after(tokenizer)
    model.train()
    for step in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16):
            if step % 2:
                loss = text_loss(model, text[torch.randint(len(text), (TEXT_ROWS,), generator=order)])
            else:
                at = torch.randint(len(rows), (PICTURE_ROWS,), generator=order)
                loss = caption_loss(model, tokenizer, looked, at, [rows[i] for i in at.tolist()], banned)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 200 < 2:
            print(f"captions: step {step} of {STEPS}: loss {float(loss.detach()):.3f}", flush=True)


def text_loss(model: Any, rows: torch.Tensor) -> torch.Tensor:
    """Mean nats a token of text read causally: token_type_ids of ones."""
    ones = torch.ones_like(rows)
    given = {"attention_mask": ones, "token_type_ids": ones, "use_cache": False}
    loss: torch.Tensor = model(input_ids=rows, labels=rows, **given).loss
    return loss


def caption_loss(
    model: Any, tokenizer: Any, looked: Looked, at: torch.Tensor, rows: Sequence[Captioned], banned: dict[Any, int]
) -> torch.Tensor:
    """Mean nats a token of the captions, without what `banned` leaves out of a softmax (tower.never_with)."""
    inputs = batch(rows, tokenizer.pad_token_id)
    labels = inputs.pop("labels")
    never = torch.full_like(labels, IGNORED)
    for i, row in enumerate(rows):
        for name, value in (("shape", row.scene.color), ("color", row.scene.shape)):
            token = banned.get((name, value))
            if token is not None and name in row.places and token != row.ids[place := row.places[name][0]]:
                never[i, place] = token
    written = labels[:, 1:] != IGNORED
    logits = model(**inputs, **looked.rows(at), use_cache=False).logits[:, :-1][written].float()
    left_out = never[:, 1:][written]
    (where,) = torch.nonzero(left_out != IGNORED, as_tuple=True)
    fair = logits.index_put((where, left_out[where]), torch.tensor(-math.inf))
    return nn.functional.cross_entropy(fair, labels[:, 1:][written])


@torch.no_grad()
def held_out_loss(model: Any, rows: torch.Tensor) -> float:
    """Mean nats a token of held-out text, fp32, as tiny-gemma2's card measures it."""
    losses = [float(text_loss(model, r)) for r in torch.split(rows, TEXT_ROWS)]
    return sum(losses) / len(losses)


@torch.no_grad()
def accuracy(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], seed: int, n: int = 500) -> dict[str, float]:
    """captions.right on n new pictures of these pairs, through the whole model."""
    scenes, images = drawn(n, seed, tuple(pairs))
    rows = rows_for(tokenizer, scenes, seed)
    inputs = batch(rows, tokenizer.pad_token_id)
    inputs.pop("labels")
    logits = model(**inputs, pixel_values=towers.inputs(images).to(model.dtype), use_cache=False).logits
    return right(rows, logits.argmax(-1))


def save(model: Any, base: Path, folder: Path) -> None:
    """bf16 safetensors, the base's tokenizer as it is, and a processor that names its backend.

    The tokenizer is not saved through the processor: that would write it without its BOS.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(base / name, folder / name)
    (folder / "processor_config.json").write_text(json.dumps(PROCESSOR, indent=2, sort_keys=True) + "\n")
    fields = json.loads((folder / "config.json").read_text())
    for part in (fields, fields["text_config"], fields["vision_config"]):
        for name in ("_name_or_path", "transformers_version"):
            part.pop(name, None)
    (folder / "config.json").write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")


def run(base: Path, folder: Path) -> dict[str, Any]:
    """Pretrain the tower, train on captions, and write the model to `folder`; returns the figures for the card."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    language = AutoModelForCausalLM.from_pretrained(base, dtype="float32", attn_implementation="eager")
    tower, tower_figures = towers.run()
    model = grown(language, tower, tokenizer.convert_tokens_to_ids("<image>"))
    training, held_out = (pack(tokenizer, texts) for texts in corpus.split())
    scenes, images = drawn(PICTURES, SEED + 2, TRAINED, towers.UNNAMED_SHARE)
    before = held_out_loss(model.eval(), held_out)
    train(model, tokenizer, Looked(model, images), rows_for(tokenizer, scenes, SEED + 2), training)
    save(model, base, folder)
    # Measured as it ships: rounded to bf16, read in fp32.
    model = model.float().eval()
    figures = {
        name: accuracy(model, tokenizer, p, s)
        for name, p, s in (("seen", TRAINED, 201), ("unseen", sorted(HELD_OUT), 202))
    }
    losses = {"base_loss": before, "text_loss": held_out_loss(model, held_out)}
    return {
        "tower": tower_figures,
        **figures,
        **losses,
        "parameters": model.num_parameters(),
        "text_rows": len(training),
    }
