"""`interp explain`: one claim in plain words, and what its prompts could show."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import print_document
from harness.errors import did_you_mean, nearest_names
from harness.language.specs import load
from harness.reports.display import escape
from harness.repository import repository
from harness.spec import Broken, Spec

_MOST_NAMED = 12


def explain(
    name: Annotated[str, typer.Argument(metavar="SPEC", help="A spec's id, or its end: color::beats-code.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say in plain words what a claim says, what it needs and costs, its smallest p, and its power.

    Reads no model: the power is that at the effect in the store, where that has the evidence.

    Example: interp explain categories::color-beats-the-rest
    """
    from harness.explaining import explain as explained
    from harness.explaining import in_words, to_dict
    from harness.reports.write import reports_dir
    from harness.session import default_store
    from harness.store import open_or_overlay

    spec = _the_spec(name)
    with tempfile.TemporaryDirectory(prefix="interp-explain-") as folder:
        store = open_or_overlay(default_store(), Path(folder) / "evidence.sqlite")[0]
        found = explained(spec, store, reports_dir(repository()))
    if as_json:
        print_document(to_dict(found))
        return
    typer.echo(f"{spec.id}  ({spec.source.path}:{spec.source.line})")
    lines = list(in_words(found))
    width = max(len(what) for what, _ in lines)
    for what, text in lines:
        typer.echo(f"  {what:<{width}}  {escape(text)}")


def _the_spec(name: str) -> Spec:
    """The one spec of this id, or whose id ends so; otherwise a message with the nearest ids, and exit code 2."""
    items = load(repository()).items
    matching = [item for item in items if item.id == name] or [i for i in items if i.id.endswith(name)]
    matching = matching or _in_suite(name, items)
    specs = [item for item in matching if isinstance(item, Spec)]
    broken = [item for item in matching if isinstance(item, Broken)]
    if broken and (len(matching) == 1 or not specs):
        raise _refused(f"{broken[0].id} cannot be read: {broken[0].errors[0]}")
    if len(specs) == 1:
        return specs[0]
    if specs:
        is_end = any(spec.id.endswith(name) for spec in specs)
        is_what = f"the end of {len(specs)} ids" if is_end else f"the place of {len(specs)} claims"
        more = ", ..." if len(specs) > _MOST_NAMED else ""
        raise _refused(f"{name!r} is {is_what}; name one: {', '.join(s.id for s in specs[:_MOST_NAMED])}{more}")
    raise _refused(f"no spec is called {name!r}.{_near(name, items)}{_mistakes_in(items)}")


def _in_suite(name: str, items: Sequence[Spec | Broken]) -> list[Spec | Broken]:
    """Those of a suite or a folder of suites, named as a file or as ids begin."""
    suite = name.removeprefix("specs/").removesuffix(".yaml").rstrip("/")
    return [item for item in items if item.suite == suite or item.suite.startswith(f"{suite}/")]


def _near(name: str, items: Sequence[Spec | Broken]) -> str:
    """The nearest ids; what cannot be read is no name to try."""
    names = [item.id for item in items if isinstance(item, Spec)]
    ends = {full.split("::")[-1]: full for full in names}
    near = [ends[end] for end in nearest_names(name.split("::")[-1], ends)]
    return did_you_mean(name, near or names)


def _mistakes_in(items: Sequence[Spec | Broken]) -> str:
    files = len({item.source.path for item in items if isinstance(item, Broken)})
    return f" {files} {'file has' if files == 1 else 'files have'} mistakes: `interp check`." if files else ""


def _refused(message: str) -> typer.Exit:
    typer.echo(f"interp: {message}", err=True)
    return typer.Exit(2)
