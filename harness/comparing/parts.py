"""Which part of the keys differs between two runs: weights, SAE, tokenizer, a library's version, precision, device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.baselines import differing
from harness.comparing.told import ToldRun
from harness.store import Store


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A subject's key that differs. changes: (part, then, now); None where the parts of one of the two are known
    neither to its run nor to the store. claims: how many were judged under both."""

    subject: str
    then: str
    now: str
    changes: tuple[tuple[str, str, str], ...] | None
    claims: int


def parts_of(key: str, run: ToldRun, store: Store | None) -> Mapping[str, str] | None:
    """What a code key was made from, as its run or the store says."""
    return run.basis.subjects.get(key) or (store.parts(key) if store is not None else None)


def key_changes(then: ToldRun, now: ToldRun, shared: Iterable[str], store: Store | None) -> tuple[KeyChange, ...]:
    """Every key of the claims in both runs that differs, most claims first."""
    found: dict[tuple[str, str, str], int] = {}
    for claim in shared:
        before, after = then.keys(claim), now.keys(claim)
        for name in before.keys() & after.keys():
            if before[name] != after[name]:
                pair = (name or now.records[claim].subject, before[name], after[name])
                found[pair] = found.get(pair, 0) + 1
    ranked = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(KeyChange(*pair, _changes(pair, then, now, store), claims) for pair, claims in ranked)


def _changes(
    pair: tuple[str, str, str], then: ToldRun, now: ToldRun, store: Store | None
) -> tuple[tuple[str, str, str], ...] | None:
    before, after = parts_of(pair[1], then, store), parts_of(pair[2], now, store)
    return None if before is None or after is None else tuple(differing(before, after))
