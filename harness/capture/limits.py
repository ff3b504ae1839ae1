"""What a model can be given: how many tokens, and which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.capture.framing import shown
from harness.codes import Kind
from harness.errors import EnvironmentFault

# What configurations call it; where one has several, the first counts.
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "n_ctx", "seq_length")


@dataclass(frozen=True, slots=True)
class Limits:
    """positions: the most tokens of one text; embeddings: token ids are below it. None: the configuration says nothing.

    A model with rotary positions computes beyond its last trained one without an error, and what comes out means
    nothing. So `positions` bounds every model: that of rope_type dynamic never stretches its frequencies then, which
    would stay stretched for the texts read after. rope_switch: where a model of rope_type longrope goes over from the
    frequencies of short texts to those of long ones, by the length of the batch.
    """

    positions: int | None = None
    embeddings: int | None = None
    rope_switch: int | None = None

    @classmethod
    def of(cls, config: Any) -> Limits:
        """Those of a model's configuration; of its text part, where it reads pictures too."""
        text = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
        given = (_whole(getattr(text, name, None)) for name in _POSITIONS)
        positions, embeddings = next((n for n in given if n), None), _whole(getattr(text, "vocab_size", None))
        return cls(positions, embeddings, _switch(getattr(text, "rope_parameters", None)))

    def most(self, max_tokens: int) -> int:
        """How many tokens of a text are read at most, where its subject reads `max_tokens`."""
        return max_tokens if self.positions is None else min(max_tokens, self.positions)

    def check(self, ids: NDArray[np.int32], kind: NDArray[np.uint8], token: tuple[str, ...], text: str) -> None:
        """Raise EnvironmentFault `prompt_too_long` or `token_without_embedding`. On a GPU the latter would end the
        process: an index out of range there leaves nothing to go on with."""
        if self.positions is not None and len(ids) > self.positions:
            raise EnvironmentFault(
                "prompt_too_long",
                f"the prompt {shown(text)} has {len(ids):,} tokens, its model only {self.positions:,} positions.",
                "Shorten it, or write `truncate: true`.",
            )
        beyond = (ids >= self.embeddings) & (kind != Kind.IMAGE) if self.embeddings is not None else np.zeros(0, bool)
        if beyond.any():
            at = int(np.argmax(beyond))
            raise EnvironmentFault(
                "token_without_embedding",
                f"the prompt {shown(text)} has the token {token[at]!r} (id {ids[at]:,}), and its model embeddings "
                f"of {self.embeddings:,} tokens only.",
                "The tokenizer is not the model's own: restore its files.",
            )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _switch(rope: Any) -> int | None:
    """The length at which longrope changes; the first of several, where kinds of layers have each their own."""
    if not isinstance(rope, dict):
        return None
    parts = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    found = [_whole(one.get("original_max_position_embeddings")) for one in parts if one.get("rope_type") == "longrope"]
    return min((n for n in found if n), default=None)
