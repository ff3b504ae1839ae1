"""What a training run is asked for, and what it gives; importing this costs no torch."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.errors import EnvironmentFault
from harness.inputs import Bos, Sinks


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run; the same config, corpus and machine give the same weights.

    model: folder of a transformers checkpoint. layer: L of `blocks.L.hook_resid_post`. corpus: text
    files (.jsonl: {"text": ...} a document a line; any other: the file is one document); each file is
    a domain in the card. held_out: files that are measured and never trained on; where none is given,
    one document in 20 of each corpus file. d_sae: features. k: mean number of features a token
    (BatchTopK), or exactly (`architecture` topk, k a whole number). tokens: to train on, each once; special
    tokens are not counted and not trained on.

    buffer_tokens: tokens harvested at once and shuffled, all that is held in memory:
    buffer_tokens * d_in * 4 bytes (168 MB at 65,536 x 640). precision: of the model's forward passes
    and the SAE's matrix products while training (bfloat16 is autocast); what is measured at the end is
    always float32. weights: on disk; vectors stay float32. bos: whether each context begins with BOS; auto is as the
    tokenizer does it. sinks: which tokens are attention sinks, for the card; they are trained on.
    """

    model: Path
    layer: int
    corpus: tuple[Path, ...]
    out: Path
    d_sae: int = 4096
    k: float = 32
    architecture: Literal["batchtopk", "topk"] = "batchtopk"
    tokens: int = 1_000_000
    seed: int = 0
    held_out: tuple[Path, ...] = ()
    held_out_tokens: int = 25_000
    context_length: int = 128
    batch_tokens: int = 1024
    buffer_tokens: int = 65_536
    lr: float = 1e-3
    precision: Literal["bfloat16", "float32"] = "float32"
    weights: Literal["bfloat16", "float32"] = "float32"
    checkpoint_every: int = 100
    device: str = "cpu"
    bos: Bos = "auto"
    sinks: Sinks = "auto"
    name: str = ""
    about: str = ""

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    @property
    def hook(self) -> str:
        return f"blocks.{self.layer}.hook_resid_post"

    def check(self) -> None:
        """Raise EnvironmentFault `training_config` for what cannot be trained, before anything is loaded."""
        for wrong, message in self._rules():
            if wrong:
                raise EnvironmentFault("training_config", message)

    def _rules(self) -> list[tuple[bool, str]]:
        missing = [str(p) for p in (*self.corpus, *self.held_out) if not p.is_file()]
        return [
            (not self.corpus, "no corpus file is named; give at least one with --corpus."),
            (bool(missing), f"no such corpus file: {', '.join(missing)}."),
            (self.layer < 0, f"layer is {self.layer}; layers count from 0."),
            (not 0 < self.k < self.d_sae, f"k is {self.k:g}; it must lie between 0 and d_sae = {self.d_sae}."),
            (
                self.architecture == "topk" and self.k != int(self.k),
                f"k is {self.k:g}; TopK keeps a whole number of features.",
            ),
            (self.context_length < 2, f"context_length is {self.context_length}; it must be at least 2."),
            (
                self.buffer_tokens < self.batch_tokens,
                f"buffer_tokens is {self.buffer_tokens}, less than one batch of {self.batch_tokens}.",
            ),
            (self.steps < 1, f"{self.tokens} tokens are less than one batch of {self.batch_tokens}."),
        ]

    def fingerprint(self) -> str:
        """Digest of all that decides the weights: every field but `out`, `name`, `about` and `checkpoint_every`,
        with the corpus files by content; a stopped run resumes only under the same one."""
        left_out = (
            "sinks",
            "out",
            "name",
            "about",
            "checkpoint_every",
            "model",
            "corpus",
            "held_out",
            "held_out_tokens",
        )
        fields: dict[str, object] = {k: v for k, v in asdict(self).items() if k not in left_out}
        fields["corpus"] = [sha256_of(p) for p in self.corpus]
        fields["held_out"] = bool(self.held_out)
        fields["model"] = [sha256_of(p) for p in sorted(self.model.glob("*.safetensors"))]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How an SAE does on held-out tokens of one domain: fvu, mean l0, share of features that never fire.

    sinks: attention sinks among them, left out of these numbers; fvu_with_sinks: with them.
    """

    domain: str
    tokens: int
    fvu: float
    l0: float
    dead: float
    sinks: int = 0
    fvu_with_sinks: float = math.nan


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run gave: `finished` is False where it was stopped; running it again goes on."""

    out: Path
    finished: bool
    steps: int
    tokens: int
    fidelity: tuple[Fidelity, ...] = ()


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
