"""What the page says of the run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from harness.controls.base import Control
from harness.families import KIND
from harness.reports.display import escape, number, one_line
from harness.reports.html.standing import SIGNS, TONES
from harness.reports.limit import INVALID, LIMIT_OF_A_GREEN_SUITE
from harness.reports.mutation import hints, suite_scores
from harness.reports.record import Record, Run
from harness.reports.terminal import ORDER, counts
from harness.vacuity import says_little
from harness.verdict import Outcome

MUCH = 0.05  # a null share above this warns (STATISTICS: 5 % of the live features)


def overview_view(run: Run) -> dict[str, Any]:
    """Everything that the head of the page shows, by name."""
    records = run.records
    return {
        "title": f"{counts(records)} · {run.started}",
        "counts": counts(records),
        "n": len(records),
        "tiles": _tiles(records),
        "notices": tuple(_notices(run)),
        "about": tuple(_about(run)),
        "suites": sorted({escape(r.suite) for r in records}),
        "subjects": sorted({escape(r.subject) for r in records if r.subject}),
        "kinds": sorted({r.kind for r in records if r.kind}),
        "not_run": [_line(r) for r in records if r.verdict.outcome is Outcome.NOT_RUN],
        "fragile": [_line(r) for r in records if r.verdict.fragile],
        "null": _null(records),
        "families": [_family(r) for r in records if r.kind == KIND],
        "mutants": [one_line(row.line(), 400) for row in suite_scores(records)],
        "hints": [escape(hint) for hint in hints(records)],
        "controls": [_control(control) for control in run.controls],
        "capture": [(escape(name), _read(counted)) for name, counted in run.capture.items()],
        "limit": LIMIT_OF_A_GREEN_SUITE,
    }


def _tiles(records: Sequence[Record]) -> list[tuple[str, str, str, int]]:
    found = Counter(record.standing for record in records)
    return [(standing, SIGNS[standing], TONES[standing], found[standing]) for standing in ORDER if found[standing]]


def _notices(run: Run) -> Iterator[str]:
    if run.invalid:
        yield INVALID
    yield from (one_line(why, 600) for why in run.invalid)
    if not any(record.verdict.outcome is not Outcome.NOT_RUN for record in run.records):
        yield "No claim was judged: this run shows nothing."
    if run.partial:
        yield "This run is partial: it was interrupted, or lost a worker."
    for fault in run.faults:
        yield one_line(f"{fault['subject']}: {fault['code']}: {fault['message']}", 600)


def _about(run: Run) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "began", f"{run.started}, took {run.seconds:.1f} s"
    yield "commit", f"{run.commit or 'unknown'}{' with changes' if run.dirty else ''}"
    yield "command", one_line(run.command, 600)
    yield "device", run.device or "-"
    yield "versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())
    yield "machine", one_line(", ".join(f"{name} {value}" for name, value in run.machine.items()), 400)


def _line(record: Record) -> tuple[str, str]:
    """(id, finding)"""
    return escape(record.id), one_line(record.verdict.finding, 300)


def _null(records: Sequence[Record]) -> dict[str, Any]:
    """Of the claims that have a null share: how many, how many were warned of, and the large ones."""
    shares = sorted(((r.verdict.null_share, r) for r in records if r.verdict.null_share is not None), key=_first)
    weak = {r.id for _, r in shares if says_little(r.verdict)}
    large = [
        (escape(r.id), f"{share:.1%}", " says little" if r.id in weak else "")
        for share, r in reversed(shares)
        if share > MUCH
    ]
    median = f"{shares[len(shares) // 2][0]:.1%}" if shares else ""
    return {"n": len(shares), "weak": len(weak), "median": median, "large": large}


def _first(pair: tuple[float, Record]) -> float:
    return pair[0]


def _family(record: Record) -> dict[str, Any]:
    members = record.verdict.details.get("members", {})
    ranked = sorted(members.items(), key=lambda one: -one[1]["q"])
    rows = [
        (escape(name), number(one["q"]), number(one["p"]), one["verdict"].replace("_", " ")) for name, one in ranked
    ]
    return {
        "id": escape(record.id),
        "standing": record.standing,
        "sign": SIGNS[record.standing],
        "tone": TONES[record.standing],
        "finding": one_line(record.verdict.finding, 400),
        "members": rows,
    }


def _control(control: Control) -> tuple[str, str, str, str]:
    stands = "holds" if control.holds else "MISBEHAVES" if control.misbehaves else "RAISED"
    return control.name.replace("_", " "), escape(control.subject), stands, one_line(control.finding, 400)


def _read(counted: dict[str, Any]) -> list[str]:
    return [number(counted.get(name)) for name in ("loads", "prompts", "tokens", "batches", "seconds")]
