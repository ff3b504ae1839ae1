"""A model in memory that reads any texts at any sites: no names, digests or store. For the engine and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.capture.batching import Shapes, by_length, filled
from harness.capture.encode import Encoder, codes_of, encode
from harness.capture.hooks import Seen, run
from harness.capture.layers import decoder_of, find_site
from harness.capture.tokens import Texts
from harness.codes import Codes, concat
from harness.errors import EnvironmentFault
from harness.inputs import Prompt

TokenIds = Sequence[int] | NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward pass. `indices`: which of the given texts are its first rows (what follows are repeats).

    seen: hook -> [rows, length, d_in]; real: [rows, length] bool, the tokens of those first rows.
    """

    indices: Sequence[int]
    seen: Seen
    real: torch.Tensor


@dataclass(frozen=True, slots=True)
class Residuals:
    """Activations at one site: values [n_tokens, d_in] fp32; per token its prompt (row), its text and its kind."""

    values: NDArray[np.float32]
    prompt: NDArray[np.int32]
    token: tuple[str, ...]
    kind: NDArray[np.uint8]


@dataclass(slots=True)
class LoadedModel:
    """A causal language model of transformers and its tokenizer. `shapes`: in which shapes it computes here."""

    model: nn.Module
    tokenizer: Any
    device: torch.device
    shapes: Shapes = field(default_factory=lambda: Shapes.for_memory(None))
    batches: int = 0
    texts: Texts = field(init=False)

    def __post_init__(self) -> None:
        config: Any = self.model.config
        self.texts = Texts(self.tokenizer, str(config.model_type))

    @property
    def d_model(self) -> int:
        """The width of the residual stream (of the text, where the model reads pictures too)."""
        config: Any = self.model.config
        return int(config.get_text_config(decoder=True).hidden_size)

    def codes(self, prompts: Sequence[Prompt], sae: Encoder, hook: str, max_tokens: int = 512) -> Codes:
        """The codes of all tokens of these prompts, in order; `sae`: anything that encodes and decodes [n, d_in]."""
        texts = [self.texts.tokenize(prompt, max_tokens) for prompt in prompts]
        found: dict[int, Codes] = {}

        def keep(batch: Batch) -> None:
            encoded, first = encode(batch.seen[hook], batch.real, sae), 0
            for i in batch.indices:
                found[i] = codes_of(encoded, first, texts[i])
                first += len(texts[i])

        self.read([text.ids for text in texts], [hook], keep)
        return concat([found[i] for i in range(len(texts))])

    def residuals(self, prompts: Sequence[Prompt], hook: str, max_tokens: int = 512) -> Residuals:
        """The activations themselves, with the tokens and kinds that they belong to."""
        texts = [self.texts.tokenize(prompt, max_tokens) for prompt in prompts]
        found: dict[int, NDArray[np.float32]] = {}

        def keep(batch: Batch) -> None:
            for row, i in enumerate(batch.indices):
                found[i] = batch.seen[hook][row, : len(texts[i])].float().cpu().numpy()

        self.read([text.ids for text in texts], [hook], keep)
        return Residuals(
            values=np.concatenate([found[i] for i in range(len(texts))]),
            prompt=np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts]),
            token=tuple(token for text in texts for token in text.token),
            kind=np.concatenate([text.kind for text in texts]),
        )

    def read(self, ids: Sequence[TokenIds], hooks: Sequence[str], handle: Callable[[Batch], None]) -> None:
        """Run the model over token ids, each text once, and hand every batch to `handle` as it is done.

        Out of memory, in the pass or in `handle`, halves the rows and tries that batch again.
        """
        for length, indices in by_length([len(text) for text in ids], self.shapes).items():
            left = list(indices)
            while left:
                part = left[: self.shapes.rows(length)]
                try:
                    handle(self._forward(ids, part, length, hooks))
                except torch.OutOfMemoryError as error:
                    self._make_room(length, error)
                else:
                    left = left[len(part) :]

    def _forward(self, ids: Sequence[TokenIds], part: Sequence[int], length: int, hooks: Sequence[str]) -> Batch:
        tokens, mask = padded([ids[i] for i in filled(part, self.shapes.rows(length))], length)
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        sites = {hook: find_site(self.model, hook) for hook in hooks}
        decoder = decoder_of(self.model)
        with torch.inference_mode():
            seen = run(
                lambda: decoder(input_ids=tokens, attention_mask=mask, use_cache=False),
                sites,
                stop_early=not _is_offloaded(self.model),
            )
            seen = {name: h.to(self.device) for name, h in seen.items()}
        self.batches += 1
        real = mask.bool()
        real[len(part) :] = False
        return Batch(part, seen, real)

    def _make_room(self, length: int, error: Exception) -> None:
        if self.shapes.rows(length) == 1:
            raise EnvironmentFault(
                "out_of_memory", f"one text of {length:,} tokens does not fit on {self.device}.", "Shorten it."
            ) from error
        self.shapes.halve()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _is_offloaded(model: nn.Module) -> bool:
    """Whether accelerate fetches layers from memory or disk as they run: its hooks must not be left by an exception."""
    places = getattr(model, "hf_device_map", {}).values()
    return any(place in ("cpu", "disk") for place in places)


def padded(texts: Sequence[TokenIds], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, attention mask), each [rows, length] int64, padded on the right: positions then are those of the text."""
    ids = np.zeros((len(texts), length), np.int64)
    mask = np.zeros((len(texts), length), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
