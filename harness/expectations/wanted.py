"""The tokens that a claim wants to see in a list: words, or a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from harness.codes import Mask
from harness.expectations.base import Expectation
from harness.expectations.telling import listed

LONGEST_PATTERN, _LONGEST_TOKEN = 200, 64
_MEMORY = 1 << 20  # bytes that a compiled pattern may take
PROBES = (
    "a",
    "Zebra",
    "42",
    "#!",
    "é",
    "_",
    "the",
    "x_1",
    "字",
)  # what a pattern that matches all of them is not about
_SPACE_SIGNS = "\u2581\u0120 \t\r\n"


class WantedTokens(Expectation):
    """Fields and rule of kinds that hold a feature's list of tokens against words or a pattern."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"oneOf": [{"required": ["tokens"]}, {"required": ["pattern"]}]},
    )

    tokens: tuple[str, ...] | None = Field(
        None, min_length=1, description="The words; case and the space before a token do not matter."
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_PATTERN,
        description="Or a regular expression (RE2's: no look-around, no back-references) that a whole token must "
        "match, without the space before it.",
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    @model_validator(mode="after")
    def _one_of_two(self) -> WantedTokens:
        if (self.tokens is None) == (self.pattern is None):
            raise ValueError(f"{self.kind} needs either `tokens` or `pattern`")
        return self

    def excludes_nothing(self) -> Iterator[tuple[str, str]]:
        if self.pattern is not None and self.matches([plain(text) for text in PROBES]).all():
            yield "pattern", f"`pattern` {self.pattern!r} matches every token: name the words that it is about"

    def wanted_words(self) -> str:
        """`is one of red, blue`, or what it matches."""
        if self.tokens is not None:
            return f"is one of {listed(self.tokens)}"
        return f"matches the pattern {self.pattern}"

    def matches(self, texts: Sequence[str]) -> Mask:
        """Which of these texts (as `plain` gives them) are wanted, [n_texts]."""
        if self.tokens is not None:
            words = {plain(token) for token in self.tokens}
            return np.array([text in words for text in texts], bool)
        pattern = compiled(self.pattern or "")
        return np.array([len(t) <= _LONGEST_TOKEN and pattern.fullmatch(t) is not None for t in texts], bool)


def compiled(pattern: str) -> Any:
    """The pattern without regard to case; ValueError where RE2 does not know it.

    Python's own engine takes 2^n steps for `(a+)+b` on n letters, and vocabularies hold runs of 30 and more; RE2's time
    grows with the text only. It is imported here: most specs have no pattern.
    """
    import re2

    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, _MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace")
        raise ValueError(f"{pattern!r} is not a regular expression of RE2: {why}") from None


def plain(token: str) -> str:
    """A token without a tokenizer's sign for a space and without case."""
    return token.strip(_SPACE_SIGNS).casefold()
