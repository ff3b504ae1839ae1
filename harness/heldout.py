"""Held-out evidence: which prompts a feature is found on, which it is tested on, and how alike these are.

What ranks first on some prompts looks good on those prompts, always: the top 10 of a ranking are significant there
every time, and on held-out prompts in 1-8 % of draws (sim, in docs/statistics.md).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from harness.errors import one_of
from harness.inputs import Prompt

ALIKE = 0.5
"""Jaccard of word pairs from which two prompts are near duplicates."""

T = TypeVar("T")
Made = TypeVar("Made")
Prompts = tuple[Prompt, ...]
_Pairs = frozenset[tuple[str, ...]]
_REMEMBERED = 300_000  # prompts; a file has 100,000 at most, and who loads suites again and again keeps no more
_FEW = 200  # prompts that may be alike; of more, what they share is counted for all at once
Half = Literal["discovery", "test"]
HALVES = "half"
"""The salt of `half:` in suites: one for all, so that a prompt is on the same side everywhere."""


def plain(prompt: Prompt) -> tuple[str, str | None]:
    """What makes two prompts the same evidence: the text without case and spacing, and the picture."""
    text, picture = prompt.content
    return _folded(text), picture


@lru_cache(maxsize=1 << 15)
def _folded(text: str) -> str:
    """Remembered: every set that a prompt stands in asks for it, and so does every claim that was found elsewhere."""
    return " ".join(text.casefold().split())


class Seen(Generic[T]):
    """Prompts with what is known of each, to be asked whether another one is the same evidence once more."""

    def __init__(self) -> None:
        self._exactly: dict[tuple[str, str | None], T] = {}
        self._plainly: dict[tuple[str, str | None], tuple[str | None, T]] = {}

    def add(self, prompt: Prompt, known: T) -> None:
        self._exactly.setdefault(prompt.content, known)
        self._plainly.setdefault(plain(prompt), (prompt.group, known))

    def find(self, prompt: Prompt) -> T | None:
        """What was added first with this prompt's text and picture, whatever the case and spacing; None for a new one.

        Spellings that share a template are new each: the template is the unit, however many prompts it has.
        """
        if prompt.content in self._exactly:
            return self._exactly[prompt.content]
        group, known = self._plainly.get(plain(prompt), (None, None))
        return None if group is not None and group == prompt.group else known


def split(prompts: Sequence[Prompt], salt: str, share: float = 0.5) -> tuple[Prompts, Prompts]:
    """(discovery, test), each in the order given: about `share` of the units are for discovery.

    A unit is a prompt, or the template that several share; it goes by sha256(salt + its normalised text, or its
    template), so that a prompt's side never depends on the others: appending prompts moves none.
    """
    chosen = [_place(prompt, salt) < share for prompt in prompts]
    found = tuple(p for p, discovery in zip(prompts, chosen, strict=True) if discovery)
    return found, tuple(p for p, discovery in zip(prompts, chosen, strict=True) if not discovery)


def is_in(half: Half, prompt: Prompt) -> bool:
    """Whether a prompt belongs to this half of any set, as suites split them."""
    one_of("half", half, get_args(Half))
    return (_place(prompt, HALVES) < 0.5) == (half == "discovery")


def _place(prompt: Prompt, salt: str) -> float:
    """Where a unit falls in [0, 1)."""
    text, picture = plain(prompt)
    label = ["text", text, picture or ""] if prompt.group is None else ["template", prompt.group]
    digest = hashlib.sha256("\0".join([salt, *label]).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Tested prompts that nearly stand among those that a feature was found on, and one such pair."""

    count: int
    tested: Prompt
    found_on: Prompt
    why: str

    def warning(self, where: str) -> str:
        """One line, naming the pair."""
        prompts = "prompt is a near duplicate" if self.count == 1 else "prompts are near duplicates"
        return (
            f"{self.count} tested {prompts} of one that the feature was found on ({where}): {self.tested.shown!r} and "
            f"{self.found_on.shown!r} {self.why}"
        )


def by_identity(make: Callable[..., Made], most: int = _REMEMBERED) -> Callable[..., Made]:
    """`make`, remembered for the last calls, of `most` prompts together, by which tuples of prompts it was given: many
    claims share a set, and hashing 10,000 prompts for each claim is what would cost."""
    known: OrderedDict[tuple[int, ...], tuple[tuple[Prompts, ...], Made]] = OrderedDict()
    held = 0

    def made(*sets: Prompts) -> Made:
        nonlocal held
        key = tuple(map(id, sets))
        if key not in known:
            known[key] = sets, make(*sets)  # they stay alive with it, so that no other tuple gets their ids
            held += sum(map(len, sets))
            while held > most and len(known) > 1:
                held -= sum(map(len, known.popitem(last=False)[1][0]))
        return known[key][1]

    return made


@by_identity
def repeated(found_on: Prompts, tested: Prompts) -> frozenset[int]:
    """The places in `tested` of prompts that stand in `found_on`, too, whatever their case and spacing."""
    seen = _plains(found_on)
    return frozenset(place for place, prompt in enumerate(tested) if plain(prompt) in seen)


@by_identity
def _plains(prompts: Prompts) -> frozenset[tuple[str, str | None]]:
    return frozenset(map(plain, prompts))


@by_identity
def near_duplicates(found_on: Prompts, tested: Prompts) -> NearDuplicates | None:
    """Tested prompts that share a picture, a template, or half of their word pairs with one of `found_on`.

    The pair that is named is the first such tested prompt, and the prompt that is most like it, of equals the first.
    """
    index = _Index(found_on)
    alike = [prompt for prompt in tested if index.has_like(prompt)]
    return NearDuplicates(len(alike), alike[0], *index.closest(alike[0])) if alike else None


class _Index:
    """Prompts by picture, template and word pairs.

    Two sets that share at least half of all their pairs have one in common among their rarer halves, each sorted in one
    order of all pairs (Bayardo, Ma and Srikant, Scaling Up All Pairs Similarity Search, WWW 2007). So mostly these are
    looked up, and what an opening has in common with a thousand others is never looked at. Where even rare pairs are
    in many prompts (a dozen words in all), what is shared with every prompt is counted instead, 300 times as fast.
    """

    def __init__(self, prompts: Prompts) -> None:
        self._pictures = {p.image.digest: p for p in prompts if p.image is not None}
        self._templates = {p.group: p for p in prompts if p.group is not None}
        texts: dict[_Pairs, Prompt] = {}
        for prompt in prompts:
            if prompt.image is None:
                texts.setdefault(word_pairs(prompt.text), prompt)
        self._pairs, self._prompts = [*texts], [*texts.values()]
        self._lengths = np.array([len(pairs) for pairs in self._pairs], np.int64)
        holding: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, pairs in enumerate(self._pairs):
            for pair in pairs:
                holding[pair].append(number)
        self._holding = {pair: np.array(numbers) for pair, numbers in holding.items()}
        self._rarely: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, pairs in enumerate(self._pairs):
            for pair in self._rarer(pairs):
                self._rarely[pair].append(number)
        self._answers: dict[_Pairs, bool] = {}

    def has_like(self, prompt: Prompt) -> bool:
        """Whether any prompt is alike."""
        if prompt.image is not None:
            return prompt.image.digest in self._pictures
        if prompt.group in self._templates:
            return True
        pairs = word_pairs(prompt.text)
        if pairs not in self._answers:
            self._answers[pairs] = self._has_like(pairs)
        return self._answers[pairs]

    def closest(self, prompt: Prompt) -> tuple[Prompt, str]:
        """Of a prompt that has one like it: the one that is most so, and in what."""
        if prompt.image is not None:
            return self._pictures[prompt.image.digest], "show one picture"
        if prompt.group in self._templates:
            return self._templates[prompt.group], "are made from one template"
        shares = self._shares(word_pairs(prompt.text))
        at = int(np.argmax(shares))
        return self._prompts[at], f"share {shares[at]:.0%} of their word pairs"

    def _has_like(self, pairs: _Pairs) -> bool:
        found = [self._rarely[pair] for pair in self._rarer(pairs) if pair in self._rarely]
        if sum(map(len, found)) > _FEW:
            return bool((self._shares(pairs) >= ALIKE).any())
        return any(_jaccard(pairs, self._pairs[number]) >= ALIKE for numbers in found for number in numbers)

    def _shares(self, pairs: _Pairs) -> NDArray[np.float64]:
        """Jaccard with every text."""
        found = [self._holding[pair] for pair in pairs if pair in self._holding]
        both = np.bincount(np.concatenate([np.zeros(0, np.int64), *found]), minlength=len(self._pairs))
        return both / (len(pairs) + self._lengths - both)

    def _rarer(self, pairs: _Pairs) -> list[tuple[str, ...]]:
        """The rarest of the pairs, one more than half: what is left is too little to be half of what both hold."""
        often = {pair: len(self._holding.get(pair, ())) for pair in pairs}
        return sorted(pairs, key=lambda pair: (often[pair], pair))[: len(pairs) // 2 + 1]


def _jaccard(one: _Pairs, other: _Pairs) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def word_pairs(text: str) -> _Pairs:
    """The pairs of neighbouring words, without case and outer punctuation; of one word, the word itself."""
    words = [word.strip(".,;:!?\"'()[]{}") or word for word in text.casefold().split()]
    return frozenset(pairwise(words)) or frozenset([tuple(words)])
