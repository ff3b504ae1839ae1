"""shuffled_labels: the prompts dealt anew between the two sets, or the marks inside each prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codes import concat, split
from harness.independence import design
from harness.inputs import Prompt, PromptSet
from harness.mutants.base import Case, Mutant, Variant
from harness.mutants.moved_marks import moved_marks
from harness.mutants.swapped_sets import compared_roles
from harness.stats.units import LEFT_OUT, Design

DRAWS, MOST_MET = 20, 2

Sides = NDArray[np.int64]
_Key = tuple[str, str | None]


def variants(case: Case) -> Iterator[Variant]:
    """Twenty deals, one after the other: each has codes of its own, and a memory of its own."""
    roles = compared_roles(case.spec.expectation)
    rng = case.random("shuffled_labels")
    if len(roles) == 1:
        for _ in range(DRAWS):
            yield _marked_anew(case, roles[0], rng)
        return
    parts = _parts(case, roles)
    first, second = (case.spec.sets[role].prompts for role in roles)
    dealt = design(first, second, case.spec.claim.over)
    prompts = _as_units([*first, *second], dealt)
    for _ in range(DRAWS):
        yield _dealt(case, roles, parts, prompts, deal(dealt, rng))


def deal(of: Design, rng: np.random.Generator) -> Sides:
    """The new set of each prompt of both, 0 or 1, [n]; -1 for a prompt that does not count.

    As many units as before in each set, as in a permutation p: prompts of one template stay together, a word keeps its
    label in every frame, and near copies are one.
    """
    unit = of.unit
    firsts = rng.permutation(of.n)[: of.n_positive]
    return np.where(unit == LEFT_OUT, LEFT_OUT, ~np.isin(unit, firsts)).astype(np.int64)


def _as_units(prompts: Sequence[Prompt], of: Design) -> list[Prompt]:
    """Each prompt with its unit as its group: near copies on the two sides stay two units when they meet on one.

    Words in frames are as they were: how they fill their templates says it.
    """
    if of.frames is not None:
        return list(prompts)
    return [replace(p, group=f"unit {u}", filled=()) for p, u in zip(prompts, of.unit.tolist(), strict=True)]


def _parts(case: Case, roles: Sequence[str]) -> dict[str | None, list[tuple[Any, Any]]]:
    """Per subject the (codes, residuals) of every prompt of both sets by itself."""
    subjects = [subject for role, subject in case.evidence.codes_of if role == roles[0]]
    return {s: [part for role in roles for part in _singles(case, (role, s))] for s in subjects}


def _singles(case: Case, key: _Key) -> list[tuple[Any, Any]]:
    codes = case.evidence.codes_of[key]
    residuals = case.evidence.residuals_of.get(key)
    bounds = np.searchsorted(codes.prompt, np.arange(codes.n_prompts + 1))
    kept = [None if residuals is None else residuals[a:b] for a, b in pairwise(bounds)]
    return list(zip(split(codes), kept, strict=True))


def _dealt(
    case: Case,
    roles: Sequence[str],
    parts: dict[str | None, list[tuple[Any, Any]]],
    prompts: Sequence[Prompt],
    side: Sides,
) -> Variant:
    sets, codes_of, residuals_of = dict(case.spec.sets), dict(case.evidence.codes_of), dict(case.evidence.residuals_of)
    for number, role in enumerate(roles):
        rows = np.flatnonzero(side == number).tolist()
        sets[role] = PromptSet(sets[role].name, tuple(prompts[i] for i in rows))
        for subject, every in parts.items():
            codes_of[role, subject] = concat([every[i][0] for i in rows])
            if (role, subject) in residuals_of:
                residuals_of[role, subject] = np.concatenate([every[i][1] for i in rows])
    evidence = replace(case.evidence, sets=sets, codes_of=codes_of, residuals_of=residuals_of, cache={})
    return Variant(replace(case.spec, sets=sets), evidence, case.discovery)


def _marked_anew(case: Case, role: str, rng: np.random.Generator) -> Variant:
    old = case.spec.sets[role]
    counted = case.evidence.counted(role, case.spec.claim)
    marks = moved_marks(case.evidence.codes(role), counted, [p.marks for p in old.prompts], rng)
    prompts = tuple(replace(p, marks=m) for p, m in zip(old.prompts, marks, strict=True))
    sets = {**case.spec.sets, role: PromptSet(old.name, prompts)}
    return Variant(replace(case.spec, sets=sets), replace(case.evidence, sets=sets, cache={}), case.discovery)


SHUFFLED_LABELS = Mutant(
    "shuffled_labels",
    f"prompts dealt anew between the sets, or marks inside each prompt: {DRAWS} seeded draws, killed if at most "
    f"{MOST_MET} meet the claim",
    "ask for more than what a random split reaches: a higher bound, more prompts, or `scope: population`",
    variants=variants,
    most_met=MOST_MET,
    relabels=True,
)
