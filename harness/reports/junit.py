"""What a claim's test carries into JUnit's XML; what only the whole run knows is put in when pytest has written it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault
from harness.reports.display import escape, one_line
from harness.reports.mutation import trials
from harness.reports.record import Record
from harness.verdict import Fate

SPEC = "spec"  # the property by which a test case is found again; its name is mangled by pytest, this is not


def properties(record: Record) -> list[tuple[str, Any]]:
    """(name, value) of all that is known, in Python's own types; a q and what the others say come later."""
    verdict, measured = record.verdict, record.verdict.measurement
    numbers = [("measurement", measured.name), ("value", measured.value), ("low", measured.low)] if measured else []
    numbers += [("high", measured.high), ("n", measured.n)] if measured else []
    found = [
        (SPEC, escape(record.id)),
        ("outcome", verdict.word),
        *numbers,
        ("bound", verdict.bound or None),
        ("p", verdict.p),
        ("q", record.q),
        ("null_share", verdict.null_share),
        ("fragile", verdict.fragile),
        *_mutants(record),
    ]
    return [(name, value) for name, value in found if value is not None]


def _mutants(record: Record) -> list[tuple[str, Any]]:
    """How many were killed, of those that could be tried; nothing where mutants were not asked for."""
    if record.verdict.mutants is None:
        return []
    fates = [trial.fate for trial in trials(record)]
    killed, survived = fates.count(Fate.KILLED), fates.count(Fate.SURVIVED)
    return [("mutants_killed", killed), ("mutants_tried", killed + survived)]


def put_q(path: Path, records: Iterable[Record]) -> EnvironmentFault | None:
    """Give the test case of each member of a judged family its q; the fault where the file cannot be changed.

    pytest keeps the properties of a test that has ended; a family ends after its members, perhaps in another process.
    """
    q = {escape(record.id): record.q for record in records if record.q is not None}
    if not q:
        return None
    from xml.etree import ElementTree

    try:
        if not path.is_file():
            return _not_completed(path, "it is no plain file")
        tree = ElementTree.parse(path)
        for found in tree.iter("properties"):
            _add_q(found, q)
        path.write_bytes(ElementTree.tostring(tree.getroot(), encoding="utf-8", xml_declaration=True))
    except (OSError, ElementTree.ParseError) as error:
        return _not_completed(path, str(error))
    return None


def _add_q(found: Any, q: Mapping[str, float | None]) -> None:
    named = {each.get("name"): each.get("value") for each in found}
    known = q.get(named.get(SPEC) or "")
    if known is not None and "q" not in named:
        found.append(found.makeelement("property", {"name": "q", "value": str(known)}))


def _not_completed(path: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault(
        "junit_not_completed",
        f"the q of families could not be added to {one_line(str(path))} ({one_line(why)}).",
        "They are in results.json and in summary.md.",
    )


def xml_path(given: str) -> Path:
    """Where pytest writes what `--junitxml` names: with ~ and variables put in."""
    return Path(os.path.expanduser(os.path.expandvars(given)))
