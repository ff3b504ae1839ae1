"""What the page says of one claim, ready for its template: texts made visible, numbers made short."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.families import KIND
from harness.mutants.score import score
from harness.releases import PUBLIC
from harness.reports.display import escape, number, one_line
from harness.reports.failure import facts, finding_line, mistake_lines, yaml_lines
from harness.reports.html.axis import Axis, axis_of
from harness.reports.html.standing import SIGNS, TONES
from harness.reports.html.trend import Trend, trend_of
from harness.reports.mutation import trials
from harness.reports.record import Record
from harness.reports.terminal import measured_text, worst_first
from harness.verdict import Example, Fate

_NODE = "interp_tests/test_specs.py::"
_LONGEST = 6_000
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Card:
    """One claim. `place`: where it stands in the files. `facts` are (name, value) lines; `mutants` are (name, fate,
    note, hint); `pages` are (feature, address); `examples` are (value, set and note, text), for a claim whose
    evidence is not drawn."""

    id: str
    place: int
    suite: str
    name: str
    standing: str
    sign: str
    tone: str
    kind: str
    subject: str
    feature: str
    pages: tuple[tuple[str, str], ...]
    measured: str
    bound: str
    n: str
    q: str
    null_share: float | None
    fragile: bool
    claim: str
    finding: str
    why: str
    tags: tuple[str, ...]
    axis: Axis | None
    trend: Trend | None
    facts: tuple[tuple[str, str], ...]
    yaml: str
    mutants: tuple[tuple[str, str, str, str], ...]
    examples: tuple[tuple[str, str, str], ...]
    rerun: str
    seconds: str


def card_views(records: Iterable[Record], drawn: Container[str], trends: Mapping[str, Values]) -> list[Card]:
    """Every claim, worst first. drawn: the ids of those that the page shows the evidence of. trends: by id, the values
    over the last runs."""
    given = list(records)
    places = {record.id: place for place, record in enumerate(given)}
    return [_card(record, places[record.id], drawn, trends.get(record.id, ())) for record in worst_first(given)]


def _card(record: Record, place: int, drawn: Container[str], trend: Values) -> Card:
    verdict, standing = record.verdict, record.standing
    measured = verdict.measurement
    return Card(
        id=escape(record.id),
        place=place,
        suite=escape(record.suite),
        name=one_line(record.id.rpartition("::")[2]),
        standing=standing,
        sign=SIGNS[standing],
        tone=TONES[standing],
        kind=record.kind,
        subject=escape(record.subject),
        feature=", ".join(map(str, record.features)),
        pages=tuple(_pages(record)),
        measured=one_line(measured_text(record)),
        bound=one_line(verdict.bound),
        n="" if measured is None else f"{measured.n:,}",
        q="" if record.q is None else number(record.q),
        null_share=verdict.null_share,
        fragile=bool(verdict.fragile),
        claim=one_line(record.claim, _LONGEST),
        finding=one_line(finding_line(record), _LONGEST),
        why=one_line(record.why, _LONGEST),
        tags=record.tags,
        axis=axis_of(verdict),
        trend=trend_of(trend),
        facts=tuple(_facts(record)),
        yaml="\n".join(yaml_lines(record)),
        mutants=tuple(_mutants(record)),
        examples=() if record.id in drawn else tuple(map(_example, verdict.examples)),
        rerun=rerun_command(record),
        seconds=f"{record.seconds:.3f}",
    )


def _pages(record: Record) -> Iterator[tuple[str, str]]:
    """Only addresses of the one site: a record may come from a file that somebody wrote."""
    for page in record.pages:
        if page.startswith(PUBLIC):
            yield page.rpartition("/")[2], page


def rerun_command(record: Record) -> str:
    """The command that judges this claim again."""
    test = f"test_{record.id}" if record.kind == KIND else f"test_spec[{record.id}]"  # a family's id is family[name]
    return f'pytest "{_NODE}{escape(test)}"'


_KEPT = "an earlier run: the same claim, evidence and code"


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    if record.errors:
        yield from (("mistake", "\n".join(mistake_lines(error))) for error in record.errors)
        return
    yield from ((name, one_line(value, _LONGEST)) for name, value in facts(record) if name != "survivor")
    if record.q is not None:
        yield "q in its family", number(record.q)
    if trials(record):
        found = score(trials(record))
        yield "mutants", f"kills {found.killed} of {found.applicable} that can change its evidence"
    yield from _expected(record)
    if record.prompts:
        yield "evidence", f"{record.prompts:,} prompts, {record.from_store:,} of them from the store"
    if record.sae_trained_on:
        yield "SAE trained on", one_line(record.sae_trained_on)
    if record.fingerprint:
        yield "fingerprint", record.fingerprint
    yield "judged in", _KEPT if record.kept else f"{record.seconds:.3f} s"


def _expected(record: Record) -> Iterator[tuple[str, str]]:
    if record.xfail:
        yield "expected unmet", one_line(record.xfail, _LONGEST)
    if record.severity != "fail":
        yield "severity", record.severity
    if record.owner:
        yield "owner", one_line(record.owner)


def _example(example: Example) -> tuple[str, str, str]:
    note = f"{example.role}: {example.note}" if example.note else example.role
    return number(example.value), one_line(note), one_line(example.text, _LONGEST)


def _mutants(record: Record) -> Iterator[tuple[str, str, str, str]]:
    for trial in trials(record):
        hint = trial.hint if trial.fate is Fate.SURVIVED else ""
        yield trial.mutant.replace("_", " "), str(trial.fate).replace("_", " "), escape(trial.note), escape(hint)
