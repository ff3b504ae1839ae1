"""`interp top`, `diff` and `scan`: look at features before claiming anything of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.output import emit
from harness.codes import Pool
from harness.explore import Prompts, Rank, open_subject
from harness.language.sets import resolve_reference
from harness.reports.display import escape

Subject = Annotated[str, typer.Option("--subject", "-s", help="A name from specs/subjects.yaml.")]
PoolOption = Annotated[Pool, typer.Option(help="How a prompt's tokens become one number.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def top(text: str, subject: Subject, pool: PoolOption = "max", n: int = 10, as_json: Json = False) -> None:
    """Strongest features of a prompt. Example: interp top "The red ball." --subject tiny-gemma2"""
    ranking = open_subject(subject).top_features(text, n, pool)
    rows = [{"feature": r.feature, "activation": r.score, "token": r.token, "position": r.position} for r in ranking]
    emit(rows, as_json, ["feature", "activation", "token", "position"])


def diff(
    a: Annotated[str, typer.Argument(help="A prompt set, such as prompts/categories.yaml#color, or a local file.")],
    b: Annotated[str, typer.Argument(help="The set that it is held against.")],
    subject: Subject,
    pool: PoolOption = "max",
    n: int = 20,
    rank: Annotated[Rank, typer.Option(help="What is ranked by: difference of means, AUROC, firing rates.")] = "mean",
    as_json: Json = False,
) -> None:
    """Features that set A off from B.

    Example: interp diff prompts/categories.yaml#color 'prompts/categories.yaml#!color' -s tiny-gemma2 --rank auroc
    """
    opened = open_subject(subject)
    ranking = opened.differential_features(_prompts(a), _prompts(b), n, rank, pool)
    columns = ["feature", "score", "pos_mean", "neg_mean", "pos_fire_rate", "neg_fire_rate", "auroc", "p"]
    emit([{name: asdict(row)[name] for name in columns} for row in ranking], as_json, columns)


def scan(
    feature: int,
    prompts: Annotated[str, typer.Argument(help="A prompt set or a local file.", metavar="SET")],
    subject: Subject,
    pool: PoolOption = "max",
    as_json: Json = False,
) -> None:
    """One feature over a set. Example: interp scan 17 prompts/categories.yaml#color -s tiny-gemma2"""
    rows = open_subject(subject).scan(feature, _prompts(prompts), pool)
    if not as_json:
        typer.echo("\n".join(escape(str(row)) for row in rows))
        return
    named: list[dict[str, Any]] = [
        {
            "prompt": row.prompt,
            "activation": row.activation,
            "tokens": [{"token": t, "activation": v, "counted": c} for t, v, c in row.tokens],
        }
        for row in rows
    ]
    emit(named, True, [])


def _prompts(reference: str) -> Prompts:
    return resolve_reference(Path.cwd(), reference, allow_local=True).prompts
