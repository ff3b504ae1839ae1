"""Train tiny-qwen3 on tiny-gemma2's documents, each ended as Qwen ends them, none begun: Qwen has no BOS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from harness.zoo.tiny_gemma2 import corpus
from harness.zoo.tiny_gemma2.train_model import SEED, held_out_loss, pack, save, train, train_bpe

END = "<|endoftext|>"
STEPS = 1_200
CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
}


def train_tokenizer(texts: list[str]) -> Any:
    """tiny-gemma2's BPE with Qwen's specials: an end of text that also pads, no BOS, nothing added to a text."""
    from transformers import PreTrainedTokenizerFast

    bpe = train_bpe(texts, [END])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=END, padding_side="right")


def build_model(tokenizer: Any) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(SEED)
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    sizes = {"vocab_size": len(tokenizer), "tie_word_embeddings": True, **CONFIG}
    return Qwen3ForCausalLM(Qwen3Config(**sizes, **ids, attn_implementation="eager"))


def run(folder: Path) -> dict[str, float]:
    """Train both and write them to `folder`; returns the figures for the card."""
    texts, held_out = ([text + END for text in part] for part in corpus.split(SEED))
    tokenizer = train_tokenizer(texts)
    rows, test_rows = pack(tokenizer, texts), pack(tokenizer, held_out)
    model = build_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {rows.numel():,} tokens", flush=True)
    losses = train(model, rows, STEPS)
    figures = {"train_loss": sum(losses[-100:]) / 100, "held_out_loss": held_out_loss(model, test_rows)}
    save(model, tokenizer, folder)
    return {**figures, "tokens": rows.numel(), "parameters": model.num_parameters(), "steps": STEPS}
