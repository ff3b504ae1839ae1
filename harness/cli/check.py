"""`interp check`: are the files right, with no model and no GPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from harness.cli.output import print_document, tell
from harness.cli.watching import changes
from harness.contradictions import contradictions, lines
from harness.errors import SpecError, guarded, in_short
from harness.git import UnknownRef
from harness.judging import before_running
from harness.language.check import as_record, mistakes_of
from harness.language.specs import Loaded, load
from harness.loosening import loosened_since
from harness.reports.display import escape
from harness.repository import repository
from harness.spec import Spec
from harness.untrusted import NoBase, refused_changes
from harness.verdict import Verdict

_NO_MISTAKE = ("inconclusive", "loosened", "contradiction")  # codes of what is right as YAML


def given_path(text: str) -> Path:
    """An empty path is that of an unset variable, and no wish to check everything."""
    if not text:
        raise typer.BadParameter("an empty path names no suite")
    return Path(text)


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=given_path, metavar="PATHS", help="Suites or folders; all of specs/ where none is given."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document: [{code, file, line, column, ...}].")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(metavar="GIT_REF", help="List bars lower than at this commit; each needs a reason."),
    ] = None,
    untrusted: Annotated[
        bool,
        typer.Option("--untrusted", help="Refuse a change since GIT_REF (else main) that is more than data in specs/."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Claims with `severity: warn` count, too, where nothing can decide them.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again after every save, until Ctrl-C; one --json document a line.")
    ] = False,
) -> None:
    """Validate specs: file, line, column, and the mend of each mistake.

    Exits 2 with a mistake, 1 with a claim that no evidence can decide or a lower bar without a reason.

    Example: interp check specs/tiny-gemma2
    """
    if untrusted:
        _refuse(against, as_json)
    asked = paths or None
    if watch:
        _watch(asked, against, strict, as_json)
    code = _checked(asked, against, strict, as_json)
    if code:
        raise typer.Exit(code)


def _watch(paths: list[Path] | None, against: str | None, strict: bool, as_json: bool) -> NoReturn:
    """Check now and after every save under specs/, or of a file that was named elsewhere.

    Where all of specs/ is watched, a saved suite is answered for first (it takes a tenth of the time), then the whole.
    """
    # Looked at before the first check, so that a save during it is seen. A suite reads sets from all of specs/.
    saves = changes(list(dict.fromkeys([Path("specs"), *(paths or ())])))
    saved: list[Path] = []
    while True:
        if saved and not as_json:
            _answer(_checked(saved, against, strict, as_json))
            typer.echo("all of specs/: ", nl=False)
        _answer(_checked(paths, against, strict, as_json, indent=None), as_json)
        changed = next(saves)
        saved = [Path(one) for one in changed if _is_suite(one)] if paths is None else []
        if not as_json:
            typer.echo()
            tell(f"changed: {changed[0]}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''}")


def _answer(code: int, silent: bool = False) -> None:
    if not silent:
        typer.echo("ok" if code == 0 else f"not ok (exit code {code})")


def _is_suite(path: str) -> bool:
    name = Path(path).as_posix().removeprefix("specs/")
    shared = name == "subjects.yaml" or name.startswith(("prompts/", "measured/"))
    return name.endswith(".yaml") and not shared and Path(path).is_file()


def _checked(paths: list[Path] | None, against: str | None, strict: bool, as_json: bool, indent: int | None = 2) -> int:
    """Check once, print, and give the exit code."""
    loaded = load(repository(), paths)
    lower = _lower_bars(against, loaded, paths)
    found = [*mistakes_of(loaded), *_undecidable(loaded), *lower, *_contradicting(loaded)]
    if as_json:
        _warn(loaded, err=True)
        print_document(found, indent)
    else:
        _print(loaded, found)
    wrong = [f for f in found if _counts(f, strict)]
    return (2 if any(f["code"] not in _NO_MISTAKE for f in wrong) else 1) if wrong else 0


def _counts(one: dict[str, Any], strict: bool) -> bool:
    """Whether this makes the exit code other than 0."""
    if one["code"] == "contradiction":
        return False
    if one["code"] == "loosened":
        return one["because"] is None
    return one["code"] != "inconclusive" or strict or one["severity"] == "fail"


def _refuse(against: str | None, as_json: bool) -> None:
    """Leave with 2 before anything is read, where the change is more than data."""
    try:
        found = [one.to_dict() for one in refused_changes(repository(), against)]
    except NoBase as error:
        typer.echo(f"interp: {error}", err=True)
        raise typer.Exit(2) from None
    if found and as_json:
        print_document(found)
    for one in found if not as_json else ():
        typer.echo(escape(f"{one['file']}: {one['code']}: {one['message']}; a maintainer has to look at it"))
    if found:
        raise typer.Exit(2)


def _lower_bars(against: str | None, loaded: Loaded, paths: list[Path] | None) -> list[dict[str, Any]]:
    """Bars that are lower than at a commit, explained or not."""
    if against is None:
        return []
    try:
        return [one.to_dict() for one in loosened_since(repository(), against, loaded, paths)]
    except UnknownRef as error:
        typer.echo(f"interp: {error}", err=True)
        raise typer.Exit(2) from None


def _undecidable(loaded: Loaded) -> list[dict[str, Any]]:
    """Specs whose verdict no evidence can change: too few prompts for their level, or a leak."""
    specs = [item for item in loaded.items if isinstance(item, Spec)]
    return [
        found for spec in specs if (found := guarded(partial(_early, spec), partial(_kind_failed, spec))) is not None
    ]


def _early(spec: Spec) -> dict[str, Any] | None:
    early = before_running(spec)
    return None if early is None else _as_record(spec, early)


def _kind_failed(spec: Spec, error: BaseException) -> dict[str, Any]:
    """A kind that raises when it is asked about its sets; the other claims are checked."""
    text = f"asking the kind {spec.kind} about {spec.id} raised {in_short(error)}; its kind has to be repaired"
    return as_record(SpecError("kind_failed", text, spec.source))


def _as_record(spec: Spec, early: Verdict) -> dict[str, Any]:
    """The keys of a mistake, and: spec, reason, severity; n, what would do (n in all, how many more, of which set)."""
    add = early.details.get("add")
    besides = {"besides": early.details["besides"]} if "besides" in early.details else {}
    n = early.measurement.n if early.measurement is not None else None
    return {
        "code": "inconclusive",
        "file": spec.source.path,
        "line": spec.source.line,
        "column": spec.source.column,
        "message": f"{early.reason}: {early.finding}",
        "nearest": [],
        "spec": spec.id,
        "reason": str(early.reason),
        "severity": spec.severity,
        "n": n,
        "would_do": None
        if add is None or n is None
        else {"n": n + add, "add": add, "to": early.details["to"], **besides},
    }


def _contradicting(loaded: Loaded) -> list[dict[str, Any]]:
    """Pairs of specs of which one at most can be met."""
    return [one.to_dict() for one in contradictions(item for item in loaded.items if isinstance(item, Spec))]


def _warn(loaded: Loaded, err: bool = False) -> None:
    """What is said of the files beside their claims (weights that are not pinned, unused baselines); it has no place
    in the document of --json, and stands beside it."""
    for warning in loaded.warnings:
        typer.echo(escape(f"warning: {warning}"), err=err)


def _print(loaded: Loaded, found: list[dict[str, Any]]) -> None:
    undecidable = [one for one in found if one["code"] == "inconclusive"]
    contradicting = [one for one in found if one["code"] == "contradiction"]
    for one in found:
        if one["code"] not in ("inconclusive", "contradiction"):
            typer.echo(escape(f"{_place(one)}: {one['code']}: {one['message']}"))
    for one in undecidable:
        _print_undecidable(one)
    _warn(loaded)
    for line in lines([f"{_place(one)}: {one['message']}" for one in contradicting]):
        typer.echo(escape(f"warning: {line}"))
    specs = sum(isinstance(item, Spec) for item in loaded.items)
    lower = sum(one["code"] == "loosened" for one in found)
    mistakes = sum(one["code"] not in _NO_MISTAKE for one in found)
    bars = f", {lower} lower {'bar' if lower == 1 else 'bars'}" if lower else ""
    never = f", {len(undecidable)} that no evidence can decide" if undecidable else ""
    typer.echo(
        f"{specs} spec{'s' * (specs != 1)} read, {mistakes} {'mistake' if mistakes == 1 else 'mistakes'}{bars}{never}"
    )


def _print_undecidable(one: dict[str, Any]) -> None:
    """A section for each: the place, the spec, why, and the n that would do."""
    warns = " (severity: warn)" * (one["severity"] == "warn")
    typer.echo(escape(f"{_place(one)}: {one['spec']} can never be met{warns}"))
    typer.echo(escape(f"    inconclusive: {one['message']}"))
    if one["would_do"] is not None:
        besides = one["would_do"].get("besides")
        more = f", and {besides['add']} more of {besides['to']}" if besides is not None else ""
        typer.echo(escape(f"    has {one['n']}, would do: {one['would_do']['n']}{more}"))


def _place(one: dict[str, Any]) -> str:
    return f"{one['file']}:{one['line']}:{one['column']}"
