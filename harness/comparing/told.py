"""What a run says of itself, as far as two runs are compared by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.history.runs import NotARun, records_of
from harness.reports.basis import Basis
from harness.reports.display import one_line
from harness.reports.record import Record


@dataclass(frozen=True, slots=True)
class ToldRun:
    """One run. records: by claim. basis: empty in runs from before they said it."""

    id: str
    started: str
    partial: bool
    records: Mapping[str, Record]
    basis: Basis

    def digest(self, claim: str) -> str | None:
        """Of what the claim measured."""
        return self.basis.claims.get(claim, {}).get("claim")

    def prompts(self, claim: str) -> dict[str, list[str]]:
        """By role, the keys of the claim's prompts."""
        roles = self.basis.claims.get(claim, {}).get("sets", {})
        return {role: self.basis.sets[key] for role, key in roles.items()}

    def keys(self, claim: str) -> dict[str, str]:
        """The code keys that the claim was judged under: its own subject's under '', others' by name."""
        own = self.records[claim].fingerprint
        return {**({"": own} if own else {}), **self.basis.claims.get(claim, {}).get("others", {})}


def told_run(document: Mapping[str, Any]) -> ToldRun:
    """The run of a results.json; NotARun where another version wrote its records, or its claims name no set of it."""
    run = document["run"]
    records = {record.id: record for record in records_of(document)}
    told = document.get("basis")
    basis = Basis(told["claims"], told["sets"], told["subjects"]) if told is not None else Basis()
    unknown = {key for claim in basis.claims.values() for key in claim["sets"].values()} - basis.sets.keys()
    if unknown:
        raise NotARun(f"its basis.sets lacks {one_line(min(unknown))}: another version or hand wrote it.")
    return ToldRun(run["id"], run["started"], run["partial"], records, basis)
