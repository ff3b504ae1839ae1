"""A claim as one plain sentence: what it speaks of, and how sets, tokens and levels are said. No field's name in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.results import limits_text, short
from harness.independence import counted_in_words
from harness.inputs import Corpus, PromptSet

_TOKEN = {"text": "text token", "image": "image token", "all": "token, of text or image,"}
_POOLED = {
    "max": "a prompt counts with its strongest {}",
    "last": "a prompt counts with its last {}",
    "mean": "a prompt counts with the mean over each {}",
    "any": "a prompt counts as firing, however strongly, where any {} fires",
}
_MOST_NAMED = 6
_LONGEST_WORD = 60


@dataclass(frozen=True, slots=True)
class Told:
    """What the sentence of a claim speaks of.

    who: `feature 267`; empty where the claim is about no feature. chosen: how the feature is found where it has no
    number. subject: the spec's own, by name. sets, corpora: what the roles resolve to. shared_by: the features that
    share alpha (together: any).
    """

    claim: Claim
    who: str = ""
    subject: str = ""
    sets: Mapping[str, PromptSet] = field(default_factory=dict)
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    shared_by: int = 1
    chosen: str = ""

    def on(self, role: str) -> str:
        """`color (24 prompts)`, or `prose (its first 100,000 tokens)`."""
        if role in self.corpora:
            corpus = self.corpora[role]
            return f"{corpus.name} (its first {corpus.token_limit:,} tokens)"
        found = self.sets[role]
        return f"{found.name} ({counted_in_words(found.prompts, self.claim.over)})"

    def sentence(self, claimed: str, *rest: str) -> str:
        """The whole, with a capital and a full stop; what is empty is left out."""
        text = "; ".join([claimed, *filter(None, (*rest, self.chosen))])
        return text[:1].upper() + text[1:] + "."

    def value(self, value: Any) -> str:
        """What stands in a field, for a kind without a sentence of its own."""
        if isinstance(value, Bound):
            return limits_text(value)
        return listed([str(one) for one in value]) if isinstance(value, tuple) else str(value)

    def level(self) -> str:
        """How far it reaches: prompts like these, at a level, or these only."""
        if self.claim.scope == "sample":
            return "claimed of these prompts only"
        shared = f" shared by {self.shared_by} features" if self.shared_by > 1 else ""
        return f"decided at alpha {short(self.claim.alpha)}{shared}"

    def pooled(self) -> str:
        """What a prompt counts with."""
        return _POOLED[self.claim.pool].format(_TOKEN[self.claim.tokens]).rstrip(",") + self._specials()

    def counted(self) -> str:
        """Which tokens count, of a claim about tokens; empty where it is text alone."""
        if self.claim.tokens == "text":
            return self._specials().removeprefix(", ")
        return f"every {_TOKEN[self.claim.tokens].rstrip(',')} counts{self._specials()}"

    def _specials(self) -> str:
        return ", special tokens included" if self.claim.special_tokens == "counted" else ""


def listed(words: Sequence[str], most: int = _MOST_NAMED) -> str:
    """`red, blue, green and 3 more`; a long one (a sentence of a paraphrase) is cut."""
    shown = [word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}..." for word in words[:most]]
    return ", ".join(shown) + (f" and {len(words) - most} more" if len(words) > most else "")
