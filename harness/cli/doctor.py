"""`interp doctor`: what can be read here, what is missing and what mends it, every setting; --pin writes pins."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from harness.cli.output import emit
from harness.reports.display import escape
from harness.repository import repository


def doctor(
    pin: Annotated[
        bool, typer.Option("--pin", help="Write missing commits, digests and median norms into specs/subjects.yaml.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say what this machine can read, what is missing and what mends it, and every setting.

    Each setting has its value here and where that comes from; of a secret, only whether it is set. Exits 3 where a
    setting has a value that it cannot have.

    Example: interp doctor
    """
    if pin:
        _pin(as_json)
        return
    from harness.configuration import effective, problems

    settings = [asdict(one) for one in effective(repository())]
    faults = list(problems(repository()))
    subjects = [] if faults else _subjects()
    if as_json:
        document = {"subjects": subjects, "settings": settings, "problems": faults}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _show(subjects, settings)
    for fault in faults:
        typer.echo(f"interp: {fault}", err=True)
    if faults:
        raise typer.Exit(3)


def _subjects() -> list[dict[str, Any]]:
    from harness.pinning import readiness

    return [{**asdict(one), "here": not one.missing} for one in readiness(repository())]


def _show(subjects: list[dict[str, Any]], settings: list[dict[str, Any]]) -> None:
    """Two tables, and under the first what mends each lack, once, and whose texts begin otherwise than they might."""
    rows = [{**one, "missing": ", ".join(one["missing"]) or "nothing"} for one in subjects]
    emit(rows, False, ["subject", "device", "dtype", "missing"])
    mends = dict.fromkeys(mend for one in subjects for mend in one["mends"])
    typer.echo("\nTo have what is missing:" * bool(mends))
    for mend in mends:
        typer.echo(f"  {mend}")
    for line in (one["bos"] for one in subjects if one["bos"]):
        typer.echo(line)
    typer.echo("")
    given = [one for one in settings if one["origin"] != "default"]
    typer.echo(f"{len(given)} of {len(settings)} settings are given, the others are as without them:")
    width = max(len(one["name"]) for one in settings)
    for one in settings:
        typer.echo(f"  {one['name']:<{width}}  {escape(one['value'])}  ({one['origin']})")


def _pin(as_json: bool) -> None:
    from harness.pinning import pin
    from harness.running.doors import norms_of, released_digest

    pins, faults = pin(repository(), released_digest, norms_of)
    for fault in faults:
        typer.echo(f"not pinned: {fault}", err=True)
    rows = [{"section": p.section, "name": p.name, "key": p.key, "value": p.value} for p in pins]
    emit(rows, as_json, ["section", "name", "key", "value"])
    if not as_json:
        typer.echo(f"{len(pins)} pins written to specs/subjects.yaml")
