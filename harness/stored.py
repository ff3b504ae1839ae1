"""What of a store is of use today: whose evidence it holds, and which of its rows some specs are judged from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.inputs import Reading, Subject
from harness.judging import before_running
from harness.keys import VERSION_FIELDS, code_key, code_parts
from harness.language.specs import load
from harness.mutants import derived_specs
from harness.planning import everything
from harness.spec import Spec
from harness.store.agreement import Widths


@dataclass(frozen=True, slots=True)
class Known:
    """Whose evidence is whose: code key -> subject, for subjects.yaml and the mutants that some claim reads."""

    subjects: dict[str, Subject]

    def name(self, code_key: str) -> str | None:
        subject = self.subjects.get(code_key)
        return None if subject is None else subject.name

    def widths(self) -> dict[str, Widths]:
        """What codes under each key must be as wide as."""
        return {key: Widths(one.sae.d_in, one.sae.d_sae) for key, one in self.subjects.items()}

    def why_not(self, parts: dict[str, str]) -> str | None:
        """What keeps evidence with these parts from serving a subject, where only versions of libraries do."""
        for subject in self.subjects.values():
            now = code_parts(subject)
            moved = [name for name in now if parts.get(name) != now[name]]
            if moved and set(moved) <= set(VERSION_FIELDS):
                changes = ", ".join(f"{name} was {parts.get(name, 'unknown')}, is {now[name]}" for name in moved)
                return f"for {subject.name}, but {changes}"
        return None


def known_today(root: Path) -> Known:
    """Every subject under its key of today. Raises the first SpecError of subjects.yaml: a subject that cannot be
    read would look as if it were gone."""
    loaded = load(root)
    for item in loaded.items:
        if item.id == "subjects" and not isinstance(item, Spec):
            raise item.errors[0]
    specs = [item for item in loaded.items if isinstance(item, Spec)]
    derived = [one.subject for spec in specs for one in derived_specs(spec)]
    return Known({code_key(subject): subject for subject in (*derived, *loaded.subjects.values())})


def readings_of(specs: Iterable[Spec], mutants: bool = False) -> tuple[Reading, ...]:
    """All that these specs, and their mutants, are judged from; nothing of those that no evidence can decide."""
    read = [spec for spec in specs if before_running(spec) is None]
    changed = [one for spec in read for one in derived_specs(spec)] if mutants else []
    return everything(need for spec in (*read, *changed) for need in spec.needs())
