"""Whether the rows of a pack agree with one another, with the store, and with the SAE that they are said to be of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.codes import Codes
from harness.promotion import SAMPLE, Promotions
from harness.sums import Sums

if TYPE_CHECKING:
    from harness.store.packs import Row


class Widths(NamedTuple):
    """Of an activation, and of its code; None where it is not known."""

    d_in: int | None = None
    d_sae: int | None = None


class Disagreement(ValueError):
    """A row that is whole in itself and does not fit to others; its text says how."""


@dataclass(slots=True)
class Agreement:
    """widths: by code key, those of today's subjects, then of the first row.
    tokens: of a (code key, prompt key), how many it has."""

    widths: dict[str, Widths]
    tokens: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, row: Row, found: object) -> None:
        """One row more; raises Disagreement."""
        known, here = self.widths.get(row.code_key, Widths()), _widths(found)
        for name, width, other in zip(("d_in", "d_sae"), known, here, strict=True):
            if None not in (width, other) and width != other:
                raise Disagreement(f"their {name} is {other}, and it is {width}")
        self.widths[row.code_key] = Widths(*(a if a is not None else b for a, b in zip(known, here, strict=True)))
        place = row.code_key, row.key
        if isinstance(found, Codes):
            self.tokens.setdefault(place, found.n_tokens)
        elif isinstance(found, np.ndarray) and self.tokens.get(place) != len(found):
            raise Disagreement("they are not those of its tokens")
        elif isinstance(found, Promotions) and not _is_row(row.key, found):
            raise Disagreement("they are not those of this feature")


def _is_row(key: str, found: Promotions) -> bool:
    """The sample's lists are all drawn, and a feature's row is its own list."""
    return set(found.lists) == set(found.sampled) if key == SAMPLE else [*map(str, found.lists)] == [key]


def _widths(found: object) -> Widths:
    if isinstance(found, Codes | Sums):
        return Widths(found.d_in, found.d_sae)
    if isinstance(found, np.ndarray):
        return Widths(found.shape[1])
    return Widths(None, found.d_sae) if isinstance(found, Promotions) else Widths()
