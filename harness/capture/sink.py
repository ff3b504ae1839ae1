"""What the engine hands out while it reads, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes
from harness.errors import EnvironmentFault
from harness.promotion import Promotions
from harness.sums import Sums
from harness.weights import Sample


class Sink(Protocol):
    """Takes every batch as it is done, so that nothing computed is lost when a later one fails.

    A corpus comes block by block, numbered from 0; one more call, without blocks, says that it has ended.
    `weights` comes before what is read with them.
    """

    def codes(self, code_key: str, rows: Sequence[tuple[str, Codes]]) -> None: ...

    def residuals(self, code_key: str, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None: ...

    def sums(self, code_key: str, corpus_key: str, block: int, sums: Sums) -> None: ...

    def promotions(self, code_key: str, rows: Sequence[tuple[str, Promotions]]) -> None: ...

    def weights(self, code_key: str, sample: Sample) -> None: ...

    def fault(self, code_key: str, prompt_key: str, fault: EnvironmentFault) -> None: ...


@dataclass(slots=True)
class CaptureStats:
    """What reading one subject took. prompts: texts read through its SAE; tokens: theirs and its corpora's.

    loads, batches, seconds and load_seconds are shared by the subjects of one model: they stand with the first of
    them, so that adding subjects up counts nothing twice. rows: length -> rows of the batches; oom_halvings:
    how often memory ran out. sae_digest: of a published SAE's tensors as they were loaded (no loader takes a
    revision); what `digest` in specs/subjects.yaml pins.
    """

    loads: int = 0
    prompts: int = 0
    tokens: int = 0
    batches: int = 0
    seconds: float = 0.0
    load_seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    oom_halvings: int = 0
    sae_digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON, seconds to the millisecond."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "load_seconds": round(self.load_seconds, 3)}
