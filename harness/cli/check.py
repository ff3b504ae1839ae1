"""`interp check`: are the files right, with no model and no GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.contradictions import contradictions
from harness.judging import before_running
from harness.language.check import mistakes_of
from harness.language.specs import Loaded, load
from harness.loosening import UnknownRef, loosened_since
from harness.spec import Spec


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Suites or folders; all of specs/ where none is given.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document: [{code, file, line, column, ...}].")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="GIT_REF", help="List bars lower than at this commit; each needs a reason."),
    ] = None,
) -> None:
    """Validate specs: file, line, column, and the mend of each mistake. Example: interp check specs/tiny-gemma2"""
    loaded = load(Path.cwd(), paths or None)
    lower = _lower_bars(against, loaded, paths or None)
    found = [*mistakes_of(loaded), *_undecidable(loaded), *lower]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print(loaded, found)
    wrong = [f for f in found if f["code"] != "loosened" or f["because"] is None]
    if wrong:
        raise typer.Exit(2 if any(f["code"] not in ("inconclusive", "loosened") for f in wrong) else 1)


def _lower_bars(against: str | None, loaded: Loaded, paths: list[Path] | None) -> list[dict[str, Any]]:
    """Bars that are lower than at a commit, explained or not."""
    if against is None:
        return []
    try:
        return [one.to_dict() for one in loosened_since(Path.cwd(), against, loaded, paths)]
    except UnknownRef as error:
        typer.echo(f"interp: {error}", err=True)
        raise typer.Exit(2) from None


def _undecidable(loaded: Loaded) -> list[dict[str, Any]]:
    """Specs whose verdict no evidence can change: too few prompts for their level, or a leak."""
    found = []
    for item in loaded.items:
        early = before_running(item) if isinstance(item, Spec) else None
        if early is not None:
            place = {"file": item.source.path, "line": item.source.line, "column": item.source.column}
            found.append({"code": "inconclusive", **place, "message": f"{early.word}: {early.finding}", "nearest": []})
    return found


def _print(loaded: Loaded, found: list[dict[str, Any]]) -> None:
    for one in found:
        typer.echo(f"{one['file']}:{one['line']}:{one['column']}: {one['code']}: {one['message']}")
    contradicting = contradictions(item for item in loaded.items if isinstance(item, Spec))
    for warning in (*loaded.warnings, *contradicting):
        typer.echo(f"warning: {warning}")
    specs = sum(isinstance(item, Spec) for item in loaded.items)
    lower = sum(one["code"] == "loosened" for one in found)
    mistakes = len(found) - lower
    bars = f", {lower} lower {'bar' if lower == 1 else 'bars'}" if lower else ""
    typer.echo(f"{specs} specs read, {mistakes} {'mistake' if mistakes == 1 else 'mistakes'}{bars}")
