"""Controls: claims whose truth is known beforehand, put through the run's own judging (docs/statistics.md).

A run whose controls misbehave shows nothing, whatever its claims say: it is invalid, and never green.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.controls.base import Control, Sample, failed
from harness.controls.examples import toys
from harness.controls.matching import equal_density
from harness.controls.permuting import permuted_labels
from harness.controls.planting import planted
from harness.controls.specials import specials_differ
from harness.expectations.evidence import Evidence
from harness.spec import Spec

__all__ = ["Control", "run_controls"]

Read = Callable[[Spec], tuple[Evidence, Evidence | None]]
_PER_SUBJECT = (permuted_labels, equal_density, planted, specials_differ)


def run_controls(judged: Sequence[Spec], read: Read) -> list[Control]:
    """The controls of a run that judged these claims: those on toys once, the others for each subject.

    read: the evidence of a claim, and what `best` chooses on; from the store, since all of it was judged already. The
    same claims give the same controls in any order.
    """
    return [*_toys(judged), *(c for name in _subjects(judged) for c in _of_subject(name, judged, read))]


def _toys(judged: Sequence[Spec]) -> Iterator[Control]:
    for kind in sorted({spec.kind for spec in judged}):
        yield from _guarded(f"toys of {kind}", "", lambda: toys(kind))  # noqa: B023 - called before the loop goes on


def _subjects(judged: Sequence[Spec]) -> list[str]:
    return sorted({spec.subject.name for spec in judged})


def _of_subject(name: str, judged: Sequence[Spec], read: Read) -> Iterator[Control]:
    sample = Sample(name, [spec for spec in judged if spec.subject.name == name], read)
    for control in _PER_SUBJECT:
        yield from _guarded(control.__name__, name, lambda: control(sample))  # noqa: B023 - as above


def _guarded(name: str, subject: str, control: Callable[[], Control | None]) -> Iterator[Control]:
    """A control that raises did not behave. None: nothing in this run that it could be made of."""
    try:
        found = control()
    except Exception as error:  # noqa: BLE001 - whatever broke here may have broken the verdicts, too
        found = failed(name, subject, f"could not be judged ({type(error).__name__}: {error})")
    if found is not None:
        yield found
