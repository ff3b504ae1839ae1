"""`interp top`, `diff` and `scan`: look at features before claiming anything of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from harness.cli.output import emit
from harness.codes import NoSuchFeature, Pool
from harness.errors import EnvironmentFault, SpecError
from harness.explore import Rank, open_subject, prompt_set
from harness.language.subjects import find_subject
from harness.language.writing import COMMAND_LINE
from harness.reports.display import escape
from harness.repository import repository
from harness.stats.auroc import SignedCodes

Subject = Annotated[str, typer.Option("--subject", "-s", help="A name from specs/subjects.yaml.")]
PoolOption = Annotated[Pool, typer.Option(help="How a prompt's tokens become one number.")]
Count = Annotated[int, typer.Option("--n", "-n", min=1, help="How many features, at most.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
_MENDS = {  # of a text that stands on the command line, which is where it is mended
    "empty_prompt": "Write one.",
    "prompt_too_long": "Shorten it, or raise max_tokens in specs/subjects.yaml.",
    "double_bos": "Leave it out.",
}


def top(text: str, subject: Subject, pool: PoolOption = "max", n: Count = 10, as_json: Json = False) -> None:
    """Strongest features of a prompt.

    Example: interp top "The red ball." --subject tiny-gemma2
    """
    opened = open_subject(subject)
    try:
        ranking = opened.top_features(text, n, pool)
    except EnvironmentFault as fault:
        if fault.code not in _MENDS:
            raise
        raise SpecError(fault.code, f"{fault.message} {_MENDS[fault.code]}", COMMAND_LINE) from None
    rows = [{"feature": r.feature, "activation": r.score, "token": r.token, "position": r.position} for r in ranking]
    emit(rows, as_json, ["feature", "activation", "token", "position"])
    if ranking.note and not as_json:
        typer.echo(ranking.note)


def diff(
    a: Annotated[str, typer.Argument(help="A prompt set, such as prompts/categories.yaml#color, or a local file.")],
    b: Annotated[str, typer.Argument(help="The set that it is held against.")],
    subject: Subject,
    pool: PoolOption = "max",
    n: Count = 20,
    rank: Annotated[Rank, typer.Option(help="What is ranked by: difference of means, AUROC, firing rates.")] = "mean",
    as_json: Json = False,
) -> None:
    """Features that set A off from B.

    Example: interp diff prompts/categories.yaml#color 'prompts/categories.yaml#!color' -s tiny-gemma2 --rank auroc
    """
    opened = open_subject(subject)
    try:
        ranking = opened.differential_features(prompt_set(a), prompt_set(b), n, rank, pool)
    except SignedCodes as error:
        raise EnvironmentFault("signed_codes", f"{error}.", "Use --rank mean or --rank rate.") from error
    columns = ["feature", "score", "pos_mean", "neg_mean", "pos_fire_rate", "neg_fire_rate", "auroc", "p"]
    emit([{name: asdict(row)[name] for name in columns} for row in ranking], as_json, columns)


def scan(
    feature: int,
    prompts: Annotated[str, typer.Argument(help="A prompt set or a local file.", metavar="SET")],
    subject: Subject,
    pool: PoolOption = "max",
    as_json: Json = False,
) -> None:
    """One feature over a set.

    A character that several tokens share stands at the first of them; with --json, the others are "\u2027".

    Example: interp scan 17 prompts/categories.yaml#color -s tiny-gemma2
    """
    _must_exist(feature, subject)
    try:
        rows = open_subject(subject).scan(feature, prompt_set(prompts), pool)
    except NoSuchFeature as error:  # where specs/subjects.yaml does not say how many there are
        raise SpecError("feature_out_of_range", str(error), COMMAND_LINE) from None
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


def _must_exist(feature: int, subject: str) -> None:
    """Known from specs/subjects.yaml, before anything is read."""
    d_sae = find_subject(repository(), subject).sae.d_sae
    if d_sae is not None and not 0 <= feature < d_sae:
        message = f"feature {feature} does not exist: the SAE of {subject} has {d_sae:,} features, 0 to {d_sae - 1}"
        raise SpecError("feature_out_of_range", message, COMMAND_LINE)
