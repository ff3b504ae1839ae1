"""`interp transfer`: what becomes of every feature from one model to another that is read through the same SAE."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.census import Census, OtherWidth
from harness.cli.output import emit, print_document
from harness.codes import Specials
from harness.deciding import rows, what_decides
from harness.errors import EnvironmentFault, Source, SpecError
from harness.explore import census, open_subject
from harness.inputs import Prompt, Subject
from harness.language.pairing import same_sae
from harness.language.sets import resolve_reference
from harness.language.subjects import corpus_sentences, find_subject
from harness.reports.figures.about import About
from harness.reports.figures.transfer import write_figures
from harness.reports.transfer import write_csv, write_summary
from harness.repository import repository
from harness.stats.auroc import SignedCodes
from harness.stats.transfer.aligned import CORPUS_RULE, AlignedRule
from harness.stats.transfer.pairs import Misaligned

Texts = tuple[Prompt, ...]
Method = Literal["aligned", "ratio_of_means"]
_HERE = Source("<command line>")
_SHOWN = ("prompts", "tokens", "live_features", "mean_activation", "mse", "fvu")


def transfer(
    base: Annotated[str, typer.Argument(help="A subject of specs/subjects.yaml.")],
    adapted: Annotated[str, typer.Argument(help="Another one, read through the same SAE.")],
    prompts: Annotated[str | None, typer.Option(help="Texts for both: a set, or a file with all its sets.")] = None,
    corpus: Annotated[
        str | None, typer.Option(help="Or a corpus of specs/subjects.yaml, sentence by sentence: decides far more.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="Pictures with captions for the adapted subject: a set.")] = None,
    method: Annotated[
        Method, typer.Option(help="aligned compares token by token; ratio_of_means is the notebook's.")
    ] = ("aligned"),
    special_tokens: Annotated[Specials, typer.Option(help="Whether BOS and the like count.")] = "ignored",
    limit: Annotated[int, typer.Option(min=1, help="Features a category in the table and the CSV.")] = 50,
    examples: Annotated[int, typer.Option(min=0, help="Features a category whose tokens are shown.")] = 4,
    more_columns: Annotated[
        bool, typer.Option("--more-columns", help="Columns in the CSV beyond the notebook's ten.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where files go; reports/transfer/BASE-ADAPTED otherwise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """The census of features between two models, with its CSV and figures.

    Example: interp transfer tiny-gemma2 tiny-paligemma2 --prompts prompts/categories.yaml
    --images prompts/pictures.yaml#drawings
    """
    pair = find_subject(repository(), base), find_subject(repository(), adapted)
    _must_share_an_sae(*pair)
    texts, pictures = _texts(prompts, corpus, method), _prompts(images) if images else ()
    _must_be_readable(pair[1], texts, pictures)
    folder = out or Path("reports/transfer") / f"{base}-{adapted}"
    with _written_to(folder):
        folder.mkdir(parents=True, exist_ok=True)  # before models are loaded for it
    found = _census(base, adapted, texts, pictures, method, special_tokens, CORPUS_RULE if corpus else None)
    with _written_to(folder):
        written = write_csv(found, folder / "features.csv", limit, more_columns)
        about = About(base, adapted, prompts or str(corpus), date.today().isoformat(), images, special_tokens)
        write_figures(found, about, pictures, folder, examples)
        write_summary(found, (base, adapted), folder / "summary.md", examples)
    if as_json:
        print_document(document(found, limit))
        return
    _show(found)
    typer.echo(
        f"\n{folder}: {written} features in features.csv, the strongest with their tokens in summary.md, figures"
    )


def document(found: Census, limit: int) -> dict[str, Any]:
    """{categories: {name: {count, features, and where it has some base_text_mean, adapted_text_mean, transfer_ratio}},
    conditions: {name: {prompts, tokens, live_features, mean_activation, mse, fvu}},
    undecided: {name: {features, prompts, pictures}}}: what would decide most of those that look so; null: no number."""
    means = {row.category: _finite(asdict(row)) for row in found.category_rows()}
    told = ("base_text_mean", "adapted_text_mean", "transfer_ratio")
    return {
        "categories": {
            name: {"count": len(features), "features": list(features[:limit])}
            | ({key: means[name][key] for key in told} if features else {})
            for name, features in found.categories.items()
        },
        "conditions": {name: _finite(asdict(one)) for name, one in found.conditions.items()},
        "undecided": {name: asdict(one) for name, one in found.undecided.items()},
    }


def _census(
    base: str,
    adapted: str,
    texts: Texts,
    pictures: Texts,
    method: Method,
    special_tokens: Specials,
    rule: AlignedRule | None = None,
) -> Census:
    try:
        return census(open_subject(base), open_subject(adapted), texts, pictures or None, method, special_tokens, rule)
    except Misaligned as error:
        text = f"{base} and {adapted} read other tokens: {error}."
        raise EnvironmentFault("different_tokens", text, "Compare subjects with one tokenizer.") from error
    except OtherWidth as error:  # where the pins could not tell
        raise EnvironmentFault("different_sae", f"{error}.", "Read both models through one SAE.") from error
    except SignedCodes as error:
        raise EnvironmentFault("signed_codes", f"{error}.", "Use --method ratio_of_means.") from error


def _must_share_an_sae(base: Subject, adapted: Subject) -> None:
    if base.name == adapted.name:
        raise SpecError("same_subject", f"{base.name!r} would be compared with itself; name another subject", _HERE)
    if same_sae(base.sae, adapted.sae) is False:
        names = f"{base.name} is read through {base.sae.name}, {adapted.name} through {adapted.sae.name}"
        raise SpecError("different_sae", f"{names}: not the same features", _HERE)


def _must_be_readable(adapted: Subject, texts: Texts, pictures: Texts) -> None:
    """Both sets hold what their option says, and the adapted model sees: known before anything is loaded."""
    if any(p.image is not None for p in texts):
        raise SpecError("text_only_subject", "--prompts holds pictures, and the base reads text; use --images", _HERE)
    if any(p.image is None for p in pictures):
        raise SpecError("no_pictures", "--images holds texts without a picture; those belong in --prompts", _HERE)
    if pictures and adapted.model.modality == "text":
        message = f"--images holds pictures, and {adapted.name} reads text only; name a subject whose model has"
        raise SpecError("text_only_subject", f"{message} `modality: image_text`", _HERE)


@contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    """What cannot be made or written there, as one message."""
    try:
        yield
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror or error})."
        raise EnvironmentFault("reports_not_written", message, "Name another folder in --out.") from error


def _show(found: Census) -> None:
    means = {row.category: row for row in found.category_rows()}
    categories = [
        {
            "category": name.replace("_", " "),
            "features": len(features),
            "mean in base": means[name].base_text_mean if features else None,
            "in adapted": means[name].adapted_text_mean if features else None,
            "the first": ", ".join(map(str, features[:8])),
        }
        for name, features in found.categories.items()
    ]
    emit(categories, False, ["category", "features", "mean in base", "in adapted", "the first"])
    typer.echo("")
    conditions = [{"condition": name.replace("_", " "), **asdict(one)} for name, one in found.conditions.items()]
    emit(conditions, False, ["condition", *_SHOWN])
    if found.undecided:
        typer.echo(f"\n{what_decides()}\n")
        emit(list(rows(found.undecided)), False, ["looks", "undecided", "prompts", "pictures"])


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}


def _texts(prompts: str | None, corpus: str | None, method: Method) -> Texts:
    """The texts of one of the two options."""
    if (prompts is None) == (corpus is None):
        raise typer.BadParameter("give --prompts or --corpus, one of them")
    if corpus is None:
        assert prompts is not None
        return _prompts(prompts)
    if method == "ratio_of_means":
        raise typer.BadParameter("a corpus is compared token by token: leave --method out, or give --prompts")
    return corpus_sentences(repository(), corpus).prompts


def _prompts(reference: str) -> Texts:
    return resolve_reference(repository(), reference, allow_local=True, whole_files=True).prompts
