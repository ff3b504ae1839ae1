"""`interp doctor`: which subjects can be read here, and, with --pin, the pins of what is here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import emit


def doctor(
    pin: Annotated[
        bool, typer.Option("--pin", help="Write missing commits and digests into specs/subjects.yaml.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say which subjects can be read on this machine; pin their weights where they are. Example: interp doctor --pin"""
    from harness.pinning import readiness

    if pin:
        _pin(as_json)
        return
    rows = [
        {"subject": r.subject, "device": r.device, "here": not r.missing, "missing": ", ".join(r.missing)}
        for r in readiness(Path.cwd())
    ]
    emit(rows, as_json, ["subject", "device", "here", "missing"])


def _pin(as_json: bool) -> None:
    from harness.pinning import pin
    from harness.running.doors import released_digest

    pins, faults = pin(Path.cwd(), released_digest)
    for fault in faults:
        typer.echo(f"not pinned: {fault}", err=True)
    rows = [{"section": p.section, "name": p.name, "key": p.key, "value": p.value} for p in pins]
    emit(rows, as_json, ["section", "name", "key", "value"])
    if not as_json:
        typer.echo(f"{len(pins)} pins written to specs/subjects.yaml")
