"""Controls kept from an earlier run, beside the verdicts that it judged.

A control says that the judging of some claims can be believed. So it is made anew whenever one of them is judged anew;
where all their verdicts are an earlier run's, the controls are that run's, too. They are looked up by the keys of the
claims (kept.py: claim, evidence, code), and only those that held are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from harness.controls import Control, Make
from harness.kept import Kept
from harness.keys import digest_of
from harness.spec import Spec


@dataclass(frozen=True, slots=True)
class KeptControls:
    """What `run_controls` asks. earlier: the ids of the claims whose verdicts this run took from an earlier one."""

    kept: Kept
    earlier: Collection[str]

    def __call__(self, name: str, specs: Sequence[Spec], make: Make) -> list[Control]:
        """The controls beside these claims."""
        subject, key = specs[0].subject, self._key(name, specs)
        found = self.kept.get(subject, key) if all(spec.id in self.earlier for spec in specs) else None
        if found is not None:
            return [replace(Control(**control), kept=True) for control in found[0]]
        made = make()
        if all(control.holds for control in made):
            self.kept.add(subject, key, [control.to_dict() for control in made])
        return made

    def _key(self, name: str, specs: Sequence[Spec]) -> str:
        claims = sorted(self.kept.key(spec) for spec in specs)
        return digest_of({"controls": name, "claims": " ".join(claims)})
