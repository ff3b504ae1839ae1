"""`interp new`: a suite from flags, or from answers on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from harness.errors import SpecError, did_you_mean, nearest_names
from harness.expectations import kinds
from harness.inputs import Subject
from harness.judging import before_running
from harness.language.asking import askable, claim_of, needs_negative, sets_that_exist
from harness.language.references import Folder
from harness.language.sets import resolve_reference
from harness.language.subjects import find_subject, load_subjects
from harness.language.writing import (
    COMMAND_LINE,
    already_there,
    appended,
    checked_id,
    entry,
    place_for,
    save_new,
    specs_in,
    suite_text,
)
from harness.repository import repository

T = TypeVar("T")


def new(
    name: Annotated[str | None, typer.Option(help="The claim's id.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="A name from specs/subjects.yaml.")] = None,
    feature: Annotated[str | None, typer.Option(metavar="N", help="The feature's number.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="A kind that two sets decide; `interp kinds` says what each is.")
    ] = None,
    positive: Annotated[str | None, typer.Option(metavar="REF", help="Prompts on which it should fire.")] = None,
    negative: Annotated[str | None, typer.Option(metavar="REF", help="Prompts on which it should not.")] = None,
    why: Annotated[str | None, typer.Option(help="What makes you expect it; for the reader of a failure.")] = None,
    discovered_on: Annotated[
        str | None, typer.Option(metavar="REF", help="The prompts on which the feature was found, if it was.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Where; specs/<subject>/<name>.yaml without it.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add the claim to the end of the suite at --out.")] = False,
) -> None:
    """Write a suite that passes `interp check`; asks for what no flag says.

    Example: interp new --name color-words --subject tiny-gemma2 --feature 267 --kind fires_more --positive
    prompts/categories.yaml#color --negative 'prompts/categories.yaml#!color' --why "found by interp diff"
    """
    asked = _Asked(repository())
    asked.answer(
        "subject", subject, asked.subject, f"Subject ({', '.join(load_subjects(Folder(asked.root)).subjects)})"
    )
    asked.answer("kind", kind, _kind, f"Kind ({', '.join(askable())})")
    asked.answer("feature", feature, asked.feature, "Feature (`interp diff` and `interp top` find some)")
    asked.answer("positive", positive, asked.prompts, f"Prompts on which it should fire\n{asked.sets()}\nSet")
    if needs_negative(asked.text("kind")):
        asked.answer(
            "negative", negative, asked.prompts, "Prompts on which it should not (file.yaml#!set: the other sets)"
        )
    elif negative is not None:
        raise SpecError("unknown_flag", f"{asked.text('kind')} reads one set; leave --negative out", COMMAND_LINE)
    asked.answer("name", name, lambda text: checked_id("--name", text), "Name of the claim")
    asked.answer("why", why, _not_empty, "Why do you expect it")
    if discovered_on is not None:
        asked.given["discovered_on"] = asked.prompts(discovered_on)
    _write(asked, out, append)


@dataclass(slots=True)
class _Asked:
    """The answers, each checked when it is given: flags raise, people are asked again."""

    root: Path
    given: dict[str, Any] = field(default_factory=dict)

    def answer(self, flag: str, value: str | None, checked: Callable[[str], Any], question: str) -> None:
        if value is not None:
            self.given[flag] = checked(value)
            return
        if not sys.stdin.isatty():
            message = f"--{flag} is missing, and there is no terminal to ask on"
            raise SpecError("missing_flag", message, COMMAND_LINE)
        while flag not in self.given:
            try:
                self.given[flag] = checked(typer.prompt(question, err=True))
            except SpecError as error:
                typer.echo(error.message, err=True)

    def text(self, flag: str) -> str:
        return str(self.given[flag])

    def subject(self, text: str) -> str:
        return find_subject(self.root, text).name

    def feature(self, text: str) -> int:
        """A number that the subject's SAE has."""
        d_sae = _subject(self).sae.d_sae
        if not text.isascii() or not text.isdigit() or (d_sae is not None and int(text) >= d_sae):
            most = f"from 0 to {d_sae - 1}" if d_sae is not None else "of 0 or more"
            raise SpecError("feature_out_of_range", f"--feature {text!r} is not a number {most}", COMMAND_LINE)
        return int(text)

    def prompts(self, text: str) -> str:
        """A reference to a set that exists; `specs/` in front of it, as a shell completes it, is taken off."""
        reference = text.removeprefix("specs/")
        try:
            resolve_reference(self.root, reference)
        except SpecError as error:
            known = sets_that_exist(self.root)
            hint = did_you_mean(reference, known) if error.code == "unknown_set" and not error.nearest else ""
            raise SpecError(error.code, error.message + hint, COMMAND_LINE, error.nearest) from None
        return reference

    def sets(self) -> str:
        return "\n".join(f"  {one}" for one in sets_that_exist(self.root))

    def keys(self) -> dict[str, Any]:
        """The claim as it stands under `expect:`."""
        given = self.given
        found = {"discovered_on": given["discovered_on"]} if "discovered_on" in given else {}
        claim = claim_of(given["kind"], given["positive"], given.get("negative"))
        return {"id": given["name"], "why": given["why"], "feature": given["feature"], **found, given["kind"]: claim}


def _subject(asked: _Asked) -> Subject:
    return find_subject(asked.root, asked.text("subject"))


def _kind(text: str) -> str:
    if text in askable():
        return text
    if text in kinds():
        offered = ", ".join(askable())
        message = (
            f"--kind {text} takes more than two sets to say; docs/kinds.md#{text} has examples. Offered: {offered}"
        )
        raise SpecError("kind_not_asked", message, COMMAND_LINE)
    near = nearest_names(text, askable())
    raise SpecError("unknown_kind", f"{text!r} is no kind of claim.{did_you_mean(text, askable())}", COMMAND_LINE, near)


def _not_empty(text: str) -> str:
    if text.strip():
        return text.strip()
    raise SpecError("empty_text", "--why is empty; say what a reader of a failure should know", COMMAND_LINE)


def _write(asked: _Asked, out: str | None, append: bool) -> None:
    subject, name = asked.text("subject"), asked.text("name")
    path = place_for(asked.root, out or f"specs/{subject}/{name}.yaml")
    shown = path.relative_to(os.path.abspath(asked.root)).as_posix()
    if append:
        _append(asked, path, shown)
    elif path.exists():
        raise already_there(path, "name another with --out, or add the claim to it with --append")
    else:
        text = suite_text(shown.removeprefix("specs/"), name, subject, [entry(asked.keys())])
        _prove(asked.root, text, path.name, {name})
        save_new(path, text)
    typer.echo(f"wrote {shown}: pytest -k {name}")


def _append(asked: _Asked, path: Path, shown: str) -> None:
    """The claim at the end of a suite that is right without it, all of whose claims it keeps."""
    if not path.is_file():
        raise SpecError("unknown_file", f"{shown} does not exist; leave --append out to begin it", COMMAND_LINE)
    before = path.read_text(encoding="utf-8")
    had = {spec.id.partition("::")[2] for spec in specs_in(asked.root, before, path.name)}
    keys = asked.keys()
    text = appended(before, {"id": keys.pop("id"), "why": keys.pop("why"), "subjects": [asked.text("subject")], **keys})
    _prove(asked.root, text, path.name, {*had, asked.text("name")})
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def _prove(root: Path, text: str, name: str, wanted: set[str]) -> None:
    """The text passes `interp check`, and makes the claims that it should; else nothing is written."""
    specs = specs_in(root, text, name)
    if {spec.id.partition("::")[2] for spec in specs} != wanted:
        raise SpecError(
            "not_appended", "the suite does not end with its list of claims; add the claim by hand", COMMAND_LINE
        )
    for spec in specs:
        early = before_running(spec)
        if early is not None and spec.severity == "fail":
            raise SpecError("undecidable", f"no evidence could decide this claim: {early.finding}", COMMAND_LINE)
