"""The sentences of a corpus, for claims whose unit is the sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from harness.inputs import Corpus, Prompt, PromptSet
from harness.repository import located

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])|(?<=[。！？])")
A_TOKEN = 4  # characters: nothing here has a tokenizer
SHORTEST = 12  # characters: what is shorter is a heading or a rest


@lru_cache(maxsize=8)
def sentences_of(corpus: Corpus) -> PromptSet:
    """The sentences of a corpus in reading order, each once, up to its token limit.

    A line is a paragraph, or one sentence; a paragraph is cut after . ! or ? before a capital or a digit. What is over
    the context length is cut there, between words. A token is taken for four characters in both limits. Raises
    OSError, UnicodeDecodeError.
    """
    with located(corpus.path, corpus.root).open(encoding="utf-8") as lines:
        prompts = tuple(Prompt(text, truncate=True) for text in _within(corpus, _sentences(lines)))
    return PromptSet(corpus.name, prompts)


def _sentences(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from map(str.strip, _END.split(line))


def _within(corpus: Corpus, sentences: Iterable[str]) -> Iterator[str]:
    """Each sentence once, cut at the context length, until the next one would exceed the token limit."""
    known: set[str] = set()
    left, longest = A_TOKEN * corpus.token_limit, A_TOKEN * corpus.context_length
    for text in sentences:
        kept = text if len(text) <= longest else _cut(text, longest)
        if len(kept) < SHORTEST or kept in known:
            continue
        known.add(kept)
        left -= len(kept)
        if left < 0:
            return
        yield kept


def _cut(text: str, longest: int) -> str:
    head = text[:longest]
    return head.rpartition(" ")[0] or head
