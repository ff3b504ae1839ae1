"""Evidence of known truth: prompts of made-up words, and codes in which every feature is one independent draw.

One evidence has as many features as there are draws. All features read the same prompts, and what they do on them is
independent. So 100 features are 100 reviewers with one claim each.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from harness.codes import Codes, Floats
from harness.expectations.evidence import Evidence
from harness.expectations.toy import codes_from_dense, sums_of
from harness.inputs import Filled, Prompt, PromptSet

D_IN = 4
_HEAD, _TAIL = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t"), ("a", "e", "i", "o", "u")
SYLLABLES = ["".join(pair) for pair in itertools.product(_HEAD, _TAIL)]
WORDS = ["".join(pair) for pair in itertools.product(SYLLABLES, SYLLABLES)]


@dataclass(frozen=True, slots=True)
class Side:
    """The prompts of one role with the activation of every feature on every token, [n_tokens, d]."""

    prompts: tuple[Prompt, ...]
    dense: Floats

    @property
    def tokens(self) -> list[str]:
        return [token for prompt in self.prompts for token in prompt.text.split()]

    @property
    def prompt_of(self) -> list[int]:
        return [i for i, prompt in enumerate(self.prompts) for _ in prompt.text.split()]


def sentence(rng: Generator, words: int = 10) -> str:
    """Made-up words that no other sentence has in this order, as far as chance goes."""
    return " ".join(rng.choice(WORDS, words, replace=False))


def sentences(rng: Generator, lengths: Iterable[int]) -> tuple[Prompt, ...]:
    return tuple(Prompt(sentence(rng, int(n))) for n in lengths)


def copies(rng: Generator, clusters: int, each: int) -> tuple[tuple[Prompt, ...], list[int]]:
    """Sentences with `each` near copies, one word of which is another, and which cluster each is in."""
    made, cluster = [], []
    for c in range(clusters):
        words = sentence(rng).split()
        for k in range(each):
            one = [*words]
            if k:
                one[int(rng.integers(1, len(one)))] = str(rng.choice(WORDS))
            made.append(Prompt(" ".join(one)))
            cluster.append(c)
    return tuple(made), cluster


def framed(frames: Sequence[str], words: Sequence[str], by_template: bool = True) -> tuple[Prompt, ...]:
    """Every word in every frame, the words of a frame together, as a template in YAML makes them."""
    return tuple(
        Prompt(
            frame.format(w=word),
            group=frame if by_template else None,
            filled=(Filled("template", i, frame), Filled("w", k, word)),
        )
        for i, frame in enumerate(frames)
        for k, word in enumerate(words)
    )


def frames_of(rng: Generator, n: int) -> list[str]:
    """Frames with one slot, each of its own words."""
    made = []
    for _ in range(n):
        words = sentence(rng, 8).split()
        words[int(rng.integers(1, 7))] = "{w}"
        made.append(" ".join(words))
    return made


def firing(rng: Generator, n: int, d: int, rate: float = 1.0, shift: float = 0.0, sigma: float = 1.0) -> Floats:
    """Pooled activations [n, d]: they fire at `rate`, with exp(sigma z + shift) where they do."""
    values = np.exp(sigma * rng.standard_normal((n, d)) + shift)
    return np.where(rng.random((n, d)) < rate, values, 0.0)


def shared(rng: Generator, cluster: Sequence[int], d: int, rate: float, same: float = 0.75) -> Floats:
    """Pooled activations [n, d] of prompts in clusters: with chance `same` a prompt has its cluster's value."""
    of_cluster = firing(rng, max(cluster) + 1, d, rate)[np.asarray(cluster)]
    own = firing(rng, len(cluster), d, rate)
    return np.where(rng.random(own.shape) < same, of_cluster, own)


def on_one_token(rng: Generator, prompts: tuple[Prompt, ...], pooled: Floats) -> Side:
    """Each feature fires on one token of a prompt, anywhere but the first."""
    lengths = np.array([len(prompt.text.split()) for prompt in prompts])
    starts = np.r_[0, np.cumsum(lengths)[:-1]]
    place = starts[:, None] + 1 + (rng.random(pooled.shape) * (lengths - 1)[:, None]).astype(int)
    dense = np.zeros((lengths.sum(), pooled.shape[1]))
    np.put_along_axis(dense, np.minimum(place, (starts + lengths - 1)[:, None]), pooled, axis=0)
    return Side(prompts, dense)


def on_any_token(rng: Generator, prompts: tuple[Prompt, ...], d: int, rate: float) -> Side:
    """Every token fires by itself at `rate`: longer prompts fire more often."""
    n = sum(len(prompt.text.split()) for prompt in prompts)
    return Side(prompts, firing(rng, n, d, rate))


def codes_of(side: Side, mse: Floats | None = None) -> Codes:
    """Codes of a side. mse: per token the squared error of the reconstruction, [n_tokens]; 1 without it.

    The token `<sink>` is an attention sink: its activation is a thousand times as large, and its reconstruction exact.
    """
    tokens, prompt = side.tokens, np.array(side.prompt_of, np.int32)
    rng = np.random.default_rng(len(tokens))
    h = rng.standard_normal((len(tokens), D_IN)) * 10
    error = rng.standard_normal(h.shape)
    sink = np.array([token == "<sink>" for token in tokens])
    h[sink] *= 1000
    error *= np.sqrt((np.ones(len(tokens)) if mse is None else mse) * D_IN / (error**2).sum(1))[:, None]
    error[sink] = 0
    made = codes_from_dense(side.dense, h, h - error, prompt, len(side.prompts), sink=sink)
    first = np.r_[True, prompt[1:] != prompt[:-1]]
    position = np.arange(len(prompt)) - np.maximum.accumulate(np.where(first, np.arange(len(prompt)), 0))
    start, end = _offsets(side.prompts)
    ids = np.array([zlib.crc32(token.encode()) >> 1 for token in tokens], np.int32)
    return replace(made, token_id=ids, position=position.astype(np.int32), token=tuple(tokens), start=start, end=end)


def evidence_of(sides: dict[str, Side], **mse: Floats) -> Evidence:
    """Evidence by role; `role@subject` is what another subject reads there. mse: per role, for fidelity."""
    names = {name: (name.partition("@")[0], name.partition("@")[2] or None) for name in sides}
    codes = {names[name]: codes_of(side, mse.get(name)) for name, side in sides.items()}
    sets = {names[name][0]: PromptSet(names[name][0], side.prompts) for name, side in sides.items()}
    return Evidence(sets=sets, codes_of=codes, cache={})


def corpus_of(side: Side) -> Evidence:
    """The same tokens as the streaming sums of a corpus, a context a block."""
    return Evidence(sums_of={("corpus", None): sums_of(codes_of(side))}, cache={})


def _offsets(prompts: Sequence[Prompt]) -> tuple[np.ndarray, np.ndarray]:
    start, end = [], []
    for prompt in prompts:
        at = 0
        for word in prompt.text.split():
            start.append(at)
            end.append(at + len(word))
            at += len(word) + 1
    return np.array(start, np.int32), np.array(end, np.int32)
