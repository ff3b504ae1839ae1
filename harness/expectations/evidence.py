"""What a kind judges from: codes by role, sums by role, and nothing that could load a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from harness.codes import Codes, Mask, Pooled
from harness.inputs import Prompt, PromptSet
from harness.promotion import Promotions
from harness.spelling import spelled
from harness.sums import Part, Sums

if TYPE_CHECKING:
    from harness.expectations.base import Claim

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The codes of many prompts in order, batch by batch; `read` starts again each time it is called."""

    read: Callable[[], Iterator[Codes]]


@dataclass(slots=True)
class Evidence:
    """The evidence of one spec.

    sets: role -> its prompts, in the order of the rows of its codes. codes_of: (role, subject) ->
    codes, the spec's own subject under None. sums_of: likewise for corpora and fidelity sums. residuals_of: likewise
    the activations, [n_tokens, d_in] fp32. streams: likewise codes that are read batch by batch, of the sentences of a
    corpus; `sets` has these under the same role. promotions: what decoder directions promote, for kinds that read them.
    cache: shared by all specs of a run, so that what is computed for all features at once is
    computed once per pair of sets.
    discovery: the evidence of the two sets that `best` chose the feature on; None for a feature that was named.
    ask: reads more prompts through the spec's own subject, for a kind with `asks`; None where it could not. Without
    it there is no model to ask.
    """

    sets: Mapping[str, PromptSet] = field(default_factory=dict)
    codes_of: Mapping[tuple[str, str | None], Codes] = field(default_factory=dict)
    sums_of: Mapping[tuple[str, str | None], Sums] = field(default_factory=dict)
    residuals_of: Mapping[tuple[str, str | None], Any] = field(default_factory=dict)
    streams: Mapping[tuple[str, str | None], Stream] = field(default_factory=dict)
    promotions: Promotions | None = None
    cache: dict[Any, Any] = field(default_factory=dict)
    discovery: Evidence | None = None
    ask: Callable[[Sequence[Prompt]], Codes | None] | None = None

    def codes(self, role: str, subject: str | None = None) -> Codes:
        return self.codes_of[role, subject]

    def sums(self, role: str, claim: Claim, subject: str | None = None) -> Sums:
        """A corpus's sums under the claim's policy, a row for each block; computed once per sums."""
        sums = self.sums_of[role, subject]
        others = (Part.SINK, Part.SPECIAL) if claim.special_tokens == "counted" else ()
        return self.memo(("sums", id(sums), claim.special_tokens), lambda: sums.counting(*others), keep=sums)

    def residuals(self, role: str, subject: str | None = None) -> Any:
        return self.residuals_of[role, subject]

    def prompts(self, role: str) -> PromptSet:
        return self.sets[role]

    def counted(self, role: str, claim: Claim, subject: str | None = None) -> Mask:
        """Which tokens of the role count under the claim's policy, [n_tokens] bool; computed once per codes."""
        codes = self.codes(role, subject)
        key = ("counted", id(codes), claim.tokens, claim.special_tokens)
        return self.memo(key, lambda: codes.counted(claim.tokens, claim.special_tokens), keep=codes)

    def pooled(self, role: str, claim: Claim, subject: str | None = None) -> Pooled:
        """One number per prompt and feature; computed once per codes and policy."""
        codes = self.codes(role, subject)
        key = ("pooled", id(codes), claim.tokens, claim.special_tokens, claim.pool)
        return self.memo(key, lambda: codes.pooled(self.counted(role, claim, subject), claim.pool), keep=codes)

    def tokens(self, role: str, row: int, subject: str | None = None) -> tuple[str, ...]:
        """The tokens of one prompt of a role as they are shown; written once per codes, whatever feature they show."""
        codes, text = self.codes(role, subject), self.prompts(role).prompts[row].text
        key = ("tokens", id(codes), row)
        return self.memo(key, lambda: spelled(codes, codes.of_prompt(row), text), keep=codes)

    def memo(self, key: Any, compute: Callable[[], T], keep: Any = None) -> T:
        """The cached value of `key`; `keep` stays alive with it, so that an id() in the key stays true."""
        if key not in self.cache:
            self.cache[key] = (compute(), keep)
        value: T = self.cache[key][0]
        return value
