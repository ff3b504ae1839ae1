"""`interp warm`: fill the store before anyone judges, on one machine or a shard on each of several."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import emit, print_document, teller
from harness.cli.packs import readable
from harness.cli.store import Json
from harness.planning import WHOLE, Shard
from harness.running.doors import on_ray
from harness.session import default_store
from harness.store import Store
from harness.warming import Warmed, warm


class Where(StrEnum):
    """What `--engine` takes."""

    HERE = "here"
    RAY = "ray"


def warm_(
    paths: Annotated[list[Path] | None, typer.Argument(help="Suites or folders; all of specs/ where none.")] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Only part i of n; all n parts are everything, once.")
    ] = None,
    mutate: Annotated[bool, typer.Option("--mutate", help="Read what `pytest --mutate` reads, too.")] = False,
    engine: Annotated[
        Where, typer.Option(help="Where models are read: in this process, or by Ray (RAY_ADDRESS, else this machine).")
    ] = Where.HERE,
    workers: Annotated[int, typer.Option(min=1, help="With --engine ray: how many copies of a model.")] = 1,
    as_json: Json = False,
) -> None:
    """Read what specs need and the store lacks, and judge nothing. Example: interp warm specs/tiny-gemma2 --shard 1/2

    Subjects of a device that is not here are left out. Exits 2 where a spec cannot be read, 3 where evidence that could
    be had here was not, or none could be had here.
    """
    part = _parsed(shard)
    specs = readable(paths or None)
    if not specs:
        raise typer.BadParameter("there is no claim to read for.")
    with contextlib.closing(Store(default_store())) as store, tempfile.TemporaryDirectory(prefix="interp-run-") as made:
        reader = on_ray(workers) if engine is Where.RAY else None
        rows = warm(specs, store, Path(made), part, mutate, teller(), reader)
    if as_json:
        subjects = [dataclasses.asdict(row) for row in rows]
        print_document({"path": str(default_store()), "shard": shard, "subjects": subjects})
    else:
        _show(rows)
    if any(row.lacking and not row.left for row in rows) or (rows and all(row.left for row in rows)):
        raise typer.Exit(3)


def _parsed(shard: str | None) -> Shard:
    try:
        return WHOLE if shard is None else Shard.parse(shard)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _show(rows: list[Warmed]) -> None:
    table = [_row(row) for row in rows]
    emit(table, False, ["subject", "device", "wanted", "held", "read", "lacking"])
    for row in rows:
        if row.left:
            typer.echo(f"{row.subject}: left for a machine with {row.device}", err=True)
        for fault in () if row.left else row.faults:
            typer.echo(f"{row.subject}: {fault}", err=True)


def _row(row: Warmed) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "read": row.wanted - row.held - row.lacking}
