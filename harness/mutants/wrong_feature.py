"""wrong_feature: the claim made of a feature that fires as often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.expectations.nulls import firing_tokens
from harness.mutants.base import Case, Mutant, Variant
from harness.spec import Spec

DRAWS = 3


def variants(case: Case) -> Iterator[Variant]:
    """Three times the claim, each time about the next feature of nearest density; with several, all are exchanged."""
    fired = tokens_fired(case)
    rng = case.random("wrong_feature")
    taken = set(case.features)
    near = [_nearest(fired, feature, taken, rng) for feature in case.features]
    for draw in range(min(DRAWS, *map(len, near))):
        found = tuple(features[draw] for features in near)
        yield Variant(_about(case.spec, found), case.evidence, what=", ".join(map(str, found)))


def tokens_fired(case: Case) -> NDArray[np.int64]:
    """On how many counted tokens of the claim's own prompts, pictures and corpora each feature fires, [d_sae].

    A claim that reads no prompt says itself which features it is compared with: they count as equals.
    """
    expectation = case.spec.expectation
    compared = expectation.compared(case.evidence)
    if compared is not None:
        return compared[0].astype(np.int64)
    return firing_tokens(expectation, case.evidence, case.spec.claim)


def _nearest(fired: NDArray[np.int64], feature: int, taken: set[int], rng: np.random.Generator) -> list[int]:
    """Live features by how near their count is, equals in random order; those returned are taken for the others."""
    live = np.array([f for f in np.flatnonzero(fired) if f not in taken], np.int64)
    order = np.lexsort((rng.random(len(live)), np.abs(fired[live] - fired[feature])))
    found = [int(f) for f in live[order[:DRAWS]]]
    taken.update(found)
    return found


def _about(spec: Spec, features: tuple[int, ...]) -> Spec:
    """A baseline is taken over: the number is held against it, not the name of the feature that had it."""
    accepted = spec.claim.accepted
    claim = spec.claim if accepted is None else replace(spec.claim, accepted=replace(accepted, feature=features[0]))
    return replace(spec, features=features, best=None, claim=claim)


WRONG_FEATURE = Mutant(
    "wrong_feature",
    f"another live feature, in turn the {DRAWS} whose number of firing tokens on the claim's own prompts is nearest",
    "contrast it with near misses on which that feature fires, too, or raise the bound above what it reaches",
    variants=variants,
)
