"""Where marks stand: the places that a feature may read instead of the marked words.

A place is the number of a token from the start of its prompt or from its end, or the token that stands before it. What
is scored is the place itself as a predictor of the marks, inside each prompt as the feature is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Codes
from harness.stats.units import LEFT_OUT
from harness.stats.within import Marked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = -1  # no token stands before


@dataclass(frozen=True, slots=True)
class Slot:
    """One place. kind: start, end or before. value: the number from there (0 is the first), or the token id before.

    auroc: mean over templates of the AUROC inside a prompt of "stands in this place". on: [n templates] whether all
    marks of a template's prompts stand there. example: a token of the codes that stands before such a mark.
    """

    kind: str
    value: int
    auroc: float
    on: NDArray[np.bool_]
    example: int


def slots_of(marked: Marked, codes: Codes) -> Iterator[Slot]:
    """The commonest place of each kind among the marks of the usable prompts."""
    first = _first_tokens(marked)
    order = np.lexsort((first, marked.stratum))
    start, end = (_ranks(marked.stratum, order[::step]) for step in (1, -1))
    before = _before(marked, codes, first)
    these = marked.marked & (marked.stratum >= 0)
    for kind, key in (("start", start), ("end", end), ("before", before)):
        counted = Counter(key[these].tolist())
        counted.pop(_NONE, None)
        if counted:
            value = max(counted, key=lambda one: counted[one])
            here = np.flatnonzero(these & (key == value))
            yield Slot(kind, value, *_scored(marked, key == value), example=int(first[here[0]]) - 1)


def _first_tokens(marked: Marked) -> Ints:
    """The first token of each unit, [n_units]."""
    first = np.full(len(marked.marked), len(marked.unit), np.int64)
    counted = np.flatnonzero(marked.unit != LEFT_OUT)
    np.minimum.at(first, marked.unit[counted], counted)
    return first


def _ranks(stratum: Ints, order: Ints) -> Ints:
    """The number of each unit inside its prompt, in this order, from 0, [n_units]."""
    rank = np.zeros(len(stratum), np.int64)
    seen: Counter[int] = Counter()
    for unit in order.tolist():
        rank[unit] = seen[int(stratum[unit])]
        seen[int(stratum[unit])] += 1
    return rank


def _before(marked: Marked, codes: Codes, first: Ints) -> Ints:
    """The id of the counted token right before each unit, [n_units]; -1 where none stands there."""
    at = np.maximum(first - 1, 0)
    has = (first > 0) & (codes.prompt[at] == codes.prompt[first]) & (marked.unit[at] != LEFT_OUT)
    return np.where(has, codes.token_id[at], _NONE).astype(np.int64)


def _scored(marked: Marked, hit: NDArray[np.bool_]) -> tuple[float, NDArray[np.bool_]]:
    """(mean AUROC of the place, the templates whose marks all stand in it)."""
    auroc, on = [], []
    for stratum in range(len(marked.prompt)):
        inside = marked.stratum == stratum
        here, there = hit[inside & marked.marked], hit[inside & ~marked.marked]
        auroc.append((1 + here.mean() - there.mean()) / 2)  # of two yes or no answers
        on.append(here.all())
    size = np.bincount(marked.template)
    each = np.bincount(marked.template, auroc) / size
    return float(each.mean()), np.bincount(marked.template, on) == size
