"""`interp accept`: make the numbers of a run the baselines of the claims that they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from harness.accepting import Acceptance, Change, acceptance, write
from harness.cli.output import print_document, tell
from harness.history.runs import NotARun, read_results, results_file
from harness.language.mistakes import Mistakes
from harness.reports.display import escape
from harness.reports.write import reports_dir
from harness.repository import repository


def accept(
    run: Annotated[str, typer.Argument(help="A run's id, `latest`, or the path of a results.json.")],
    only_new: Annotated[bool, typer.Option("--only-new", help="Set first baselines; replace none.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Record a run's numbers under specs/measured/, as baselines of `unchanged`.

    Exits 1 where some of the run's numbers are refused; the others are recorded.

    Example: interp accept latest
    """
    if os.environ.get("CI"):
        raise _refused("CI is set: baselines are accepted by a person, who commits specs/measured/ for review.")
    root = repository()
    try:
        document = read_results(results_file(root, reports_dir(root), run))
        accepted = acceptance(root, document, only_new)
    except NotARun as error:
        raise _refused(str(error)) from None
    except Mistakes as mistakes:
        raise _refused(f"{mistakes}") from None
    written = [] if dry_run else [path.relative_to(root).as_posix() for path in write(root, accepted)]
    _show(accepted, written, dry_run, as_json)
    if accepted.refused:
        raise typer.Exit(1)


def _refused(message: str) -> typer.Exit:
    for line in f"interp: {message}".splitlines():
        tell(line, err=True)
    return typer.Exit(2)


def _show(accepted: Acceptance, written: list[str], dry_run: bool, as_json: bool) -> None:
    rows = [_row(change) for change in accepted.changes]
    if as_json:
        refused = [{"claim": name, "because": why} for name, why in accepted.refused]
        found = {"run": accepted.run, "changed": rows, "kept": list(accepted.kept), "refused": refused}
        print_document({**found, "written": written})
        return
    for line in _table(rows):
        tell(line)
    for name, why in accepted.refused:
        tell(f"refused: {name}: {why}")
    done = "would be set" if dry_run else "set"
    tell(f"run {accepted.run}: {len(rows)} {done}, {len(accepted.kept)} kept, {len(accepted.refused)} refused")
    if written:
        tell(f"wrote {', '.join(written)}: commit it with the reason")


def _row(change: Change) -> dict[str, Any]:
    old = None if change.old is None else change.old.value
    return {
        "claim": change.id,
        "measure": change.new.measure,
        "old": old,
        "new": change.new.value,
        "change": change.relative,
        "n": change.new.n,
        "why": change.why,
    }


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each change, never cut: a claim's whole name and the digits that tell two baselines apart."""
    cells = [("claim", "measure", "old -> new", "change", "n", "why"), *(tuple(map(escape, _cells(r))) for r in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    old = "none" if row["old"] is None else f"{row['old']:.6g}"
    change = "" if row["change"] is None else f"{row['change']:+.3%}"
    return row["claim"], row["measure"], f"{old} -> {row['new']:.6g}", change, f"{row['n']:,}", row["why"]
