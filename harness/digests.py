"""Digests of what is read: which files make a model, a tokenizer or an SAE, and whether they are the pinned ones.

A file is hashed once and remembered by what `stat` says of it, so that checking 5 GB of weights again
costs some microseconds. No torch, no hub client: a warm run checks digests too.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from harness.cachedir import cache_dir
from harness.checkpoints import has_files, refuse_kind
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, SaeRef, Subject
from harness.repository import located

MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "preprocessor_config.json",
    "processor_config.json",
)
SAE_FILES = ("cfg.json", "sae_weights.safetensors")
QWEN_SCOPE_FILES = ("*.sae.pt",)

# A file changed again within the clock's granularity of its last change keeps its times, so nothing
# younger than this is remembered. ext4 stamps times every 4 ms, FAT every 2 s.
SETTLED_AFTER_S = 2.0

MAIN = "main"  # the branch that is read where no commit is pinned

_Stamp = tuple[str, int, int, int, int]
_seen: dict[_Stamp, str] = {}


def files_digest(folder: Path, patterns: Sequence[str]) -> str | None:
    """sha256 over the sorted lines `<name>\\0<sha256>` of the files in `folder` that match; None where none does."""
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if not files:
        return None
    lines = "".join(f"{path.name}\0{file_digest(path)}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of one file, remembered by (path, size, mtime, ctime, inode): ctime moves even where mtime is set back."""
    stamp = _stamp(path)
    if (known := _seen.get(stamp) or _recall(stamp)) is not None:
        _seen[stamp] = known
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _stamp(path) == stamp and time.time_ns() - max(stamp[2:4]) > SETTLED_AFTER_S * 1e9:
        _seen[stamp] = digest
        _remember(stamp, digest)
    return digest


def model_folder(model: ModelRef) -> Path | None:
    """Where a model's files lie on this machine; None where they are not here (or, for a package, not named yet)."""
    if model.source == "package":
        return None
    folder = located(model.location, model.root) if model.source == "path" else _snapshot(model)
    try:
        return folder if folder is not None and folder.is_dir() else None
    except OSError:  # a name that this file system cannot have
        return None


def hub_commit(model: ModelRef) -> str | None:
    """The commit that a hub model's revision means here: the pinned one, else that of main in the hub's cache.

    None where neither says: nothing may then be kept under the model's name, since main moves.
    """
    revision = hub_revision(model)
    return repository_commit(model.location, revision) or (revision if revision != MAIN else None)


def repository_commit(repository: str, revision: str = MAIN) -> str | None:
    """The commit of a branch of a hub repository whose snapshot is in the hub's cache; None where none is."""
    cache = _hub_cache(repository)
    with suppress(OSError):
        commit = (cache / "refs" / revision).read_text().strip()
        return commit if (cache / "snapshots" / commit).is_dir() else None
    return None


def hub_revision(model: ModelRef) -> str:
    """What to ask the hub for: a commit, or main where none is pinned."""
    return MAIN if model.revision in (None, "unpinned") else model.revision


def verify(subject: Subject) -> None:
    """Hold pinned digests against the files that are here; files that are not here are not looked for.

    Raises EnvironmentFault `digest_mismatch` with what is pinned and what was found.
    """
    folder = model_folder(subject.model)
    if folder is not None:
        verify_model(subject.model, folder)
    if subject.sae.source == "path":
        verify_sae(subject.sae, located(subject.sae.location, subject.sae.root))


def verify_model(model: ModelRef, folder: Path) -> None:
    """Compare a model's two pins, weights and tokenizer, with the files in `folder`; refuse adapters and quantization.

    A folder without weights, or with git-lfs pointers in their place, is not compared: nothing is read from it.
    """
    refuse_kind(model.name, folder)
    if has_files(folder):
        _hold(f"the weights of model {model.name}", model.digest, folder, MODEL_FILES)
    if has_files(folder, TOKENIZER_FILES):
        _hold(f"the tokenizer of model {model.name}", model.tokenizer_digest, folder, TOKENIZER_FILES)


def verify_sae(sae: SaeRef, folder: Path) -> None:
    """Compare an SAE's pin with the files in `folder`, where its weights are among them."""
    if has_files(folder, sae_files(sae)[-1:]):
        _hold(f"SAE {sae.name}", sae.digest, folder, sae_files(sae))


def sae_files(sae: SaeRef) -> tuple[str, ...]:
    """Which files make an SAE of a path, by its format."""
    return QWEN_SCOPE_FILES if sae.format == "qwen_scope" else SAE_FILES


def mismatch(what: str, pinned: str, found: str) -> EnvironmentFault:
    return EnvironmentFault(
        "digest_mismatch",
        f"{what}: specs/subjects.yaml pins {pinned}, found {found}.",
        "Restore the files that were pinned; if the new ones are meant, pin them with `interp doctor --pin`.",
    )


def _hold(what: str, pinned: str | None, folder: Path, patterns: Sequence[str]) -> None:
    if pinned is None:
        return
    found = _readable_digest(what, folder, patterns)
    if found is not None and found != pinned:
        raise mismatch(what, pinned, found)


def _readable_digest(what: str, folder: Path, patterns: Sequence[str]) -> str | None:
    try:
        return files_digest(folder, patterns)
    except OSError as error:
        raise EnvironmentFault("weights_unreadable", f"{what}: {error.strerror or error}.", "") from error


def _snapshot(model: ModelRef) -> Path | None:
    commit = hub_commit(model)
    return None if commit is None else _hub_cache(model.location) / "snapshots" / commit


def is_cached(repository: str, path: str) -> bool:
    """Whether the hub cache holds this file or folder of a repository's main, as sae-lens' loaders ask for it."""
    commit = repository_commit(repository)
    return commit is not None and (_hub_cache(repository) / "snapshots" / commit / path).exists()


def _hub_cache(repository: str) -> Path:
    """The folder that the hub's client keeps one repository in, by that client's own reading of the environment.

    This one module of it imports nothing but the standard library.
    """
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _stamp(path: Path) -> _Stamp:
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _recall(stamp: _Stamp) -> str | None:
    rows = _ask("SELECT sha256 FROM digests WHERE path=? AND size=? AND mtime_ns=? AND ctime_ns=? AND inode=?", stamp)
    digest, _, check = str(rows[0][0]).partition(" ") if rows else ("", "", "")
    return digest if digest and check == _check(stamp, digest) else None


def _remember(stamp: _Stamp, digest: str) -> None:
    _ask("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", (*stamp, f"{digest} {_check(stamp, digest)}"))


def _check(stamp: _Stamp, digest: str) -> str:
    """A flipped bit in a remembered digest would say that weights are not the pinned ones."""
    return hashlib.sha256(repr((stamp, digest)).encode()).hexdigest()[:16]


def _ask(query: str, values: Iterable[object]) -> list[tuple[object, ...]]:
    """One statement on the memory of digests. A memory that cannot be used costs time, nothing else."""
    try:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / "digests.sqlite", timeout=5)) as memory, memory:
            memory.execute(
                "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER,"
                " ctime_ns INTEGER, inode INTEGER, sha256 TEXT)"
            )
            return memory.execute(query, tuple(values)).fetchall()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with suppress(OSError):  # or every file would be hashed again in every run
                (folder / "digests.sqlite").replace(folder / "digests.sqlite.damaged")
        return []
    except (OSError, EnvironmentFault):
        return []
