"""`interp calibrate`: measure how far a subject's numbers move when nothing that they should depend on does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.calibrating import MOST_PROMPTS, calibrate, prompts_of
from harness.cli.output import print_document, teller
from harness.errors import EnvironmentFault
from harness.language.calibrations import write_calibration
from harness.language.specs import load
from harness.language.subjects import find_subject
from harness.repository import repository
from harness.runlog import RUN_LOG, RunLog
from harness.running import Runner
from harness.spec import Calibration, Spec
from harness.store import Store

_NAMES = {
    "flips": "firings that flip",
    "mean": "a feature's mean (median)",
    "single": "one activation (p99)",
    "l0": "L0",
    "fvu": "FVU (absolute)",
}


def run_calibrate(
    subject: Annotated[str, typer.Argument(help="A name of specs/subjects.yaml.")],
    most: Annotated[
        int, typer.Option("--prompts", min=1, help="At most so many prompts of its claims.")
    ] = MOST_PROMPTS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document: the figures as they are kept.")] = False,
) -> None:
    """Measure a subject's noise, and keep it under specs/measured/noise/.

    Reads prompts of the subject's own claims three times: as ever, one at a time, and in the other precision.

    Example: interp calibrate tiny-gemma2
    """
    if os.environ.get("CI"):
        typer.echo(
            "interp: CI is set: noise is measured by a person, who commits specs/measured/ for review.", err=True
        )
        raise typer.Exit(2)
    loaded = load(repository())
    found = find_subject(repository(), subject)
    prompts = prompts_of(found, [item for item in loaded.items if isinstance(item, Spec)], most)
    if not prompts:
        raise EnvironmentFault("nothing_to_measure", f"no claim has {subject} read a prompt.", "Write one first.")
    with tempfile.TemporaryDirectory(prefix="interp-run-") as made:
        shared = Path(made)
        say = (lambda line: None) if as_json else teller()
        runner = Runner(Store(shared / "evidence.sqlite"), RunLog(shared / RUN_LOG), progress=say)
        figures = calibrate(found, prompts, runner)
    path = write_calibration(repository(), subject, figures)
    if as_json:
        print_document(asdict(figures))
        return
    _show(figures)
    typer.echo(f"wrote {path.relative_to(repository()).as_posix()}: commit it")


def _show(figures: Calibration) -> None:
    """A row for each figure, with both comparisons."""
    typer.echo(f"{figures.prompts} prompts, {figures.tokens:,} counted tokens")
    typer.echo(f"{'':28}{'one at a time':>16}{f'in {figures.other}':>16}")
    for name, words in _NAMES.items():
        typer.echo(f"{words:28}{getattr(figures.batch, name):>16.3g}{getattr(figures.precision, name):>16.3g}")
