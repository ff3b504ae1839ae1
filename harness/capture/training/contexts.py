"""Corpus files -> documents -> token contexts -> chunks; everything in an order that the seed fixes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.capture.specials import special_ids
from harness.capture.tokens import begins_with_bos
from harness.capture.training.config import TrainConfig
from harness.errors import EnvironmentFault
from harness.inputs import Bos

Context = NDArray[np.int32]
T = TypeVar("T")
HELD_OUT_SHARE = 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Contexts that are harvested at once and shuffled among themselves; `steps` batches come of them."""

    number: int
    contexts: list[Context]
    steps: int


def documents(path: Path) -> list[str]:
    """The texts of a .jsonl file ({"text": ...} a line), or of any other file the whole text; EnvironmentFault
    `corpus_unreadable` with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFault("corpus_unreadable", f"{path}: {error}.", "Corpus files are UTF-8 text.") from error
    if path.suffix != ".jsonl":
        return [text] if text.strip() else []
    return [_text_of(line, path, n) for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _text_of(line: str, path: Path, number: int) -> str:
    try:
        return str(json.loads(line)["text"])
    except (ValueError, KeyError, TypeError) as error:
        mend = 'Each line is an object like {"text": "..."}.'
        raise EnvironmentFault("corpus_unreadable", f"{path}:{number}: no document.", mend) from error


def is_held_out(text: str) -> bool:
    """One document in HELD_OUT_SHARE, by the digest of its own text: it stays so when others are added."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % HELD_OUT_SHARE == 0


def trained_documents(config: TrainConfig) -> list[str]:
    """Every document that is trained on, in corpus order."""
    texts = [text for path in config.corpus for text in documents(path)]
    return texts if config.held_out else [text for text in texts if not is_held_out(text)]


def held_out_documents(config: TrainConfig) -> dict[str, list[str]]:
    """Domain (a file's name without its ending) -> documents that are measured and never trained on, shuffled:
    what is measured of a large file should not be its beginning."""
    if config.held_out:
        found = {path.stem: documents(path) for path in config.held_out}
    else:
        found = {path.stem: [text for text in documents(path) if is_held_out(text)] for path in config.corpus}
    return {domain: _shuffled(texts, config.seed) for domain, texts in found.items()}


def _shuffled(items: list[T], seed: int) -> list[T]:
    return [items[i] for i in np.random.default_rng(seed).permutation(len(items))]


def contexts(texts: Sequence[str], tokenizer: Any, length: int, limit: int, bos: Bos = "auto") -> list[Context]:
    """`texts` cut into contexts of at most `length` tokens, BOS first in each by `bos`; as many texts as it takes to
    hold `limit` tokens beside the BOS."""
    first = [tokenizer.bos_token_id] if has_bos(tokenizer, bos) else []
    found, cut = 0, []
    for text in texts:
        if found >= limit:
            break
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        found += len(ids)
        step = length - len(first)
        cut += [np.array([*first, *ids[i : i + step]], dtype=np.int32) for i in range(0, len(ids), step)]
    return cut


def has_bos(tokenizer: Any, bos: Bos) -> bool:
    """Whether contexts begin with BOS. Raises EnvironmentFault `no_bos` where it is asked for and there is none."""
    if bos == "prepend" and tokenizer.bos_token_id is None:
        raise EnvironmentFault("no_bos", "`bos: prepend`, and the tokenizer has no BOS token.", "Take `bos` away.")
    return begins_with_bos(tokenizer) if bos == "auto" else bos == "prepend"


def chunks(config: TrainConfig, tokenizer: Any) -> list[Chunk]:
    """The whole run's plan: shuffled contexts in chunks of about buffer_tokens, until config.steps batches are full.

    What is left of a chunk after its last full batch (half a batch on average) is not trained on.
    Raises EnvironmentFault `corpus_too_small`.
    """
    texts = _shuffled(trained_documents(config), config.seed)
    spare = config.tokens // 50 + 4 * config.buffer_tokens  # remainders of chunks, special tokens in texts
    cut = contexts(texts, tokenizer, config.context_length, config.tokens + spare, config.bos)
    planned = list(_full(config, iter(_shuffled(cut, config.seed + 1)), special_ids(tokenizer)))
    steps = sum(chunk.steps for chunk in planned)
    if steps < config.steps:
        raise EnvironmentFault(
            "corpus_too_small",
            f"the corpus fills {steps} batches of {config.batch_tokens} tokens, {config.tokens} tokens are asked for.",
            f"Add corpus files, or ask for at most {steps * config.batch_tokens} tokens.",
        )
    return planned


def _full(config: TrainConfig, cut: Iterator[Context], special: frozenset[int]) -> Iterator[Chunk]:
    number, left, kept, size = 0, config.steps, [], 0
    for context in cut:
        kept.append(context)
        size += int((~np.isin(context, sorted(special))).sum())
        if size >= min(config.buffer_tokens, left * config.batch_tokens):
            steps = min(left, size // config.batch_tokens)
            yield Chunk(number, kept, steps)
            number, left, kept, size = number + 1, left - steps, [], 0
            if not left:
                return
    if kept and size >= config.batch_tokens:
        yield Chunk(number, kept, min(left, size // config.batch_tokens))
