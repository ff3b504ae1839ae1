"""How a saved SAE does on held-out tokens, in the precision that its users run: everything float32, sums float64."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.capture.corpora import added, partial_sums
from harness.capture.encode import encode
from harness.capture.specials import special_ids
from harness.capture.training.config import Fidelity, TrainConfig
from harness.capture.training.contexts import contexts, held_out_documents
from harness.capture.training.harvest import Read, harvest
from harness.stats.fidelity import blocks_of_sums, fvu, l0, value_of
from harness.sums import Sums


def measure(config: TrainConfig, tokenizer: Any, read: Read) -> tuple[Fidelity, ...]:
    """One Fidelity per held-out domain, over at most config.held_out_tokens tokens each, BOS left out."""
    sae = load_sae(config.out, config.device)
    found = []
    for domain, texts in held_out_documents(config).items():
        if cut := contexts(texts, tokenizer, config.context_length, config.held_out_tokens):
            batches = harvest(read, cut, special_ids(tokenizer), config.device, "float32")
            found.append(fidelity(domain, sae, batches))
    return tuple(found)


def load_sae(folder: Path, device: str = "cpu") -> Any:
    """The saved SAE in float32, whatever is on disk."""
    from sae_lens import SAE

    return SAE.load_from_disk(folder, device=device, dtype="float32").eval()


def fidelity(domain: str, sae: Any, batches: Iterable[torch.Tensor]) -> Fidelity:
    """FVU, L0 (harness/stats/fidelity.py) and the share of features that never fire, over batches [n, d_in]."""
    sums = added([_sums(sae, h) for h in batches])
    blocks = blocks_of_sums(sums)
    never = float((sums.fired.sum(0) == 0).mean())
    return Fidelity(domain, sums.n_tokens, value_of(fvu, blocks), value_of(l0, blocks), never)


def _sums(sae: Any, h: torch.Tensor) -> Sums:
    every = torch.ones(1, len(h), dtype=torch.bool)
    return partial_sums(encode(h[None], every, sae), np.ones(len(h), dtype=np.bool_))
