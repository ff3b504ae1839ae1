"""Which tokens of a vocabulary are special: one rule, for reading, training and everything that leaves them out."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_KNOWN: WeakKeyDictionary[Any, frozenset[int]] = WeakKeyDictionary()


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids of every token that the tokenizer's own files call special.

    These are the entries of `added_tokens` in tokenizer.json with `special: true`: BOS and the other named ones, and
    also turn, header, tool and reserved tokens, which have no name. transformers' `all_special_ids` has the named ones
    only. The list is remembered for each tokenizer: every prompt needs it, and it takes milliseconds to build where a
    vocabulary has thousands of reserved tokens.
    """
    known = _KNOWN.get(tokenizer)
    if known is None:
        added = tokenizer.added_tokens_decoder
        known = _KNOWN[tokenizer] = frozenset(number for number, token in added.items() if token.special)
    return known
