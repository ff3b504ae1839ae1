"""A run by its name: `latest`, an id, the start of one, or a path; and its results, held against their digest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import nearest_names
from harness.reports.display import one_line
from harness.reports.json import SCHEMA, content_digest
from harness.reports.record import Record
from harness.reports.shape import misshapen

RESULTS = "results.json"


class NotARun(Exception):
    """What was named holds no results of a run."""


class Edited(NotARun):
    """Results that are not as the run wrote them."""


def runs_in(reports: Path) -> list[Path]:
    """The folders of all runs, oldest first: an id begins with the second in which its run did."""
    return sorted(path for path in (reports / "runs").glob("[!.]*") if path.is_dir())


def results_file(root: Path, reports: Path, run: str) -> Path:
    """The results.json of `latest`, of an id or the start of one, or at a path; NotARun with near ids otherwise."""
    named = Path(run) if Path(run).is_absolute() else root / run
    for path in (named, named / RESULTS):
        if run and _is_file(path):
            return path
    latest = reports / "latest" / RESULTS
    if run == "latest" and latest.is_file():
        return latest
    known = {path.name: path / RESULTS for path in runs_in(reports) if (path / RESULTS).is_file()}
    starting = [run] if run in known else [name for name in known if run and name.startswith(run)]
    if len(starting) == 1:
        return known[starting[0]]
    if starting:
        raise NotARun(f"{run!r} is the start of {len(starting)} runs: {', '.join(starting[-5:])}.")
    if not known:
        raise NotARun("no runs yet: `pytest` writes them to reports/runs/.")
    raise NotARun(f"{one_line(run)!r} is neither a run, nor `latest`, nor a {RESULTS}.{_near(run, list(known))}")


def run_before(reports: Path, run: str) -> str:
    """The id of the newest run that began before the one of this id; NotARun where there is none."""
    before = [path.name for path in runs_in(reports) if path.name < run and (path / RESULTS).is_file()]
    if not before:
        raise NotARun(f"run {run} is the first that reports/runs/ keeps: there is none to compare it with.")
    return before[-1]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


def _near(run: str, known: list[str]) -> str:
    near = nearest_names(run, known, limit=1)
    newest = ", ".join(known[-3:])
    return (f" Did you mean {near[0]!r}?" if near else "") + f" The newest runs: {newest}."


def read_results(path: Path) -> dict[str, Any]:
    """The document of a run, every value of it one that a run can write (reports/shape.py).

    NotARun where the file is something else, Edited where a run did not write it so.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        is_one = isinstance(document, dict) and document.get("schema") == SCHEMA
        digest = content_digest(document) if is_one else ""
    except (OSError, ValueError, RecursionError) as error:
        raise NotARun(f"{path.name} cannot be read as results of a run: {one_line(str(error))}.") from None
    if not is_one:
        raise NotARun(f"{path.name} is no {SCHEMA}.")
    if document.get("digest") != digest:
        raise Edited(f"{path.name} is not as its run wrote it: its digest does not fit its content. Run it again.")
    found = misshapen(document)
    if found is not None:
        hint = "another version wrote it, or an editor. Run it again."
        raise NotARun(f"{path.name} is no results of a run: {found}: {hint}")
    return dict(document)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def records_of(document: Mapping[str, Any]) -> Iterator[Record]:
    """The records of a run, in the order of the files; NotARun where another version wrote them."""
    for data in document["records"]:
        try:
            yield Record.from_dict(data)
        except (LookupError, TypeError, ValueError) as missing:
            raise NotARun(f"its records lack {missing}: another version wrote it. Run the specs again.") from None
