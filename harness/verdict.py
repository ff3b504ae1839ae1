"""What judging a claim gives: a record first, text after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    MET = "met"
    UNMET = "unmet"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"


class Reason(StrEnum):
    """Why a claim could not be decided. "Could not tell" is never a pass."""

    TOO_FEW_PROMPTS = "too_few_prompts"
    TOO_SPARSE = "too_sparse"
    UNDERPOWERED = "underpowered"
    LEAKED = "leaked"
    LENGTH_CONFOUND = "length_confound"
    NOT_FINITE = "not_finite"
    DEAD = "dead"
    VACUOUS = "vacuous"
    NO_BASELINE = "no_baseline"
    SHORTCUT = "shortcut"
    NO_PROVENANCE = "no_provenance"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number never travels without its n. low and high: two-sided 95 % limits, None where none exist."""

    name: str
    value: float
    n: int
    unit: str = ""
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        limits = f" [{_short(self.low)}, {_short(self.high)}]" if self.low is not None and self.high is not None else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {_short(self.value)}{unit}{limits} (n={self.n})"


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt that bears on a verdict. `tokens` are (token, activation) in order; `value` is the pooled
    activation, `role` the set that it is from, `note` what it shows."""

    text: str
    value: float
    role: str
    note: str = ""
    tokens: tuple[tuple[str, float], ...] = ()


class Fate(StrEnum):
    """What became of a mutant: killed where the claim no longer holds."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_APPLICABLE = "not_applicable"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant of a met claim's evidence. `met` of `tried` versions of it meet the claim, too; `note` says what was
    seen, `hint` (survivors only) what to assert."""

    mutant: str
    fate: Fate
    note: str = ""
    hint: str = ""
    tried: int = 0
    met: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim judged. `finding` is one sentence; `measurement` is held against `bound`; `also` are the
    numbers reported beside it; `warnings` are one line each. `mutants`: None where they were not asked for."""

    outcome: Outcome
    finding: str
    measurement: Measurement | None = None
    bound: str = ""
    reason: Reason | None = None
    p: float | None = None
    null_share: float | None = None
    fragile: bool | None = None
    feature: int | None = None
    also: tuple[Measurement, ...] = ()
    examples: tuple[Example, ...] = ()
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    mutants: tuple[Trial, ...] | None = None

    @property
    def word(self) -> str:
        """`met`, `unmet`, `not_run`, or `inconclusive: too_few_prompts`."""
        return f"{self.outcome}: {self.reason}" if self.reason else str(self.outcome)

    def with_(self, **changes: Any) -> Verdict:
        return replace(self, **changes)


def inconclusive(reason: Reason, finding: str, **rest: Any) -> Verdict:
    """A claim that could not be decided, with the numbers that say why and what would change it."""
    return Verdict(Outcome.INCONCLUSIVE, finding, reason=reason, **rest)
