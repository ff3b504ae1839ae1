"""specs/ -> every claim, in an order that is the same in every process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import Source, SpecError
from harness.families import Family, families_of, named_by
from harness.inputs import Corpus, Subject
from harness.language.building import MAX_SPECS, Suite
from harness.language.calibrations import read_calibrations, with_noise
from harness.language.checking import unknown_keys, validated
from harness.language.claims import World, read_claim
from harness.language.families import families_in_suite, with_one_q
from harness.language.loader import read_yaml
from harness.language.measured import read_measured, suite_file
from harness.language.mistakes import gathered, in_order
from harness.language.models import SuiteKeys
from harness.language.nodes import Node, described, is_list, is_mapping
from harness.language.references import Folder, real
from harness.language.sets import Library
from harness.language.shelves import Shelf, shelf_of
from harness.language.subjects import FILE, load_subjects, pick_subject
from harness.language.tags import checked_tags
from harness.language.walking import READ, Walked, walked
from harness.spec import Broken, Spec
from harness.uncollected import uncollected

_ODD = re.compile(r"[^\w .+/-]")
_HANDLED = ("prompts", "expect")
_READ = (*READ, ".txt")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every spec and everything broken, in stable file order; one line for each thing worth a second look.

    unused: a line for each baseline that no claim is held against, part of `warnings` too. loosened_because: suite ->
    why claims of it are gone. families: those declared in these items, each a test of its own. notes: a line for
    each text that reads otherwise than it looks, part of `warnings` too.
    """

    items: tuple[Spec | Broken, ...]
    warnings: tuple[str, ...]
    subjects: dict[str, Subject]
    corpora: dict[str, Corpus]
    unused: tuple[str, ...] = ()
    loosened_because: dict[str, str] = field(default_factory=dict)
    families: tuple[Family, ...] = ()
    notes: tuple[str, ...] = ()


def load(root: Path, paths: Sequence[Path] | None = None) -> Loaded:
    """Read the suites under root/specs, or the given files and folders. Raises nothing for what reviewers write."""
    with uncollected():
        return _load(root, paths)


def _load(root: Path, paths: Sequence[Path] | None) -> Loaded:
    folder = Folder(Path(os.path.abspath(root)))
    allowed = load_subjects(folder)
    walk = walked(folder)
    reader = _Reader(folder, World(Library(folder), allowed), walk.mistakes)
    items: list[Spec | Broken] = []
    if allowed.errors and paths is None and folder.specs not in walk.mistakes:
        items.append(Broken("subjects", "subjects", allowed.errors[0].source, allowed.errors))
    files = _all(walk) if paths is None else _named(folder, walk, paths, items)
    for file in files:
        items += reader.read(file)
    suites = None if paths is None else {folder.shown(f).removeprefix("specs/").removesuffix(".yaml") for f in files}
    measured = read_measured(folder, suites, walk)
    items = [*measured.given_to(with_one_q(_without_doubles(items))), *measured.broken]
    calibrated, unreadable = read_calibrations(folder)
    items = [*with_noise(items, calibrated), *unreadable]
    unused = tuple(measured.unused(items))
    families = families_of(items)
    read = (subject for item in items if isinstance(item, Spec) for subject in item.subjects)
    warnings = (
        *allowed.warnings,
        *allowed.about_unpinned(read),
        *reader.warnings,
        *(notes := tuple(reader.world.library.notes)),
        *_untested(items, families),
        *unused,
    )
    because = reader.loosened_because
    return Loaded(tuple(items), warnings, allowed.subjects, allowed.corpora, unused, because, families, notes)


def _all(walk: Walked) -> list[Path]:
    """Every suite, every shared prompt file and everything that is amiss under specs/, sorted by path."""
    return sorted({*walk.files, *walk.mistakes}, key=lambda path: path.as_posix())


def _named(folder: Folder, walk: Walked, paths: Sequence[Path], items: list[Spec | Broken]) -> list[Path]:
    """The files that were asked for, each once; a folder stands for what is in it. items: gets a mistake for each path
    that names no suite, since nothing read is nothing checked."""
    chosen: dict[Path, None] = {}
    for path in paths:
        asked = Path(os.path.abspath(path if path.exists() else folder.root / path))
        chosen.update(dict.fromkeys(amiss := walk.amiss_at(asked)))
        if any(asked.is_relative_to(one) for one in amiss):
            continue
        full = suite_file(folder, asked)
        found = _inside(folder, walk, full) if full.is_dir() else [full] * (full.suffix in _READ or not full.is_file())
        chosen.update(dict.fromkeys(found))
        if not found and not amiss:
            items.append(_no_suite(folder.shown(full), full.is_dir()))
    return list(chosen)


def _no_suite(shown: str, is_folder: bool) -> Broken:
    message = f"no suite in {shown}" if is_folder else f"{shown} is not a suite"
    error = SpecError("not_a_suite", f"{message}; suites are specs/**/*.yaml", Source(shown))
    return Broken(shown, shown, error.source, (error,))


def _inside(folder: Folder, walk: Walked, full: Path) -> list[Path]:
    """What is in a folder; of one that the repository lies in nothing, as it was hardly meant."""
    place = real(full)
    if place != real(folder.root) and real(folder.root).is_relative_to(place):
        return []
    return [p for p in walk.files if real(p).is_relative_to(place)]


def _without_doubles(items: Sequence[Spec | Broken]) -> list[Spec | Broken]:
    """Names of tests are unique: the second of two becomes a mistake."""
    taken: dict[str, Source] = {}
    kept: list[Spec | Broken] = []
    for item in items:
        if item.id not in taken:
            taken[item.id] = item.source
            kept.append(item)
            continue
        name = f"{item.id}-line-{item.source.line}"
        while name in taken:
            name += "-again"
        taken[name] = item.source
        kept.append(_doubled(item, name, taken[item.id]))
    return kept


def _doubled(item: Spec | Broken, name: str, first: Source) -> Broken:
    message = f"two specs would be named {item.id!r} (the other on line {first.line}); change this `id`"
    error = SpecError("duplicate_id", message, item.source)
    before = item.errors if isinstance(item, Broken) else ()
    return Broken(name, item.suite, item.source, in_order([*before, error]), item.tags, named_by(item))


class _Reader:
    """Reads files one after the other."""

    def __init__(self, folder: Folder, world: World, amiss: Mapping[Path, SpecError]) -> None:
        self.folder = folder
        self.world = world
        self.amiss = amiss
        self.warnings: list[str] = []
        self.loosened_because: dict[str, str] = {}

    def read(self, path: Path) -> list[Spec | Broken]:
        """The items of one file; a file that only holds prompts has none, unless it is broken."""
        shown = self.folder.shown(path)
        name = shown.removeprefix("specs/").removesuffix(".yaml")
        errors: list[SpecError] = []
        with gathered(errors):
            self.check_place(path, shown)
            if shown == FILE:
                errors += self.world.allowed.errors
            elif path.suffix != ".yaml" or name.startswith("prompts/"):
                errors += self.world.library.mistakes_in(path)
            else:
                return self.suite(read_yaml(path, shown), name)
        return [Broken(name, name, errors[0].source, in_order(errors))] if errors else []

    def check_place(self, path: Path, shown: str) -> None:
        odd = sorted(set(_ODD.findall(shown.removeprefix("specs/"))))
        if odd and path.is_relative_to(self.folder.specs):
            message = (
                "files under specs/ are named with letters, digits, space and _ . + -, as tests are named after them"
            )
            raise SpecError(
                "bad_file_name", f"{message}; rename this one, which has {' '.join(map(repr, odd))}", Source(shown)
            )
        if path in self.amiss:
            raise self.amiss[path]
        if path.suffix == ".yml":
            message = "only .yaml files are read; rename this one, or its claims are never tested"
            raise SpecError("wrong_suffix", message, Source(shown))
        if path.is_relative_to(self.folder.specs) and not self.folder.holds(path):
            raise SpecError("outside_specs", "this is a link out of specs/; copy the file here", Source(shown))

    def suite(self, document: Node, name: str) -> list[Spec | Broken]:
        """The claims of one file, or one Broken with every mistake in it where what they share is wrong."""
        errors: list[SpecError] = []
        if not is_mapping(document):
            message = f"a suite is a mapping (title, subjects, prompts, expect); this is {described(document)}"
            raise document.error("wrong_type", message)
        suite = self.header(document, name, errors)
        entries = _entries(document, errors)
        read = list(self.claims(entries, suite)) if suite is not None else []
        if errors or suite is None:
            errors += [e for found in read if isinstance(found, Broken) for e in found.errors]
            tags = suite.tags if suite else ()
            return [Broken(name, name, document.source, in_order(errors), tags, families_in_suite(document))]
        if suite.keys.loosened_because:
            self.loosened_because[name] = suite.keys.loosened_because
        items = [item for found in read for item in ([found] if isinstance(found, Broken) else found)]
        self.warnings += self.unused(suite)
        return items

    def claims(self, entries: Sequence[Node], suite: Suite) -> Iterator[list[Spec] | Broken]:
        """What each entry makes, until there are more tests than a file can mean."""
        count = 0
        for node in entries:
            yield (made := read_claim(node, suite, self.world))
            count += 1 if isinstance(made, Broken) else len(made)
            if count > MAX_SPECS:
                raise node.error("too_large", f"up to here this file makes {count:,} tests, at most {MAX_SPECS:,}")

    def header(self, document: Node, name: str, errors: list[SpecError]) -> Suite | None:
        """What stands above the claims; None where they cannot be read without it."""
        valid = tuple(SuiteKeys.model_fields)
        errors += unknown_keys(document, valid, "a suite")
        with gathered(errors):
            keys = validated(
                SuiteKeys, document, "a suite", without={*set(document.value).difference(valid), *_HANDLED}
            )
            prompts = document.get("prompts")
            shelf = Shelf(document.file.path, {}) if prompts is None else shelf_of(prompts)
            errors += self.world.library.mistakes_on(shelf)
            tags = self.tags(keys, document, errors)
            return Suite(name, keys, shelf, self.subjects(keys, document, errors), tags)
        return None

    def tags(self, keys: SuiteKeys, document: Node, errors: list[SpecError]) -> tuple[str, ...]:
        with gathered(errors):
            return checked_tags(keys.tags, document.get("tags"))
        return ()

    def subjects(self, keys: SuiteKeys, document: Node, errors: list[SpecError]) -> tuple[Subject, ...]:
        found: dict[str, Subject] = {}
        for item in document.value["subjects"].value if keys.subjects else ():
            with gathered(errors):
                if item.value in found:
                    message = f"{item.value!r} stands twice in `subjects`; keep one"
                    raise item.error("duplicate_value", message)
                found[item.value] = pick_subject(self.world.allowed, item.value, item.source)
        return tuple(found.values())

    def unused(self, suite: Suite) -> list[str]:
        used = self.world.library.used
        return [
            f"{node.source}: the set {name!r} is not used by any claim"
            for name, node in suite.shelf.sets.items()
            if (suite.shelf.path, name) not in used
        ]


def _untested(items: Sequence[Spec | Broken], families: Sequence[Family]) -> list[str]:
    """A family of expected failures alone corrects nothing, and says so."""
    tested = {family.name for family in families}
    left = {item.family: item.source for item in items if isinstance(item, Spec) and item.family is not None}
    message = "every member is expected to be unmet (xfail), so there is no test of it"
    return [f"{place}: family {name!r}: {message}" for name, place in left.items() if name not in tested]


def _entries(document: Node, errors: list[SpecError]) -> list[Node]:
    """The entries of `expect:`; a suite without one would be green with nothing judged."""
    expect = document.get("expect")
    if expect is None or expect.value == []:
        hint = " Files that only hold prompts stand under specs/prompts/." if expect is None else ""
        message = f"this file claims nothing: a suite needs `expect:` with at least one spec.{hint}"
        errors.append(SpecError("no_claims", message, document.key_source("expect")))
        return []
    if not is_list(expect):
        errors.append(expect.error("wrong_type", f"`expect` must be a list of specs; it is {described(expect)}"))
        return []
    entries: list[Node] = expect.value
    return entries
