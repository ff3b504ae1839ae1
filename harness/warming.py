"""`interp warm`: read what some specs need, or one shard of it, with the planner that pytest uses; judge nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.inputs import Need, Subject
from harness.keys import code_key, resolve_device
from harness.planning import Shard, everything, plan
from harness.runlog import WHOLE_SUBJECT
from harness.running.doors import Engine
from harness.session import SpecSession, open_session
from harness.spec import Spec
from harness.store import Store


@dataclass(frozen=True, slots=True)
class Warmed:
    """What one subject's evidence came to: rows wanted, held before, and lacking still, with the reasons.

    A row is a prompt, a corpus, or a list of what decoder directions promote. left: another machine's, which has the
    device.
    """

    subject: str
    device: str
    wanted: int
    held: int
    lacking: int
    left: bool
    faults: tuple[str, ...]


def warm(
    specs: Sequence[Spec],
    store: Store,
    shared: Path,
    shard: Shard,
    mutants: bool,
    progress: Callable[[str], None],
    engine: Engine | None = None,
) -> list[Warmed]:
    """Fill the store for these specs; a subject whose device is not here is left for a machine that has it.

    shared: a folder for what this process notes. mutants: what `pytest --mutate` reads, too. engine: what reads; where
    one is given, it has the devices.
    """
    session = open_session(
        specs,
        store,
        shared,
        lambda spec: engine is not None or all(_device_is_here(subject) for subject in spec.subjects),
        progress,
        mutate="all" if mutants else "no",
        shard=shard,
        engine=engine,
    )
    needs = [need for spec in session.specs_read() for need in spec.needs()]
    before = _missing(needs, store, shard)
    session.prepare()
    after = _missing(needs, store, shard)
    return [_warmed(session, reading.subject, reading.size, before, after) for reading in everything(needs, shard)]


def _missing(needs: Sequence[Need], store: Store, shard: Shard) -> dict[str, list[str]]:
    """Subject -> the keys that are not held."""
    return {
        reading.subject.name: list(reading.rows)
        for group in plan(needs, store, shard).groups
        for reading in group.readings
    }


def _warmed(
    session: SpecSession, subject: Subject, wanted: int, before: dict[str, list[str]], after: dict[str, list[str]]
) -> Warmed:
    lacking = after.get(subject.name, [])
    faults = session.runner.log.fault_for(code_key(subject), [WHOLE_SUBJECT, *lacking]) if lacking else []
    return Warmed(
        subject=subject.name,
        device=resolve_device(subject.device),
        wanted=wanted,
        held=wanted - len(before.get(subject.name, [])),
        lacking=len(lacking),
        left=bool(lacking) and not session.runner.engine and not _device_is_here(subject),
        faults=tuple(str(fault) for fault in faults),
    )


def _device_is_here(subject: Subject) -> bool:
    return resolve_device(subject.device) == "cpu" or resolve_device("auto") == "cuda"
