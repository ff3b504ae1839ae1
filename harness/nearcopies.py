"""Near copies inside one set: prompts that share half of their word pairs, are the same but for one word, or have two
words of three in the same places.

All are what a list in one frame is made of ("The X was old.", "At X the ball rolled away Y times."), and a feature
agrees with itself on them. Those that
are linked by any chain of near copies are one unit of evidence (harness/independence.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from harness.inputs import Prompt
from harness.sametext import Pairs, Words, same_text, shared_opening, word_pairs, words_of

ALIKE = 0.5
"""Jaccard of word pairs from which two prompts are near copies."""

IN_PLACE = 2 / 3
"""Share of words in the same places from which two prompts of as many words are near copies."""

Ints = NDArray[np.int64]
_FEW = 200  # texts that may be alike; of more, what they share is counted for all at once
_MODULUS = (1 << 61) - 1
_BASE = 1_000_003
_FRAME = 2  # words of a text of which one may be another: a single word has no frame


class PairIndex:
    """Texts by their word pairs, asked which of them share at least half of those of another one.

    Two sets that share at least half of all their pairs have one in common among their rarer halves, each sorted in one
    order of all pairs (Bayardo, Ma and Srikant, Scaling Up All Pairs Similarity Search, WWW 2007). So mostly these are
    looked up, and what an opening has in common with a thousand others is never looked at. Where even rare pairs are
    in many prompts (a dozen words in all), what is shared with every prompt is counted instead.
    """

    def __init__(self, texts: Sequence[Pairs]) -> None:
        self._pairs = list(texts)
        self._lengths = np.array([len(pairs) for pairs in self._pairs], np.int64)
        holding: dict[Words, list[int]] = defaultdict(list)
        for number, pairs in enumerate(self._pairs):
            for pair in pairs:
                holding[pair].append(number)
        self._holding = {pair: np.array(numbers) for pair, numbers in holding.items()}
        self._rarely: dict[Words, list[int]] = defaultdict(list)
        for number, pairs in enumerate(self._pairs):
            for pair in self._rarer(pairs):
                self._rarely[pair].append(number)

    def alike(self, pairs: Pairs) -> Ints:
        """The numbers of the texts with a Jaccard of at least ALIKE, in order."""
        found = [self._rarely[pair] for pair in self._rarer(pairs) if pair in self._rarely]
        if sum(map(len, found)) > _FEW:
            return np.flatnonzero(self.shares(pairs) >= ALIKE)
        near = {number for numbers in found for number in numbers if _jaccard(pairs, self._pairs[number]) >= ALIKE}
        return np.array(sorted(near), np.int64)

    def shares(self, pairs: Pairs) -> NDArray[np.float64]:
        """The Jaccard with every text."""
        found = [self._holding[pair] for pair in pairs if pair in self._holding]
        both = np.bincount(np.concatenate([np.zeros(0, np.int64), *found]), minlength=len(self._pairs))
        return both / (len(pairs) + self._lengths - both)

    def _rarer(self, pairs: Pairs) -> list[Words]:
        """The rarest of the pairs, one more than half: what is left is too little to be half of what both hold."""
        often = {pair: len(self._holding.get(pair, ())) for pair in pairs}
        return sorted(pairs, key=lambda pair: (often[pair], pair))[: len(pairs) // 2 + 1]


def _jaccard(one: Pairs, other: Pairs) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)


class _Clusters:
    """Single linkage: what is joined by any chain is one."""

    def __init__(self, n: int) -> None:
        self._above = list(range(n))

    def of(self, one: int) -> int:
        while self._above[one] != one:
            self._above[one] = one = self._above[self._above[one]]
        return one

    def join(self, one: int, other: int) -> None:
        a, b = self.of(one), self.of(other)
        self._above[max(a, b)] = min(a, b)

    def numbers(self) -> Ints:
        """The cluster of each, numbered from 0 in order of appearance."""
        known: dict[int, int] = {}
        return np.array([known.setdefault(self.of(i), len(known)) for i in range(len(self._above))], np.int64)


def near_copies(prompts: Sequence[Prompt], together: Sequence[Hashable] = (), but_for_one_word: bool = True) -> Ints:
    """The cluster of each prompt, numbered from 0 in order of appearance, [n].

    together: for each prompt a label that it shares with those that are one in any case (its template), or None.
    but_for_one_word: False for texts too short for that to mean anything (words of a slot: "a dog", "a cat").
    Compared is the text with its picture, without the sentences that all prompts begin with: one system prompt before
    different questions makes as many clusters as questions, one caption for many pictures as many as pictures.
    """
    clusters = _Clusters(len(prompts))
    known: dict[Hashable, int] = {}
    for i, label in enumerate(together):
        if label is not None:
            clusters.join(known.setdefault(label, i), i)
    opening = shared_opening([p.text for p in prompts])
    apart: dict[Hashable, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, prompt in enumerate(prompts):
        picture = prompt.image.digest if prompt.image is not None else None
        apart[prompt.code, picture][same_text(prompt.text, prompt.code)].append(i)
    for same in apart.values():
        for copies in same.values():
            for other in copies[1:]:
                clusters.join(copies[0], other)
        firsts = [copies[0] for copies in same.values()]
        whole = [words_of(prompts[i].text, prompts[i].code) for i in firsts]
        rest = [words_of(prompts[i].text[opening:], prompts[i].code) for i in firsts] if opening else whole
        links = _sharing_half(rest)
        if but_for_one_word:
            links = chain(_but_for_one_word(whole), links, _in_the_same_places(rest))
        for a, b in links:
            clusters.join(firsts[a], firsts[b])
    return clusters.numbers()


def _sharing_half(texts: Sequence[Words]) -> Iterator[tuple[int, int]]:
    """Links between texts that share half of their word pairs: enough of them to join all that are alike.

    What was reached is not looked for again, so a thousand copies of one text cost one look.
    """
    pairs = [word_pairs(words) for words in texts]
    index, reached = PairIndex(pairs), [False] * len(pairs)
    for start in range(len(pairs)):
        ahead = [] if reached[start] else [start]
        reached[start] = True
        while ahead and not all(reached):
            here = ahead.pop()
            for other in index.alike(pairs[here]).tolist():
                if not reached[other]:
                    reached[other] = True
                    ahead.append(other)
                    yield here, other


def _in_the_same_places(texts: Sequence[Words]) -> Iterator[tuple[int, int]]:
    """Links between texts of as many words, of which IN_PLACE stand in the same places: enough to join all such.

    Two texts that differ in at most k places agree in one of k + 1 stretches, so only texts with a stretch in common
    are compared; what was reached is not looked for again.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, words in enumerate(texts):
        by_length[len(words)].append(number)
    for length, numbers in by_length.items():
        differ = length - math.ceil(IN_PLACE * length)
        if len(numbers) > 1 and differ > 1:  # one other word is _but_for_one_word's
            yield from ((numbers[a], numbers[b]) for a, b in _linked([texts[n] for n in numbers], differ))


def _linked(texts: Sequence[Words], differ: int) -> Iterator[tuple[int, int]]:
    """Links between texts of one length that differ in at most so many places."""
    known: dict[str, int] = {}
    table = np.array([[known.setdefault(word, len(known)) for word in words] for words in texts], np.int64)
    holding: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    stretches = np.array_split(np.arange(table.shape[1]), differ + 1)
    keys = [[(k, row[s].tobytes()) for k, s in enumerate(stretches)] for row in table]
    for number, of in enumerate(keys):
        for key in of:
            holding[key].append(number)
    reached = np.zeros(len(texts), bool)
    for start in range(len(texts)):
        ahead = [] if reached[start] else [start]
        reached[start] = True
        while ahead:
            here = ahead.pop()
            for key in keys[here]:
                others = np.array([n for n in holding[key] if not reached[n]], np.int64)
                holding[key] = others.tolist()
                found = others[(table[others] != table[here]).sum(axis=1) <= differ]
                reached[found] = True
                ahead.extend(found.tolist())
                yield from ((here, int(other)) for other in found)


def _but_for_one_word(texts: Sequence[Words]) -> Iterator[tuple[int, int]]:
    """Links between texts that are the same but for one word, exchanged or left out."""
    index = FrameIndex()
    for number in sorted(range(len(texts)), key=lambda i: len(texts[i])):  # what lacks a word comes before what has it
        yield from ((other, number) for other in index.alike(texts[number]))
        index.add(number, texts[number])


class FrameIndex:
    """Texts by what is left of each without one of its words, asked for those that differ from another in one word.

    By rolling hashes: the work grows with the words, not with the pairs of texts. A text of one word has no frame.
    """

    def __init__(self) -> None:
        self._whole: dict[int, int] = {}
        self._lacking: dict[int, int] = {}
        self._masked: dict[tuple[int, int], int] = {}

    def add(self, number: int, words: Words) -> None:
        """Of equal frames the first text is kept."""
        if len(words) < _FRAME:
            return
        self._whole.setdefault(_hash(words), number)
        for place, rest in enumerate(_without_each(words)):
            self._lacking.setdefault(rest, number)
            self._masked.setdefault((place, rest), number)

    def alike(self, words: Words) -> set[int]:
        """Numbers of texts that differ in one word: exchanged, left out or put in; of equal frames the first."""
        if len(words) < _FRAME:
            return set()
        rests = list(enumerate(_without_each(words)))
        exchanged = [self._masked.get(one) for one in rests]
        left_out = [self._whole.get(rest) for _, rest in rests]
        return {n for n in (*exchanged, *left_out, self._lacking.get(_hash(words))) if n is not None}


def _hash(words: Words) -> int:
    """The words' hashes as the digits of a number, modulo a prime; with their count, so that lengths are told apart."""
    total = len(words)
    for word in words:
        total = (total * _BASE + (hash(word) & _MODULUS)) % _MODULUS
    return total


def _without_each(words: Words) -> list[int]:
    """_hash of the text without its first word, without its second, and so on."""
    each = [hash(word) & _MODULUS for word in words]
    before = accumulate(each[:-1], lambda total, one: (total * _BASE + one) % _MODULUS, initial=len(words) - 1)
    after, power = [0], [1]
    for one in reversed(each[1:]):
        after.append((one * power[-1] + after[-1]) % _MODULUS)
        power.append(power[-1] * _BASE % _MODULUS)
    return [
        (head * times + tail) % _MODULUS
        for head, times, tail in zip(before, reversed(power), reversed(after), strict=True)
    ]
