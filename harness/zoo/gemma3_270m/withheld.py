"""The words of the test prompts (specs/prompts/categories.yaml), which the SAE's corpus must lack.

Of number, color, animal and object the slot words; of abstract every abstract noun. spatial and
action are not withheld: their words (left, under, run, take) are in half of all sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_split = str.split  # lists of words are read more easily as text

WORDS = {
    "number": _split("three seven ten thirteen seventeen nineteen twenty thirty fifty seventy ninety"),
    "color": _split("yellow white pink orange gray violet silver teal navy lavender indigo magenta"),
    "animal": _split("""cat cow pig bear fox elephant chicken deer turtle camel zebra owl goose leopard hamster
        parrot"""),
    "object": _split("""table phone knife box computer camera piano helmet blanket vase drum candle shovel bicycle
        violin carpet"""),
    "abstract": _split("""democracy consent mercy revenge innocence understanding imagination tradition reform
        conflict ignorance dignity fate decision solitude compassion pride decline essence grief love
        responsibility authority optimism habit spirit envy devotion science criticism forgiveness humility
        integrity success notion infinity culture identity memory prejudice opinion tolerance maturity
        existence mystery education independence greed community eternity poetry"""),
}

# Plurals that no ending makes, and spellings of the same word.
_ALSO = _split("knives geese grey memories identities communities mysteries")
_ENDINGS = "(?:s|es|'s|s')?"
_PATTERN = re.compile(rf"\b(?:{'|'.join([*(w for ws in WORDS.values() for w in ws), *_ALSO])}){_ENDINGS}\b", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?;:])[\"')]*\s+|\n{2,}")


def has_withheld_word(text: str) -> bool:
    """Whether a withheld word stands in `text`, in any case, with a plural or possessive ending or none."""
    return _PATTERN.search(text) is not None


def without_withheld(text: str) -> str:
    """`text` less every sentence (or clause before ; or :) that holds a withheld word."""
    pieces = _SENTENCE_END.split(text)
    return " ".join(piece for piece in pieces if piece and not has_withheld_word(piece))


def clean(texts: Iterable[str]) -> list[str]:
    """The texts that hold no withheld word, in order."""
    return [text for text in texts if not has_withheld_word(text)]
