"""The prompts that a claim read in both runs, paired: what its feature made of each, then and now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.codes import Codes, Floats, Kind, Pooled, concat
from harness.comparing.told import ToldRun
from harness.expectations.noise import FLOAT32_RELATIVE, NOISES
from harness.spelling import joined, spelled
from harness.stats.noise import Noise
from harness.store import Store

MOST_SHOWN = 3
_POLICY = ("tokens", "special_tokens", "pool")
Change = tuple[float, float, str]


@dataclass(frozen=True, slots=True)
class Paired:
    """One role of a claim. n: prompts that both runs read and the store has under both keys; lost: that it has not.
    only_then, only_now: on how many the feature fires in one of the two; beyond: pooled values that moved beyond noise;
    mean: difference of the pooled values, on average. largest: (then, now, text)."""

    role: str
    n: int
    lost: int
    only_then: int = 0
    only_now: int = 0
    beyond: int = 0
    mean: float = 0.0
    largest: tuple[Change, ...] = ()


@dataclass(slots=True)
class Prompts:
    """Pairs the prompts of many claims; what they share is read and pooled once. text: a prompt by its key, None where
    no claim of today has it."""

    store: Store | None
    text: Callable[[str], str | None]
    _codes: dict[tuple[str, str], Codes | None] = field(default_factory=dict)
    _pooled: dict[Any, Pooled] = field(default_factory=dict)

    def paired(self, then: ToldRun, now: ToldRun, claim: str, noise: Noise | None) -> tuple[Paired, ...]:
        """Role by role; empty for a claim that is not about one feature, and where both runs read the same evidence."""
        features = then.records[claim].verdict.feature, now.records[claim].verdict.feature
        if None in features or self._reading(then, claim) == self._reading(now, claim):
            return ()
        before, after = then.prompts(claim), now.prompts(claim)
        roles = [role for role in before if role in after]
        return tuple(self._role(then, now, claim, role, noise) for role in roles)

    def _reading(self, run: ToldRun, claim: str) -> tuple[Any, ...]:
        how = run.basis.claims.get(claim, {})
        record = run.records[claim]
        return (record.fingerprint, record.verdict.feature, *(how.get(name) for name in _POLICY))

    def _role(self, then: ToldRun, now: ToldRun, claim: str, role: str, noise: Noise | None) -> Paired:
        there = set(now.prompts(claim)[role])
        both = [key for key in dict.fromkeys(then.prompts(claim)[role]) if key in there]
        kept = [key for key in both if self._has(then, claim, key) and self._has(now, claim, key)]
        if not kept:
            return Paired(role, 0, len(both))
        before, after = (self._values(run, claim, kept) for run in (then, now))
        differs = np.abs(after - before) > _allowed(before, after, noise)
        order = np.argsort(-np.abs(after - before), kind="stable")
        fingerprint = now.records[claim].fingerprint
        return Paired(
            role,
            n=len(kept),
            lost=len(both) - len(kept),
            only_then=int(((before != 0) & (after == 0)).sum()),
            only_now=int(((before == 0) & (after != 0)).sum()),
            beyond=int(differs.sum()),
            mean=float((after - before).mean()),
            largest=tuple(
                (float(before[i]), float(after[i]), self._text(kept[i], fingerprint)) for i in order if differs[i]
            )[:MOST_SHOWN],
        )

    def _has(self, run: ToldRun, claim: str, key: str) -> bool:
        codes = self._one(run.records[claim].fingerprint, key)
        return codes is not None and (run.records[claim].verdict.feature or 0) < codes.d_sae

    def _one(self, code_key: str, key: str) -> Codes | None:
        if (code_key, key) not in self._codes:
            found = self.store.get(code_key, [key]) if self.store is not None and code_key else {}
            self._codes[code_key, key] = found.get(key)
        return self._codes[code_key, key]

    def _values(self, run: ToldRun, claim: str, keys: Sequence[str]) -> Floats:
        """The claim's pooled value on each prompt, [len(keys)]."""
        record, how = run.records[claim], run.basis.claims[claim]
        policy = tuple(how[name] for name in _POLICY)
        cached = (record.fingerprint, tuple(keys), policy)
        if cached not in self._pooled:
            codes = concat([one for key in keys if (one := self._one(record.fingerprint, key)) is not None])
            counted = codes.counted(how["tokens"], how["special_tokens"])
            self._pooled[cached] = codes.pooled(counted, how["pool"])
        assert record.verdict.feature is not None
        return self._pooled[cached].column(record.verdict.feature)

    def _text(self, key: str, code_key: str) -> str:
        known, codes = self.text(key), self._one(code_key, key)
        if known is not None or codes is None:
            return known or key
        tokens = zip(spelled(codes, slice(0, codes.n_tokens)), codes.kind, strict=True)
        return joined([token for token, kind in tokens if kind == Kind.TEXT])


def _allowed(before: Floats, after: Floats, noise: Noise | None) -> Floats:
    """How far each value may be off: a share of itself."""
    share = FLOAT32_RELATIVE if noise is None else max(noise.single, FLOAT32_RELATIVE)
    return np.asarray(NOISES * share * np.maximum(np.abs(before), np.abs(after)))
