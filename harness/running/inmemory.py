"""The model that this process has in memory, one at a time: while its prompts are read and while more are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.inputs import Subject
from harness.running.doors import nothing_loaded


@dataclass(slots=True, repr=False)
class InMemory:
    """One engine.Kept, of one model in one dtype on one device."""

    _whose: tuple[object, ...] | None = None
    _kept: Any = None

    def of(self, subject: Subject) -> Any:
        """The Kept of this subject's model; that of another model is let go first."""
        whose = (subject.model, subject.dtype, subject.device)
        if self._whose != whose:
            self.let_go()
            self._whose, self._kept = whose, nothing_loaded()
        return self._kept

    @property
    def holds_one(self) -> bool:
        """Whether a model is loaded."""
        return self._kept is not None and self._kept.loaded is not None

    def let_go(self) -> None:
        self._whose = self._kept = None
