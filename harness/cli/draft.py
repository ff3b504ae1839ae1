"""`interp draft`: discover on one half of two sets, and write the claims that test it on the other."""

from __future__ import annotations

import datetime
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import emit, teller
from harness.codes import Pool
from harness.drafting import Draft, Plan, Rank, check_sets, discover, suite_of
from harness.judging import before_running
from harness.language.sets import resolve_reference
from harness.language.specs import load
from harness.language.subjects import find_subject
from harness.language.writing import already_there, place_for, save_new, specs_in
from harness.repository import repository
from harness.runlog import RUN_LOG, RunLog
from harness.running import Missing, Runner
from harness.session import default_store
from harness.store import open_or_overlay

_COLUMNS = ["feature", "score", "auroc", "bound", "p", "p_of_best", "claim"]


def draft(
    a: Annotated[
        str, typer.Argument(help="A prompt set on which features should fire: prompts/categories.yaml#color.")
    ],
    b: Annotated[str, typer.Argument(help="The set that it is held against.")],
    subject: Annotated[str, typer.Option("--subject", "-s", help="A name from specs/subjects.yaml.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many features, at most.")] = 5,
    rank: Annotated[Rank, typer.Option(help="What is ranked by: AUROC, difference of means, firing rates.")] = "auroc",
    pool: Annotated[Pool, typer.Option(help="How a prompt's tokens become one number.")] = "max",
    out: Annotated[str | None, typer.Option(help="Where; specs/<subject>/<set>-draft.yaml without it.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document: [{feature, auroc, bound, claim, ...}].")
    ] = False,
) -> None:
    """Find features on one half of A and B, and write a suite that tests them on the other half.

    Reads the discovery half only. Exits 1, and writes nothing, where no feature can be claimed.

    Example: interp draft prompts/categories.yaml#color 'prompts/categories.yaml#!color' -s tiny-gemma2 --n 3
    """
    root = repository()
    plan = _plan(root, a.removeprefix("specs/"), b.removeprefix("specs/"), subject, out, (n, rank, pool))
    (found_on,), (tested,) = (specs_in(root, plan.trial(half), plan.path) for half in ("discovery", "test"))
    check_sets(found_on, tested)
    drafts = _discovered(plan, found_on, tested)
    made = [one for one in drafts if not one.why_not]
    if made:
        text = suite_of(plan, drafts, datetime.datetime.now(datetime.UTC).date().isoformat())
        if any(before_running(spec) is not None for spec in specs_in(root, text, plan.path)):
            raise AssertionError("the claims are those of the trial, which could be decided")
        save_new(root / "specs" / plan.path, text)
    emit([_row(plan, one) for one in drafts], as_json, _COLUMNS)
    _say(plan, len(made), as_json)


def _plan(root: Path, a: str, b: str, subject: str, out: str | None, how: tuple[int, Rank, Pool]) -> Plan:
    """All that can be wrong is found here, before a model is read."""
    n, rank, pool = how
    find_subject(root, subject)
    for reference in (a, b):
        resolve_reference(root, reference)
    name = Plan("", a, b, subject).name
    path = place_for(root, out or f"specs/{subject}/{name}-draft.yaml")
    if path.exists():
        raise already_there(path)
    inside = path.relative_to(Path(os.path.abspath(root)) / "specs").as_posix()
    taken = {family.name for family in load(root).families}
    family = inside.removesuffix(".yaml").replace("/", "-")
    while family in taken:
        family += "-again"
    return Plan(inside, a, b, subject, pool, rank, n, family)


def _discovered(plan: Plan, found_on: Any, tested: Any) -> list[Draft]:
    with tempfile.TemporaryDirectory(prefix="interp-draft-") as made:
        folder = Path(made)
        store, _ = open_or_overlay(default_store(), folder / "evidence.sqlite")
        runner = Runner(store, RunLog(folder / RUN_LOG), progress=teller())
        try:
            return discover(plan, found_on, tested, runner)
        except Missing as missing:
            raise missing.as_fault() from None


def _row(plan: Plan, one: Draft) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "score": one.score,
        "auroc": one.auroc,
        "bound": one.bound,
        "p": one.p,
        "p_of_best": one.p_of_best,
        "live_features": one.live,
        "n": list(one.n),
        "fires": list(one.fires),
        "means": list(one.means),
        "claim": None if one.why_not else f"{plan.name}-f{one.feature}",
        "left_out": one.why_not or None,
    }


def _say(plan: Plan, made: int, as_json: bool) -> None:
    """What was written, on standard error under --json."""
    if not made:
        typer.echo("interp: no feature of these can be claimed; nothing was written", err=True)
        raise typer.Exit(1)
    claims = "1 claim" if made == 1 else f"{made} claims"
    typer.echo(
        f"wrote specs/{plan.path}: {claims}, on the half that was not read: pytest -k {Path(plan.path).stem}",
        err=as_json,
    )
