"""Answers for kinds that ask while they judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.codes import Codes, concat
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Reading, Subject
from harness.keys import code_key, prompt_key

if TYPE_CHECKING:
    from harness.running import Runner


@dataclass(slots=True, repr=False)
class Asker:
    """Answers a kind that searches, prompt by prompt. The model is the one that the runner has in memory, or is loaded
    and stays there until another is wanted.

    refused: something that was asked for could not be read here.
    """

    runner: Runner
    subject: Subject
    refused: bool = False

    def __call__(self, prompts: Sequence[Prompt]) -> Codes | None:
        """The codes of these prompts, from the store or read now; None where they cannot be read here."""
        found = self._found(prompts)
        self.refused |= found is None
        return found

    def _found(self, prompts: Sequence[Prompt]) -> Codes | None:
        code, wanted = code_key(self.subject), {prompt_key(prompt): prompt for prompt in prompts}
        missing = wanted.keys() - self.runner.store.have(code, set(wanted))
        if missing and not self._read(Reading(self.subject, code, tuple((k, wanted[k]) for k in sorted(missing)))):
            return None
        found = self.runner.store.get(code, set(wanted))
        return concat([found[prompt_key(p)] for p in prompts]) if found.keys() >= wanted.keys() else None

    def _read(self, reading: Reading) -> bool:
        if not self.runner.may_read(self.subject):
            return False
        try:
            self.runner.read_aside(reading)
        except EnvironmentFault:
            return False
        return True
