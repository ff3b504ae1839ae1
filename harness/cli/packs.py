"""`interp store export` and `import`: evidence as one file, for other runners and for reviewers without weights."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import emit, print_document
from harness.cli.sizes import shown_bytes
from harness.cli.store import Json, opened, shown_store
from harness.keys import code_parts
from harness.language.specs import load
from harness.repository import repository
from harness.session import default_store
from harness.spec import Broken, Spec
from harness.store import Store
from harness.store.packs import export_pack, file_sha256
from harness.store.unpacking import Imported, import_pack
from harness.stored import Known, known_today, readings_of


def export_(
    file: Annotated[Path, typer.Argument(help="The pack to write, as evidence.pack.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Suites or folders; all of specs/ where none.")] = None,
    mutate: Annotated[bool, typer.Option("--mutate", help="What `pytest --mutate` reads, too: larger.")] = False,
    as_json: Json = False,
) -> None:
    """Write the evidence of some suites as one file.

    What is not in the store is counted and left out. Exits 2 where a spec cannot be read, 3 where nothing is there.

    Example: interp store export evidence.pack
    """
    readings = readings_of(readable(paths or None), mutate)
    with opened(read_only=True) as store:
        written = export_pack(file, store, readings, lambda one: code_parts(one.subject))
    sha256 = file_sha256(file)
    if as_json:
        rows = {"rows": written.rows, "bytes": written.bytes, "lacking": dict(written.lacking)}
        print_document({"path": str(file), "sha256": sha256, **rows})
        return
    typer.echo(f"{file}: {written.rows} rows, {shown_bytes(written.bytes)}, sha256 {sha256}")
    for name, count in written.lacking.items():
        typer.echo(f"left out: {count} rows of {name} that are not in the store", err=True)


def import_(
    file: Annotated[Path, typer.Argument(help="What `interp store export` wrote.")],
    sha256: Annotated[str | None, typer.Option("--sha256", help="Refuse every other file.")] = None,
    as_json: Json = False,
) -> None:
    """Take in the evidence of a pack: all, or none where any is damaged.

    What is in the store already stays as it is. Exits 3 where the pack is refused.

    Example: interp store import evidence.pack
    """
    known = known_today(repository())
    with contextlib.closing(Store(default_store())) as store:
        done = import_pack(file, store, sha256, known.widths())
    counts = {"added": done.added, "held": done.held, "different": done.different}
    subjects = _whose(done, known)
    if as_json:
        print_document({"path": str(default_store()), **counts, "subjects": subjects})
        return
    typer.echo(f"{shown_store()}: {done.added} rows added, {done.held} were here")
    if done.different:
        typer.echo(f"{done.different} of those here have other values than the pack's, and stay as they are", err=True)
    emit(subjects, False, ["subject", "rows", "serves"])


def _whose(done: Imported, known: Known) -> list[dict[str, Any]]:
    """For each code key of the pack: the subject of today that it serves, or why it serves none."""
    rows, counts = [], Counter(row.code_key for row in done.manifest.rows)
    for key, parts in done.manifest.code_keys.items():
        name, why_not = known.name(key), known.why_not(parts)
        serves = "yes" if name else f"no: {why_not}" if why_not else "no: other weights or settings than any subject's"
        rows.append({"subject": name, "code_key": key, "rows": counts[key], "serves": serves})
    return rows


def readable(paths: list[Path] | None) -> list[Spec]:
    """The claims of these suites; exits 2 after naming every mistake where there is one."""
    loaded = load(repository(), paths)
    mistakes = [error for item in loaded.items if isinstance(item, Broken) for error in item.errors]
    for error in mistakes:
        typer.echo(f"interp: {error}", err=True)
    if mistakes:
        raise typer.Exit(2)
    return [item for item in loaded.items if isinstance(item, Spec)]
