"""Removing old runs from reports/runs/: by count and by age."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.history.runs import RESULTS, runs_in

KEEP = "keep"  # a file of this name in a run's folder, and the run stays
DEFAULT_RUNS = 50
DEFAULT_DAYS = 90
_ID = re.compile(r"^(\d{8}T\d{6}Z)-[0-9a-f]+$")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs may stay, and for how many days; 0 does not limit."""

    runs: int = DEFAULT_RUNS
    days: int = DEFAULT_DAYS

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Limits:
        """From interp_keep_runs and interp_keep_days as pytest.ini has them; ValueError for what is no count."""
        return cls(
            _count(settings, "interp_keep_runs", DEFAULT_RUNS), _count(settings, "interp_keep_days", DEFAULT_DAYS)
        )


def _count(settings: Mapping[str, str], name: str, default: int) -> int:
    text = settings.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} in pytest.ini is {text!r}; it is a whole number, and 0 does not limit")
    return min(int(text), 10**6) if text else default


def prune(reports: Path, limits: Limits, now: datetime.datetime | None = None) -> list[str]:
    """Remove what the limits refuse; the ids, oldest first.

    Never the run that `latest` is, nor one with a file `keep` in it (which counts among those that may stay), nor a
    folder whose name is no run's id. What cannot be removed stays for the next time.
    """
    removed = []
    for folder in _refused(reports, limits, now or datetime.datetime.now(datetime.UTC)):
        aside = folder.with_name(f".{folder.name}.gone")  # so that nobody finds half a run
        try:
            folder.rename(aside)
        except OSError:
            continue
        shutil.rmtree(aside, ignore_errors=True)
        removed.append(folder.name)
    return removed


def removed_line(removed: Sequence[str]) -> str:
    """What was removed, as one line."""
    if len(removed) == 1:
        return f"removed 1 old run, {removed[0]}"
    return f"removed {len(removed)} old runs, {min(removed)} to {max(removed)}"


def _refused(reports: Path, limits: Limits, now: datetime.datetime) -> list[Path]:
    """Oldest first."""
    runs = [(folder, begun) for folder in runs_in(reports) if (begun := _begun(folder.name)) is not None]
    refused = []
    for place, (folder, begun) in enumerate(reversed(runs)):
        too_many = 0 < limits.runs <= place
        too_old = limits.days > 0 and now - begun > datetime.timedelta(days=limits.days)
        if (too_many or too_old) and not (folder / KEEP).exists():
            refused.append(folder)
    latest = _latest(reports) if refused else None  # 1,000 claims are 1.5 MB to read
    return [folder for folder in reversed(refused) if folder.name != latest]


def _begun(name: str) -> datetime.datetime | None:
    found = _ID.match(name)
    try:
        return datetime.datetime.strptime(found[1], "%Y%m%dT%H%M%S%z") if found else None
    except ValueError:
        return None


def _latest(reports: Path) -> str | None:
    try:
        return str(json.loads((reports / "latest" / RESULTS).read_text(encoding="utf-8"))["run"]["id"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
