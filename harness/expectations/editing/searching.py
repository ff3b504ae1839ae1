"""The smallest counterexample: among what was read, and with a model at hand among what shrinking asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.codes import Floats
from harness.expectations.editing.drawing import Example, Language, try_all
from harness.expectations.editing.relations import Held, Relation, held
from harness.expectations.editing.values import Values
from harness.inputs import Prompt


@dataclass(frozen=True, slots=True)
class Counterexample:
    """`example` violates the claim. asked: prompts read to shrink it. complete: nothing that shrinking wanted to read
    was refused."""

    example: Example
    asked: int
    complete: bool


class _Violated(Exception):
    def __init__(self, example: Example) -> None:
        super().__init__("a counterexample")
        self.example = example


def outcomes(relation: Relation, examples: Sequence[Example], values: Values) -> Held:
    """How each example came out for the claim's feature, [n]."""
    return held(relation, *_activations(examples, values), values.claim.dtype)


def _activations(examples: Sequence[Example], values: Values, ask: bool = False) -> tuple[Floats, Floats]:
    before, after = (np.array([values.of(p, ask) for p in side]) for side in zip(*map(_sides, examples), strict=True))
    return before, after


def _sides(example: Example) -> tuple[Prompt, Prompt]:
    return example.original, example.edited


def smallest(
    relation: Relation, language: Language, n: int, seed: int, examples: Sequence[Example], values: Values
) -> Counterexample:
    """Shrink the first counterexample among `examples`, which `explored` gave for `n` and `seed`; one is there.

    The same draws are made again, now with the claim asserted: until the first counterexample all is known, and only
    shrinking reads on, one prompt at a time. A smaller one that was drawn anyway is preferred to where it ends.
    """
    violates = outcomes(relation, examples, values).violates
    least = min((e for e, bad in zip(examples, violates, strict=True) if bad), key=lambda e: e.size)
    try:
        try_all(language, n, seed, _asserting(relation, examples, values))
    except _Violated as violated:
        least = min(violated.example, least, key=lambda e: e.size)
    return Counterexample(least, values.asked, not values.refused)


def _asserting(relation: Relation, examples: Sequence[Example], values: Values) -> Callable[[Example], None]:
    """Raises for a counterexample. What cannot be read passes, each time it is met."""
    before, after = _activations(examples, values)
    said: dict[tuple[str, str], bool] = {}

    def check(example: Example) -> None:
        key = (example.original.text, example.edited.text)
        if key not in said:
            b, a = _activations([example], values, ask=True)
            # With all others: which firings are too weak to be sure of is seen on all of them.
            one = held(relation, np.r_[before, b], np.r_[after, a], values.claim.dtype)
            said[key] = bool(one.violates[-1])
        if said[key]:
            raise _Violated(example)

    return check
