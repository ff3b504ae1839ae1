"""Train the tokenizer and the language model: fixed steps and seeds, about 13 minutes on two cores."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from harness.zoo.tiny_gemma2 import corpus, lexicon

SEED, VOCAB, STEPS, ROWS, LENGTH, LEARNING_RATE, WARMUP = 0, 3072, 2600, 16, 128, 3e-3, 100
SPECIALS = ["<pad>", "<eos>", "<bos>", "<unk>", "<image>"]
# What PaliGemmaProcessor would add: they are here from the start, so that a PaliGemma grown from this model
# shares its tokenizer.
LOCATIONS = [f"<loc{i:0>4}>" for i in range(1024)] + [f"<seg{i:0>3}>" for i in range(128)]
CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 64,
    "max_position_embeddings": 1024,
}


def train_bpe(texts: list[str], specials: list[str]) -> Any:
    """A byte-level BPE in which every word of the lexicon is one token after a space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    often = [" " + " ".join(lexicon.words())] * 400
    bpe.train_from_iterator([*texts, *often], trainer)
    return bpe


def train_tokenizer(texts: list[str]) -> Any:
    """The BPE with BOS before every text, as Gemma has it."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    bpe = train_bpe(texts, SPECIALS)
    bos = bpe.token_to_id("<bos>")
    bpe.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", bos)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"}, padding_side="right",
    )  # fmt: skip
    tokenizer.add_tokens(LOCATIONS)
    return tokenizer


def pack(tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """All documents, each with its BOS, end to end in rows of LENGTH tokens."""
    ids = [i for text in texts for i in tokenizer(text)["input_ids"]]
    rows = len(ids) // LENGTH
    return torch.tensor(ids[: rows * LENGTH]).view(rows, LENGTH)


def build_model(tokenizer: Any) -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(SEED)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    sizes = {"vocab_size": len(tokenizer), "tie_word_embeddings": True, **CONFIG}
    return Gemma2ForCausalLM(Gemma2Config(**sizes, **ids, attn_implementation="eager"))


def rate(step: int, steps: int = STEPS) -> float:
    """Linear warm-up, then a cosine to a tenth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    done = (step - WARMUP) / (steps - WARMUP)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def train(model: Any, rows: torch.Tensor, steps: int = STEPS) -> list[float]:
    """Train in place; returns the loss of every step in nats per token."""
    order = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    losses, queue = [], torch.empty(0, dtype=torch.long)
    model.train()
    for step in range(steps):
        if len(queue) < ROWS:
            queue = torch.randperm(len(rows), generator=order)
        batch, queue = rows[queue[:ROWS]], queue[ROWS:]
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if step % 200 == 0:
            print(f"step {step} of {steps}: loss {losses[-1]:.3f}", flush=True)
    return losses


@torch.no_grad()
def held_out_loss(model: Any, rows: torch.Tensor) -> float:
    """Mean nats per token over rows, fp32."""
    model.eval()
    losses = [float(model(input_ids=r, labels=r, use_cache=False).loss) for r in torch.split(rows, ROWS)]
    return sum(losses) / len(losses)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """bf16 safetensors and the tokenizer, without a path of the machine in any of them."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name in ("config.json", "tokenizer_config.json"):
        fields = json.loads((folder / name).read_text())
        fields = {k: v for k, v in fields.items() if k not in ("_name_or_path", "transformers_version", "name_or_path")}
        (folder / name).write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")


def run(folder: Path) -> dict[str, float]:
    """Train both and write them to `folder`; returns the figures for the card."""
    texts, held_out = corpus.split(SEED)
    tokenizer = train_tokenizer(texts)
    rows, test_rows = pack(tokenizer, texts), pack(tokenizer, held_out)
    model = build_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {rows.numel():,} tokens", flush=True)
    losses = train(model, rows)
    figures = {"train_loss": sum(losses[-100:]) / 100, "held_out_loss": held_out_loss(model, test_rows)}
    save(model, tokenizer, folder)
    return {**figures, "tokens": rows.numel(), "parameters": model.num_parameters(), "steps": STEPS}
