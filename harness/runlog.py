"""What one run has read and what failed, shared by all its processes: one append-only file of JSON lines.

Without it a second worker would load a model again only to meet the same unreadable prompt, and would
count as "from the store" what its neighbour read a second ago.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.cachedir import shown
from harness.errors import EnvironmentFault

WHOLE_SUBJECT = ""
RUN_LOG = "run.jsonl"  # in the folder that a run's processes share


@dataclass(slots=True)
class RunLog:
    """Keys are (code key, prompt key); the prompt key WHOLE_SUBJECT stands for all of a subject's prompts."""

    path: Path
    read: set[tuple[str, str]] = field(default_factory=set)
    faults: dict[tuple[str, str], EnvironmentFault] = field(default_factory=dict)
    _offset: int = 0
    _unwritten: bool = False

    def note_read(self, code_key: str, prompt_keys: Iterable[str]) -> None:
        keys = list(prompt_keys)
        self.read.update((code_key, key) for key in keys)
        self._append({"code": code_key, "read": keys})

    def note_fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None:
        self.faults[code_key, prompt_key] = fault
        self._append(
            {"code": code_key, "prompt": prompt_key, "fault": [fault.code, fault.message, fault.mend, fault.trace]}
        )

    def refresh(self) -> None:
        """Take in what the run's other processes have written since."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                with suppress(ValueError, KeyError, TypeError):  # half a line: the disk was full when it was written
                    self._take(json.loads(line))

    def fault_for(self, code_key: str, prompt_keys: Iterable[str]) -> list[EnvironmentFault]:
        """Why these prompts have no codes: the subject's own fault, or the prompts', each once."""
        whole = self.faults.get((code_key, WHOLE_SUBJECT))
        if whole is not None:
            return [whole]
        met = [self.faults[code_key, key] for key in prompt_keys if (code_key, key) in self.faults]
        return list({str(fault): fault for fault in met}.values())

    def _take(self, entry: dict[str, object]) -> None:
        code = str(entry["code"])
        if "read" in entry:
            self.read.update((code, str(key)) for key in entry["read"])  # type: ignore[attr-defined]
        else:
            self.faults[code, str(entry["prompt"])] = EnvironmentFault(*entry["fault"])  # type: ignore[misc]

    def _append(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, line)  # one write: lines of two processes do not mix
            finally:
                os.close(handle)
        except OSError as error:
            self._only_here(error)

    def _only_here(self, error: OSError) -> None:
        """Where the folder takes nothing, this process knows what it read and others do not: they read it again."""
        if not self._unwritten:
            text = f"what this run reads cannot be noted in {shown(str(self.path.parent))}: {error.strerror or error}; "
            warnings.warn(f"{text}each of its processes reads for itself", RuntimeWarning, stacklevel=2)
        self._unwritten = True
