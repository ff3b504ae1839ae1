"""How a saved SAE does on held-out tokens, in the precision that its users run: everything float32, sums float64."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.attention_sinks import NO_SINKS, SinkRule
from harness.capture.corpora import added, partial_sums
from harness.capture.encode import encode
from harness.capture.loaded import LoadedModel
from harness.capture.probing import stream_norms
from harness.capture.specials import special_ids
from harness.capture.training.config import Fidelity, TrainConfig
from harness.capture.training.contexts import contexts, has_bos, held_out_documents
from harness.capture.training.harvest import Read, harvest
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.stats.fidelity import blocks_of_sums, fvu, l0, value_of
from harness.sums import Part, Sums


def measure(config: TrainConfig, tokenizer: Any, read: Read, sinks: SinkRule = NO_SINKS) -> tuple[Fidelity, ...]:
    """One Fidelity per held-out domain, over at most config.held_out_tokens tokens each, without BOS and sinks."""
    sae = load_sae(config.out, config.device)
    found = []
    for domain, texts in held_out_documents(config).items():
        if cut := contexts(texts, tokenizer, config.context_length, config.held_out_tokens, config.bos):
            batches = harvest(read, cut, special_ids(tokenizer), config.device, "float32")
            found.append(fidelity(domain, sae, batches, sinks))
    return tuple(found)


def load_sae(folder: Path, device: str = "cpu") -> Any:
    """The saved SAE in float32, whatever is on disk."""
    from sae_lens import SAE

    return SAE.load_from_disk(folder, device=device, dtype="float32").eval()


def sinks_of(config: TrainConfig, model: Any, tokenizer: Any) -> SinkRule:
    """What makes a token an attention sink there; nothing does where norms do not show it."""
    loaded = LoadedModel(model, tokenizer, torch.device(config.device))
    try:
        return loaded.sink_rule(config.hook, config.context_length, has_bos(tokenizer, config.bos), config.sinks)
    except EnvironmentFault as fault:
        if fault.code != "sinks_unclear":
            raise
        return NO_SINKS


def fidelity(domain: str, sae: Any, batches: Iterable[torch.Tensor], sinks: SinkRule = NO_SINKS) -> Fidelity:
    """FVU, L0 (harness/stats/fidelity.py) and the share of features that never fire, over batches [n, d_in]."""
    sums = added([_sums(sae, h, sinks) for h in batches])
    alone = sums.counting()
    blocks, never = blocks_of_sums(alone), float((alone.fired.sum(0) == 0).mean())
    every = value_of(fvu, blocks_of_sums(sums.counting(Part.SINK)))
    return Fidelity(domain, sums.n_tokens, value_of(fvu, blocks), value_of(l0, blocks), never, sums.n_sinks, every)


def _sums(sae: Any, h: torch.Tensor, sinks: SinkRule) -> Sums:
    every = torch.ones(1, len(h), dtype=torch.bool)
    is_sink = sinks.flags(stream_norms(h).cpu().numpy(), np.full(len(h), Kind.TEXT, np.uint8))
    part = np.where(is_sink, Part.SINK, Part.ORDINARY).astype(np.uint8)
    return partial_sums(encode(h[None], every, sae), part)
