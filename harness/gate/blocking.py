"""Why a script may not go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Stable names of what is in the way; docs/steering-gate.md lists them."""

    RUN_MISSING = "run_missing"
    RUN_EDITED = "run_edited"
    RUN_INVALID = "run_invalid"
    RUN_PARTIAL = "run_partial"
    RUN_STALE = "run_stale"
    EVIDENCE_MOVED = "evidence_moved"
    EVIDENCE_MISSING = "evidence_missing"
    WEIGHTS_DIFFER = "weights_differ"
    WEIGHTS_UNKNOWN = "weights_unknown"
    SUBJECT_UNCLEAR = "subject_unclear"
    HOOK_DIFFERS = "hook_differs"
    MODEL_HOOKED = "model_hooked"
    TRAINING_MODE = "training_mode"
    READ_OTHERWISE = "read_otherwise"
    SPECS_BROKEN = "specs_broken"
    NO_SUCH_FEATURE = "no_such_feature"
    NO_MET_CLAIM = "no_met_claim"
    NOT_MET = "not_met"
    NO_FIRING_CLAIM = "no_firing_claim"
    SAMPLE_ONLY = "sample_only"
    WARN_ONLY = "warn_only"
    HIGH_ALPHA = "high_alpha"
    VACUOUS = "vacuous"
    SHORTCUT = "shortcut"
    NO_PROVENANCE = "no_provenance"
    NEVER_FIRES = "never_fires"
    NOT_JUDGED = "not_judged"
    CLAIM_CHANGED = "claim_changed"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing in the way."""

    why: Why
    message: str

    def __str__(self) -> str:
        return f"{self.why}: {self.message}"


class InterventionBlocked(Exception):
    """These features are not proven for these weights. `reasons` are all that is in the way, `command` what to run."""

    def __init__(self, features: Sequence[object], reasons: Sequence[Reason], command: str) -> None:
        self.features, self.reasons, self.command = tuple(features), tuple(reasons), command
        named = ", ".join(map(str, features))
        lines = "".join(f"\n  - {reason}" for reason in reasons)
        super().__init__(f"intervening on feature {named} is blocked:{lines}\nMend that, then run: {command}")

    def __reduce__(self) -> tuple[type[InterventionBlocked], tuple[object, ...]]:
        return InterventionBlocked, (self.features, self.reasons, self.command)
