"""`interp`: the command line. Each command is a thin file; `main` turns faults into one message and an exit code.

0 holds, 1 a claim does not hold or is inconclusive, 2 spec or usage error, 3 environment (weights, device, store),
130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from harness.cli import (
    accept,
    calibrate,
    check,
    compare,
    doctor,
    draft,
    explain,
    features,
    history,
    mutate,
    new,
    packs,
    registry,
    store,
    training,
    transfer,
    warm,
)
from harness.cli.inert import guard_output
from harness.cli.plain import plain_help
from harness.errors import EnvironmentFault, SpecError
from harness.reports.display import escape

HOLDS, DOES_NOT_HOLD, SPEC_ERROR, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130


class _Interp(TyperGroup):
    """Says that it was interrupted: typer ends with 130 before any exception reaches `main`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                typer.echo(err=True)  # ^C, and maybe how far a reading is, stand on this line
            raise typer.Exit(_say("interrupted", INTERRUPTED)) from None


app = typer.Typer(
    name="interp",
    cls=_Interp,
    help="Claims about what a model's features encode: check, look at features, train an SAE. It only observes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("check")(check.check)
app.command("new")(new.new)
app.command("draft")(draft.draft)
app.command("explain")(explain.explain)
app.command("accept")(accept.accept)
app.command("history")(history.history)
app.command("show")(history.show)
app.command("compare")(compare.run_compare)
app.command("calibrate")(calibrate.run_calibrate)
app.command("mutate")(mutate.mutate)
app.command("top")(features.top)
app.command("diff")(features.diff)
app.command("scan")(features.scan)
app.command("transfer")(transfer.transfer)
app.command("warm")(warm.warm_)
app.command("kinds")(registry.list_kinds)
app.command("schema")(registry.write_schema)
app.command("doctor")(doctor.doctor)
app.command("train-sae")(training.train_sae)
store.app.command("export")(packs.export_)
store.app.command("import")(packs.import_)
app.add_typer(store.app)


def main() -> None:
    """Run one command; errors are one message, never a traceback."""
    guard_output()
    plain_help()
    with warnings.catch_warnings():
        warnings.showwarning = _said_once
        try:
            app()
        except SpecError as error:
            sys.exit(_say(str(error), SPEC_ERROR))
        except EnvironmentFault as fault:
            sys.exit(_say(str(fault), ENVIRONMENT))
        except OSError as error:  # a temporary folder that is full or read-only, say
            if isinstance(error, BrokenPipeError) or error.strerror is None:
                raise
            sys.exit(_say(f"{error.strerror}{f': {error.filename}' if error.filename else ''}", ENVIRONMENT))


def _said_once(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """A warning of ours, of a damaged store, is one line of the command; what libraries warn of is nobody's here."""
    if issubclass(category, RuntimeWarning):
        _say(f"warning: {message}", 0)


def _say(message: str, code: int) -> int:
    typer.echo("\n".join(map(escape, f"interp: {message}".splitlines())), err=True)
    return code
