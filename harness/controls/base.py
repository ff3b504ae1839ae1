"""What a control is, and which of a run's claims it is made of."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.errors import in_short
from harness.expectations.evidence import Evidence
from harness.mutants import Case, settled
from harness.redaction import redacted
from harness.spec import Spec

_LONGEST = 20_000  # letters of a traceback
MOST_SPECS = 4  # of each subject: a bounded cost, whatever the run's size


@dataclass(frozen=True, slots=True)
class Control:
    """What became of one control. `met` of `tried` versions of it were met. finding: what was seen, in a sentence.

    kept: it was made in an earlier run, beside the same claims, whose verdicts this run took from there. trace: the
    traceback of one that raised, which gave no answer at all: neither a right nor a wrong one.
    """

    name: str
    subject: str
    holds: bool
    finding: str
    tried: int = 0
    met: int = 0
    kept: bool = False
    trace: str = ""

    @property
    def misbehaves(self) -> bool:
        """Whether it gave the wrong answer."""
        return not (self.holds or self.trace)

    def stands_beside(self, subject: str, kind: str) -> bool:
        """Whether it is about the judging of a claim of this subject and kind; those on toys are about their kind."""
        return self.subject == subject if self.subject else self.name == toys_of(kind)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        about = f" of {self.subject}" if self.subject else ""
        return f"control {self.name}{about}: {self.finding}"


def failed(name: str, subject: str, finding: str, tried: int = 0, met: int = 0) -> Control:
    return Control(name, subject, False, finding, tried, met)


def raised(name: str, subject: str, error: BaseException) -> Control:
    """A control that could not be judged."""
    trace = "".join(traceback.format_exception(error))
    return Control(name, subject, False, f"could not be judged ({in_short(error)})", trace=redacted(trace)[-_LONGEST:])


def toys_of(kind: str) -> str:
    """The name of a kind's control on its own examples."""
    return f"toys of {kind}"


@dataclass(frozen=True, slots=True)
class Sample:
    """The claims about one subject that were judged, and where their evidence is."""

    subject: str
    specs: Sequence[Spec]
    read: Callable[[Spec], tuple[Evidence, Evidence | None]]

    def where(self, fits: Callable[[Spec], bool], most: int = MOST_SPECS) -> list[Spec]:
        """At most so many of the claims that fit, by the hash of their ids: adding a claim moves no other's draw."""
        return sorted(filter(fits, self.specs), key=lambda spec: (zlib.crc32(spec.id.encode()), spec.id))[:most]

    def case(self, spec: Spec) -> Case:
        """A claim with what it was judged from, and no model to ask."""
        evidence, discovery = self.read(spec)
        return Case(settled(spec), spec.features, replace(evidence, ask=None), discovery)


def about_one_feature(spec: Spec) -> bool:
    """A claim that a feature of one subject fires, judged from prompts."""
    fires = spec.expectation.side() == "high" and bool(spec.sets) and not (spec.corpora or spec.others)
    return fires and (spec.best is not None or len(spec.features) == 1)
