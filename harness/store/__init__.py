"""Evidence on disk: one SQLite file, one row per (code key, prompt key), safetensors blobs, no pickle.

Rows are content-addressed and never change their meaning, so every checkout and process may share one
file: WAL lets readers go on while one writes, and writers wait their turn. A damaged row is a miss.

2,000 prompts of 20 tokens at L0 48 and d_in 640 are 41 MB: found in .04 s, read in .2 s.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes
from harness.errors import EnvironmentFault
from harness.keys import VERSION_FIELDS
from harness.promotion import Promotions
from harness.store import upkeep
from harness.store.database import MEMORY, SAMPLE_KEY, SINCE, Database, insertion, is_sound
from harness.store.packing import (
    Damaged,
    pack_codes,
    pack_promotions,
    pack_residuals,
    pack_sums,
    pack_weights,
    unpack_codes,
    unpack_promotions,
    unpack_residuals,
    unpack_sums,
    unpack_weights,
)
from harness.store.upkeep import Change, Limits, Pruned
from harness.sums import Sums, concat_sums
from harness.weights import Sample

__all__ = [
    "Change",
    "Limits",
    "MemoryStore",
    "Overlay",
    "Pruned",
    "Store",
    "open_or_memory",
    "open_or_overlay",
    "spilled",
]

Found = TypeVar("Found")
Read = TypeVar("Read")
_ONE_BLOCK = "DELETE FROM sums WHERE code_key=? AND corpus_key=? AND block=?"
_AT_ONCE = 500  # keys in one query; SQLite takes 32,766 variables


class Store:
    """The evidence at `path`, made where it is not there yet.

    Raises EnvironmentFault: `store_unreadable` where the file is no store of ours or cannot be read,
    `store_not_writable` where only writing fails (open it read_only then, behind an Overlay).
    `damaged` counts the rows that were found damaged, and dropped. A file that is damaged as a whole is moved aside
    (database.py): then nothing is here any more, which `replaced` says.
    """

    def __init__(self, path: Path | str, read_only: bool = False) -> None:
        self.damaged = 0
        self.read_only = read_only
        self.database = Database(path, read_only)

    def have(self, code_key: str, prompt_keys: Collection[str]) -> set[str]:
        """Which of these prompts' codes are here, undamaged."""
        return {key for key, _ in self._sound("codes", code_key, prompt_keys)}

    def get(self, code_key: str, prompt_keys: Collection[str]) -> dict[str, Codes]:
        """The codes that are here, one Codes per prompt; a prompt that is not is left out."""
        return self._unpacked("codes", code_key, prompt_keys, unpack_codes)

    def put(self, code_key: str, parts: Mapping[str, str], rows: Sequence[tuple[str, Codes]]) -> None:
        """Keep the codes of some prompts, in one transaction. `parts`: what the code key was made from."""
        self._keep_parts(code_key, parts)
        self._put("codes", code_key, [(key, pack_codes(codes)) for key, codes in rows])

    def have_residuals(self, code_key: str, prompt_keys: Collection[str]) -> set[str]:
        """Which of these prompts' activations are here, undamaged."""
        return {key for key, _ in self._sound("residuals", code_key, prompt_keys)}

    def get_residuals(self, code_key: str, prompt_keys: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """The activations that are here, [n_tokens, d_in] fp32 per prompt, aligned with its codes."""
        return self._unpacked("residuals", code_key, prompt_keys, unpack_residuals)

    def put_residuals(self, code_key: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Keep the activations of some prompts: large, and so the first to be pruned."""
        self._put("residuals", code_key, [(key, pack_residuals(values)) for key, values in rows])

    def have_promotions(self, code_key: str, rows: Collection[str]) -> set[str]:
        """Which of these rows of what decoder directions promote are here, undamaged."""
        return {row for row, _ in self._sound("promotions", code_key, rows)}

    def get_promotions(self, code_key: str, rows: Collection[str]) -> dict[str, Promotions]:
        """Those that are here, by row (harness/promotion.py)."""
        return self._unpacked("promotions", code_key, rows, unpack_promotions)

    def put_promotions(self, code_key: str, parts: Mapping[str, str], rows: Sequence[tuple[str, Promotions]]) -> None:
        """Keep what some decoder directions promote, in one transaction."""
        self._keep_parts(code_key, parts)
        self._put("promotions", code_key, [(row, pack_promotions(found)) for row, found in rows])

    def get_weights(self, code_key: str) -> Sample | None:
        """The sample of the weights that a code key's evidence was read with; None where none was kept."""
        return self._unpacked("weights", code_key, [SAMPLE_KEY], unpack_weights).get(SAMPLE_KEY)

    def put_weights(self, code_key: str, parts: Mapping[str, str], sample: Sample) -> None:
        """Keep it: once for every load, before what is read with it."""
        self._keep_parts(code_key, parts)
        self._put("weights", code_key, [(SAMPLE_KEY, pack_weights(sample))])

    def get_verdicts(self, code_key: str, keys: Collection[str]) -> dict[str, bytes]:
        """What was kept of judged claims, by key (harness/kept.py)."""
        return dict(self._sound("verdicts", code_key, keys))

    def put_verdicts(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """(code key, key, value) of each, in one transaction."""
        self.database.write_together([insertion("verdicts", code, key, None, value) for code, key, value in rows])

    def drop_verdicts(self, before: float) -> None:
        """Those kept before a moment, in seconds since 1970."""
        self.database.write("DELETE FROM verdicts WHERE written < ?", [(before,)])

    def have_sums(self, code_key: str, corpus_keys: Collection[str]) -> set[str]:
        """Which of these corpora have been read to their end."""
        return {key for key in corpus_keys if self._each_block(code_key, key, len) is not None}

    def get_sums(self, code_key: str, corpus_key: str) -> Sums | None:
        """All blocks of a corpus in reading order; None where it was not read to its end."""
        blocks = self._each_block(code_key, corpus_key, unpack_sums)
        return None if blocks is None else concat_sums(blocks)

    def put_sums(self, code_key: str, parts: Mapping[str, str], corpus_key: str, block: int, sums: Sums) -> None:
        """Keep one part of a corpus's sums; a part without blocks, numbered next, says that the corpus has ended."""
        self._keep_parts(code_key, parts)
        value = pack_sums(sums) if sums.n_blocks else b""
        self.database.write_together([insertion("sums", code_key, corpus_key, block, value)])

    def raw(self, table: str, code_key: str, keys: Collection[str]) -> Iterator[tuple[str, list[bytes]]]:
        """(key, its values) of what is here whole and undamaged; a corpus's sums are several values, else one."""
        if table != "sums":
            yield from ((key, [value]) for key, value in self._sound(table, code_key, keys))
            return
        for key in keys:
            if (blocks := self._each_block(code_key, key, bytes)) is not None:
                yield key, [*blocks, b""]

    def parts(self, code_key: str) -> dict[str, str] | None:
        """What a code key was made from; None where no evidence was kept under it."""
        rows = self.database.read("SELECT parts FROM versions WHERE code_key=?", (code_key,))
        return upkeep.parts_in(rows[0][0]) if rows else None

    def other_versions(self, parts: Mapping[str, str]) -> list[Change]:
        """Evidence of the same weights, place and settings, read with other versions of the libraries."""
        return upkeep.other_versions(self.database, parts, VERSION_FIELDS)

    def stats(self) -> dict[str, Any]:
        """Rows and bytes per table, and the number of code keys."""
        return upkeep.stats(self.database)

    def sizes(self) -> dict[str, dict[str, int]]:
        """{code key: {rows, bytes}}."""
        return upkeep.by_code_key(self.database)

    def verify(self) -> tuple[int, int]:
        """(rows looked at, rows found damaged); damaged ones are dropped, unless the store is read_only."""
        looked_at, before = 0, self.damaged
        for table in upkeep.tables_of(self.database):
            for code_key, key in self.database.read(f"SELECT DISTINCT code_key, {_KEY[table]} FROM {table}", ()):
                if table == "sums":
                    looked_at += len(list(self._sound_blocks(code_key, key)))
                else:
                    looked_at += len(list(self._sound(table, code_key, [key])))
        return looked_at + self.damaged - before, self.damaged - before

    def prune(self, limits: Limits, dry_run: bool = False) -> Pruned:
        """Drop what the limits refuse; where there is too much, residuals first, then what was written longest ago."""
        return upkeep.prune(self.database, limits, dry_run)

    def close(self) -> None:
        self.database.close()

    def _sound(self, table: str, code_key: str, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """(key, value) of the rows that are here and are what was written."""
        if self.database.layout < SINCE.get(table, 0):
            return  # a read-only store from before there were any
        wanted = list(keys)
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT prompt_key, value, checksum FROM {table} WHERE code_key=? AND prompt_key IN ({marks})"
            for key, value, stamp in self.database.read(query, (code_key, *part)):
                if is_sound(value, stamp, code_key, key):
                    yield key, value
                else:
                    self._drop(f"DELETE FROM {table} WHERE code_key=? AND prompt_key=?", (code_key, key))

    def _unpacked(
        self, table: str, code_key: str, keys: Collection[str], unpack: Callable[[bytes], Found]
    ) -> dict[str, Found]:
        found = {}
        for key, value in self._sound(table, code_key, keys):
            try:
                found[key] = unpack(value)
            except Damaged:
                self._drop(f"DELETE FROM {table} WHERE code_key=? AND prompt_key=?", (code_key, key))
        return found

    def _sound_blocks(self, code_key: str, corpus_key: str) -> Iterator[tuple[int, bytes]]:
        """One in memory at a time: those of a million tokens are 130 MB."""
        query = "SELECT block FROM sums WHERE code_key=? AND corpus_key=? ORDER BY block"
        for (block,) in self.database.read(query, (code_key, corpus_key)):
            where = (code_key, corpus_key, block)
            one = "SELECT value, checksum FROM sums WHERE code_key=? AND corpus_key=? AND block=?"
            for value, stamp in self.database.read(one, where):
                if is_sound(value, stamp, *where):
                    yield block, value
                else:
                    self._drop(_ONE_BLOCK, where)

    def _each_block(self, code_key: str, corpus_key: str, take: Callable[[bytes], Found]) -> list[Found] | None:
        """What `take` makes of each of a corpus's blocks up to its end mark, or None where one is missing."""
        found, ended = list[Found](), False
        for n, (block, value) in enumerate(self._sound_blocks(code_key, corpus_key)):
            if block != n or ended:
                return None
            ended = value == b""
            try:
                found += [] if ended else [take(value)]
            except Damaged:
                self._drop(_ONE_BLOCK, (code_key, corpus_key, block))
                return None
        return found if ended and found else None

    def _put(self, table: str, code_key: str, rows: Sequence[tuple[str, bytes]]) -> None:
        self.database.write_together([insertion(table, code_key, key, None, value) for key, value in rows])

    def _keep_parts(self, code_key: str, parts: Mapping[str, str]) -> None:
        self.database.write(
            "INSERT OR IGNORE INTO versions VALUES (?, ?)", [(code_key, json.dumps(dict(parts), sort_keys=True))]
        )

    @property
    def replaced(self) -> int:
        """How often the file turned out damaged as a whole, so that what was here is gone."""
        return self.database.replaced

    def tells(self, tell: Callable[[str], None]) -> None:
        """Who gets a line when damage is met; by default it is a RuntimeWarning."""
        self.database.tell = tell

    def _drop(self, statement: str, where: Sequence[Any]) -> None:
        self.damaged += 1
        if self.damaged == 1:
            self.database.tell(f"evidence in {self.database.shown} is damaged; damaged rows are dropped and read again")
        if not self.read_only:
            with contextlib.suppress(EnvironmentFault):  # a full disk: the row stays, and stays a miss
                self.database.write(statement, [tuple(where)])


class MemoryStore(Store):
    """A store that ends with the process: `--no-store`."""

    def __init__(self) -> None:
        super().__init__(MEMORY)


class Overlay(Store):
    """Writes to `path`, reads from there and from `behind`: for a store that cannot be written."""

    def __init__(self, path: Path | str, behind: Store) -> None:
        super().__init__(path)
        self.behind = behind

    def _sound(self, table: str, code_key: str, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        found = dict(super()._sound(table, code_key, wanted := list(keys)))
        yield from found.items()
        left = [key for key in wanted if key not in found]
        nothing: list[tuple[str, bytes]] = []
        yield from self._from_behind(lambda: list(self.behind._sound(table, code_key, left)), nothing)

    def _each_block(self, code_key: str, corpus_key: str, take: Callable[[bytes], Found]) -> list[Found] | None:
        own = super()._each_block(code_key, corpus_key, take)
        if own is not None:
            return own
        return self._from_behind(lambda: self.behind._each_block(code_key, corpus_key, take), None)

    def tells(self, tell: Callable[[str], None]) -> None:
        super().tells(tell)
        self.behind.tells(tell)

    @property
    def replaced(self) -> int:
        return self.database.replaced + self.behind.replaced

    def _from_behind(self, get: Callable[[], Read], nothing: Read) -> Read:
        """What is behind, or nothing once that is damaged: it cannot be moved from here, and need not be read."""
        try:
            return get() if not self.behind.database.replaced or not self.behind.read_only else nothing
        except EnvironmentFault as fault:
            if fault.code != "store_damaged":
                raise
            self.behind.database.replaced += 1
            self.database.tell(f"{fault.message} Its evidence is read again.")
            return nothing


_KEY = dict.fromkeys(("codes", "residuals", "promotions", "weights", "verdicts"), "prompt_key") | {"sums": "corpus_key"}


def open_or_overlay(path: Path, scratch: Path) -> tuple[Store, EnvironmentFault | None]:
    """The store at `path`; where that fails, one at `scratch` over what can still be read, and the fault.

    Where `scratch` is there already, another process of this run found that `path` takes no more: see `spilled`.
    """
    try:
        store = Store(path)
    except EnvironmentFault as fault:
        if fault.code == "store_not_writable" and path.exists() and path.stat().st_size > 0:
            return spilled(Store(path, read_only=True), scratch), fault
        return open_or_memory(scratch), fault
    return (Overlay(scratch, store) if scratch.exists() and scratch != path else store), None


def open_or_memory(path: Path) -> Store:
    """A store at `path`, or one in memory where no file can be made there."""
    try:
        return Store(path)
    except EnvironmentFault:
        return MemoryStore()


def spilled(store: Store, scratch: Path) -> Overlay:
    """What goes on writing where `store` cannot: at `scratch`, or in memory where no file can be made there either."""
    try:
        return Overlay(scratch, store)
    except EnvironmentFault:
        return Overlay(MEMORY, store)
