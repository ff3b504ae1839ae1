"""reports/runs/<id>/ and reports/latest/: written beside their place and moved in whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from harness.errors import EnvironmentFault
from harness.inputs import Picture
from harness.reports.csv import results_csv
from harness.reports.display import one_line
from harness.reports.exhibits import Exhibits
from harness.reports.html import page_html
from harness.reports.html.thumbnails import thumbnails
from harness.reports.json import results_json
from harness.reports.markdown import summary_markdown
from harness.reports.record import Run

LOCK_WAIT_S = 30


def reports_dir(root: Path) -> Path:
    """$INTERP_REPORTS, else reports/ in the repository; not created here."""
    named = os.environ.get("INTERP_REPORTS")
    return Path(named).expanduser() if named else root / "reports"


def write_run(
    run: Run,
    folder: Path,
    exhibits: Exhibits | None = None,
    open_picture: Callable[[Picture], Any] | None = None,
    trends: Mapping[str, Sequence[float | None]] | None = None,
) -> EnvironmentFault | None:
    """Write runs/<id>/ and make latest/ a copy of it; where that cannot be done, the fault that says so.

    exhibits: what index.html shows of the evidence; open_picture: opens the pictures among it; trends: by claim, its
    values over the last runs, this one's at the end. A reader never sees half a report. The verdicts stand without it,
    so the caller decides what the fault means.
    """
    shown = exhibits or Exhibits()
    texts = {
        "results.json": results_json(run),
        "results.csv": results_csv(run),
        "summary.md": summary_markdown(run),
        "index.html": page_html(run, shown, thumbnails(shown.pictures, open_picture), trends or {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=LOCK_WAIT_S):
            _put(texts, folder / "runs" / run.id, folder / f".{run.id}.new")
            _put(texts, folder / "latest", folder / f".{run.id}.new")
    except (OSError, filelock.Timeout) as error:
        return EnvironmentFault(
            "reports_not_written",
            f"the report could not be written to {one_line(str(folder))} ({_why(error)}).",
            "Make the folder writable, or name another in INTERP_REPORTS.",
        )
    return None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"another run has held it for {LOCK_WAIT_S} s"


def _put(texts: dict[str, str], place: Path, beside: Path) -> None:
    """Fill `beside`, then move it to `place`; what stood there is moved away first, and removed or put back last."""
    old = beside.with_suffix(".old")
    try:
        beside.mkdir()
        for name, text in texts.items():
            (beside / name).write_bytes(text.encode("utf-8"))
        place.parent.mkdir(exist_ok=True)
        if os.path.lexists(place):
            place.rename(old)
        beside.rename(place)
    finally:
        if os.path.lexists(old) and not os.path.lexists(place):
            old.rename(place)
        _remove(beside)
        _remove(old)


def _remove(path: Path) -> None:
    """A folder with what is in it; of a symbolic link only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
