"""How a text is edited: each function gives every variant of one prompt that differs from it, simplest first.

Texts are ASCII-wise English where an edit has words of its own (fillers, negation); words given in YAML are put in
verbatim. Nothing here draws: an example is a choice among these variants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from harness.inputs import Prompt

FILLERS_BEFORE = ("So:", "Look:", "As I said:", "By the way:")
FILLERS_AFTER = ("Anyway.", "That is all.", "And so on.", "We will see.")
NEUTRAL = ("It was late.", "We had time.", "Nothing else happened.")
_AUXILIARY = re.compile(r"\b(is|are|was|were|am|has|have|had|can|could|will|would|should|must|does|do|did)\b")
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")
_END = re.compile(r"(?<![\s.!?…])[\s.!?…]+$")  # without the first part n spaces inside a text cost n^2 steps
_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_LETTERS = 20_000_000  # in all variants of a prompt: 20,000 of a short one, 400 of the longest allowed
MARKED = "marked"  # {marked} in a paraphrase: the prompt's first marked words

Words = Mapping[str, Sequence[str]]  # kind of a marked word -> the words of that kind in the set


def marked_words(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """(kind, text) of each marked span. The kind is the slot that the word was put into, "" for a text without."""
    for start, end in prompt.marks:
        text = prompt.text[start:end]
        yield next((f.slot for f in prompt.filled[1:] if f.word == text), ""), text


def swap_marked(prompt: Prompt, words: Sequence[str]) -> list[Prompt]:
    """Every marked span exchanged for one of `words`, the same word for all of them."""
    if not prompt.marks:
        return []
    return _differing(prompt, (_all_swapped(prompt, word) for word in words))


def swap_within(prompt: Prompt, words: Sequence[str], kinds: Words) -> list[Prompt]:
    """One marked span exchanged for another word of its kind: `words`, or where none are given those of the set."""
    marked = enumerate(marked_words(prompt))
    choices = ((number, word) for number, (kind, _) in marked for word in words or kinds.get(kind, ()))
    return _differing(prompt, (_swapped(prompt, number, word) for number, word in choices))


def paraphrase(prompt: Prompt, frames: Sequence[str]) -> list[Prompt]:
    """The prompt said in another frame, whose {slots} take the prompt's own words; a word that was marked stays so."""
    words = slots_of(prompt)
    return _differing(prompt, (_framed(prompt, frame, words) for frame in frames if slots_in(frame) <= words.keys()))


def negation(prompt: Prompt) -> list[Prompt]:
    """`not` behind the first auxiliary verb where there is one; "It is not true that ..."."""
    verb = _AUXILIARY.search(prompt.text)
    inserted = [spliced(prompt, verb.end(), verb.end(), " not")] if verb else []
    return [*inserted, _prefixed(_lowered(prompt), "It is not true that")]


def typo(prompt: Prompt) -> list[Prompt]:
    """Two neighbouring letters exchanged inside a word of four letters or more that is not marked."""
    places = [
        i
        for word in _LONG_WORD.finditer(prompt.text)
        if not any(start < word.end() and word.start() < end for start, end in prompt.marks)
        for i in range(word.start() + 1, word.end() - 2)
    ]
    return _differing(prompt, (spliced(prompt, i, i + 2, prompt.text[i : i + 2][::-1]) for i in places))


def case(prompt: Prompt) -> list[Prompt]:
    """lower case, UPPER CASE, Title Case."""
    text = prompt.text
    titled = re.sub(r"(^|\s)(\S)", lambda m: m[1] + m[2].upper(), text)
    return _differing(prompt, (_says(prompt, made) for made in (text.lower(), text.upper(), titled)))


def punctuation(prompt: Prompt) -> list[Prompt]:
    """Another end: none, a full stop, an exclamation mark, a question mark, three dots."""
    stem = _END.sub("", prompt.text)
    return _differing(prompt, (_says(prompt, stem + end) for end in ("", ".", "!", "?", "...") if stem))


def filler_before(prompt: Prompt, fillers: Sequence[str]) -> list[Prompt]:
    """Words that say nothing in front: "By the way: ..."."""
    return [_prefixed(prompt, filler) for filler in fillers or FILLERS_BEFORE]


def filler_after(prompt: Prompt, fillers: Sequence[str]) -> list[Prompt]:
    """Words that say nothing behind."""
    return [_says(prompt, f"{prompt.text} {filler}") for filler in fillers or FILLERS_AFTER]


def position(prompt: Prompt, sentences: Sequence[str]) -> list[Prompt]:
    """The text further on: one, two, three neutral sentences stand before it."""
    lead = sentences or NEUTRAL
    return [_prefixed(prompt, " ".join(lead[: n + 1])) for n in range(len(lead))]


def slots_of(prompt: Prompt) -> dict[str, str]:
    """What a paraphrase may name: the prompt's slots, and `marked`."""
    words = {one.slot: one.word for one in prompt.filled[1:]}
    for _, text in marked_words(prompt):
        words.setdefault(MARKED, text)
    return words


def slots_in(frame: str) -> set[str]:
    return set(_SLOT.findall(frame))


def spliced(prompt: Prompt, start: int, end: int, text: str) -> Prompt:
    """text[start:end] replaced; marks behind it move, a mark that is replaced as a whole stays on what replaces it."""
    by = len(text) - (end - start)
    marks = tuple((a + by * (a >= end), b + by * (b >= end)) for a, b in prompt.marks)
    return replace(prompt, text=prompt.text[:start] + text + prompt.text[end:], marks=marks)


def _swapped(prompt: Prompt, number: int, word: str) -> Prompt:
    start, end = prompt.marks[number]
    return spliced(prompt, start, end, word.capitalize() if _is_capitalized(prompt.text[start:end], word) else word)


def _is_capitalized(old: str, new: str) -> bool:
    """Whether the word stood with a capital (at the start of a sentence) and the new one is written small."""
    return old[:1].isupper() and not old.isupper() and new.islower()


def _all_swapped(prompt: Prompt, word: str) -> Prompt:
    for number in range(len(prompt.marks)):
        prompt = _swapped(prompt, number, word)
    return prompt


def _framed(prompt: Prompt, frame: str, words: Mapping[str, str]) -> Prompt:
    marked = {text for _, text in marked_words(prompt)}
    text, marks, at = "", [], 0
    for match in _SLOT.finditer(frame):
        text += frame[at : match.start()]
        word, at = words[match[1]], match.end()
        marks += [(len(text), len(text) + len(word))] if word in marked else []
        text += word
    return replace(prompt, text=text + frame[at:], marks=tuple(marks))


def _prefixed(prompt: Prompt, lead: str) -> Prompt:
    return spliced(prompt, 0, 0, f"{lead} ")


def _lowered(prompt: Prompt) -> Prompt:
    """With a small first letter, unless the first word is written in capitals or is `I`."""
    first = prompt.text.split(maxsplit=1)[:1]
    keeps = not first or first[0].isupper() or not prompt.text[:1].isupper()
    return prompt if keeps else replace(prompt, text=prompt.text[0].lower() + prompt.text[1:])


def _says(prompt: Prompt, text: str) -> Prompt:
    """Another text whose marks nothing will ask for any more."""
    return replace(prompt, text=text, marks=())


def _differing(prompt: Prompt, made: Iterable[Prompt]) -> list[Prompt]:
    """Each text once, the prompt's own left out, and none that says nothing; of very many the first."""
    most = _MOST_LETTERS // max(len(prompt.text), 1000)
    first = reversed(list(islice(made, most)))
    found = {one.text: one for one in first if one.text.strip() and one.text != prompt.text}
    return list(reversed(found.values()))
