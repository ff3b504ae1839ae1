"""`interp train-sae`: an SAE for a subject's model and place, where none is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.language.subjects import find_subject
from harness.repository import repository


def train_sae(
    subject: Annotated[str, typer.Argument(help="Whose model and hook are read (specs/subjects.yaml).")],
    corpus: Annotated[list[Path], typer.Option(help="A text or .jsonl file; give it several times for several.")],
    out: Annotated[Path, typer.Option(help="Folder for cfg.json, the weights, CARD.md and the loss curve.")],
    d_sae: Annotated[int, typer.Option(min=1, help="Number of features.")] = 4096,
    k: Annotated[float, typer.Option(help="Mean number of features that fire on a token.")] = 32,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to train on.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="The same seed, corpus and machine give the same weights.")] = 0,
) -> None:
    """Train an SAE with sae-lens; Ctrl-C stops it, the same command goes on.

    Example: interp train-sae tiny-gemma2 --corpus specs/prompts/corpus-prose.txt --d-sae 512 --k 12 --tokens 20000
    --out my-sae
    """
    from harness.running.doors import train

    finished = train(
        find_subject(repository(), subject), tuple(corpus), out, d_sae=d_sae, k=k, tokens=tokens, seed=seed
    )
    if not finished:
        typer.echo("interp: stopped; the same command goes on from here", err=True)
        raise typer.Exit(130)
