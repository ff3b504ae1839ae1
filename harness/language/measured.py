"""specs/measured/: the baselines that `interp accept` wrote, one small file a suite."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.baselines import FOLDER
from harness.errors import Source, SpecError
from harness.language.checking import validated
from harness.language.loader import read_yaml
from harness.language.mistakes import gathered, in_order
from harness.language.models import BaselineEntry
from harness.language.nodes import Node, described, is_mapping
from harness.language.references import Folder
from harness.language.scalars import in_quotes
from harness.language.walking import Walked, walked
from harness.spec import Baseline, Broken, Spec

HEAD = "# Accepted numbers, written by `interp accept`. Take out what is unused; change nothing else by hand.\n"


@dataclass(slots=True)
class Measured:
    """Baselines by the id of their spec, and the files that cannot be read, as red tests."""

    baselines: dict[str, Baseline] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)

    def given_to(self, items: Iterable[Spec | Broken]) -> list[Spec | Broken]:
        """The same items, each claim that takes a baseline with its own."""
        return [
            replace(item, baseline=self.baselines.get(item.id))
            if isinstance(item, Spec) and item.expectation.takes_baseline
            else item
            for item in items
        ]

    def unused(self, items: Sequence[Spec | Broken]) -> list[str]:
        """A line for each baseline that no claim is held against; a suite that cannot be read hides none."""
        unread = {item.suite for item in items if isinstance(item, Broken)}
        used = {item.id for item in items if isinstance(item, Spec) and item.baseline is not None}
        return [
            f"{baseline.source}: the baseline of {name!r} is used by no claim; take it out"
            for name, baseline in self.baselines.items()
            if name not in used and suite_of(name) not in unread
        ]


def suite_of(spec_id: str) -> str:
    return spec_id.partition("::")[0]


def suite_file(folder: Folder, path: Path) -> Path:
    """The suite that a file of baselines belongs to; any other path as it is."""
    root = folder.specs / FOLDER
    return folder.specs / path.relative_to(root) if path.is_relative_to(root) else path


def read_measured(folder: Folder, suites: Collection[str] | None = None, walk: Walked | None = None) -> Measured:
    """Every baseline, or those of these suites; never raises. walk: of specs/, where it was walked already."""
    found = Measured()
    root = folder.specs / FOLDER
    for path in (walk or walked(folder)).measured:
        suite = path.relative_to(root).as_posix().removesuffix(".yaml")
        if suites is None or suite in suites:
            _read(folder, path, suite, found)
    return found


def _read(folder: Folder, path: Path, suite: str, found: Measured) -> None:
    shown = folder.shown(path)
    errors: list[SpecError] = []
    with gathered(errors):
        if not folder.holds(path):
            raise SpecError("outside_specs", "this is a link out of specs/; copy the file here", Source(shown))
        document = read_yaml(path, shown)
        if not is_mapping(document):
            raise document.error("wrong_type", f"baselines are `<spec id>: ...`; this is {described(document)}")
        for name, node in document.value.items():
            with gathered(errors):
                found.baselines[f"{suite}::{name}"] = _baseline(node, document.key_source(name))
    if errors:
        name = f"{FOLDER}/{suite}"
        found.broken.append(Broken(name, name, errors[0].source, in_order(errors)))


def _baseline(node: Node, source: Source) -> Baseline:
    entry = validated(BaselineEntry, node, "a baseline")
    return Baseline(**{name: getattr(entry, name) for name in BaselineEntry.model_fields}, source=source)


def measured_path(root: Path, suite: str) -> Path:
    return root / "specs" / FOLDER / f"{suite}.yaml"


def write_measured(path: Path, baselines: Mapping[str, Baseline]) -> None:
    """The file of one suite, sorted by spec id and so that a change is a small diff; moved in whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(HEAD + "".join(_entry(name.partition("::")[2], baselines[name]) for name in sorted(baselines)))
    os.replace(beside, path)


def _entry(name: str, baseline: Baseline) -> str:
    lines = [f"{in_quotes(name)}:"]
    for key in BaselineEntry.model_fields:
        value = getattr(baseline, key)
        if isinstance(value, Mapping):
            lines += [f"  {key}:", *(f"    {part}: {in_quotes(said)}" for part, said in sorted(value.items()))]
        elif value is not None and value != "":
            lines.append(f"  {key}: {in_quotes(value) if isinstance(value, str) else repr(value)}")
    return "\n".join(lines) + "\n"
