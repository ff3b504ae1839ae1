"""Where a feature's number was found, and what its p would be had it been chosen on the tested prompts.

The best of 16,384 features on some prompts looks good on those prompts, whatever it encodes. So a claim that a
feature fires needs a number that was found elsewhere (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.spec import Spec
from harness.vacuity import may_be_met, saying_little
from harness.verdict import Reason, Verdict

How = Literal["sets", "best", "source", "none"]
_HELD_OUT = ("sets", "best")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a claim's feature was found.

    how: `sets` (discovery prompts that the claim is not tested on), `best` (chosen on such prompts by the harness),
    `source` (the author's word: a label, and where it is published) or `none`. where: the sets, or the address.
    """

    how: How
    where: str = ""
    label: str = ""

    @property
    def is_held_out(self) -> bool:
        """Whether the harness can see that the tested prompts did not choose the feature."""
        return self.how in _HELD_OUT

    @property
    def in_words(self) -> str:
        if self.how == "source":
            return f"the author's word: {self.label!r}, from {self.where}"
        return self.where or "not given"

    def to_dict(self) -> dict[str, str]:
        return {"how": self.how, "where": self.where, "label": self.label}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Provenance:
        return cls(data["how"], data["where"], data["label"])


def provenance_of(spec: Spec) -> Provenance | None:
    """Where the feature was found; None where that is neither given nor needed."""
    if spec.best is not None:
        return Provenance("best", f"{spec.best.prompts.name} against {spec.best.than.name}")
    if spec.discovered_on is not None:
        return Provenance("sets", spec.discovered_on.name)
    if spec.attributed_to is not None:
        return Provenance("source", spec.attributed_to.where, spec.attributed_to.label)
    return Provenance("none") if needs_provenance(spec) else None


def needs_provenance(spec: Spec) -> bool:
    """Whether a feature chosen on the tested prompts would meet the claim too easily.

    A claim of silence is not what one picks a feature for, and a claim of scope sample is of its own prompts only.
    """
    return bool(spec.features) and spec.expectation.side() == "high" and spec.claim.scope == "population"


def with_provenance(spec: Spec, verdict: Verdict, live: int) -> Verdict:
    """A verdict whose finding says what its p is worth where nothing shows that the feature was found elsewhere.

    Of claims that are met, or that lack prompts to be: the best of many features on some prompts is both.

    live: how many features could have been chosen; 0 where that is not known.
    """
    found = provenance_of(spec)
    if not may_be_met(verdict) or found is None or found.is_held_out or not needs_provenance(spec):
        return verdict
    details = dict(verdict.details)
    if verdict.p is not None and live:
        details["p_if_chosen_here"] = min(1.0, verdict.p * live)
    named = f"feature {spec.features[0]}" if len(spec.features) == 1 else "these features"
    word = f"{named}: {found.in_words}; " if found.how == "source" else ""
    verdict = verdict.with_(finding=f"{verdict.finding}; {word}{_would_be(verdict.p, live)}", details=details)
    if found.how == "source":
        return verdict
    return saying_little(verdict, Reason.NO_PROVENANCE, f"nothing says where {named} was found: {_FIX}")


_FIX = "name the prompts with `discovered_on:`, or let `feature: {best: ...}` choose"


def _would_be(p: float | None, live: int) -> str:
    if p is not None and live:
        chosen = f"{min(1.0, p * live):.2g} ({p:.2g} x {live:,} live features)"
        return f"had it been chosen on these prompts, p would be {chosen}"
    among = f" among {live:,} live features" if live else ""
    return f"it may have been chosen{among} on these very prompts"
