"""What only the whole run knows of a record: its q, from the record of its family, and claims that contradict it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.families import KIND, Family, severity_of
from harness.keys import code_key
from harness.reports.record import Record
from harness.verdict import Verdict


def family_record(family: Family, verdict: Verdict, prompts: int, from_store: int, seconds: float) -> Record:
    """The record of a family; where its members have several subjects it names them all, and no one fingerprint."""
    subjects = {spec.subject.name: spec.subject for spec in family.members}
    one = next(iter(subjects.values())) if len(subjects) == 1 else None
    return Record(
        id=family.id,
        suite=family.first.suite,
        source=family.source,
        verdict=verdict,
        kind=KIND,
        subject=", ".join(subjects),
        device=one.device if one else "",
        fingerprint=code_key(one) if one else "",
        prompts=prompts,
        from_store=from_store,
        seconds=seconds,
        severity=severity_of(family, verdict),
        tags=family.tags,
        claim=f"Each of the {len(family.members)} claims of family {family.name} has a q of at most {family.q:g}.",
    ).in_plain_types()


def joined(records: Iterable[Record], contradicted: Mapping[str, tuple[str, ...]]) -> list[Record]:
    """The same records, each member with the q that its family's record gives it, if that was judged in this run.

    contradicted: a warning for each claim, by id, that another makes impossible.
    """
    given = list(records)
    told = [record.verdict.details.get("members", {}) for record in given if record.kind == KIND]
    q = {name: one["q"] for members in told for name, one in members.items()}
    changed = q.keys() | contradicted.keys()
    return [
        replace(
            record,
            q=q.get(record.id, record.q),
            verdict=record.verdict.with_(warnings=(*record.verdict.warnings, *contradicted.get(record.id, ()))),
        )
        if record.id in changed
        else record
        for record in given
    ]
