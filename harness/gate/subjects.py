"""Whose weights a script has in memory: those of which subject of the run, or what differs from the nearest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.errors import did_you_mean
from harness.gate.blocking import Reason, Why
from harness.gate.opening import Opened
from harness.keys import code_key
from harness.running.doors import weights_in_memory
from harness.weights import Sample, differences

_SHOWN = 5


def found_subject(run: Opened, model: Any, sae: Any, named: str | None) -> tuple[str | None, list[Reason]]:
    """The subject that these weights are, and what is wrong with that; None where there is none or several."""
    names = [name for name in _subjects(run) if named in (None, name)]
    if not names:
        hint = did_you_mean(named or "", _subjects(run)) if named else ""
        return None, [Reason(Why.NOT_JUDGED, f"the run judged no claim of subject {named or 'any'!r}.{hint}")]
    unknown = [name for name in names if _read_with(run, name) is None]
    compared = {name: list(_differences(run, name, model, sae)) for name in names if name not in unknown}
    same = [name for name, found in compared.items() if not found]
    if len(same) == 1:
        return same[0], list(_moved(run, same[0]))
    if same:
        told = f"these are the weights of {', '.join(same)}: say which is meant with subject="
        return None, [Reason(Why.SUBJECT_UNCLEAR, told)]
    if not compared:
        told = f"the store kept no digests of the weights of {', '.join(unknown)}: read them again into a new store"
        return None, [Reason(Why.WEIGHTS_UNKNOWN, told)]
    nearest = min(compared, key=lambda name: len(compared[name]))
    return None, list(_told(nearest, compared[nearest]))


def _subjects(run: Opened) -> list[str]:
    judged = {r.subject for r in run.records.values() if r.fingerprint and r.kind != "family"}
    return sorted(judged & run.loaded.subjects.keys())


def _fingerprint(run: Opened, name: str) -> str:
    return next(r.fingerprint for r in run.records.values() if r.subject == name and r.fingerprint)


def _read_with(run: Opened, name: str) -> Sample | None:
    return run.weights.get(_fingerprint(run, name))


def _differences(run: Opened, name: str, model: Any, sae: Any) -> list[str]:
    read = _read_with(run, name)
    assert read is not None
    return differences(read, weights_in_memory(model, sae, run.loaded.subjects[name].layer))


def _moved(run: Opened, name: str) -> Iterator[Reason]:
    if _fingerprint(run, name) != code_key(run.loaded.subjects[name]):
        told = f"what {name} is read with (pins, library versions, device) has changed since the run"
        yield Reason(Why.EVIDENCE_MOVED, told)


def _told(name: str, found: list[str]) -> Iterator[Reason]:
    for line in found[:_SHOWN]:
        yield Reason(Why.WEIGHTS_DIFFER, f"not what {name} was read with: {line}")
    if len(found) > _SHOWN:
        yield Reason(Why.WEIGHTS_DIFFER, f"and {len(found) - _SHOWN} more tensors of {name}")
