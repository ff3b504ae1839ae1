"""What `interp transfer` leaves behind: one row a feature, under the source notebook's column names, and a summary."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.census import CategoryRow, Census, FeatureAnalysis, FeatureRow
from harness.deciding import asks_for, what_decides
from harness.reports.display import markdown

# The notebook's column, and what it holds in general terms; docs/transfer.md explains each.
COLUMNS: dict[str, Callable[[FeatureRow], object]] = {
    "feature_idx": lambda row: row.feature,
    "category": lambda row: row.category,
    "gemma_mean_activation": lambda row: row.base_text_mean,
    "gemma_max_activation": lambda row: row.base_text_max,
    "paligemma_text_mean": lambda row: row.adapted_text_mean,
    "paligemma_text_max": lambda row: row.adapted_text_max,
    "paligemma_mm_mean": lambda row: row.adapted_pictures_mean,
    "paligemma_mm_max": lambda row: row.adapted_pictures_max,
    "transfer_ratio": lambda row: row.transfer_ratio,
    "vision_boost": lambda row: row.boost_over_text,
}
MORE_COLUMNS: dict[str, Callable[[FeatureRow], object]] = {
    # The notebook classifies by this one and exports the other, under one name.
    "vision_boost_over_base": lambda row: row.boost_over_base,
    "paligemma_image_tokens_mean": lambda row: row.adapted_image_tokens_mean,
    "paligemma_image_tokens_max": lambda row: row.adapted_image_tokens_max,
}


def write_csv(census: Census, path: Path, limit: int, more: bool = False) -> int:
    """At most `limit` features a category, the dead and the undecided left out; returns how many rows.

    The notebook's ten columns; `more` adds those of MORE_COLUMNS.
    """
    rows, columns = census.rows(limit), COLUMNS | MORE_COLUMNS if more else COLUMNS
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(of(row)) for of in columns.values()] for row in rows)
    return len(rows)


def write_summary(census: Census, names: tuple[str, str], path: Path, examples: int) -> None:
    """Counts, conditions, and the strongest features of each category with their tokens, as Markdown."""
    path.write_text("\n".join(_summary(census, names, examples)) + "\n", encoding="utf-8")


def _summary(census: Census, names: tuple[str, str], examples: int) -> Iterator[str]:
    yield f"# Features from {markdown(names[0])} to {markdown(names[1])}"
    yield from ("", f"Method {census.method}.", "", *_by_category(census))
    unreachable = sorted(set(census.categories) - census.reachable - {"dead", "indeterminate", "unclassified"})
    if unreachable:
        asked = ", ".join(f"{name.replace('_', ' ')} ({asks_for(name, census.rule)})" for name in unreachable)
        yield from ("", f"So few prompts and pictures cannot show: {asked}.")
    yield from _undecided(census)
    yield from (
        "",
        "| condition | prompts | tokens | live features | mean activation | MSE | FVU |",
        "|---|---|---|---|---|---|---|",
    )
    for name, one in census.conditions.items():
        numbers = (
            f"{one.prompts:,} | {one.tokens:,} | {one.live_features:,} | {one.mean_activation:.4g} | {one.mse:.4g} "
            f"| {one.fvu:.3f}"
        )
        yield f"| {name.replace('_', ' ')} | {numbers} |"
    yield from ("", f"## The {examples} strongest features of each category")
    for analysis in census.analyses(examples):
        yield from ("", *_analysed(analysis))


def _by_category(census: Census) -> Iterator[str]:
    yield "| category | features | mean activation, base | adapted | ratio |"
    yield "|---|---|---|---|---|"
    rows = {row.category: row for row in census.category_rows()}
    for name in census.categories:
        row = rows.get(name)
        means = "| | |" if row is None else f"{row.base_text_mean:.4f} | {row.adapted_text_mean:.4f} | {_times(row)} |"
        yield f"| {name.replace('_', ' ')} | {0 if row is None else row.features:,} | {means}"


def _times(row: CategoryRow) -> str:
    """The ratio, where the base is not silent: over nothing it is no number that says anything."""
    return f"{row.transfer_ratio:.2f}" if row.base_text_mean > 0 else ""


def _undecided(census: Census) -> Iterator[str]:
    if not census.undecided:
        return
    yield from ("", what_decides())
    yield from ("", "| looks | undecided | prompts | pictures |", "|---|---|---|---|")
    for name, one in census.undecided.items():
        prompts = "no number" if one.prompts is None else f"{one.prompts:,}"
        pictures = "" if one.pictures is None else f"{one.pictures:,}"
        yield f"| {name.replace('_', ' ')} | {one.features:,} | {prompts} | {pictures} |"


def _analysed(analysis: FeatureAnalysis) -> Iterator[str]:
    row = analysis.row
    yield f"### {row.feature}, {row.category.replace('_', ' ')}"
    yield ""
    sides = [
        ("base", row.base_text_mean, row.base_text_max),
        ("adapted", row.adapted_text_mean, row.adapted_text_max),
        ("pictures", row.adapted_pictures_mean, row.adapted_pictures_max),
    ]
    numbers = [f"{name} {mean:.3g} ({most:.3g})" for name, mean, most in sides if mean is not None]
    yield f"- mean (largest) activation: {', '.join(numbers)}"
    for name, tokens in (("base", analysis.base_top_tokens), ("adapted", analysis.adapted_top_tokens)):
        shown = ", ".join(f"{markdown(token.strip())} ({value:.3g})" for token, value in tokens)
        yield f"- strongest tokens, {name}: {shown or 'none'}"


def _cell(value: object) -> object:
    return f"{value:.9g}" if isinstance(value, float) else "" if value is None else value
