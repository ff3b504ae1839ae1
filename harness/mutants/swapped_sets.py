"""swapped_sets: the two sets of a comparison exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from harness.expectations.base import Expectation
from harness.mutants.base import Case, Mutant, Variant

T = TypeVar("T")


def compared_roles(expectation: Expectation) -> tuple[str, ...]:
    """The roles whose sets are held against each other: two, or one for kinds that look inside a set."""
    beside = expectation.roles_beside()
    return tuple(role for role in expectation.references("prompts") if role not in beside)[:2]


def variants(case: Case) -> Iterator[Variant]:
    """The claim with `prompts` and `than` (or `but_fires_on`) exchanged."""
    first, second = compared_roles(case.spec.expectation)
    other = {first: second, second: first}
    sets = {other.get(role, role): prompts for role, prompts in case.spec.sets.items()}
    evidence = replace(
        case.evidence,
        sets=sets,
        codes_of=_moved(case.evidence.codes_of, other),
        residuals_of=_moved(case.evidence.residuals_of, other),
    )
    yield Variant(replace(case.spec, sets=sets), evidence, case.discovery)


def _moved(by_role: Mapping[tuple[str, str | None], T], other: Mapping[str, str]) -> dict[tuple[str, str | None], T]:
    return {(other.get(role, role), subject): value for (role, subject), value in by_role.items()}


SWAPPED_SETS = Mutant(
    "swapped_sets",
    "`prompts` and `than` (or `but_fires_on`) exchanged",
    "claim a difference between the sets with its direction (fires_more, selective), not a number that both have",
    variants=variants,
)
