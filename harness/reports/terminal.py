"""The table at the end of a run: every claim with verdict, measurement, bound and n, passes too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.reports.display import columns, fit, number, one_line
from harness.reports.failure import finding_line
from harness.reports.record import Record

MAX_ROWS = 60
MAX_REMARKS = 10
ORDER = (
    "broken",
    "not run",
    "unmet",
    "inconclusive",
    "met unexpectedly",
    "unmet (warn)",
    "inconclusive (warn)",
    "unmet as expected",
    "met",
)
_COLORS = {"met": "32", "unmet as expected": "32", "unmet (warn)": "33", "inconclusive (warn)": "33"}
_HEAD = ("verdict", "claim", "measured", "bound", "n", "q")
_CLAIM = 1
# What gives way on a narrow terminal, in order: (column, the columns of text that it keeps).
_SHRINK = ((_CLAIM, 24), (3, 12), (2, 12), (_CLAIM, 12))


def worst_first(records: Iterable[Record]) -> list[Record]:
    """Red ones first, since a cut table must not hide them: claims of a GPU that nobody asked for come after those."""
    return sorted(records, key=lambda r: (not r.is_red, ORDER.index(r.standing), r.source.path, r.source.line, r.id))


def table_lines(records: Iterable[Record], width: int = 80, color: bool = False, limit: int = MAX_ROWS) -> list[str]:
    """The lines of the table, rows no wider than `width` where that is 72 or more; the counts come last."""
    ordered = worst_first(records)
    shown = ordered[:limit]
    rows = _fitted(shown, width)
    lines = [rows[0], *(_colored(r, row, color) for r, row in zip(shown, rows[1:], strict=True))]
    if len(ordered) > limit:
        left_out = counts(ordered[limit:])
        lines.append(f"... and {len(ordered) - limit} more ({left_out}); all are in summary.md")
    return [*lines, *_remarks(ordered), counts(ordered)]


def counts(records: Sequence[Record]) -> str:
    """`3 unmet, 1 unmet (warn), 40 met`, worst first."""
    found = Counter(record.standing for record in records)
    return ", ".join(f"{found[standing]} {standing}" for standing in ORDER if found[standing]) or "no claims"


def measured_text(record: Record, interval: bool = True) -> str:
    """`auroc 0.94 [0.83, 0.98]`; for a claim without a number, the reason or the codes of faults that it is for."""
    measured = record.verdict.measurement
    if measured is None:
        reason = record.errors[0].code if record.errors else record.verdict.reason
        return str(reason or ", ".join(record.verdict.details.get("faults", ())) or "-").replace("_", " ")
    limits = f" [{number(measured.low)}, {number(measured.high)}]"
    known = interval and measured.low is not None and measured.high is not None
    unit = f" {measured.unit}" if measured.unit else ""
    return f"{measured.name} {number(measured.value)}{unit}" + (limits if known else "")


def _short_bound(bound: str) -> str:
    """The number of a bound must survive 80 columns, so its words give way: `>= 0.75`, `0.1 to 0.2`."""
    for words, short in (("at least ", ">= "), ("at most ", "<= "), ("between ", ""), (" and ", " to ")):
        bound = bound.replace(words, short)
    return bound or "-"


def _cells(record: Record, interval: bool) -> tuple[str, ...]:
    measured = record.verdict.measurement
    n = "-" if measured is None else str(measured.n)
    q = "-" if record.q is None else number(record.q)
    cells = (record.standing, record.id, measured_text(record, interval), _short_bound(record.verdict.bound), n, q)
    return tuple(one_line(cell) for cell in cells)


def _fitted(records: Sequence[Record], width: int) -> list[str]:
    """Header and rows; a narrow terminal loses first the intervals, then what _SHRINK says."""
    rows = _rows(records, interval=True)
    if _total(_widths(rows)) > width:
        rows = _rows(records, interval=False)
    widths = _widths(rows)
    for column, least in _SHRINK:
        widths[column] -= min(max(0, _total(widths) - width), max(0, widths[column] - least))
    return ["  ".join(_cut(row, widths)).rstrip() for row in rows]


def _rows(records: Sequence[Record], interval: bool) -> list[tuple[str, ...]]:
    """The column of q stands only where a family was judged."""
    rows = [_HEAD, *(_cells(r, interval) for r in records)]
    return rows if any(r.q is not None for r in records) else [row[:-1] for row in rows]


def _cut(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The end of an id says more than its start; of all else the start does."""
    return (fit(cell, w, keep_end=column == _CLAIM) for column, (cell, w) in enumerate(zip(row, widths, strict=True)))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(row[i]) for row in rows) for i in range(len(rows[0]))]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _colored(record: Record, row: str, color: bool) -> str:
    return f"\x1b[{_COLORS.get(record.standing, '31')}m{row}\x1b[0m" if color else row


def _remarks(records: Sequence[Record]) -> Iterator[str]:
    """A line for each claim that only warns, and one that counts the warnings of all."""
    warned = [record for record in records if record.standing.endswith("(warn)")]
    for record in warned[:MAX_REMARKS]:
        yield f"warn: {one_line(record.id)}: {one_line(finding_line(record), 300)}"
    if len(warned) > MAX_REMARKS:
        yield f"warn: and {len(warned) - MAX_REMARKS} more; all are in summary.md"
    fragile = [record.id for record in records if record.verdict.fragile]
    if fragile:
        yield f"fragile, inside the numerical noise: {', '.join(map(one_line, fragile[:MAX_REMARKS]))}"
    noted = [record for record in records if record.verdict.warnings]
    if noted:
        n = sum(len(r.verdict.warnings) for r in noted)
        yield f"{n} warning{'s' * (n != 1)} on {len(noted)} claim{'s' * (len(noted) != 1)}: see summary.md"
