"""What the page shows of the evidence behind each claim: every prompt as a point, a few of them token by token.

Made where a claim is judged, since the codes are in memory there; as JSON text, so that a thousand of them
travel between processes and into the page without being looked at again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from harness.codes import Codes, Kind, Mask, Pooled
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.inputs import Prompt, PromptSet
from harness.reports.display import escape
from harness.spec import Spec
from harness.verdict import Example, Verdict

MOST_SETS = 6
WINDOW = 240  # tokens shown of one prompt, around its peak: a page of long prompts must stay a page


class Card(NamedTuple):
    """What the page shows of one claim, and what that names: the roles of its sets, and rows of theirs with pictures.

    text: JSON; None for a claim that is not about one feature.
    """

    text: str | None = None
    roles: tuple[str, ...] = ()
    pictures: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, text: str | None, roles: Sequence[str], pictures: Iterable[Sequence[Any]]) -> Card:
        """From JSON, which knows lists only."""
        return cls(text, tuple(roles), tuple((role, row) for role, row in pictures))


@dataclass(slots=True)
class Exhibits:
    """What one process has to show. cards: by claim id, the JSON of its sets and heat-maps. texts: by set key, the
    prompts as shown, once for all claims on the set. pictures: by digest, the path of each picture that is shown."""

    cards: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    _keys: dict[int, tuple[str, tuple[Prompt, ...]]] = field(default_factory=dict)
    _prompts: dict[tuple[int, int, int, int], tuple[Mask, dict[str, Any]]] = field(default_factory=dict)

    def add(self, spec: Spec, evidence: Evidence, verdict: Verdict) -> Card:
        """What the card of this claim shows, to be put back where it is not judged again; nothing for a claim that is
        not about one feature."""
        if verdict.feature is None or not evidence.codes_of:
            return Card()
        claim, beside = replace(spec.claim, feature=verdict.feature), spec.expectation.roles_beside()
        roles = [role for role in evidence.codes_of if evidence.sets[role[0]].prompts][:MOST_SETS]
        of_pictures = replace(claim, tokens="image")
        left = list(verdict.examples)
        sets = [self._set(evidence, of_pictures if role[0] in beside else claim, *role, left) for role in roles]
        text = json.dumps({"sets": sets, "examples": [_example(example) for example in left]}, separators=(",", ":"))
        self.cards[spec.id] = text
        shown = {(one["role"], prompt["row"]) for one in sets for prompt in one["prompts"] if "picture" in prompt}
        return Card(text, tuple(dict.fromkeys(role for role, _ in roles)), tuple(sorted(shown)))

    def put_back(self, spec: Spec, card: Card) -> None:
        """The card of a claim that was judged in an earlier run, with the texts and pictures that it names."""
        if card.text is None:
            return
        self.cards[spec.id] = card.text
        sets = spec.all_sets()
        for role in card.roles:
            self._key(sets[role])
        self._show_pictures(sets[role].prompts[row] for role, row in card.pictures)

    def merge(self, given: Mapping[str, Any]) -> None:
        """Take in what another process sent (`to_plain`)."""
        self.cards.update(given.get("cards", {}))
        self.texts.update(given.get("texts", {}))
        self.pictures.update(given.get("pictures", {}))

    def to_plain(self) -> dict[str, Any]:
        return {"cards": self.cards, "texts": self.texts, "pictures": self.pictures}

    def _set(
        self, evidence: Evidence, claim: Claim, role: str, subject: str | None, examples: list[Example]
    ) -> dict[str, Any]:
        """Pooled values by row (silent prompts are left out); the strongest and the weakest prompt, and those that bear
        on the verdict, which are taken out of `examples`."""
        assert claim.feature is not None
        prompts, pooled = evidence.prompts(role), evidence.pooled(role, claim, subject)
        part = slice(pooled.ptr[claim.feature], pooled.ptr[claim.feature + 1])
        key = self._key(prompts)
        wanted = _merged([*_extremes(pooled, claim.feature), *self._taken(examples, key, prompts.name)])
        return {
            "set": key,
            "name": escape(prompts.name),
            "role": role,
            "subject": subject,
            "n": pooled.n_prompts,
            "left_out": np.flatnonzero(pooled.lengths == 0).tolist(),
            "rows": pooled.prompt[part].tolist(),
            "values": [_short(value) for value in pooled.value[part].tolist()],
            "prompts": [
                {"why": why, **self._prompt_once(evidence, claim, role, subject, row)} for row, why in wanted.items()
            ],
        }

    def _taken(self, examples: list[Example], key: str, name: str) -> Iterator[tuple[str, int]]:
        """(note, row) of the examples that are from this set; they are removed from the list."""
        texts = self.texts[key]
        for example in [one for one in examples if one.role == name and escape(one.text) in texts]:
            examples.remove(example)
            yield example.note, texts.index(escape(example.text))

    def _key(self, prompts: PromptSet) -> str:
        """The set's place in `texts`. Claims on a set share its prompts, so each is looked at once; they are kept, so
        that their id() stays their own."""
        if id(prompts.prompts) not in self._keys:
            shown = [escape(prompt.shown) for prompt in prompts.prompts]
            key = hashlib.sha256("\0".join(shown).encode("utf-8", "backslashreplace")).hexdigest()[:12]
            self.texts[key] = shown
            self._keys[id(prompts.prompts)] = key, prompts.prompts
        return self._keys[id(prompts.prompts)][0]

    def _show_pictures(self, prompts: Iterable[Prompt]) -> None:
        self.pictures |= {one.image.digest: one.image.path for one in prompts if one.image is not None}

    def _prompt_once(
        self, evidence: Evidence, claim: Claim, role: str, subject: str | None, row: int
    ) -> dict[str, Any]:
        """A prompt is made once for all claims about the feature that show it; what ids stand for is kept."""
        assert claim.feature is not None
        codes, counted = evidence.codes(role, subject), evidence.counted(role, claim, subject)
        key = (id(codes), id(counted), row, claim.feature)
        if key not in self._prompts:
            texts, prompt = evidence.tokens(role, row, subject), evidence.prompts(role).prompts[row]
            self._prompts[key] = counted, self._prompt(prompt, row, texts, codes, counted, claim.feature)
        return self._prompts[key][1]

    def _prompt(
        self, prompt: Prompt, row: int, texts: Sequence[str], codes: Codes, counted: Mask, feature: int
    ) -> dict[str, Any]:
        """One prompt's tokens with the feature's value on each, and its picture's patches in reading order."""
        at = codes.of_prompt(row)
        values, image = _values(codes, at, feature), codes.kind[at] == Kind.IMAGE
        places = np.flatnonzero(~image & (codes.kind[at] != Kind.PAD))
        shown = {
            "row": row,
            **_windowed(
                [texts[place] for place in places.tolist()], values[places], counted[at][places], codes.sink[at][places]
            ),
        }
        if prompt.image is None:
            return shown
        self._show_pictures([prompt])
        return {**shown, "picture": prompt.image.digest, "patches": [_short(v) for v in values[image].tolist()]}


def _merged(found: Iterable[tuple[str, int]]) -> dict[int, str]:
    """Each row once, with all that is to be said of it."""
    rows: dict[int, list[str]] = {}
    for why, row in found:
        rows.setdefault(row, []).append(why)
    return {row: ", ".join(why) for row, why in rows.items()}


def _extremes(pooled: Pooled, feature: int) -> Iterator[tuple[str, int]]:
    """The prompts with the highest and the lowest value, ties in the order of the set; one where all are alike."""
    value = np.where(pooled.lengths > 0, pooled.column(feature), np.nan)
    if np.isnan(value).all():
        return
    high, low = int(np.nanargmax(value)), int(np.nanargmin(value))
    yield "strongest", high
    if value[low] != value[high]:
        yield "weakest", low


def _values(codes: Codes, at: slice, feature: int) -> Any:
    """The feature's value on each token of a prompt, [n_tokens] float32."""
    span = slice(codes.indptr[at.start], codes.indptr[at.stop])
    hit = np.flatnonzero(codes.index[span] == feature)
    out = np.zeros(at.stop - at.start, np.float32)
    out[np.searchsorted(codes.indptr[at] - span.start, hit, side="right") - 1] = codes.value[span][hit]
    return out


def _example(example: Example) -> dict[str, Any]:
    """A prompt that is in none of the sets; its tokens are those that count."""
    values = np.array([value for _, value in example.tokens])
    shown = _windowed([token for token, _ in example.tokens], values, np.ones(len(values), bool))
    why = f"{example.role}: {example.note}" if example.note else example.role
    return {"why": escape(why), "text": escape(example.text), "value": _short(example.value), **shown}


def _windowed(tokens: Sequence[str], values: Any, counted: Any, sink: Any = None) -> dict[str, Any]:
    """The tokens around the peak with their values; `before` and `after` say how many more there are.

    quiet: the tokens that the claim does not count; sinks: those that are attention sinks, where there are some.
    """
    peak = int(np.argmax(np.where(counted, values, -np.inf))) if len(tokens) else 0
    left = max(0, min(peak - WINDOW // 2, len(tokens) - WINDOW))
    kept = slice(left, left + WINDOW)
    firing = np.flatnonzero(values[kept])
    return {
        "tokens": [escape(token) for token in tokens[kept]],
        "at": firing.tolist(),
        "values": [_short(v) for v in values[kept][firing].tolist()],
        "quiet": np.flatnonzero(~counted[kept]).tolist(),
        **({"sinks": np.flatnonzero(sink[kept]).tolist()} if sink is not None and sink[kept].any() else {}),
        "before": left,
        "after": max(0, len(tokens) - left - WINDOW),
    }


def _short(value: float) -> float | None:
    """Four significant digits; JSON has no NaN or infinity."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
