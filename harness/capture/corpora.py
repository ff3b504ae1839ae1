"""Corpora: a text file in contexts of one length, summed block by block in flat memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.capture.encode import Encoded
from harness.capture.loaded import LoadedModel
from harness.capture.tokens import contexts
from harness.errors import EnvironmentFault
from harness.inputs import Corpus
from harness.keys import BLOCK_TOKENS
from harness.repository import located
from harness.sums import Part, Sums, concat_sums

PIECE_CHARACTERS = 65_536


def blocks_of(loaded: LoadedModel, corpus: Corpus, bos: bool) -> Iterator[list[list[int]]]:
    """The contexts of a corpus (token ids, BOS first in each where `bos`), block by block.

    Raises EnvironmentFault `corpus_missing`, `corpus_too_short` where not one context can be filled, or
    `context_too_long` where one has more tokens than the model has positions.
    """
    _must_fit(loaded, corpus)
    cut = contexts(loaded.tokenizer, _pieces(corpus), corpus.context_length, corpus.token_limit, bos)
    size = max(1, BLOCK_TOKENS // corpus.context_length)
    first = list(islice(cut, size))
    if not first:
        raise EnvironmentFault(
            "corpus_too_short",
            f"corpus {corpus.name} does not fill one context of {corpus.context_length} tokens.",
            "Take a longer text, or a smaller context_length.",
        )
    yield first
    while block := list(islice(cut, size)):
        yield block


def _must_fit(loaded: LoadedModel, corpus: Corpus) -> None:
    positions = loaded.texts.limits.positions
    if positions is not None and corpus.context_length > positions:
        raise EnvironmentFault(
            "context_too_long",
            f"the contexts of corpus {corpus.name} have {corpus.context_length:,} tokens, its model only {positions:,} "
            "positions.",
            "Take a smaller context_length.",
        )


def partial_sums(encoded: Encoded, part: NDArray[np.uint8]) -> Sums:
    """The sums of one batch, as a row for each Part; part: of each token, [n_tokens]."""
    return concat_sums([_row(encoded, part == one, one) for one in Part])


def _row(encoded: Encoded, counted: NDArray[np.bool_], part: Part) -> Sums:
    hh, rr, hr = encoded.hh[counted], encoded.rr[counted], encoded.hr[counted]
    fires = np.repeat(counted, np.diff(encoded.indptr))
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # an activation of all zeros has no direction: NaN, then a fault
        cosine, ratio = hr / np.sqrt(hh * rr), np.sqrt(rr / hh)
    return Sums(
        part=np.array([part], np.uint8),
        n=np.array([counted.sum()]),
        hh=_total(hh),
        rr=_total(rr),
        hr=_total(hr),
        ee=_total(encoded.ee[counted]),
        cosine=_total(np.where(rr == 0, 0.0, cosine)),  # a token on which nothing fires and no bias stands: cosine 0
        norm_ratio=_total(ratio),
        l0=_total(np.diff(encoded.indptr)[counted]),
        sum_h=encoded.h[counted].sum(axis=0, dtype=np.float64)[None],
        fired=np.bincount(encoded.index[fires], minlength=encoded.d_sae)[None],
    )


def added(parts: Sequence[Sums]) -> Sums:
    """The batches of one block as that one block; raises EnvironmentFault `not_finite`."""
    names = [name for name in Sums.__dataclass_fields__ if name != "part"]
    block = Sums(parts[0].part, **{name: np.sum([getattr(part, name) for part in parts], axis=0) for name in names})
    if not all(np.isfinite(getattr(block, name)).all() for name in names):
        raise EnvironmentFault(
            "not_finite",
            "the model's activations are NaN, infinite or all zero somewhere in this corpus.",
            "Read the model in float32 or bfloat16.",
        )
    return block.without_empty_parts()


def ended(block: Sums) -> Sums:
    """No blocks, as wide as `block`: says that a corpus was read to its end."""
    return Sums(**{name: getattr(block, name)[:0] for name in Sums.__dataclass_fields__})


def _total(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([values.sum(dtype=np.float64)])


def _pieces(corpus: Corpus) -> Iterator[str]:
    """The file in pieces that end between words, so that none is cut in two."""
    try:
        with located(corpus.path, corpus.root).open(encoding="utf-8", newline="") as file:
            rest = ""
            while text := file.read(PIECE_CHARACTERS):
                at = max((rest + text).rfind("\n"), (rest + text).rfind(" "))
                if at > 0:
                    yield (rest + text)[:at]
                rest = (rest + text)[max(at, 0) :]
            if rest:
                yield rest
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        text = f"corpus {corpus.name} ({corpus.path}) cannot be read: {reason}."
        raise EnvironmentFault("corpus_missing", text, "Mend its path; it must be UTF-8 text.") from error
