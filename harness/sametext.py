"""When two texts are the same evidence: compared without case, punctuation, spacing and what no reader sees.

A sentence with `!` for `.`, with a zero-width space in it or with one Cyrillic letter is the same sentence. In code,
punctuation and case count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TypeVar

Text = TypeVar("Text", str, tuple[str, ...])
Words = tuple[str, ...]
Pairs = frozenset[Words]
_APOSTROPHES = "'\u2018\u2019\u02bc\u0060\u00b4"
# Invisible, and not all of category Cf: joiners, fillers and variation selectors.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}
# Letters of other scripts that are drawn as a Latin one, by case: the Greek capital of eta looks like H, the small one
# like n.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u051d\u04cf\u0261\u0251\u0131"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u04ae\u050c\u051a\u051c"
    "\u03b1\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03f3"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u043a\u043c\u0442\u043d\u0432\u0578\u057d\u0585\u0570\u0581",
    "aeopcyxijsdhqwlgaiABEKMHOPCTYXIJSYGQWaenikvoptuxjABEZHIKMNOPTYXkmthbnuohg",
)
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
# Scripts that are written without spaces: each of their letters is taken for a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NO_NUMBER_BESIDE = re.compile(r"(?<!\d) (?!\d)")
_CODE = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END = re.compile(r"[.:?!\u3002\uff1a\uff1f\uff01](?=\s)|\n")


class _Plainly(dict[int, str]):
    """What each character of a prose text becomes, by `str.translate`: itself, a space, or nothing."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _plain_character(chr(code))
        return found


class _Seen(dict[int, str]):
    """The same of code: only what is invisible goes."""

    def __missing__(self, code: int) -> str:
        self[code] = found = "" if _is_unseen(chr(code)) else chr(code)
        return found


def _is_unseen(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind == "Cf" or character in _UNSEEN or (kind == "Cc" and not character.isspace())


def _plain_character(character: str) -> str:
    if _is_unseen(character) or character in _APOSTROPHES:
        return ""
    return " " if unicodedata.category(character)[0] in "PZC" else character


_PROSE_TABLE, _CODE_TABLE = _Plainly(), _Seen()


@lru_cache(maxsize=1 << 15)
def words_of(text: str, code: bool = False) -> Words:
    """The words of a text as two texts are compared by: `("he", "left")` for "He left!" and for "he  left".

    code: punctuation and case count, and every sign is a word. A text of nothing but punctuation keeps it.
    """
    if code:
        return tuple(_CODE.findall(unicodedata.normalize("NFKC", text).translate(_CODE_TABLE)))
    if text.isascii():
        return tuple(text.lower().translate(_PROSE_TABLE).split()) or tuple(text.split())
    shown = unicodedata.normalize("NFKC", text).translate(_CODE_TABLE)
    plain = unicodedata.normalize("NFKC", _without_look_alikes(shown).casefold()).translate(_PROSE_TABLE)
    return tuple(_UNSPACED.sub(r" \g<0> ", plain).split()) or tuple(shown.split())


def same_text(text: str, code: bool = False) -> str:
    """The text as it is compared: equal for two texts that are the same evidence.

    Prose without its spaces, but for those beside a number: an invisible character in the place of a space makes no
    other text, and "1 23" is not "12 3".
    """
    spaced = " ".join(words_of(text, code))
    return spaced if code else _NO_NUMBER_BESIDE.sub("", spaced)


def word_pairs(words: Words) -> Pairs:
    """The pairs of neighbouring words; of one word, the word itself."""
    return frozenset(pairwise(words)) or frozenset([words])


def _without_look_alikes(text: str) -> str:
    """Latin letters for those that only look so, in a text that mixes scripts; a text in one script stays."""
    return text.translate(_LOOK_ALIKES) if len(_scripts_in(text)) > 1 else text


def mixed_words(text: str) -> Words:
    """The words in which scripts are mixed that look alike: one Cyrillic letter in an English word."""
    if text.isascii():
        return ()
    letters = ("".join(part) for is_letter, part in groupby(text, str.isalpha) if is_letter)
    return tuple(word for word in letters if not word.isascii() and len(_scripts_in(word)) > 1)


def _scripts_in(text: str) -> set[str]:
    """The scripts of the letters that could be mistaken for one another; others (Han, Arabic) are left out."""
    return {script for character in set(text) if (script := _script_of(character))}


@lru_cache(maxsize=1 << 12)
def _script_of(character: str) -> str:
    first = unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""
    return first if first in _SCRIPTS else ""


def shared_start(texts: Sequence[Text]) -> int:
    """How many first characters (or words) all of them have in common; 0 for fewer than two."""
    if len(texts) < 2:
        return 0
    low, high = min(texts), max(texts)  # in order, so what these two share, all between them do
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def shared_opening(texts: Sequence[str]) -> int:
    """The length of whole sentences that all texts begin with (a system prompt, "Translate to French:"), in characters.

    0 where there are none, for fewer than two texts, and where nothing would be left of one of them.
    """
    shared = texts[0][: shared_start(texts)] if texts else ""
    ends = [match.end() for match in _SENTENCE_END.finditer(shared)]
    return next((end for end in reversed(ends) if all(text[end:].strip() for text in texts)), 0)
