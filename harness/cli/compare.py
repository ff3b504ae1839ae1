"""`interp compare`: what is another in a run than in an earlier one, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import print_document, tell
from harness.comparing import ToldRun, compare, document, lines, told_run
from harness.errors import EnvironmentFault
from harness.history.runs import NotARun, read_results, results_file, run_before
from harness.language.specs import load
from harness.reports.write import reports_dir
from harness.repository import repository
from harness.session import default_store
from harness.spec import Spec
from harness.store import Store


def run_compare(
    then: Annotated[str, typer.Argument(metavar="RUN", help="The earlier: an id, its start, `latest`, or a path.")],
    now: Annotated[str | None, typer.Argument(metavar="RUN", help="The later one; `latest` without it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Which verdicts flipped from one run to another, which numbers moved beyond noise, and which part of the keys
    changed.

    Claims are paired by id and, where the store still has the evidence of both, prompt by prompt. Exits 1 where a
    verdict flipped. `interp compare latest` holds the last run against the one before it.

    Example: interp compare 20261123T1554 latest
    """
    root = repository()
    specs = [item for item in load(root).items if isinstance(item, Spec)]
    earlier, later = _told(root, then), _told(root, now or "latest")
    if now is None and earlier.id == later.id:
        earlier = _told(root, _before(root, later.id))
    found = compare(earlier, later, specs, _store())
    if as_json:
        print_document(document(found))
    else:
        for line in lines(found):
            tell(line)
    if found.flipped:
        raise typer.Exit(1)


def _told(root: Path, run: str) -> ToldRun:
    try:
        return told_run(read_results(results_file(root, reports_dir(root), run)))
    except NotARun as error:
        tell(f"interp: {run}: {error}", err=True)
        raise typer.Exit(2) from None


def _before(root: Path, run: str) -> str:
    try:
        return run_before(reports_dir(root), run)
    except NotARun as error:
        typer.echo(f"interp: {error}", err=True)
        raise typer.Exit(2) from None


def _store() -> Store | None:
    """What evidence there still is; to compare, none is needed."""
    try:
        return Store(default_store(), read_only=True) if default_store().exists() else None
    except EnvironmentFault as fault:
        tell(f"interp: {fault} Prompts are not compared.", err=True)
        return None
