"""Prompt sets: what a name, a list of names, `file.yaml#set`, `file.yaml#!set`, a .txt or a .jsonl file stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import TypeVar

from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.inputs import Prompt, PromptSet
from harness.language import pictures, templates
from harness.language.edges import about_edges, about_scripts, about_split, mixed_breaks
from harness.language.loader import read_text, read_yaml
from harness.language.mistakes import Mistakes, gathered
from harness.language.nodes import Node, described, is_list, is_mapping, is_text, shortened
from harness.language.notext import text_mistake
from harness.language.prompts import (
    MAX_PROMPTS,
    MAX_PROMPTS_OF_A_FILE,
    Content,
    Placed,
    checked,
    read_jsonl,
    read_txt,
    with_marks,
    without_marks,
)
from harness.language.references import Folder, Reference, parse_reference
from harness.language.setforms import (
    A_SET_IS,
    FORMS,
    How,
    check_keys,
    flag,
    how,
    names_a_set,
    names_in,
    unknown_set,
    used,
)
from harness.language.shelves import Shelf, open_shelf, unread_claims

T = TypeVar("T")


class Library:
    """All sets of one load. Shared files are read once; what was wrong with one stays wrong."""

    def __init__(self, folder: Folder, whole_files: bool = False) -> None:
        self.folder = folder
        self.whole_files = whole_files
        self._shelves: dict[Path, Shelf | Mistakes] = {}
        self._placed: dict[tuple[str, str], list[Placed] | Mistakes] = {}
        self._files: dict[Path, list[Placed] | Mistakes] = {}
        self._sets: dict[tuple[str, tuple[str, ...], How], PromptSet] = {}
        self._counted: set[tuple[str, tuple[str, ...], How]] = set()
        self._contents: dict[int, tuple[PromptSet, frozenset[Content]]] = {}
        self._open: list[tuple[str, str]] = []
        self._spent: Counter[str] = Counter()
        self.used: set[tuple[str, str]] = set()
        self.notes: dict[str, None] = {}

    def note(self, *lines: str | None) -> None:
        """Keep what is worth a second look in the texts, each line once."""
        self.notes.update(dict.fromkeys(line for line in lines if line))

    # What a role names -----------------------------------------------------------------------------------------

    def role(self, node: Node, shelf: Shelf) -> PromptSet:
        """The prompts that one role of a claim names; raises SpecError or Mistakes."""
        use, read = used(node)
        named = names_in(use)
        names = tuple(n.value for n in named)
        is_own = any(name in shelf.sets for name in names)
        key, asked = (shelf.path if is_own else "", names, read), (shelf.path, names, read)
        if asked not in self._counted:
            self._check_budget(shelf, node)
        if key not in self._sets:  # what names files only is the same set for every suite
            self._sets[key] = self._set_of(named, shelf, read, node)
        if asked not in self._counted:
            self._counted.add(asked)
            self._spent[shelf.path] += len(self._sets[key].prompts)
        return self._sets[key]

    def contents(self, prompts: PromptSet) -> frozenset[Content]:
        """What the prompts of a set are, however they are read; looked at once, since many claims share a set."""
        if id(prompts) not in self._contents:  # the set is kept, so that its id() stays its own
            self._contents[id(prompts)] = prompts, frozenset(p.content for p in prompts.prompts)
        return self._contents[id(prompts)][1]

    def _set_of(self, names: Sequence[Node], shelf: Shelf, read: How, node: Node) -> PromptSet:
        name = read.named(" + ".join(n.value for n in names))
        return PromptSet(name, checked(read.applied(self._all_of(names, shelf)), name, node.source))

    def _all_of(self, names: Iterable[Node], shelf: Shelf) -> list[Placed]:
        errors: list[SpecError] = []
        placed: list[Placed] = []
        known: set[Content] = set()
        for name in names:
            with gathered(errors):
                more = self.named(name.value, shelf, name.source)
                _check_new(more, known, name)
                known |= {one.prompt.content for one in more}
                placed += more
            if len(placed) > MAX_PROMPTS:
                raise name.error("too_many_prompts", f"these sets hold more than {MAX_PROMPTS:,} prompts together")
        if errors:
            raise Mistakes(errors)
        return placed

    def _check_budget(self, shelf: Shelf, node: Node) -> None:
        """A mistake once the sets of one file hold too many prompts in all: a few lines make 10,000 of them."""
        if self._spent[shelf.path] > MAX_PROMPTS_OF_A_FILE:
            message = f"the sets of this file hold more than {MAX_PROMPTS_OF_A_FILE:,} prompts in all; split the file"
            raise node.error("too_many_prompts", message)

    def named(self, text: str, shelf: Shelf, source: Source) -> list[Placed]:
        """The prompts of a local name or of a reference to a file."""
        if text in shelf.sets:
            self.used.add((shelf.path, text))
            return self.on_shelf(shelf, text)
        reference = parse_reference(text)
        if reference is None:
            raise unknown_set(text, shelf, source)
        path = self.folder.find(reference.file, source)
        if path.suffix == ".yaml":
            return self._from_yaml(reference, path, source)
        if reference.name is not None:
            raise SpecError("bad_reference", f"{reference.file!r} has no named sets; remove what follows #", source)
        return self._from_lines(path)

    def _from_lines(self, path: Path) -> list[Placed]:
        if path not in self._files:
            try:
                file = read_text(path, self.folder.shown(path))
                self._files[path] = placed = read_txt(file) if path.suffix == ".txt" else read_jsonl(file)
                self.note(about_edges(placed, path.name, as_lines=True), about_scripts(placed, path.name))
            except (SpecError, Mistakes) as error:
                self._files[path] = _as_mistakes(error)
        return _or_raise(self._files[path])

    def _from_yaml(self, reference: Reference, path: Path, source: Source) -> list[Placed]:
        shelf = self.shelf(path)
        name = reference.name
        if name is None and shelf.sets and self.whole_files:
            return [placed for n in shelf.names() for placed in self.on_shelf(shelf, n)]
        if name is None and len(shelf.sets) == 1 and self.folder.anywhere:
            return self.on_shelf(shelf, shelf.names()[0])
        if not name:
            shown = ", ".join(f"{reference.file}#{n}" for n in shelf.names()[:8])
            raise SpecError("no_set_named", f"{reference.text!r} names a file, not a set in it; one of {shown}", source)
        if name not in shelf.sets:
            message = f"{self.folder.shown(path)} has no set {name!r}.{did_you_mean(name, shelf.sets)}"
            raise SpecError("unknown_set", message, source, nearest_names(name, shelf.sets))
        if not reference.others:
            return self.on_shelf(shelf, name)
        others = [n for n in shelf.names() if n != name]
        if not others:
            raise SpecError("empty_set", f"{self.folder.shown(path)} has no other set than {name!r}", source)
        return [placed for n in others for placed in self.on_shelf(shelf, n)]

    # Files of sets ---------------------------------------------------------------------------------------------

    def shelf(self, path: Path) -> Shelf:
        """The sets of a shared prompt file, or those of a suite; read once."""
        if path not in self._shelves:
            try:
                self._shelves[path] = open_shelf(read_yaml(path, self.folder.shown(path)))
            except (SpecError, Mistakes) as error:
                self._shelves[path] = _as_mistakes(error)
        return _or_raise(self._shelves[path])

    def mistakes_in(self, path: Path) -> list[SpecError]:
        """Everything wrong with a shared file, whether a suite uses it or not."""
        errors: list[SpecError] = []
        with gathered(errors):
            if path.suffix != ".yaml":
                checked(self._from_lines(path), path.name, Source(self.folder.shown(path)))
            else:
                shelf = self.shelf(path)
                errors += [] if shelf.claims is None else [unread_claims(shelf.claims)]
                errors += self.mistakes_on(shelf)
        return errors

    def mistakes_on(self, shelf: Shelf) -> list[SpecError]:
        """Everything wrong with the definitions of one shelf."""
        errors: list[SpecError] = []
        for name, node in shelf.sets.items():
            with gathered(errors):
                checked(self.on_shelf(shelf, name), name, node.source)
        return errors

    # Definitions -----------------------------------------------------------------------------------------------

    def on_shelf(self, shelf: Shelf, name: str) -> list[Placed]:
        """The prompts of one definition; a definition that leads back to itself is a mistake."""
        key = (shelf.path, name)
        node = shelf.sets[name]
        if key in self._open:
            chain = " -> ".join(f"{n}" for _, n in [*self._open[self._open.index(key) :], key])
            raise node.error("circular_set", f"this set is made from itself: {chain}")
        if key not in self._placed:
            self._open.append(key)
            try:
                self._check_budget(shelf, node)
                placed = self._defined(node, name, shelf)
                if not placed:
                    raise node.error("empty_set", f"the set {name!r} holds no prompts")
                if not is_text(node):
                    self.note(about_edges(placed, name), about_scripts(placed, name))
                self._placed[key] = placed
                self._spent[shelf.path] += len(placed)
            except (SpecError, Mistakes) as error:
                self._placed[key] = _as_mistakes(error)
            finally:
                self._open.pop()
        return _or_raise(self._placed[key])

    def _defined(self, node: Node, name: str, shelf: Shelf) -> list[Placed]:
        if is_text(node):
            return self.named(node.value, shelf, node.source)
        if is_list(node):
            return self._listed(node, name, shelf)
        if not is_mapping(node):
            raise node.error("bad_set", f"{name!r} is {described(node)}; {A_SET_IS}")
        return self._mapped(node, name, shelf)

    def _listed(self, node: Node, name: str, shelf: Shelf, marks: bool = False) -> list[Placed]:
        errors = [mistake for item in node.value if (mistake := text_mistake(item)) is not None]
        if errors := errors or mixed_breaks(node.value):
            raise Mistakes(errors)
        self.note(*about_split(node.value, node))
        if node.value and all(names_a_set(item.value, shelf) for item in node.value):
            shown = ", ".join(item.value for item in node.value[:3])
            message = f"a list holds prompts, and these are names of sets; for their prompts write {{use: [{shown}]}}"
            raise node.error("list_of_sets", message)
        return [self._prompt(item, marks) for item in node.value]

    @staticmethod
    def _prompt(item: Node, marks: bool) -> Placed:
        source = item.source
        return Placed(with_marks(item.value, source) if marks else Prompt(item.value), source)

    def _mapped(self, node: Node, name: str, shelf: Shelf) -> list[Placed]:
        form = next((form for form in FORMS if form in node.value), None)
        if form is None:
            near = [n for key in node.value for n in nearest_names(key, FORMS, limit=1)]
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise node.error("bad_set", f"{name!r} is {described(node)}; {A_SET_IS}.{hint}", near)
        check_keys(node, form)
        marks = flag(node, "marks")
        placed = self._formed(node, form, name, shelf, marks)
        slip = without_marks(placed) if marks and placed else None
        if slip is not None:
            raise slip
        return (How(flag(node, "truncate")) if form == "template" else how(node)).applied(placed)

    def _formed(self, node: Node, form: str, name: str, shelf: Shelf, marks: bool) -> list[Placed]:
        below = node.value[form]
        if form == "use":
            return self._all_of(names_in(below), shelf)
        if form == "template":
            return templates.expand(node, marks)
        if form in ("images", "folder"):
            return (pictures.listed if form == "images" else pictures.foldered)(node, self.folder)
        if not is_list(below):
            raise below.error("wrong_type", f"`prompts` must be a list of texts; it is {described(below)}")
        return self._listed(below, name, shelf, marks)


def resolve_reference(root: Path, reference: str, allow_local: bool = False, whole_files: bool = False) -> PromptSet:
    """The prompts of a reference from outside a suite; `allow_local`: any .yaml, .txt or .jsonl file serves;
    `whole_files`: a .yaml file without a set's name stands for all its sets.

    Raises the first SpecError found.
    """
    place = Source("<command line>")
    library = Library(Folder(Path(root), anywhere=allow_local), whole_files)
    try:
        placed = library.named(reference, Shelf(place.path, {}), place)
        return PromptSet(reference, checked(placed, reference, place))
    except Mistakes as mistakes:
        raise mistakes.errors[0] from None


def _check_new(more: Sequence[Placed], known: Set[Content], name: Node) -> None:
    """Sets that are joined share no prompt: it would count twice."""
    twice = [p.prompt for p in more if p.prompt.content in known]
    if twice:
        message = f"{len(twice)} prompts of {name.value!r} are in the sets named before it, for example "
        shown = repr(shortened(twice[0].shown))
        raise name.error("duplicate_prompt", f"{message}{shown}; a prompt counts once")


def _as_mistakes(error: SpecError | Mistakes) -> Mistakes:
    return error if isinstance(error, Mistakes) else Mistakes([error])


def _or_raise(found: T | Mistakes) -> T:
    if isinstance(found, Mistakes):
        raise Mistakes(found.errors)
    return found
