"""Where what is read goes: to the store, batch by batch, or to whoever asked for it apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.codes import Codes
from harness.errors import EnvironmentFault
from harness.inputs import Reading
from harness.keys import code_parts
from harness.promotion import Promotions
from harness.sums import Sums
from harness.weights import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.running import Runner


@dataclass(slots=True)
class StoreSink:
    """Writes each finished batch at once, so that a later fault loses nothing."""

    runner: Runner
    readings: Sequence[Reading]

    def codes(self, code_key: str, rows: Sequence[tuple[str, Codes]]) -> None:
        self.runner.keep(lambda store: store.put(code_key, self._parts(code_key), rows))
        self.runner.log.note_read(code_key, [key for key, _ in rows])

    def residuals(self, code_key: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        self.runner.keep(lambda store: store.put_residuals(code_key, rows))

    def sums(self, code_key: str, corpus_key: str, block: int, sums: Sums) -> None:
        self.runner.keep(lambda store: store.put_sums(code_key, self._parts(code_key), corpus_key, block, sums))
        self.runner.log.note_read(code_key, [corpus_key])

    def promotions(self, code_key: str, rows: Sequence[tuple[str, Promotions]]) -> None:
        self.runner.keep(lambda store: store.put_promotions(code_key, self._parts(code_key), rows))
        self.runner.log.note_read(code_key, [row for row, _ in rows])

    def weights(self, code_key: str, sample: Sample) -> None:
        self.runner.keep(lambda store: store.put_weights(code_key, self._parts(code_key), sample))

    def fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None:
        self.runner.log.note_fault(code_key, prompt_key, fault)

    def _parts(self, code: str) -> dict[str, str]:
        return code_parts(next(r.subject for r in self.readings if r.code_key == code))


class Apart:
    """Keeps codes in memory, for who compares two readings of the same prompts."""

    def __init__(self) -> None:
        self.found: dict[str, Codes] = {}
        self.faults: list[EnvironmentFault] = []

    def codes(self, code_key: str, rows: Sequence[tuple[str, Codes]]) -> None:
        self.found.update(rows)

    def residuals(self, code_key: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        raise TypeError("nobody asked for residuals")

    def sums(self, code_key: str, corpus_key: str, block: int, sums: Sums) -> None:
        raise TypeError("nobody asked for sums")

    def promotions(self, code_key: str, rows: Sequence[tuple[str, Promotions]]) -> None:
        raise TypeError("nobody asked for promotions")

    def weights(self, code_key: str, sample: Sample) -> None:
        """Not kept: the store has that of what it keeps."""

    def fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None:
        self.faults.append(fault)


class Aside(StoreSink):
    """Keeps what was read, and no faults."""

    __slots__ = ()

    def fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None:
        return
