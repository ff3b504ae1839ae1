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
    """`example` violates the claim. asked: prompts looked at to shrink it, beyond the examples. complete: nothing that
    shrinking wanted to read was refused."""

    example: Example
    asked: int
    complete: bool

    @property
    def how(self) -> str:
        """How small it is, in words."""
        read = f"{self.asked} more prompt{'s' if self.asked != 1 else ''} looked at"
        if self.complete:
            return f"shrunk, {read}"
        return f"the smallest that was read, not shrunk further, since no more could be read here ({read})"


class _Violated(Exception):
    def __init__(self, example: Example) -> None:
        super().__init__("a counterexample")
        self.example = example


def outcomes(relation: Relation, examples: Sequence[Example], values: Values) -> Held:
    """How each example came out for the claim's feature, [n]."""
    return held(relation, *_activations(examples, values), values.claim.noise)


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
    shrinking reads on, one prompt at a time. What Hypothesis ends with, or a smaller one that was drawn anyway, is then
    lowered choice by choice, so that in the end no single choice can be simpler.
    """
    known = outcomes(relation, examples, values).violates
    least = min((e for e, bad in zip(examples, known, strict=True) if bad), key=lambda e: e.size)
    violates = _asserting(relation, examples, values)

    def check(example: Example) -> None:
        if violates(example):
            raise _Violated(example)

    try:
        try_all(language, n, seed, check)
    except _Violated as violated:
        least = min(violated.example, least, key=lambda e: e.size)
    return Counterexample(lowered(language, least, violates), values.asked, not values.refused)


def lowered(language: Language, example: Example, violates: Callable[[Example], bool]) -> Example:
    """Lower one choice after the other while that leaves a counterexample; the sum of the choices falls each time."""
    for what, made in example.choices.items():
        for lower in range(made):
            simpler = language.again({**example.choices, what: lower})
            if simpler is not None and violates(simpler):
                return lowered(language, simpler, violates)
    return example


def _asserting(relation: Relation, examples: Sequence[Example], values: Values) -> Callable[[Example], bool]:
    """Whether an example violates the claim. What cannot be read does not, each time it is met."""
    before, after = _activations(examples, values)
    said: dict[tuple[str, str], bool] = {}

    def violates(example: Example) -> bool:
        key = (example.original.text, example.edited.text)
        if key not in said:
            b, a = _activations([example], values, ask=True)
            # With all others: which firings are too weak to be sure of is seen on all of them.
            one = held(relation, np.r_[before, b], np.r_[after, a], values.claim.noise)
            said[key] = bool(one.violates[-1])
        return said[key]

    return violates
