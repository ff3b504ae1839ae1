"""specs/subjects.yaml: the only file that names weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel

from harness.checkpoints import adapter_beside, quantized
from harness.digests import file_digest
from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.inputs import Corpus, ModelRef, Norms, PromptSet, SaeRef, Subject, parse_hook
from harness.language.checking import validated
from harness.language.loader import read_yaml
from harness.language.mistakes import gathered, in_order
from harness.language.models import CorpusEntry, ModelEntry, OverMedian, SaeEntry, SubjectEntry
from harness.language.nodes import Node, described, is_mapping
from harness.language.references import Folder
from harness.language.trained import as_trained, check_reading, otherwise, trained_at
from harness.releases import find_release, release_names
from harness.sentences import sentences_of

FILE = "specs/subjects.yaml"
_SECTIONS: dict[str, type[BaseModel]] = {
    "models": ModelEntry, "saes": SaeEntry, "subjects": SubjectEntry, "corpora": CorpusEntry,
}  # fmt: skip
Ref = TypeVar("Ref", ModelRef, SaeRef)


@dataclass(slots=True)
class AllowList:
    """What specs may name. `broken`: subjects that stand in the file but cannot be used, with their place.
    `unpinned`: `model x` and `SAE y` of which other weights could take the place."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    corpora: dict[str, Corpus] = field(default_factory=dict)
    broken: dict[str, Source] = field(default_factory=dict)
    errors: tuple[SpecError, ...] = ()
    warnings: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()

    def about_unpinned(self, used: Iterable[Subject]) -> list[str]:
        """One line for those that are used, with their names, and one that counts the others: a page of warnings is
        read by nobody."""
        read = {name for subject in used for name in (f"model {subject.model.name}", f"SAE {subject.sae.name}")}
        named = [name for name in self.unpinned if name in read]
        others = len(self.unpinned) - len(named)
        lines = []
        if named:
            goes = "so other weights in their place would go unnoticed"
            pins = "`interp doctor --pin` pins them where the weights are."
            lines.append(f"{FILE}: not pinned, {goes}: {', '.join(named)}. {pins}")
        if others:
            are = (
                "1 model or SAE that is not used here is"
                if others == 1
                else f"{others} models and SAEs not used here are"
            )
            lines.append(f"{FILE}: {are} not pinned: `interp doctor --pin`")
        return lines


def load_subjects(folder: Folder) -> AllowList:
    """Every entry that is right, and every mistake in the others; never raises."""
    path = folder.specs / "subjects.yaml"
    errors: list[SpecError] = []
    found = AllowList()
    with gathered(errors):
        if not path.exists():
            raise SpecError(
                "no_subjects", f"{FILE} does not exist; it names the weights that specs may use", Source(FILE)
            )
        if not folder.holds(path):
            raise SpecError("outside_specs", "this is a link out of specs/; copy the file here", Source(FILE))
        found = _Reader(folder, read_yaml(path, FILE), errors).read()
    found.errors = in_order(errors)
    return found


def find_subject(root: Path, name: str) -> Subject:
    """The subject of that name; SpecError with the nearest names otherwise."""
    return pick_subject(load_subjects(Folder(root)), name, Source(FILE))


def pick_subject(allowed: AllowList, name: str, source: Source) -> Subject:
    """The subject of that name, or the error at the place where it was asked for."""
    if name in allowed.subjects:
        return allowed.subjects[name]
    if name in allowed.broken:
        place = allowed.broken[name]
        raise SpecError("broken_subject", f"{name!r} cannot be used: see the mistakes at {place}", source)
    hint = did_you_mean(name, allowed.subjects) or f" {FILE} defines none."
    near = nearest_names(name, allowed.subjects)
    raise SpecError("unknown_subject", f"{name!r} is not a subject of {FILE}.{hint}", source, near)


def pick_corpus(allowed: AllowList, name: str, source: Source) -> Corpus:
    """The corpus of that name, or the error at the place where it was asked for."""
    if name in allowed.corpora:
        return allowed.corpora[name]
    hint = did_you_mean(name, allowed.corpora) or f" {FILE} defines none."
    near = nearest_names(name, allowed.corpora)
    raise SpecError("unknown_corpus", f"{name!r} is not a corpus of {FILE}.{hint}", source, near)


def sentences_in(corpus: Corpus, source: Source) -> PromptSet:
    """The sentences of a corpus; the error at the place where it was asked for, where there are none to read."""
    try:
        found = sentences_of(corpus)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SpecError("corpus_unreadable", f"{corpus.path} cannot be read: {reason}", source) from None
    if not len(found):
        message = f"{corpus.path} has no sentence of a dozen characters; a line is a paragraph, or one sentence"
        raise SpecError("corpus_unreadable", message, source)
    return found


def corpus_sentences(root: Path, name: str) -> PromptSet:
    """The sentences of a corpus that the command line names."""
    source = Source("<command line>")
    return sentences_in(pick_corpus(load_subjects(Folder(root)), name, source), source)


class _Reader:
    """Reads the four sections in order; what an entry names must stand in an earlier one."""

    def __init__(self, folder: Folder, document: Node, errors: list[SpecError]) -> None:
        self.folder = folder
        self.document = document
        self.errors = errors
        self.found = AllowList()
        self.models: dict[str, ModelRef] = {}
        self.saes: dict[str, SaeRef] = {}
        self.warnings: list[str] = []
        self.unpinned: list[str] = []

    def read(self) -> AllowList:
        self.check_sections()
        for name, node in self.entries("models"):
            with gathered(self.errors):
                self.models[name] = self.model(name, node)
        for name, node in self.entries("saes"):
            with gathered(self.errors):
                self.saes[name] = self.sae(name, node)
        for name, node in self.entries("subjects"):
            self.found.broken[name] = self.document.value["subjects"].key_source(name)
            with gathered(self.errors):
                self.found.subjects[name] = self.subject(name, node)
                del self.found.broken[name]
        for name, node in self.entries("corpora"):
            with gathered(self.errors):
                self.found.corpora[name] = self.corpus(name, node)
        self.found.warnings, self.found.unpinned = tuple(self.warnings), tuple(self.unpinned)
        return self.found

    def check_sections(self) -> None:
        if not is_mapping(self.document):
            raise self.document.error("wrong_type", f"{FILE} must be a mapping; it is {described(self.document)}")
        for key in self.document.value:
            if key not in _SECTIONS:
                message = f"{key!r} is not a section of {FILE}.{did_you_mean(key, _SECTIONS)}"
                near = nearest_names(key, _SECTIONS)
                self.errors.append(self.document.key_error(key, "unknown_key", message, near))
        if not self.entries("subjects"):
            self.errors.append(
                self.document.error("missing_key", f"{FILE} needs `subjects`, with at least one subject")
            )

    def entries(self, section: str) -> list[tuple[str, Node]]:
        node = self.document.get(section)
        if node is None or node.value is None:
            return []
        if not is_mapping(node):
            message = f"`{section}` must be a mapping of names; it is {described(node)}"
            self.errors.append(node.error("wrong_type", message))
            return []
        return list(node.value.items())

    def model(self, name: str, node: Node) -> ModelRef:
        entry = validated(ModelEntry, node, f"models.{name}")
        given = [k for k in ("path", "hub", "package") if getattr(entry, k) is not None]
        if len(given) != 1:
            raise node.error(
                "ambiguous_weights", f"a model has exactly one of path, hub, package; {name!r} has {_and(given)}"
            )
        source: Any = given[0]
        if (source == "hub") != (entry.revision is not None):
            raise node.error(
                "bad_revision", "`hub` needs `revision` (a commit of 40 hex digits, or unpinned), nothing else takes it"
            )
        if entry.revision == "unpinned" or (entry.digest is None and entry.hub is None):
            self.unpinned.append(f"model {name}")
        if entry.path is not None:
            _inside_repository(entry.path, node.value["path"])
            with gathered(self.errors):  # a subject of it is refused where it is read, with the same words
                _check_kind(self.folder.root / entry.path, node.value["path"])
        pins = (entry.revision, entry.digest, entry.tokenizer_digest)
        return ModelRef(name, source, getattr(entry, source), *pins, entry.modality, self.folder.root.absolute())

    def sae(self, name: str, node: Node) -> SaeRef:
        entry = validated(SaeEntry, node, f"saes.{name}")
        if (entry.path is None) == (entry.release is None) or (entry.release is None) != (entry.id is None):
            message = f"an SAE has either `path`, or `release` and `id`; {name!r} has {_and(list(node.value))}"
            raise node.error("ambiguous_weights", message)
        if entry.path is not None:
            _inside_repository(entry.path, node.value["path"])
        if entry.format == "qwen_scope" and (entry.k is None or entry.path is None):
            raise node.error("bad_format", "`format: qwen_scope` goes with `path` and `k`, which its file does not say")
        if entry.release is not None:
            _check_release(entry.release, str(entry.id), node)
        if entry.hook is not None:
            _check_hook(entry.hook, node.value["hook"])
        if entry.digest is None:
            self.unpinned.append(f"SAE {name}")
        stated = SaeRef(
            name,
            "path" if entry.path is not None else "release",
            str(entry.path or entry.release),
            entry.id,
            entry.digest,
            entry.d_in,
            entry.d_sae,
            entry.hook,
            entry.architecture,
            entry.format,
            entry.k,
            root=self.folder.root.absolute(),
        )
        sae = as_trained(stated, node)
        if sae.d_sae is None:
            self.warnings.append(
                f"{node.source}: the SAE {name!r} states no d_sae, so feature numbers are not checked."
            )
        return sae

    def subject(self, name: str, node: Node) -> Subject:
        entry = validated(SubjectEntry, node, f"subjects.{name}")
        model = self.named(self.models, "models", entry.model, node.value["model"])
        sae = self.named(self.saes, "saes", entry.sae, node.value["sae"])
        hook = self.hook(entry, sae, node)
        subject = Subject(
            name,
            model,
            sae,
            hook,
            entry.dtype,
            entry.device,
            entry.max_tokens,
            entry.owner,
            entry.device_map,
            entry.bos,
            entry.sinks.over if isinstance(entry.sinks, OverMedian) else entry.sinks,
            None if entry.median_norm is None else Norms(entry.median_norm.text, entry.median_norm.image),
            otherwise(entry.read_otherwise, node),
        )
        check_reading(subject, node, dict(self.entries("saes"))[sae.name])
        return subject

    def named(self, known: Mapping[str, Ref], section: str, name: str, node: Node) -> Ref:
        if name in known:
            return known[name]
        in_file = dict(self.entries(section))
        if name in in_file:
            raise node.error("broken_subject", f"{section}.{name} has mistakes; see {in_file[name].source}")
        is_model = section == "models"
        message = f"{name!r} does not stand under `{section}`." + (did_you_mean(name, known) or " It holds none.")
        raise node.error("unknown_model" if is_model else "unknown_sae", message, nearest_names(name, known))

    def hook(self, entry: SubjectEntry, sae: SaeRef, node: Node) -> str:
        if entry.hook is not None:
            _check_hook(entry.hook, node.value["hook"])
        if entry.hook and sae.hook and entry.hook != sae.hook:
            message = f"the SAE {sae.name!r} reads {sae.hook}, this subject says {entry.hook}; remove one of them"
            raise node.value["hook"].error("hook_conflict", message)
        return entry.hook or sae.hook or trained_at(sae, node)

    def corpus(self, name: str, node: Node) -> Corpus:
        entry = validated(CorpusEntry, node, f"corpora.{name}")
        path = self.folder.find(entry.path, node.value["path"].source)
        digest = file_digest(path)
        if entry.digest not in (None, digest):
            message = f"specs/{entry.path} is not the file that was pinned: its sha256 is {digest}"
            raise node.value["digest"].error("corpus_changed", message)
        return Corpus(
            name, self.folder.shown(path), digest, entry.context_length, entry.token_limit, self.folder.root.absolute()
        )


def _inside_repository(path: str, node: Node) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or path.startswith("~"):
        message = f"{path!r} leaves the repository; weights are named relative to it, or by hub and revision"
        raise node.error("outside_repository", message)


def _check_kind(folder: Path, node: Node) -> None:
    """Weights in the repository that are never read are known without loading them."""
    if (found := adapter_beside(folder)) is not None:
        raise node.error("adapter_beside_weights", found)
    if (found := quantized(folder)) is not None:
        raise node.error("quantized_weights", found)


def _check_release(release: str, sae_id: str, node: Node) -> None:
    """Hold both names against the installed sae-lens; a repository that it does not list (`org/name`) is let pass."""
    names = release_names()
    found = find_release(release)
    if found is None and names and "/" not in release:
        near = nearest_names(release, names)
        message = f"{release!r} is not a release of the installed sae-lens.{did_you_mean(release, names)}"
        raise node.value["release"].error("unknown_release", message, near)
    if found is not None and sae_id not in found.paths:
        near = nearest_names(sae_id, found.paths)
        message = f"{sae_id!r} is not an id of {release!r}.{did_you_mean(sae_id, found.paths)}"
        raise node.value["id"].error("unknown_sae_id", message, near)


def _check_hook(hook: str, node: Node) -> None:
    try:
        parse_hook(hook)
    except ValueError as error:
        raise node.error("unsupported_site", str(error)) from None


def _and(names: list[str]) -> str:
    return " and ".join(names) or "none of them"
