"""`interp store`: how large the evidence is, whether it is whole, and dropping what is not needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from harness.cachedir import shown
from harness.cli.output import emit, print_document, tell
from harness.cli.sizes import parse_bytes, parse_seconds, shown_bytes
from harness.errors import EnvironmentFault
from harness.repository import repository
from harness.session import default_store
from harness.store import Limits, Store
from harness.stored import known_today

app = typer.Typer(
    name="store",
    help="The evidence on disk (INTERP_STORE, else in the cache folder): how large, whether whole, pruning.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command("size")
def size(as_json: Json = False) -> None:
    """Say how large the store is, and whose evidence it holds.

    Example: interp store size
    """
    with opened(read_only=True) as store:
        held, tables = store.sizes(), store.stats()
    del tables["code_keys"]
    on_disk = default_store().stat().st_size
    names = known_today(repository()).name
    largest = sorted(held, key=lambda key: (-held[key]["bytes"], key))
    subjects = [{"subject": names(key), "code_key": key, **held[key]} for key in largest]
    if as_json:
        print_document({"path": str(default_store()), "file_bytes": on_disk, "tables": tables, "subjects": subjects})
        return
    rows = [_sized(name, one) for name, one in tables.items()]
    rows += [_sized(names(key) or f"no subject of today ({key[:12]})", held[key]) for key in largest]
    typer.echo(f"{shown_store()}: {shown_bytes(on_disk)} on disk")
    emit(rows, False, ["of", "rows", "size"])


def _sized(name: str, one: dict[str, int]) -> dict[str, Any]:
    return {"of": name, "rows": one["rows"], "size": shown_bytes(one["bytes"])}


@app.command("verify")
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Drop damaged rows; the next run reads them again.")] = False,
    as_json: Json = False,
) -> None:
    """Hold every row against its digest; exits 3 where one is damaged and stays.

    Example: interp store verify
    """
    lines: list[str] = []
    with opened(read_only=not repair) as store:
        store.tells(lines.append)
        looked_at, damaged = store.verify()
        moved = lines[-1:] if store.replaced else []
    for line in moved:  # rows are counted below; a file that was damaged as a whole has none left
        tell(line, err=True)
    if as_json:
        print_document(
            {"path": str(default_store()), "rows": looked_at, "damaged": damaged, "dropped": damaged * repair}
        )
    else:
        what = "" if not damaged else " and dropped" if repair else "; drop them with `interp store verify --repair`"
        typer.echo(f"{shown_store()}: {looked_at} rows, {damaged} damaged{what}")
    if damaged and not repair:
        raise typer.Exit(3)


@app.command("prune")
def prune(
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Drop what was written longer ago, as 12h, 30d or 8w.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Drop until this is left, as 500MB: residuals, then the oldest.")
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Drop what no subject of specs/subjects.yaml reads with today's versions.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would free.")] = False,
    as_json: Json = False,
) -> None:
    """Drop evidence that is old, too much or of no subject of today.

    Example: interp store prune --stale --dry-run
    """
    limits = Limits(
        max_bytes=None if max_size is None else parse_bytes(max_size),
        since=None if older_than is None else time.time() - parse_seconds(older_than),
        code_keys=set(known_today(repository()).subjects) if stale else None,
    )
    if limits == Limits():
        raise typer.BadParameter("say what may go: --older-than, --max-size or --stale.")
    with opened(read_only=dry_run) as store:
        dropped = store.prune(limits, dry_run)
    if as_json:
        print_document({"path": str(default_store()), "rows": dropped.rows, "bytes": dropped.bytes, "dry_run": dry_run})
    else:
        did = "would drop" if dry_run else "dropped"
        typer.echo(f"{shown_store()}: {did} {dropped.rows} rows, {shown_bytes(dropped.bytes)}")


@contextmanager
def opened(read_only: bool) -> Iterator[Store]:
    """The store, which must be there; closed at the end. Raises EnvironmentFault `store_absent`."""
    if not default_store().exists():
        raise EnvironmentFault(
            "store_absent",
            f"there is no store at {shown_store()}.",
            "Run pytest or `interp warm`, or set INTERP_STORE to the one that you mean.",
        )
    store = Store(default_store(), read_only)
    try:
        yield store
    finally:
        store.close()


def shown_store() -> str:
    return shown(str(default_store()))
