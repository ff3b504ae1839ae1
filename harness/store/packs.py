"""Evidence packs: rows of a store in one zip file that another machine can check before it believes a byte.

A zip of two members: `rows.bin`, the values one after the other, and `manifest.json`, which lists each with its table,
keys, length and sha256, and what each code key was made from. Not an SQLite file: a stranger's could bring triggers and
views. The same evidence gives the same bytes, so that a cache may compare packs.

Deflate at level 1: tiny-gemma2's 1,164 rows of 7.7 MB take 3.8 MB; level 6 saves a tenth of that in twice the time.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import EnvironmentFault
from harness.inputs import Reading
from harness.store.database import SAMPLE_KEY

if TYPE_CHECKING:
    from harness.store import Store

PACK_LAYOUT = 2  # raise with what a row holds, so that an older pack is refused by its number
FORMAT = "interp-specs evidence"
MANIFEST, ROWS = "manifest.json", "rows.bin"
_AT_ONCE = 500  # keys whose values are in memory at once
MOST_BYTES = 2**28  # of one row: 8,192 tokens of activations 8,192 wide; it is in memory as a whole
MOST_KEYS = 1000  # one a subject, and a few for its mutants
MOST_ROWS = 250_000
"""Of one pack: 5 GB of codes at 20 KB each, and a manifest of 64 MiB at 260 bytes each."""


class Row(BaseModel):
    """One row of the manifest; `block` numbers the parts of a corpus's sums."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    table: Literal["codes", "residuals", "sums", "promotions", "weights"]
    code_key: str
    key: str
    block: int | None = Field(None, ge=0)
    bytes: int = Field(ge=0, le=MOST_BYTES)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def item(self) -> tuple[str, str, str]:
        """What it is a row of: all blocks of a corpus are one item."""
        return self.table, self.code_key, self.key


class Manifest(BaseModel):
    """What a pack says of itself. `code_keys`: each key, and the parts that it was made from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: str
    layout: int
    code_keys: dict[str, dict[str, str]] = Field(max_length=MOST_KEYS)
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Written:
    """What went into a pack; `lacking`: subject -> rows that were asked for and are not in the store."""

    rows: int
    bytes: int
    lacking: Mapping[str, int]


def export_pack(
    path: Path,
    store: Store,
    readings: Sequence[Reading],
    parts: Callable[[Reading], dict[str, str]],
) -> Written:
    """Write what the store holds of these readings; the file appears when it is whole.

    parts: what a reading's code key was made from. Raises EnvironmentFault `nothing_to_export`, `pack_not_written`.
    """
    with _replacing(path) as made:
        writer, lacking = _Writer(store), {}
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
            with pack.open(ROWS, "w", force_zip64=True) as rows:  # `open` dates what it writes 1980
                for reading in readings:
                    lacking[reading.subject.name] = writer.write(rows, reading, parts(reading))
            with pack.open(MANIFEST, "w", force_zip64=True) as listed:
                listed.write(writer.manifest.model_dump_json(exclude_none=True).encode())
        if not writer.manifest.rows:
            mend = "Run pytest or `interp warm` first."
            raise EnvironmentFault("nothing_to_export", "the store holds none of this evidence.", mend)
    return Written(
        len(writer.manifest.rows), path.stat().st_size, {name: count for name, count in lacking.items() if count}
    )


class _Writer:
    """Writes values one after the other, and what the manifest will say of them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.manifest = Manifest(format=FORMAT, layout=PACK_LAYOUT, code_keys={}, rows=[])
        self._done: set[tuple[str, str, str]] = set()

    def write(self, rows: IO[bytes], reading: Reading, parts: dict[str, str]) -> int:
        """One subject's rows, and how many of them are not held; two subjects of the same weights share theirs."""
        lacking = 0
        for table, wanted in _wanted(reading).items():
            for at in range(0, len(wanted), _AT_ONCE):
                keys = sorted(wanted)[at : at + _AT_ONCE]
                found = dict(self.store.raw(table, reading.code_key, keys))
                lacking += len(keys) - len(found) if table != "weights" else 0  # an older store has none
                for key in sorted(found):
                    if table == "residuals" and ("codes", reading.code_key, key) not in self._done:
                        continue  # of no use without its codes, and no import could hold them against these
                    self._write_item(rows, (table, reading.code_key, key), found[key], parts)
        return lacking

    def _write_item(
        self, rows: IO[bytes], item: tuple[str, str, str], values: Sequence[bytes], parts: dict[str, str]
    ) -> None:
        table, code, key = item
        if item in self._done:
            return
        self._done.add(item)
        if len(self.manifest.rows) + len(values) > MOST_ROWS or max(map(len, values)) > MOST_BYTES:
            text = f"a pack has at most {MOST_ROWS:,} rows of {MOST_BYTES:,} bytes, and this evidence has more."
            raise EnvironmentFault("pack_not_written", text, "Export some suites at a time: name them.")
        self.manifest.code_keys[code] = parts
        for block, value in enumerate(values):
            rows.write(value)
            entry = {"block": block} if table == "sums" else {}
            digest = hashlib.sha256(value).hexdigest()
            row = {"table": table, "code_key": code, "key": key, **entry, "bytes": len(value), "sha256": digest}
            self.manifest.rows.append(Row.model_validate(row))


def file_sha256(path: Path) -> str:
    """Of the whole file, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wanted(reading: Reading) -> dict[str, list[str]]:
    return {
        "codes": [key for key, _ in reading.prompts],
        "residuals": list(reading.residuals),
        "sums": [key for key, _ in reading.corpora],
        "promotions": list(reading.promotions),
        "weights": [SAMPLE_KEY],
    }


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, or goes where writing fails."""
    made = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield made
        made.replace(path)
    except OSError as error:
        raise EnvironmentFault("pack_not_written", f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        made.unlink(missing_ok=True)
