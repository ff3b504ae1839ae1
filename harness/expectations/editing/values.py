"""The activation of a feature on each prompt by its content: from what was read, and from what may still be asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes, Floats, Pooled
from harness.expectations.base import Claim
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.inputs import Prompt
from harness.spelling import spelled
from harness.verdict import Example

Content = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class _Place:
    codes: Codes
    pooled: Pooled
    row: int


@dataclass(slots=True)
class Values:
    """evidence: all roles that the spec's own subject has read. asked: prompts read beyond it, at most `most_asked`.

    refused: a prompt was wanted that could not be read (no weights here, or too many asked for).
    """

    evidence: Evidence
    claim: Claim
    most_asked: int = 200
    asked: int = 0
    refused: bool = False
    _places: dict[Content, _Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in self.roles:
            codes, pooled = self.evidence.codes(role), self.evidence.pooled(role, self.claim)
            for row, prompt in enumerate(self.evidence.prompts(role).prompts):
                self._places.setdefault(prompt.content, _Place(codes, pooled, row))

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(role for role, subject in self.evidence.codes_of if subject is None)

    def of(self, prompt: Prompt, ask: bool = False) -> float:
        """The pooled activation; NaN where it is not known or no token counts. `ask`: read it, if that can be."""
        if ask and prompt.content not in self._places:
            self._ask(prompt)
        place = self._places.get(prompt.content)
        if place is None or not place.pooled.lengths[place.row]:
            return math.nan
        return float(_entry(place.pooled, place.row, feature_of(self.claim, place.pooled.d_sae)))

    def cannot_fail(self, original: Prompt, edited: Prompt) -> bool:
        """Whether the feature fires on a token before the first one that the edit changes: in a causal model it then
        fires there in the edited prompt too, whatever the edit is."""
        if self.claim.pool not in ("max", "any") or not (original.is_causal and edited.is_causal):
            return False
        before, after = (self._places.get(p.content) for p in (original, edited))
        if before is None or after is None:
            return False
        here, there = (place.codes.of_prompt(place.row) for place in (before, after))
        one, other = before.codes.token_id[here], after.codes.token_id[there]
        shorter = min(len(one), len(other))
        same = int(np.argmin(np.r_[one[:shorter] == other[:shorter], False]))
        fires = before.codes.token_column(feature_of(self.claim, before.codes.d_sae))[here] != 0
        counted = before.codes.counted(self.claim.tokens, self.claim.special_tokens)[here]
        return bool((fires & counted)[:same].any())

    def columns(self, prompts: Sequence[Prompt], features: NDArray[np.int64]) -> Floats:
        """Pooled activations of several features, [n prompts, n features]; NaN as in `of`."""
        wide = {id(p.pooled): _some_dense(p.pooled, features) for p in self._each_pooled()}
        found = np.full((len(prompts), len(features)), math.nan)
        for row, prompt in enumerate(prompts):
            place = self._places.get(prompt.content)
            if place is not None and place.pooled.lengths[place.row]:
                found[row] = wide[id(place.pooled)][place.row]
        return found

    def live(self) -> NDArray[np.int64]:
        """The features that fire on some prompt, in order."""
        return np.unique(np.concatenate([p.pooled.features() for p in self._each_pooled()]))

    def shown(self, prompt: Prompt, role: str, note: str) -> Example:
        """The prompt as reports show it, with the activation of each counted token."""
        place = self._places[prompt.content]
        feature = feature_of(self.claim, place.codes.d_sae)
        activation = place.codes.token_column(feature)
        counted = place.codes.counted(self.claim.tokens, self.claim.special_tokens)
        prompt_at = np.array([place.row, place.row + 1], place.codes.prompt.dtype)
        at = slice(*np.searchsorted(place.codes.prompt, prompt_at).tolist())
        tokens = zip(spelled(place.codes, at, prompt.text), activation[at].tolist(), counted[at], strict=True)
        found = tuple((token, value) for token, value, counts in tokens if counts)
        return Example(prompt.shown, self.of(prompt), role, note, found)

    def _each_pooled(self) -> Iterable[_Place]:
        return {id(place.pooled): place for place in self._places.values()}.values()

    def _ask(self, prompt: Prompt) -> None:
        found = None
        if self.evidence.ask is not None and self.asked < self.most_asked and not self.refused:
            found = self.evidence.ask([prompt])
        if found is None:
            self.refused = True
            return
        self.asked += 1
        pooled = found.pooled(found.counted(self.claim.tokens, self.claim.special_tokens), self.claim.pool)
        self._places[prompt.content] = _Place(found, pooled, 0)


def _some_dense(pooled: Pooled, features: NDArray[np.int64]) -> Floats:
    """[n_prompts, n features] of these features only, which are in order: all of a wide SAE's would not fit."""
    of_each = pooled.features()
    column = np.searchsorted(features, of_each)
    kept = column < len(features)
    kept[kept] = features[column[kept]] == of_each[kept]
    out = np.zeros((pooled.n_prompts, len(features)))
    out[pooled.prompt[kept], column[kept]] = pooled.value[kept]
    return out


def _entry(pooled: Pooled, row: int, feature: int) -> float:
    part = slice(pooled.ptr[feature], pooled.ptr[feature + 1])
    at = np.flatnonzero(pooled.prompt[part] == row)
    return float(pooled.value[part][at[0]]) if len(at) else 0.0
