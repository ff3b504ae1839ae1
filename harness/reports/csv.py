"""results.csv: one flat row per record, for a spreadsheet or pandas."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from harness.reports.display import escape
from harness.reports.plain import to_plain
from harness.reports.record import Record, Run

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def results_csv(run: Run) -> str:
    """The text of results.csv, which pandas reads; written without it, since importing it costs .4 s."""
    rows = [{name: cell(value) for name, value in _row(record).items()} for record in run.records]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """A spreadsheet runs a text that starts with = + - @, tab or return: such a text gets an apostrophe first."""
    if not isinstance(value, str):
        return value
    risky = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return ("'" if risky else "") + escape(value)


def _row(record: Record) -> dict[str, Any]:
    """The cells of a record in plain types, made without the rest of it: that is most of a record."""
    verdict, measured = record.verdict, record.verdict.measurement
    row: dict[str, Any] = to_plain(
        {
            "id": record.id,
            "file": record.source.path,
            "line": record.source.line,
            "kind": record.kind or None,
            "subject": record.subject or None,
            "features": ";".join(map(str, record.features)),
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "severity": record.severity,
            "xfail": record.xfail,
            "measurement": measured.name if measured else None,
            **{name: getattr(measured, name, None) for name in ("value", "unit", "n", "low", "high")},
            "bound": verdict.bound or None,
            "p": verdict.p,
            "q": record.q,
            "null_share": verdict.null_share,
            "fragile": verdict.fragile,
            "fingerprint": record.fingerprint or None,
            "prompts": record.prompts,
            "from_store": record.from_store,
            "seconds": record.seconds,
            "finding": verdict.finding,
        }
    )
    return row
