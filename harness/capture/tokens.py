"""Text -> tokens, as the model's own tokenizer means it, with what each token is and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.inputs import Prompt

# Trained with BOS before every document, and far off without it. (Not llama: SmolLM is one, and has no BOS.)
NEED_BOS = ("gemma", "paligemma")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Tokenized:
    """One prompt's tokens, each array [n_tokens]; start and end are character offsets into the text, -1 where none."""

    ids: NDArray[np.int32]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    kind: NDArray[np.uint8]
    token: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Texts:
    """A tokenizer, and the kind of model that it is for: all that telling a readable prompt from others takes."""

    tokenizer: Any
    model_type: str = ""
    _bos: bool | None = None

    @property
    def bos_first(self) -> bool:
        """Whether every text begins with BOS, as the tokenizer means it; asked once."""
        if self._bos is None:
            self._bos = begins_with_bos(self.tokenizer, self.model_type)
        return self._bos

    def tokenize(self, prompt: Prompt, max_tokens: int) -> Tokenized:
        """One prompt's tokens; raises EnvironmentFault where it is empty or too long."""
        return tokenize(self.tokenizer, prompt.text, max_tokens, prompt.truncate, self.bos_first)


def begins_with_bos(tokenizer: Any, model_type: str = "") -> bool:
    """Whether this tokenizer puts BOS first; raises EnvironmentFault `no_bos` where the model needs it and it does not.

    PaliGemmaProcessor, for one, switches it off on its tokenizer without a word.
    """
    bos = tokenizer.bos_token_id
    puts = bos is not None and list(tokenizer("a")["input_ids"])[:1] == [bos]
    wants = bool(getattr(tokenizer, "add_bos_token", False)) or model_type.startswith(NEED_BOS)
    if wants and not puts:
        raise EnvironmentFault(
            "no_bos",
            f"the tokenizer does not put BOS ({tokenizer.bos_token!r}) first, and {model_type or 'it'} needs that.",
            "Restore add_bos_token in tokenizer_config.json.",
        )
    return bool(puts)


def tokenize(tokenizer: Any, text: str, max_tokens: int, truncate: bool, bos_first: bool) -> Tokenized:
    """One prompt's tokens. Raises EnvironmentFault `empty_prompt`, `prompt_too_long`, `no_bos` or `double_bos`."""
    ids, offsets = _encode(tokenizer, text)
    specials = set(tokenizer.all_special_ids)
    if all(i in specials for i in ids):
        raise EnvironmentFault("empty_prompt", f"the prompt {_short(text)} has no tokens of text.", "Write one.")
    if len(ids) > max_tokens and not truncate:
        raise EnvironmentFault(
            "prompt_too_long",
            f"the prompt {_short(text)} has {len(ids):,} tokens, its subject reads at most {max_tokens:,}.",
            "Shorten it, raise max_tokens in specs/subjects.yaml, or write `truncate: true`.",
        )
    if bos_first:
        _check_bos(tokenizer, ids, text)
    return _described(tokenizer, text, ids[:max_tokens], offsets[:max_tokens], specials)


def contexts(tokenizer: Any, pieces: Iterator[str], length: int, limit: int, bos_first: bool) -> Iterator[list[int]]:
    """A corpus's token ids in contexts of `length`, BOS included and first in each; at most `limit` without BOS.

    Pieces are tokenized one by one, so that memory stays flat; what does not fill the last context is dropped.
    """
    bos = [tokenizer.bos_token_id] if bos_first else []
    kept: list[int] = []
    room, given = length - len(bos), 0
    for piece in pieces:
        kept += tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"]
        while len(kept) >= room and given + room <= limit:
            yield bos + kept[:room]
            kept, given = kept[room:], given + room
        if given + room > limit:
            return


def _encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    try:
        encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    except NotImplementedError as error:
        raise EnvironmentFault(
            "slow_tokenizer", f"{type(tokenizer).__name__} gives no character offsets.", "A tokenizer.json is needed."
        ) from error
    return list(encoded["input_ids"]), [tuple(pair) for pair in encoded["offset_mapping"]]


def _check_bos(tokenizer: Any, ids: list[int], text: str) -> None:
    bos = tokenizer.bos_token_id
    if ids[0] != bos:
        raise EnvironmentFault("no_bos", f"the tokens of {_short(text)} do not begin with {tokenizer.bos_token!r}.")
    if ids[1:2] == [bos]:
        raise EnvironmentFault(
            "double_bos",
            f"the text {_short(text)} begins with {tokenizer.bos_token!r}, which the tokenizer adds itself.",
            "Leave it out.",
        )


def _described(
    tokenizer: Any, text: str, ids: list[int], offsets: list[tuple[int, int]], specials: set[int]
) -> Tokenized:
    special = np.array([i in specials for i in ids])
    stands = ~special & np.array([end > start for start, end in offsets])
    spans = np.where(stands[:, None], np.array(offsets), -1).astype(np.int32)
    return Tokenized(
        ids=np.array(ids, np.int32),
        start=spans[:, 0],
        end=spans[:, 1],
        kind=np.where(special, Kind.SPECIAL, Kind.TEXT).astype(np.uint8),
        token=_written(tokenizer, text, ids, spans),
    )


def _written(tokenizer: Any, text: str, ids: list[int], spans: NDArray[np.int32]) -> tuple[str, ...]:
    """Each token as it stands in the text; by its name where it has no text of its own (specials, single bytes)."""
    names = tokenizer.convert_ids_to_tokens(ids)
    pairs = [(int(start), int(end)) for start, end in spans]
    times = Counter(pairs)
    return tuple(
        name if start < 0 or times[start, end] > 1 else text[start:end]
        for name, (start, end) in zip(names, pairs, strict=True)
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
