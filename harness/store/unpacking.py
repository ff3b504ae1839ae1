"""Taking in an evidence pack: what it says of itself is held against what is in it, before and while it goes in."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.errors import EnvironmentFault
from harness.keys import digest_of
from harness.store.agreement import Agreement, Disagreement, Widths
from harness.store.database import insertion
from harness.store.packing import (
    Damaged,
    unpack_codes,
    unpack_promotions,
    unpack_residuals,
    unpack_sums,
    unpack_weights,
)
from harness.store.packs import FORMAT, MANIFEST, MOST_ROWS, PACK_LAYOUT, ROWS, Manifest, Row, file_sha256
from harness.store.soundness import bounded_json

if TYPE_CHECKING:
    from harness.store import Store

_MAX_MANIFEST = 2**26  # bytes; a row takes 260, so 250,000 rows
_MOST_VALUES = 12 * MOST_ROWS  # of the manifest: a row has 7 with itself
_MAX_RATIO = 20  # of the manifest to itself deflated: half of each row's 64 random digits stays, so 8 at most
_UNPACK: Mapping[str, Callable[[bytes], object]] = {
    "codes": unpack_codes,
    "residuals": unpack_residuals,
    "sums": lambda value: unpack_sums(value) if value else None,
    "promotions": unpack_promotions,
    "weights": unpack_weights,
}
_Item = tuple[str, str, str]  # table, code key, key


@dataclass(frozen=True, slots=True)
class Imported:
    """What came out of a pack: rows added, and rows of what was here already, `different` with other values."""

    manifest: Manifest
    added: int
    held: int
    different: int


def import_pack(
    path: Path, store: Store, sha256: str | None = None, widths: Mapping[str, Widths] | None = None
) -> Imported:
    """Take in what the store lacks, in one transaction: all rows of the pack, or none where one is not what it says.

    What is here stays as it is. sha256: what the file's must be. widths: of the SAEs of today, by code key; a row of
    another width is refused. Raises EnvironmentFault `bad_pack`.
    """
    with _opened(path, sha256) as pack:
        manifest = _manifest(path, pack)
        _must_fit(path, store, manifest)
        held = _held(store, manifest)
        agreement = Agreement(dict(widths or {}), _tokens(store, manifest))
        store.database.write_together(_statements(path, pack, manifest, held, agreement))
    here = [row for row in manifest.rows if row.item in held]
    different = [row for row in here if row.sha256 not in held[row.item][row.block or 0 :][:1]]
    return Imported(manifest, len(manifest.rows) - len(here), len(here), len(different))


def _tokens(store: Store, manifest: Manifest) -> dict[tuple[str, str], int]:
    """How many tokens the prompts have of whose activations the pack brings some, and of which codes are here."""
    wanted = [row for row in manifest.rows if row.table == "residuals"]
    return {
        (row.code_key, row.key): codes.n_tokens
        for row in wanted
        for codes in store.get(row.code_key, [row.key]).values()
    }


def _held(store: Store, manifest: Manifest) -> dict[_Item, list[str]]:
    """What of the pack's is here whole and undamaged, with the digests of what is here."""
    keys: dict[tuple[str, str], dict[str, None]] = {}
    for row in manifest.rows:
        keys.setdefault((row.table, row.code_key), {})[row.key] = None
    return {
        (table, code, key): [hashlib.sha256(value).hexdigest() for value in values]
        for (table, code), wanted in keys.items()
        for key, values in store.raw(table, code, list(wanted))
    }


def _statements(
    path: Path, pack: zipfile.ZipFile, manifest: Manifest, held: Mapping[_Item, object], agreement: Agreement
) -> Iterator[tuple[str, Sequence[Any]]]:
    """What puts the rows in, each once it has been held against its digest; raises in the middle where one fails."""
    for key, parts in manifest.code_keys.items():
        yield "INSERT OR IGNORE INTO versions VALUES (?, ?)", (key, json.dumps(parts, sort_keys=True))
    with pack.open(ROWS) as rows:
        for row in manifest.rows:
            value = _checked(path, row, rows.read(row.bytes), agreement)
            if row.item in held:
                continue
            if row.block == 0:  # blocks of a reading that was broken off
                yield "DELETE FROM sums WHERE code_key=? AND corpus_key=?", (row.code_key, row.key)
            yield insertion(row.table, row.code_key, row.key, row.block, value)


@contextmanager
def _opened(path: Path, sha256: str | None) -> Iterator[zipfile.ZipFile]:
    """The zip; every way in which it can be no pack, or not a whole one, becomes one fault."""
    try:
        if sha256 is not None and (found := file_sha256(path)) != sha256.lower():
            raise _bad(path, f"its sha256 is {found}, not {sha256}")
        with zipfile.ZipFile(path) as pack:
            yield pack
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _bad(path, f"it is no pack, or not a whole one ({error})") from error
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or another compression
        raise _bad(path, f"it was not written by `interp store export` ({error})") from error


def _manifest(path: Path, pack: zipfile.ZipFile) -> Manifest:
    """The manifest, once it agrees with itself and with the length of the rows."""
    infos = {info.filename: info for info in pack.infolist()}
    if len(pack.infolist()) != 2 or infos.keys() != {MANIFEST, ROWS}:
        raise _bad(path, "it was not written by `interp store export`")
    _must_be_honest(path, infos[MANIFEST])
    manifest = _parsed(path, pack.read(MANIFEST))
    if len({(row.item, row.block) for row in manifest.rows}) != len(manifest.rows):
        raise _bad(path, "its manifest is not that of a pack")
    if sum(row.bytes for row in manifest.rows) != infos[ROWS].file_size:
        raise _bad(path, "its rows are not as long as its manifest says")
    _must_be_keyed(path, manifest)
    return manifest


def _must_be_honest(path: Path, manifest: zipfile.ZipInfo) -> None:
    """Refused before a byte is inflated: 64 MiB of commas deflate to 65 KB."""
    if manifest.file_size > _MAX_MANIFEST:
        raise _bad(path, f"its manifest has {manifest.file_size:,} bytes, and a pack's at most {_MAX_MANIFEST:,}")
    if manifest.file_size > _MAX_RATIO * min(manifest.compress_size, path.stat().st_size):
        raise _bad(path, f"its manifest is {_MAX_RATIO} times as long as it is in the file, as no list of digests is")


def _parsed(path: Path, text: bytes) -> Manifest:
    """Read once, and row by row: the first that is none ends it, before anything is made of the others."""
    try:
        said = bounded_json(text, _MOST_VALUES)
        if said["format"] != FORMAT:
            raise ValueError("another file's manifest")
        if (layout := said["layout"]) != PACK_LAYOUT:
            raise _bad(path, f"its layout is {layout!r}, this version reads layout {PACK_LAYOUT}")
        if len(said["rows"]) > MOST_ROWS:
            raise _bad(path, f"it has {len(said['rows']):,} rows, and a pack has {MOST_ROWS:,} at most")
        return Manifest.model_validate({**said, "rows": [Row.model_validate(one) for one in said["rows"]]})
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise _bad(path, "its manifest is not that of a pack") from error


def _must_be_keyed(path: Path, manifest: Manifest) -> None:
    """A code key is the digest of its parts; every row has one, and a block where it is a part of a corpus."""
    for key, parts in manifest.code_keys.items():
        if digest_of(parts) != key:
            raise _bad(path, f"code key {key[:12]} is not that of its parts")
    for row in manifest.rows:
        if row.code_key not in manifest.code_keys or (row.block is None) == (row.table == "sums"):
            raise _bad(path, "its manifest is not that of a pack")


def _must_fit(path: Path, store: Store, manifest: Manifest) -> None:
    """Refused before the first row: 1 GB of zeros deflates to 1 MB."""
    needed = sum(row.bytes for row in manifest.rows)
    free = shutil.disk_usage(Path(store.database.path).absolute().parent).free
    if needed > free:
        raise _bad(path, f"it holds {needed:,} bytes, and {free:,} are free where the store lies")


def _checked(path: Path, row: Row, value: bytes, agreement: Agreement) -> bytes:
    """The value, once it is what the manifest says, evidence, and at one with the rows before it."""
    what = f"the {row.table} of {row.key[:12]}"
    if hashlib.sha256(value).hexdigest() != row.sha256:
        raise _bad(path, f"{what} are not what its manifest says")
    try:
        agreement.take(row, _UNPACK[row.table](value))
    except Disagreement as error:
        raise _bad(path, f"{what} are no evidence: {error}") from error
    except (Damaged, MemoryError) as error:
        raise _bad(path, f"{what} are no evidence") from error
    return value


def _bad(path: Path, why: str) -> EnvironmentFault:
    return EnvironmentFault("bad_pack", f"{path}: {why}; nothing was imported.", "Get it or export it again.")
