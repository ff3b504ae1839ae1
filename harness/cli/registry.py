"""`interp kinds` and `interp schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.output import emit


def list_kinds(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """List the kinds of claim.

    Example: interp kinds
    """
    from harness.expectations import kinds

    emit([{"kind": name, "claim": kind.summary()} for name, kind in kinds().items()], as_json, ["kind", "claim"])


def write_schema() -> None:
    """Print the JSON Schema of suite files.

    Example: interp schema > specs/suite.schema.json
    """
    from harness.language.schema import schema_text

    typer.echo(schema_text(), nl=False)
