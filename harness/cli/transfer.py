"""`interp transfer`: what becomes of every feature from one model to another that is read through the same SAE."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.census import Census
from harness.cli.output import emit
from harness.codes import Specials
from harness.errors import EnvironmentFault, Source, SpecError
from harness.explore import Prompts, census, open_subject
from harness.language.pairing import same_sae
from harness.language.sets import resolve_reference
from harness.language.subjects import find_subject
from harness.reports.transfer import write_csv, write_summary
from harness.stats.transfer.pairs import Misaligned

Method = Literal["aligned", "ratio_of_means"]
_SHOWN = ("prompts", "tokens", "live_features", "mean_activation", "fvu")


def transfer(
    base: Annotated[str, typer.Argument(help="A subject of specs/subjects.yaml.")],
    adapted: Annotated[str, typer.Argument(help="Another one, read through the same SAE.")],
    prompts: Annotated[str, typer.Option(help="Texts for both: a prompt set or a local file.")],
    images: Annotated[str | None, typer.Option(help="Pictures with captions for the adapted subject: a set.")] = None,
    method: Annotated[
        Method, typer.Option(help="aligned compares token by token; ratio_of_means is the notebook's.")
    ] = ("aligned"),
    special_tokens: Annotated[Specials, typer.Option(help="Whether BOS and the like count.")] = "ignored",
    limit: Annotated[int, typer.Option(help="Features a category in the table and the CSV.")] = 50,
    examples: Annotated[int, typer.Option(help="Features a category whose tokens are shown.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Where files go; reports/transfer/BASE-ADAPTED otherwise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """The census of features between two models, with its CSV.

    Example: interp transfer tiny-gemma2 tiny-paligemma2 --prompts prompts/mixed.txt --images pictures.yaml
    """
    _must_share_an_sae(base, adapted)
    found = _census(base, adapted, _prompts(prompts), _prompts(images) if images else None, method, special_tokens)
    folder = out or Path("reports/transfer") / f"{base}-{adapted}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = write_csv(found, folder / "features.csv", limit)
    write_summary(found, (base, adapted), folder / "summary.md", examples)
    if as_json:
        typer.echo(json.dumps(document(found, limit), indent=2, allow_nan=False))
        return
    _show(found)
    typer.echo(
        f"\n{rows} features in {folder / 'features.csv'}, the strongest with their tokens in {folder / 'summary.md'}"
    )


def document(found: Census, limit: int) -> dict[str, Any]:
    """{categories: {name: {count, features}}, conditions: {name: {prompts, tokens, live_features, ...}}}."""
    return {
        "categories": {
            name: {"count": len(features), "features": list(features[:limit])}
            for name, features in found.categories.items()
        },
        "conditions": {name: _finite(asdict(one)) for name, one in found.conditions.items()},
    }


def _census(
    base: str, adapted: str, texts: Prompts, pictures: Prompts | None, method: Method, special_tokens: Specials
) -> Census:
    try:
        return census(open_subject(base), open_subject(adapted), texts, pictures, method, special_tokens)
    except Misaligned as error:
        text = f"{base} and {adapted} read other tokens: {error}."
        raise EnvironmentFault("different_tokens", text, "Compare subjects with one tokenizer.") from error


def _must_share_an_sae(base: str, adapted: str) -> None:
    first, second = (find_subject(Path.cwd(), name) for name in (base, adapted))
    if same_sae(first.sae, second.sae) is False:
        message = f"{base} is read through {first.sae.name}, {adapted} through {second.sae.name}: not the same features"
        raise SpecError("different_sae", message, Source("<command line>"))


def _show(found: Census) -> None:
    rows = [
        {"category": name.replace("_", " "), "features": len(features), "the first": ", ".join(map(str, features[:8]))}
        for name, features in found.categories.items()
    ]
    emit(rows, False, ["category", "features", "the first"])
    typer.echo("")
    conditions = [{"condition": name.replace("_", " "), **asdict(one)} for name, one in found.conditions.items()]
    emit(conditions, False, ["condition", *_SHOWN])


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}


def _prompts(reference: str) -> Prompts:
    return resolve_reference(Path.cwd(), reference, allow_local=True).prompts
