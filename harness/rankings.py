"""What looking at features gives: rows with numbers, as readable tables in a terminal and a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.heatmaps import heat_table, table
from harness.spelling import CONTINUED


@dataclass(frozen=True, slots=True)
class RankedFeature:
    """One feature of a ranking. `score` is what was ranked by; token and position are those of the peak."""

    feature: int
    score: float
    pos_mean: float | None = None
    neg_mean: float | None = None
    pos_fire_rate: float | None = None
    neg_fire_rate: float | None = None
    auroc: float | None = None
    p: float | None = None
    token: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Ranking:
    """Features in order of `by`, best first; behaves as a sequence of rows. sinks: attention sinks left out."""

    by: str
    rows: tuple[RankedFeature, ...]
    sinks: int = 0

    @property
    def note(self) -> str:
        """One line on the tokens that were left out; empty where none was."""
        if not self.sinks:
            return ""
        tokens = "1 attention sink is" if self.sinks == 1 else f"{self.sinks} attention sinks are"
        return f"{tokens} left out: a token whose norm is many times that of others"

    def __iter__(self) -> Iterator[RankedFeature]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> RankedFeature:
        return self.rows[index]

    def columns(self) -> dict[str, list[object]]:
        """The columns that hold something, by name: `pandas.DataFrame(ranking.columns())`."""
        names = RankedFeature.__dataclass_fields__
        columns = {name: [getattr(row, name) for row in self.rows] for name in names}
        return {name: values for name, values in columns.items() if any(v is not None for v in values)}

    def __str__(self) -> str:
        shown = _table(self.columns()) if self.rows else f"no feature fires (ranked by {self.by})"
        return f"{shown}\n{self.note}" if self.note else shown

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.rows:
            return html.escape(str(self))
        return table({name: [_cell(v) for v in values] for name, values in self.columns().items()}, self.note)


@dataclass(frozen=True, slots=True)
class ScannedPrompt:
    """One feature on one prompt: its pooled activation, and (token, activation, counted) for every token; a token whose
    characters stand at the one before is harness.spelling.CONTINUED."""

    prompt: str
    activation: float
    tokens: tuple[tuple[str, float, bool], ...] = ()

    def __str__(self) -> str:
        marked = "".join(f">>{text}<<" if peak else text for text, peak in self._whole())
        return f"{self.activation:9.4f}  {marked or self.prompt}"

    def _whole(self) -> Sequence[tuple[str, bool]]:
        """What the tokens show of the text, each with all that continues it, and whether the peak is there."""
        found: list[tuple[str, bool]] = []
        for token, value, _ in self.tokens:
            peak = value > 0 and value == self.activation
            if token == CONTINUED and found:
                found[-1] = found[-1][0], found[-1][1] or peak
            else:
                found.append((token, peak))
        return found

    def _repr_html_(self) -> str:
        return Scan((self,))._repr_html_()


@dataclass(frozen=True, slots=True, repr=False)
class Scan:
    """One feature over prompts, in their order; behaves as a sequence; a notebook shades its tokens by activation."""

    rows: tuple[ScannedPrompt, ...]
    feature: int | None = None

    def __iter__(self) -> Iterator[ScannedPrompt]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ScannedPrompt:
        return self.rows[index]

    def strongest(self, n: int = 10) -> Scan:
        """The n prompts of the highest activation, highest first."""
        return Scan(tuple(sorted(self.rows, key=lambda row: -row.activation)[:n]), self.feature)

    def __str__(self) -> str:
        return "\n".join(map(str, self.rows))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [(row.activation, row.tokens or ((row.prompt, 0.0, True),)) for row in self.rows]
        return heat_table(rows, "one feature" if self.feature is None else f"feature {self.feature}")


def _table(columns: dict[str, list[object]]) -> str:
    cells = {name: [_cell(v) for v in values] for name, values in columns.items()}
    widths = {name: max(len(name), *map(len, values)) for name, values in cells.items()}
    head = "  ".join(name.rjust(widths[name]) for name in cells)
    return "\n".join([head, *_lines(list(cells.values()), list(widths.values()))])


def _lines(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in zip(*columns, strict=True)]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.1e}"
    return repr(value) if isinstance(value, str) else str(value)
