"""Controls: claims whose truth is known beforehand, put through the run's own judging (docs/statistics.md).

A run with a control that gives the wrong answer shows nothing, whatever its claims say: it is invalid, and never green.
A control that raises gives no answer: then the claims that it stands beside have no verdict (reports/uncontrolled.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.controls.base import Control, Sample, raised, toys_of
from harness.controls.examples import toys
from harness.controls.matching import equal_density
from harness.controls.permuting import permuted_labels
from harness.controls.planting import planted
from harness.controls.specials import specials_differ
from harness.errors import EnvironmentFault, guarded
from harness.expectations.evidence import Evidence
from harness.spec import Spec

__all__ = ["Control", "Keep", "Make", "run_controls"]

Read = Callable[[Spec], tuple[Evidence, Evidence | None]]
Make = Callable[[], list[Control]]
Keep = Callable[[str, Sequence[Spec], Make], list[Control]]
_PER_SUBJECT = (permuted_labels, equal_density, planted, specials_differ)


def anew(name: str, specs: Sequence[Spec], make: Make) -> list[Control]:
    """Every control made now."""
    return make()


def run_controls(judged: Sequence[Spec], read: Read, keep: Keep = anew) -> list[Control]:
    """The controls of a run that judged these claims: those on toys once, the others for each subject.

    read: the evidence of a claim, and what `best` chooses on; from the store, since all of it was judged already.
    keep: asked for the controls that stand beside some claims, makes them or knows them (keptcontrols.py). The same
    claims give the same controls in any order.
    """
    of_kinds, of_subjects = _by(judged, lambda spec: spec.kind), _by(judged, lambda spec: spec.subject.name)
    made = [keep(toys_of(kind), specs, partial(_toys, kind)) for kind, specs in of_kinds]
    made += [keep(name, specs, partial(_of_subject, Sample(name, specs, read))) for name, specs in of_subjects]
    return [control for controls in made for control in controls]


def _by(judged: Sequence[Spec], named: Callable[[Spec], str]) -> list[tuple[str, list[Spec]]]:
    return [(name, [s for s in judged if named(s) == name]) for name in sorted(set(map(named, judged)))]


def _toys(kind: str) -> list[Control]:
    return list(_guarded(toys_of(kind), "", lambda: toys(kind)))


def _of_subject(sample: Sample) -> list[Control]:
    return [c for control in _PER_SUBJECT for c in _guarded(control.__name__, sample.subject, partial(control, sample))]


def _guarded(name: str, subject: str, control: Callable[[], Control | None]) -> Iterator[Control]:
    """A control that raises, whatever it is, could not be judged. None: this run has nothing to make it of."""
    try:
        found = guarded(control, lambda error: raised(name, subject, error))
    except EnvironmentFault as fault:
        found = raised(name, subject, fault)
    if found is not None:
        yield found
