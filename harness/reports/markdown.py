"""summary.md: one page that a pull request or a job summary can show; prompts in it are text, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.mutants import MUTANTS
from harness.reports.display import code_span, markdown, number
from harness.reports.failure import finding_line
from harness.reports.limit import INVALID, LIMIT_OF_A_GREEN_SUITE
from harness.reports.mutation import hints, suite_scores, survivors, trials
from harness.reports.record import Record, Run
from harness.reports.terminal import counts, measured_text, worst_first


def summary_markdown(run: Run) -> str:
    """The text of summary.md: counts, what is wrong, every claim, what was read, and what it does not show."""
    parts = [
        ["# Claims about features", "", f"**{counts(run.records)}**", *_notices(run)],
        _about(run),
        _found(run.records),
        _table(run.records),
        _mutants(run.records),
        _fragile(run.records),
        _provenance(run.records),
        _warnings(run.records),
        _capture(run),
        [LIMIT_OF_A_GREEN_SUITE],
    ]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _notices(run: Run) -> Iterator[str]:
    judged = [record for record in run.records if record.standing not in ("broken", "not run")]
    if not judged:
        yield from ("", "**No claim was judged: this run shows nothing.**")
    if run.invalid:
        yield from ("", f"**{INVALID}**", "", *(f"- {markdown(line)}" for line in run.invalid))
    if run.partial:
        yield from ("", "**This run is partial: it was interrupted, or lost a worker.**")
    for fault in run.faults:
        yield from ("", f"**{markdown(fault['subject'])}**: {markdown(fault['code'])}: {markdown(fault['message'])}")


def _fragile(records: Sequence[Record]) -> Iterator[str]:
    found = [record for record in records if record.verdict.fragile]
    if found:
        yield from ("## Fragile", "", "The number that decided is within three times the noise of the bound.", "")
    for record in found:
        details = record.verdict.details
        precise = f"; in float32 {details['float32']}" if "float32" in details else ""
        yield f"- {code_span(record.id)}: {markdown(str(details.get('fragile', '')) + precise)}"


def _about(run: Run) -> Iterator[str]:
    commit = f"{run.commit or 'unknown'}{' with changes' if run.dirty else ''}"
    yield f"- run {code_span(run.id)}, started {run.started}, {run.seconds:.1f} s, on {run.device or 'no device'}"
    yield f"- commit {code_span(commit)}, must run: {'yes' if run.must_run else 'no'}"
    yield f"- command {code_span(run.command)}"
    yield "- " + ", ".join(f"{markdown(name)} {markdown(version)}" for name, version in run.versions.items())


def _found(records: Sequence[Record]) -> Iterator[str]:
    """The finding of everything that is not simply met, worst first."""
    found = [record for record in worst_first(records) if record.standing != "met"]
    if found:
        yield from ("## Findings", "")
    for record in found:
        yield f"- **{record.standing}** {code_span(record.id)}: {markdown(finding_line(record))}{_expected(record)}"


def _expected(record: Record) -> str:
    return f" (expected: {markdown(record.xfail)})" if record.xfail else ""


def _table(records: Sequence[Record]) -> Iterator[str]:
    head = ("verdict", "claim", "where", "subject", "features", "measured", "bound", "n", "p", "q", "null share")
    yield from ("## All claims", "", _row(head), _row("-" * len(name) for name in head))
    yield from (_row(_cells(record)) for record in worst_first(records))


def _cells(record: Record) -> Iterator[str]:
    verdict = record.verdict
    yield record.standing
    yield code_span(record.id)
    yield code_span(f"{record.source.path}:{record.source.line}")
    yield markdown(record.subject)
    yield ", ".join(map(str, record.features))
    yield markdown(measured_text(record))
    yield markdown(verdict.bound)
    yield "" if verdict.measurement is None else str(verdict.measurement.n)
    yield "" if verdict.p is None else f"{verdict.p:.3g}"
    yield "" if record.q is None else f"{record.q:.3g}"
    yield "" if verdict.null_share is None else f"{verdict.null_share:.1%}"


def _mutants(records: Sequence[Record]) -> Iterator[str]:
    """Each suite's score, then what survived: a mutant that meets a claim, too, shows what it does not say."""
    rows = suite_scores(records)
    if not rows:
        return
    yield from ("## Mutants", "", *(f"- {markdown(row.line())}" for row in rows))
    names = [*MUTANTS]
    yield from ("", _row(("claim", *names)), _row("-" * len(name) for name in ("claim", *names)))
    tried = [record for record in worst_first(records) if trials(record)]
    for record in tried:
        fates = {trial.mutant: str(trial.fate).replace("_", " ") for trial in trials(record)}
        yield _row((code_span(record.id), *(fates.get(name, "") for name in names)))
    survived = [f"- {code_span(r.id)}: {markdown(survivors(r))}" for r in tried if survivors(r)]
    if survived:
        yield from ("", "Survivors, and what would kill them:", "", *survived)
        yield from (f"- {markdown(hint)}" for hint in hints(tried))


_FOUND = {
    "best": "chosen by the harness on discovery prompts",
    "sets": "found on discovery prompts that the claim names",
    "source": "the author's word",
    "none": "not given: the number may have been chosen on the tested prompts",
}


def _provenance(records: Sequence[Record]) -> Iterator[str]:
    """How many claims have a feature from where, and which ones have it from nowhere that can be checked."""
    known = [(record, record.provenance) for record in records if record.provenance is not None]
    if not known:
        return
    yield from ("## Where the features were found", "")
    for how, words in _FOUND.items():
        found = [(record, one) for record, one in known if one.how == how]
        if found:
            yield f"- {words}: {len(found)} claim{'s' * (len(found) > 1)}"
        if not found or found[0][1].is_held_out:
            continue
        for record, one in found:
            yield f"  - {code_span(record.id)}" + (f": {markdown(one.in_words)}" if how == "source" else "")


def _warnings(records: Sequence[Record]) -> Iterator[str]:
    lines = [f"- {code_span(r.id)}: {markdown(warning)}" for r in records for warning in r.verdict.warnings]
    if lines:
        yield from ("## Warnings", "", *lines)


def _capture(run: Run) -> Iterator[str]:
    yield from ("## What was read", "")
    if not run.capture:
        yield "Nothing: all evidence came from the store."
        return
    names = ("loads", "prompts", "tokens", "batches", "seconds")
    yield _row(("subject", *names))
    yield _row("-" * len(name) for name in ("subject", *names))
    for subject, measured in run.capture.items():
        yield _row((markdown(subject), *(number(measured.get(name)) for name in names)))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
