"""Held-out evidence: which prompts a feature is found on, which it is tested on, and how alike these are.

What ranks first on some prompts looks good on those prompts, always: the top 10 of a ranking are significant there
every time, and on held-out prompts in 1-8 % of draws (sim, in docs/statistics.md).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Generic, Literal, TypeVar

from harness.inputs import Prompt

ALIKE = 0.5
"""Jaccard of word pairs from which two prompts are near duplicates."""

T = TypeVar("T")
Prompts = tuple[Prompt, ...]
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


@lru_cache(maxsize=256)
def near_duplicates(found_on: Prompts, tested: Prompts) -> NearDuplicates | None:
    """Tested prompts that share a picture, a template, or half of their word pairs with one of `found_on`."""
    index = _Index(found_on)
    alike = [(prompt, *match) for prompt in tested if (match := index.match(prompt)) is not None]
    return NearDuplicates(len(alike), *alike[0]) if alike else None


class _Index:
    """Prompts by picture, template and word pair, so that each tested prompt looks only at those it shares one with."""

    def __init__(self, prompts: Prompts) -> None:
        self._pictures = {p.image.digest: p for p in prompts if p.image is not None}
        self._templates = {p.group: p for p in prompts if p.group is not None}
        self._texts = [(p, word_pairs(p.text)) for p in prompts if p.image is None]
        self._with: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, (_, pairs) in enumerate(self._texts):
            for pair in pairs:
                self._with[pair].append(number)

    def match(self, prompt: Prompt) -> tuple[Prompt, str] | None:
        """The first prompt that is alike, and in what."""
        if prompt.image is not None:
            other = self._pictures.get(prompt.image.digest)
            return (other, "show one picture") if other else None
        if prompt.group in self._templates:
            return self._templates[prompt.group], "are made from one template"
        closest = max(self._alike(word_pairs(prompt.text)), key=lambda one: one[0], default=None)
        return (closest[1], f"share {closest[0]:.0%} of their word pairs") if closest else None

    def _alike(self, pairs: frozenset[tuple[str, ...]]) -> Iterator[tuple[float, Prompt]]:
        shared = Counter(number for pair in pairs for number in self._with.get(pair, ()))
        for number, both in shared.items():
            prompt, others = self._texts[number]
            jaccard = both / (len(pairs) + len(others) - both)
            if jaccard >= ALIKE:
                yield jaccard, prompt


def word_pairs(text: str) -> frozenset[tuple[str, ...]]:
    """The pairs of neighbouring words, without case and outer punctuation; of one word, the word itself."""
    words = [word.strip(".,;:!?\"'()[]{}") or word for word in text.casefold().split()]
    return frozenset(pairwise(words)) or frozenset([tuple(words)])
