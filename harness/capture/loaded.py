"""A model in memory that reads any texts at any sites: no names, digests or store. For the engine and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.attention_sinks import NO_SINKS, SinkRule, rule_of
from harness.bos import rule_for
from harness.capture.batching import Shapes, by_length, filled
from harness.capture.centring import must_be_centrable, wants_centred
from harness.capture.encode import Encoder, codes_of, encode, trained_with_bos
from harness.capture.hooks import Seen, run
from harness.capture.layers import decoder_of, find_site
from harness.capture.limits import Limits
from harness.capture.passes import Failed, Passes, too_large
from harness.capture.probing import norms_of, probe
from harness.capture.proving import PROBE_TOKENS, prove
from harness.capture.tokens import Texts, Tokenized
from harness.capture.visual import Visual
from harness.codes import Codes, concat
from harness.inputs import Prompt, Sinks, stream_of

TokenIds = Sequence[int] | NDArray[np.int32]
MOST_TOKENS = 512  # of a text, where no subject says otherwise


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
    """A language model of transformers and its tokenizer. `shapes`: in which shapes it computes here. `visual`: what
    makes pictures readable, where the model reads them."""

    model: nn.Module
    tokenizer: Any
    device: torch.device
    shapes: Shapes = field(default_factory=lambda: Shapes.for_memory(None))
    visual: Visual | None = None
    batches: int = 0
    texts: Texts = field(init=False)
    _rules: dict[tuple[str, int, bool, Sinks], SinkRule] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        config: Any = self.model.config
        self.texts = Texts(self.tokenizer, str(config.model_type), self.visual, Limits.of(config))

    @property
    def d_model(self) -> int:
        """The width of the residual stream (of the text, where the model reads pictures too)."""
        config: Any = self.model.config
        return int(config.get_text_config(decoder=True).hidden_size)

    def codes(
        self, prompts: Sequence[Prompt], sae: Encoder, hook: str, max_tokens: int = MOST_TOKENS, sinks: Sinks = "auto"
    ) -> Codes:
        """The codes of all tokens of these prompts, in order; `sae`: anything that encodes and decodes [n, d_in].

        Texts begin with BOS as the SAE's own metadata says, and where it does not say, as the tokenizer does it. sinks:
        as on a subject. Raises EnvironmentFault.
        """
        if wants_centred(sae):
            must_be_centrable(self.model, "of this reading")
        bos = self.texts.begins(rule_for(trained_with_bos(sae)))
        texts = [self.texts.tokenize(prompt, max_tokens, bos) for prompt in prompts]
        stream, rule = stream_of(hook), self.sink_rule(hook, max_tokens, bos, sinks)
        found: dict[int, Codes] = {}

        def keep(batch: Batch) -> None:
            encoded, first = encode(batch.seen[hook], batch.real, sae), 0
            norm = norms_of(batch, stream)
            for i in batch.indices:
                rows = slice(first, first + len(texts[i]))
                found[i] = codes_of(encoded, first, texts[i], rule.flags(norm[rows], texts[i].kind))
                first = rows.stop

        self.read(texts, sorted({hook, stream}), keep)
        return concat([found[i] for i in range(len(texts))])

    def sink_rule(self, hook: str, max_tokens: int, bos: bool, sinks: Sinks) -> SinkRule:
        """What makes a token a sink at this hook point, measured once. Raises EnvironmentFault `sinks_unclear`."""
        stream, key = stream_of(hook), (hook, max_tokens, bos, sinks)
        if key not in self._rules and sinks != "none":
            self._rules[key] = rule_of(probe(self, [stream], max_tokens, bos)[stream], sinks, hook)
        return self._rules.get(key, NO_SINKS)

    def residuals(self, prompts: Sequence[Prompt], hook: str, max_tokens: int = MOST_TOKENS) -> Residuals:
        """The activations themselves, with the tokens and kinds that they belong to."""
        texts = [self.texts.tokenize(prompt, max_tokens) for prompt in prompts]
        found: dict[int, NDArray[np.float32]] = {}

        def keep(batch: Batch) -> None:
            for row, i in enumerate(batch.indices):
                found[i] = batch.seen[hook][row, : len(texts[i])].float().cpu().numpy()

        self.read(texts, [hook], keep)
        return Residuals(
            values=np.concatenate([found[i] for i in range(len(texts))]),
            prompt=np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts]),
            token=tuple(token for text in texts for token in text.token),
            kind=np.concatenate([text.kind for text in texts]),
        )

    def prove(self, hook: str) -> None:
        """Show that `hook` reads what its name says in this model, once; raises EnvironmentFault `site_unproven`,
        `site_not_found`, `layer_out_of_range` or `layers_not_found`."""
        try:
            prove(self.model, hook)
        except torch.OutOfMemoryError as error:
            raise too_large(PROBE_TOKENS, self.device) from error

    def read(
        self,
        texts: Sequence[Tokenized | TokenIds],
        hooks: Sequence[str],
        handle: Callable[[Batch], None],
        failed: Failed | None = None,
    ) -> None:
        """Run the model over texts (token ids alone are plain causal text), each once, and hand every batch to `handle`
        as it is done. A batch holds texts of one length and one way of reading.

        Out of memory, in the pass or in `handle`, halves the rows and tries that batch again. failed: takes the index
        of each text that the model cannot be run over, with what was raised; without it that is raised here.
        Raises what `prove` does.
        """
        for hook in hooks:
            self.prove(hook)
        passes, limits = Passes(self, texts, hooks, handle, failed), self.texts.limits
        lengths = [len(text) for text in texts]
        for length, indices in by_length(lengths, self.shapes, limits.positions, limits.rope_switch).items():
            for same in _by_way(texts, indices):
                passes.read(same, length)

    def forward(
        self, texts: Sequence[Tokenized | TokenIds], part: Sequence[int], length: int, hooks: Sequence[str]
    ) -> Batch:
        """One pass over the texts of some indices, filled up to the rows of their bucket `length`."""
        rows = [texts[i] for i in filled(part, self.shapes.rows(length))]
        tokens, mask = padded([row.ids if isinstance(row, Tokenized) else row for row in rows], length)
        tokens, mask = self._sent(tokens), self._sent(mask)
        sites = {hook: find_site(self.model, hook) for hook in hooks}
        with torch.inference_mode():
            seen = run(self._pass_of(rows, tokens, mask), sites, stop_early=not _is_offloaded(self.model))
            seen = {name: h.to(self.device) for name, h in seen.items()}
        self.batches += 1
        real = mask.bool()
        real[len(part) :] = False
        return Batch(part, seen, real)

    def _pass_of(
        self, rows: Sequence[Tokenized | TokenIds], tokens: torch.Tensor, mask: torch.Tensor
    ) -> Callable[[], Any]:
        """One forward pass over these rows, without a head."""
        body = decoder_of(self.model) if self.visual is None else self._whole()
        more = {} if self.visual is None else self._way(rows, tokens)
        return lambda: body(input_ids=tokens, attention_mask=mask, use_cache=False, **more)

    def _sent(self, made: torch.Tensor) -> torch.Tensor:
        """On the device; to a GPU from pinned memory, so that the host does not wait for the copy."""
        if self.device.type != "cuda":
            return made.to(self.device)
        return made.pin_memory().to(self.device, non_blocking=True)

    def _whole(self) -> nn.Module:
        """The vision tower and the decoder, without a head."""
        whole: Any = self.model
        body = whole.base_model
        assert isinstance(body, nn.Module)
        return body

    def _way(self, rows: Sequence[Tokenized | TokenIds], tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """What tells PaliGemma how to read: no error says so when it is left out, and activations move by 4 to 8.

        Types of 1 are causal, types of 0 see each other both ways. Causal text stands at positions from 0, as in the
        base model, so that it can be compared with it: PaliGemma's own count from 1, .19 apart in bf16.
        """
        assert self.visual is not None
        first = rows[0]
        causal = not isinstance(first, Tokenized) or first.causal
        way = {"token_type_ids": torch.full_like(tokens, int(causal))}
        pictures = [row.image for row in rows if isinstance(row, Tokenized) and row.image is not None]
        if pictures:
            dtype = next(self.model.parameters()).dtype
            way["pixel_values"] = self.visual.pixels(pictures).to(self.device, dtype)
        elif causal:
            way["position_ids"] = torch.arange(tokens.shape[1], device=self.device)[None]
        return way


def _by_way(texts: Sequence[Tokenized | TokenIds], indices: Sequence[int]) -> list[list[int]]:
    """Indices of texts that can share a forward pass: all causal or all not, all with a picture or all without."""
    ways: dict[tuple[bool, bool], list[int]] = {}
    for i in indices:
        text = texts[i]
        way = (text.causal, text.image is not None) if isinstance(text, Tokenized) else (True, False)
        ways.setdefault(way, []).append(i)
    return [ways[way] for way in sorted(ways)]


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
