"""`interp mutate`: which mutants of its evidence each met claim kills."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import print_document, teller
from harness.controls import Control
from harness.language.specs import load
from harness.mutants import MUTANTS
from harness.reports.limit import INVALID
from harness.reports.mutation import hints, mutation_lines, suite_scores, survivors, trials
from harness.reports.record import Record
from harness.reports.uncontrolled import uncontrolled
from harness.repository import repository
from harness.session import default_store, open_session
from harness.spec import Spec
from harness.store import open_or_overlay
from harness.verdict import Outcome

_GREEN = ("met", "unmet as expected", "unmet (warn)", "inconclusive (warn)")
_SIGNS = {"killed": "killed", "survived": "SURVIVED", "not_applicable": "-", "not_run": "not run"}


def mutate(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Suites or folders; all of specs/ where none is given.")
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Read no model: only mutants that the store has.")] = False,
    fail_vacuous: Annotated[
        bool, typer.Option("--fail-vacuous", help="Fail met claims that say little, or that kill no mutant.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document: {suites, claims, invalid}.")] = False,
) -> None:
    """Judge claims, and mutants of the evidence of those that are met.

    Exits 1 where a claim does not hold (as pytest does), 2 where a spec cannot be read, 3 where nothing was judged.

    Example: interp mutate specs/tiny-gemma2
    """
    records, controls = _judged(paths or None, stored, fail_vacuous, as_json)
    invalid = [str(control) for control in controls if control.misbehaves]
    if as_json:
        print_document(_document(records, invalid))
    else:
        _show(records)
        for line in (INVALID, *invalid) if invalid else ():
            typer.echo(line)
    if code := _exit_code(records) or int(bool(invalid)):
        raise typer.Exit(code)


def _judged(
    paths: list[Path] | None, stored: bool, fail_vacuous: bool, quiet: bool
) -> tuple[list[Record], list[Control]]:
    loaded = load(repository(), paths)
    specs = [item for item in loaded.items if isinstance(item, Spec)]
    with tempfile.TemporaryDirectory(prefix="interp-run-") as made:
        shared = Path(made)
        store, fault = open_or_overlay(default_store(), shared / "evidence.sqlite")
        if fault is not None:
            typer.echo(f"interp: {fault} This run keeps its evidence to itself.", err=True)
        say = (lambda line: None) if quiet else teller()
        session = open_session(
            specs, store, shared, lambda spec: False, say, fail_vacuous, "stored" if stored else "all"
        )
        records = {item.id: session.record(item) for item in loaded.items}
        decided = [s for s in specs if records[s.id].verdict.outcome in (Outcome.MET, Outcome.UNMET)]
        controls = session.controls(decided)
        session.keep(controls)
        return list(uncontrolled(records, controls).values()), controls


def _document(records: list[Record], invalid: list[str]) -> dict[str, Any]:
    """The scores as results.json has them, and per claim its verdict and mutants."""
    claims = []
    for record in records:
        data = record.to_dict()
        claims.append({name: data[name] for name in ("id", "outcome", "reason", "finding", "mutants")})
    return {"suites": [row.to_dict() for row in suite_scores(records)], "claims": claims, "invalid": invalid}


def _show(records: list[Record]) -> None:
    """A line for each met claim (the others show their standing), what to assert, and the scores."""
    rows: list[tuple[str, ...]] = [("claim", *MUTANTS)]
    for record in records:
        fates = {trial.mutant: _SIGNS[trial.fate] for trial in trials(record)}
        cells = [fates.get(name, "") for name in MUTANTS] if fates else [record.standing]
        rows.append((record.id, *cells))
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(len(rows[0]))]
    for row, survived in zip(rows, ["", *map(survivors, records)], strict=True):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
        if "(" in survived:
            typer.echo(f"    survived: {survived}")
    for line in (*hints(records), *mutation_lines(records)):
        typer.echo(line)


def _exit_code(records: list[Record]) -> int:
    """Cold claims of a GPU are left alone, as a plain pytest leaves them."""
    if any(record.errors for record in records):
        return 2
    judged = [r for r in records if not r.verdict.details.get("cold")]
    if not any(r.verdict.outcome is not Outcome.NOT_RUN for r in judged):
        return 3
    return 1 if any(record.standing not in _GREEN for record in judged) else 0
