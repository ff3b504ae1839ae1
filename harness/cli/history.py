"""`interp history` and `interp show`: the runs that reports/ keeps, a claim's trend over them, one run opened."""

from __future__ import annotations

import configparser
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import print_document, tell
from harness.errors import did_you_mean, nearest_names
from harness.history.index import Index, Point, RunRow
from harness.history.opening import opened
from harness.history.pruning import Limits, prune, removed_line
from harness.history.runs import NotARun, read_results, records_of, results_file
from harness.history.series import series
from harness.history.sparkline import levels_for, sparkline
from harness.reports.display import fit, number, one_line
from harness.reports.limit import INVALID
from harness.reports.mutation import mutation_lines
from harness.reports.record import Record
from harness.reports.terminal import ORDER, table_lines
from harness.reports.write import reports_dir
from harness.repository import repository

LOG_WIDTH = 140
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def history(
    spec: Annotated[str | None, typer.Argument(metavar="SPEC", help="A claim's id, or its end; else all runs.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs to show, the newest.")] = 20,
    reindex: Annotated[bool, typer.Option("--reindex", help="Make reports/history.sqlite anew from the runs.")] = False,
    prune_now: Annotated[bool, typer.Option("--prune", help="Remove old runs now, as every run does.")] = False,
    as_json: Json = False,
) -> None:
    """The last runs, or the trend of one claim over them.

    Runs are removed beyond the 50 newest and after 90 days (interp_keep_runs, interp_keep_days in pytest.ini; 0 does
    not limit). The one that `latest` is stays, and so does one with a file named keep in its folder.

    Example: interp history color-beats-the-rest
    """
    reports = reports_dir(repository())
    removed = prune(reports, _limits(repository())) if prune_now else []
    with opened(reports, fresh=reindex) as (index, said):
        _warn([*said, *([removed_line(removed)] if removed else [])])
        if spec is None:
            _show_runs(index, limit, as_json)
        else:
            _show_trend(index, _claim(index, spec), limit, as_json)


def show(
    run: Annotated[str, typer.Argument(help="`latest`, a run's id or its start, or a path.")] = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="Its results.json.")] = False,
) -> None:
    """One run as its terminal printed it, and where its page is.

    Example: interp show latest
    """
    root = repository()
    try:
        path = results_file(root, reports_dir(root), run)
        document = read_results(path)
        records = list(records_of(document))
    except NotARun as error:
        raise _refused(str(error)) from None
    if as_json:
        print_document(document)
        return
    _show_run(document["run"], records)
    page = path.with_name("index.html")
    typer.echo(f"Report: {_from_here(page) if page.is_file() else 'index.html is not beside its results any more'}")


def _limits(root: Path) -> Limits:
    """As pytest reads them: from pytest.ini, which comes before pyproject.toml."""
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(root / "pytest.ini", encoding="utf-8")
        return Limits.of(settings["pytest"] if settings.has_section("pytest") else {})
    except (configparser.Error, ValueError) as error:
        raise _refused(str(error)) from None


def _claim(index: Index, name: str) -> str:
    """The one claim of this id, or whose id ends so; otherwise a message with the nearest, and exit code 2."""
    known = index.claims()
    matching = next((found for found in _matching(known, name) if found), [])
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise _refused(f"{name!r} is the end of {len(matching)} ids; name one: {', '.join(matching[:5])}")
    if not known:
        raise _refused(f"no run has judged {name!r}: reports/runs/ holds none. Run `pytest`.")
    ends = {one.rpartition("::")[2]: one for one in known}
    near = [ends[end] for end in nearest_names(name.rpartition("::")[2], ends, limit=1)]
    hint = f" Did you mean {near[0]!r}?" if near else did_you_mean(name, known)
    raise _refused(f"no run has judged a claim called {name!r}.{hint}")


def _matching(known: Sequence[str], name: str) -> Iterator[list[str]]:
    """By whole id, by the claim's own name, by the end of either."""
    yield [one for one in known if one == name]
    yield [one for one in known if one.endswith(f"::{name}")]
    yield [one for one in known if one.endswith(name)]


def _show_runs(index: Index, limit: int, as_json: bool) -> None:
    rows = index.runs(limit)
    if as_json:
        return print_document([_run_document(row) for row in rows])
    if not rows:
        typer.echo("no runs yet: `pytest` writes them to reports/runs/")
    cells = [("run", "when (UTC)", "claims", "command"), *(_run_cells(row) for row in rows if not row.trouble)]
    for line in _aligned(cells) if len(cells) > 1 else ():
        tell(line)
    _warn([f"{row.id} is left out: {row.trouble}" for row in rows if row.trouble])
    return None


def _run_document(row: RunRow) -> dict[str, Any]:
    return {**asdict(row), "trouble": row.trouble or None}


def _run_cells(row: RunRow) -> tuple[str, ...]:
    counts = row.counts or {}
    told = ", ".join(f"{counts[standing]} {standing}" for standing in ORDER if counts.get(standing)) or "no claims"
    marks = " (cut short)" * row.partial + " (invalid)" * row.invalid
    return row.id, _when(row.started), told + marks, one_line(row.command, 80)


def _show_trend(index: Index, claim: str, limit: int, as_json: bool) -> None:
    points = index.trend(claim, limit)
    notes = _notes(points)
    if as_json:
        rows = [{**asdict(point), "changed": note} for point, note in zip(points, notes, strict=True)]
        return print_document({"claim": claim, "runs": rows})
    typer.echo(f"{one_line(claim)}  {_spark(points)}")
    cells: list[tuple[str, ...]] = [("run", "when (UTC)", "verdict", "measured", "n", "changed")]
    cells += [_point_cells(point, note) for point, note in zip(points, notes, strict=True)]
    for line in _aligned(cells):
        tell(line)
    _warn([f"{row.id} is left out: {row.trouble}" for row in index.runs(limit) if row.trouble])
    return None


def _spark(points: Sequence[Point]) -> str:
    values = series([(point.verdict, point.measure, point.value) for point in points])
    return sparkline(values, levels_for(sys.stdout))


def _notes(points: Sequence[Point]) -> list[list[str]]:
    """What differs from the run before: `claim` where it was edited, `evidence` where its fingerprint is another."""
    found: list[list[str]] = [[] for _ in points]
    for note, before, now in zip(found[1:], points, points[1:], strict=False):
        note += ["claim"] * bool(before.digest and now.digest and before.digest != now.digest)
        note += ["evidence"] * bool(before.fingerprint and now.fingerprint and before.fingerprint != now.fingerprint)
    return found


def _point_cells(point: Point, note: Sequence[str]) -> tuple[str, ...]:
    limits = f" [{number(point.low)}, {number(point.high)}]" if point.low is not None and point.high is not None else ""
    unit = f" {point.unit}" if point.unit else ""
    measured = "-" if point.measure is None else f"{point.measure} {number(point.value)}{unit}{limits}"
    n = "-" if point.n is None else f"{point.n:,}"
    return point.run, _when(point.started), point.standing, measured, n, ", ".join(note)


def _show_run(run: dict[str, Any], records: Sequence[Record]) -> None:
    commit = f", commit {run['commit'][:12]}{' with changes' if run['dirty'] else ''}" if run["commit"] else ""
    tell(f"run {one_line(run['id'])}, {_when(run['started'])} UTC, {run['seconds']:g} s{commit}")
    typer.echo(one_line(run["command"]))
    if run["partial"]:
        typer.echo("it was cut short: interrupted, or records were lost")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else LOG_WIDTH
    for line in table_lines(records, width):
        typer.echo(line)
    for record in (one for one in records if one.pages):
        typer.echo(f"page of {one_line(record.id)}: {one_line(' '.join(record.pages), 400)}")
    for line in mutation_lines(list(records)):
        tell(f"mutants: {line}")
    for line in (INVALID, *run["invalid"]) if run.get("invalid") else ():
        typer.echo(one_line(line, 400))


def _aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(cells[0]))]
    return ["  ".join(fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _when(started: str) -> str:
    return started[:16].replace("T", " ")


def _from_here(path: Path) -> str:
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        tell(f"history: {line}", err=True)


def _refused(message: str) -> typer.Exit:
    tell(f"interp: {message}", err=True)
    return typer.Exit(2)
