"""Held-out evidence: which prompts a feature is found on, which it is tested on, and how alike these are.

What ranks first on some prompts looks good on those prompts, always: the top 10 of a ranking are significant there
every time, and on held-out prompts in 1-8 % of draws (sim, in docs/statistics.md).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np

from harness.errors import one_of
from harness.inputs import Prompt
from harness.nearcopies import FrameIndex, PairIndex
from harness.sametext import Words, same_text, shared_opening, shared_start, word_pairs, words_of

LEAKED = 0.8
"""Jaccard of word pairs from which a tested prompt is one that the feature was found on."""

Made = TypeVar("Made")
Prompts = tuple[Prompt, ...]
_REMEMBERED = 300_000  # prompts; a file has 100,000 at most, and who loads suites again and again keeps no more
_FEWEST_PAIRS = 3  # of a text without what its whole set shares: what is shorter is a word, and words recur
Half = Literal["discovery", "test"]
HALVES = "half"
"""The salt of `half:` in suites: one for all, so that a prompt is on the same side everywhere."""


def plain(prompt: Prompt) -> tuple[str, str | None]:
    """What makes two prompts the same evidence: the normalised text, and the picture."""
    text, picture = prompt.content
    return same_text(text, prompt.code), picture


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


@dataclass(frozen=True, slots=True)
class Leak:
    """A tested prompt, the one that the feature was found on and that it repeats, and how much they share.

    share: 1 for the same text; the Jaccard of word pairs; 0 where they share a picture or a template.
    """

    tested: Prompt
    found_on: Prompt
    share: float
    why: str

    @property
    def is_leaked(self) -> bool:
        """Whether the two are the same evidence; else the pair is only suspicious."""
        return self.share >= LEAKED


@dataclass(frozen=True, slots=True)
class Leaks:
    """The tested prompts that repeat, or nearly repeat, one that a feature was found on."""

    leaked: tuple[Leak, ...]
    near: tuple[Leak, ...]

    def warning(self, where: str) -> str:
        """One line about those that nearly do, naming the closest pair."""
        worst = max(self.near, key=lambda leak: leak.share)
        prompts = "prompt is a near copy" if len(self.near) == 1 else "prompts are near copies"
        return (
            f"{len(self.near)} tested {prompts} of one that the feature was found on ({where}): "
            f"{worst.tested.shown!r} and {worst.found_on.shown!r} {worst.why}"
        )


@by_identity
def leaks(found_on: Prompts, tested: Prompts) -> Leaks:
    """Tested prompts that are, or nearly are, among those that a feature was found on.

    Leaked: the same text after normalization, with the same picture, or LEAKED of the word pairs. Near: half of them,
    the same text but for one word, one picture, or one template. Compared are the texts without the sentences that all
    of a set begin with; and those of either set without all words that its prompts begin and end with, so that a clause
    put before (or after) each prompt makes no new ones.
    """
    index = _FoundOn(found_on)
    core = _cores(tested)
    found = [leak for place, prompt in enumerate(tested) if (leak := index.closest(prompt, *core[place])) is not None]
    return Leaks(tuple(x for x in found if x.is_leaked), tuple(x for x in found if not x.is_leaked))


def _cores(prompts: Prompts) -> list[tuple[Words, Words]]:
    """Of each prompt its words without the shared sentences, and without all words that the set begins and ends with.

    The second is the first where too little would be left.
    """
    texts = [p.text for p in prompts]
    opening = shared_opening(texts)
    words = [words_of(p.text[opening:], p.code) for p in prompts]
    begins = shared_start(words)
    ends = shared_start([one[begins:][::-1] for one in words])
    return [(one, _long_enough(one[begins : len(one) - ends], one)) for one in words]


def _long_enough(part: Words, whole: Words) -> Words:
    return part if len(part) > _FEWEST_PAIRS else whole


class _FoundOn:
    """The prompts that a feature was found on, by text, picture, template and word pairs."""

    def __init__(self, prompts: Prompts) -> None:
        self._same = {plain(p): p for p in reversed(prompts)}
        self._exactly = {p.content: p for p in reversed(prompts)}
        self._pictures = {p.image.digest: p for p in reversed(prompts) if p.image is not None}
        self._templates = {p.group: p for p in reversed(prompts) if p.group is not None}
        cores = _cores(prompts)
        written = [i for i, p in enumerate(prompts) if p.image is None]
        self._whole = _Pairs([(prompts[i], cores[i][0]) for i in written])
        self._bare = _Pairs([(prompts[i], cores[i][1]) for i in written if cores[i][1] != cores[i][0]])

    def closest(self, prompt: Prompt, whole: Words, bare: Words) -> Leak | None:
        """The prompt that this one repeats most, None where it repeats none. whole, bare: its words, as `_cores`."""
        same = self._same.get(plain(prompt)) or self._exactly.get(prompt.content)
        if same is not None:
            return Leak(prompt, same, 1.0, "are the same text" if prompt.image is None else "are the same")
        if prompt.image is not None:
            shown = self._pictures.get(prompt.image.digest)
            return None if shown is None else Leak(prompt, shown, 0.0, "show one picture")
        asked = [(self._whole, whole), (self._bare, whole)] + ([(self._whole, bare)] if bare != whole else [])
        near = [found for pairs, words in asked if (found := pairs.closest(words, prompt.code)) is not None]
        if near:
            share, other = max(near, key=lambda one: one[0])
            return Leak(prompt, other, share, f"share {share:.0%} of their word pairs")
        framed = self._whole.but_for_one_word(whole, prompt.code)
        if framed is not None:
            return Leak(prompt, framed, 0.0, "differ in one word")
        made = None if prompt.group is None else self._templates.get(prompt.group)
        return None if made is None else Leak(prompt, made, 0.0, "are made from one template")


class _Pairs:
    """Prompts by their words; code is compared with code only, since there other signs count."""

    def __init__(self, given: Sequence[tuple[Prompt, Words]]) -> None:
        self._given = {code: [one for one in given if one[0].code == code] for code in (False, True)}
        self._by_pairs: dict[bool, PairIndex] = {}
        self._by_frame: dict[bool, FrameIndex] = {}

    def closest(self, words: Words, code: bool) -> tuple[float, Prompt] | None:
        """(Jaccard, prompt) of the one most like it, of equals the first; None where none is alike."""
        if code not in self._by_pairs:
            self._by_pairs[code] = PairIndex([word_pairs(mine) for _, mine in self._given[code]])
        index, pairs = self._by_pairs[code], word_pairs(words)
        near = index.alike(pairs)
        if not len(near):
            return None
        shares = index.shares(pairs)[near]
        return float(shares.max()), self._given[code][int(near[np.argmax(shares)])][0]

    def but_for_one_word(self, words: Words, code: bool) -> Prompt | None:
        """The first prompt that differs in one word, or None."""
        if code not in self._by_frame:
            self._by_frame[code] = FrameIndex()
            for number, (_, mine) in enumerate(self._given[code]):
                self._by_frame[code].add(number, mine)
        found = self._by_frame[code].alike(words)
        return self._given[code][min(found)][0] if found else None
