"""Whether what a spec reads is all in the store: known from the plans that were made, without reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.inputs import Need, Prompt, Subject
from harness.keys import corpus_key
from harness.planning import Plan
from harness.promotion import SAMPLE
from harness.runlog import WHOLE_SUBJECT, RunLog
from harness.spec import Spec

Row = tuple[str, str]  # code key, and the key of a prompt, a corpus or a row of what decoder directions promote


@dataclass(slots=True, repr=False)
class Standing:
    """The rows that plans found missing and nobody has read since.

    rows_of: the rows of some prompts under a code key; asked for the same tuple of prompts by many claims.
    """

    log: RunLog
    code_key: Callable[[Subject], str]
    rows_of: Callable[[str, tuple[Prompt, ...]], frozenset[Row]]
    planned: set[str] = field(default_factory=set)
    absent: set[Row] = field(default_factory=set)

    def take(self, made: Plan, specs: Iterable[Spec] = ()) -> None:
        """A plan of these specs' needs, once what it found missing has been read as far as it could be."""
        missing = {(r.code_key, row) for group in made.groups for r in group.readings for row in r.rows}
        read, faults = self.log.read, self.log.faults
        self.absent = {row for row in missing | self.absent if row not in read or row in faults}
        self.planned |= {spec.id for spec in specs}

    def holds(self, spec: Spec) -> bool:
        """Whether a spec that was planned has all that it reads, of subjects that are what they should be."""
        if spec.id not in self.planned:
            return False
        if any((self.code_key(subject), WHOLE_SUBJECT) in self.log.faults for subject in spec.subjects):
            return False
        return not self.absent or all(self._needed(need).isdisjoint(self.absent) for need in spec.needs())

    def _needed(self, need: Need) -> frozenset[Row]:
        code = self.code_key(need.subject)
        others = [corpus_key(need.corpus)] if need.corpus is not None else []
        others += [SAMPLE, *map(str, need.features)] if need.grain == "weights" else []
        return self.rows_of(code, need.prompts) | {(code, row) for row in others}
