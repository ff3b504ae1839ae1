"""Writing behind: the store packs and writes a batch while the model is at the next one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.capture.sink import Sink
from harness.codes import Codes
from harness.errors import EnvironmentFault
from harness.promotion import Promotions
from harness.sums import Sums
from harness.weights import Sample

# So many batches may wait in memory; a model that is faster than the disk then waits for it.
PENDING = 4


class Behind:
    """A sink whose calls one thread makes, in their order, on another sink. Leaving the `with` waits for all of them.

    What the other sink raises is raised here: by a later call, or on leaving, unless something else is on its way.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="interp-store")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Behind:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        while self._pending and raised is None:
            self._pending.popleft().result()

    def codes(self, code_key: str, rows: Sequence[tuple[str, Codes]]) -> None:
        self._later(self._sink.codes, code_key, rows)

    def residuals(self, code_key: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        self._later(self._sink.residuals, code_key, rows)

    def sums(self, code_key: str, corpus_key: str, block: int, sums: Sums) -> None:
        self._later(self._sink.sums, code_key, corpus_key, block, sums)

    def promotions(self, code_key: str, rows: Sequence[tuple[str, Promotions]]) -> None:
        self._later(self._sink.promotions, code_key, rows)

    def weights(self, code_key: str, sample: Sample) -> None:
        self._later(self._sink.weights, code_key, sample)

    def fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None:
        self._later(self._sink.fault, code_key, prompt_key, fault)

    def _later(self, call: Callable[..., None], *given: Any) -> None:
        self._pending.append(self._thread.submit(call, *given))
        while len(self._pending) > PENDING or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
