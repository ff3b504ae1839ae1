"""Suites as text: what `interp new` and `interp draft` write, and the proof that it is right before it is written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import Source, SpecError
from harness.language.models import SPEC_ID
from harness.language.references import Folder
from harness.language.scalars import in_quotes, read_plain
from harness.language.specs import Loaded, load
from harness.spec import Broken, Spec

COMMAND_LINE = Source("<command line>")
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*(#[A-Za-z0-9_-]+)?")
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./#!+,;()'-]*( [A-Za-z0-9_./!+(][A-Za-z0-9_./!+,;()'-]*)*")
_LIST_ITEM = re.compile(r"^( *)- ", re.MULTILINE)


def scalar(value: str | float, alone: bool = False) -> str:
    """One value as YAML reads it back; `alone`: a text that is the rest of its line, which needs fewer quotes."""
    if not isinstance(value, str):
        return repr(value)
    plain = (_PLAIN_TEXT if alone else _PLAIN).fullmatch(value) is not None and read_plain(value) == value
    return value if plain else in_quotes(value)


def flow(value: Any) -> str:
    """A value in flow style: `{prompts: color, than: others}`, `[a, b]`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(each) for each in value) + "]"
    return scalar(value)


def entry(keys: Mapping[str, Any], remarks: Sequence[str] = (), indent: int = 2) -> str:
    """One claim of `expect:`, a key a line, with its remarks above."""
    lines = [f"# {remark}" for remark in remarks]
    for number, (key, value) in enumerate(keys.items()):
        shown = scalar(value, alone=True) if isinstance(value, str) else flow(value)
        lines.append(f"{'  ' if number else '- '}{key}: {shown}")
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def suite_text(
    path: str, title: str, subject: str, entries: Sequence[str], sets: Mapping[str, Any] | None = None
) -> str:
    """A whole suite. path: where it will stand, relative to specs/, which says where its schema lies."""
    schema = "../" * path.count("/") + "suite.schema.json"
    lines = [
        f"# yaml-language-server: $schema={schema}",
        f"title: {scalar(title, alone=True)}",
        f"subjects: [{scalar(subject)}]",
        "",
    ]
    if sets:
        lines += ["prompts:", *(f"  {name}: {flow(value)}" for name, value in sets.items()), ""]
    return "\n".join([*lines, "expect:", ""]) + "\n".join(entries)


def appended(text: str, keys: Mapping[str, Any]) -> str:
    """A suite with one claim more at its end; `as_loaded` says whether it could be put there."""
    found = _LIST_ITEM.search(text, max(text.find("\nexpect:"), 0))
    indent = len(found[1]) if found else 2
    return text.rstrip() + "\n\n" + entry(keys, indent=indent)


def as_loaded(root: Path, text: str, name: str) -> Loaded:
    """What a suite of this text would be, were it saved as `name`; nothing is written under `root`."""
    with tempfile.TemporaryDirectory(prefix="interp-trial-") as folder:
        path = Path(folder) / Path(name).name
        path.write_text(text, encoding="utf-8")
        return load(root, [path])


def specs_in(root: Path, text: str, name: str) -> list[Spec]:
    """The claims that a suite of this text would have; the first mistake in it is raised, placed at the command."""
    items = as_loaded(root, text, name).items
    for item in items:
        if isinstance(item, Broken):
            error = item.errors[0]
            raise SpecError(error.code, error.message, COMMAND_LINE, error.nearest)
    return [item for item in items if isinstance(item, Spec)]


def place_for(root: Path, out: str) -> Path:
    """Where a new suite will stand; SpecError unless it is a .yaml under specs/ that holds claims."""
    folder = Folder(Path(os.path.abspath(root)))
    path = Path(os.path.abspath(folder.root / out))
    inside = path.relative_to(folder.specs).as_posix() if path.is_relative_to(folder.specs) else ""
    if not inside or not folder.holds(path):
        raise SpecError(
            "bad_place", f"{out!r} is not under specs/; suites stand there: specs/<folder>/<name>.yaml", COMMAND_LINE
        )
    if path.suffix != ".yaml":
        raise SpecError("bad_place", f"{out!r} must end in .yaml; other files are not read as suites", COMMAND_LINE)
    if inside == "subjects.yaml" or inside.startswith(("prompts/", "measured/")):
        raise SpecError(
            "bad_place", f"{out!r} is not a place for claims; take specs/<folder>/<name>.yaml", COMMAND_LINE
        )
    return path


def checked_id(flag: str, value: str) -> str:
    """A name that can name claims and files."""
    if re.fullmatch(SPEC_ID, value):
        return value
    message = f"{flag} {value!r} names a claim: letters, digits, _ . and -, a letter or digit first"
    raise SpecError("bad_name", message, COMMAND_LINE)


def save_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet; one that does is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise already_there(path) from None


def already_there(path: Path, mend: str = "name another with --out") -> SpecError:
    return SpecError("file_exists", f"{path.name} is there already and is not overwritten; {mend}", COMMAND_LINE)
