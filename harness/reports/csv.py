"""results.csv: one flat row per record, for a spreadsheet or pandas."""

from __future__ import annotations

import re
from typing import Any

from harness.reports.display import escape
from harness.reports.record import Record, Run

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def results_csv(run: Run) -> str:
    """The text of results.csv. pandas costs .4 s, so it is imported only when the file is written."""
    import pandas as pd

    rows = [{name: cell(value) for name, value in _row(record).items()} for record in run.records]
    names = list(rows[0]) if rows else None
    return str(pd.DataFrame(rows, columns=names, dtype=object).to_csv(index=False, lineterminator="\n"))


def cell(value: Any) -> Any:
    """A spreadsheet runs a text that starts with = + - @, tab or return: such a text gets an apostrophe first."""
    if not isinstance(value, str):
        return value
    risky = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return ("'" if risky else "") + escape(value)


def _row(record: Record) -> dict[str, Any]:
    data = record.to_dict()
    measured = data["measurement"] or {}
    kept = ("id", "file", "line", "kind", "subject")
    return {
        **{name: data[name] for name in kept},
        "features": ";".join(map(str, data["features"])),
        **{name: data[name] for name in ("outcome", "reason", "severity", "xfail")},
        "measurement": measured.get("name"),
        **{name: measured.get(name) for name in ("value", "unit", "n", "low", "high")},
        **{name: data[name] for name in ("bound", "p", "q", "null_share", "fragile", "fingerprint")},
        **data["evidence"],
        **{name: data[name] for name in ("seconds", "finding")},
    }
