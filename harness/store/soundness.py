"""Whether a row holds together. Its digest says only that it is what somebody wrote, and packs come from strangers.

These run on every row of a warm run, so each looks at whole arrays: 2,000 prompts of 20 tokens take .06 s of .18.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codes import Kind
from harness.sums import Part

MOST_FEATURES = 2**24
"""The widest SAE that was published; pooled codes take 16 bytes a feature, whatever fires."""
WIDEST = 2**17
"""Numbers in one activation: eight times the widest model's. Empty arrays may claim any width."""
MOST_TOKENS = 2**31 - 1
"""In one row of sums: what counts of firings are kept in; more would wrap to numbers below 0."""
MOST_LETTERS = 50_000
"""Of one prompt (harness/language), so that of all its tokens no more are commas and brackets."""

Arrays = Mapping[str, NDArray[Any]]
_I4, _I8, _F4, _F8, _U1 = (np.dtype(name) for name in ("i4", "i8", "f4", "f8", "u1"))
_OF_A_TOKEN = {
    "position": _I4, "token_id": _I4, "start": _I4, "end": _I4, "kind": _U1, "sink": _U1,
    "hh": _F8, "rr": _F8, "hr": _F8, "ee": _F8,
}  # fmt: skip
_CODES = {"indptr", "index", "value", "token", "kinds", "sum_h", "sink_h", "d_sae", *_OF_A_TOKEN}
_OF_A_BLOCK = {"part": _U1, "n": _I8, **dict.fromkeys(("hh", "rr", "hr", "ee", "cosine", "norm_ratio", "l0"), _F8)}


def check_codes(kept: Arrays) -> None:
    """One prompt's codes as packing.py keeps them, but for its tokens' text. Raises ValueError, KeyError."""
    n, nnz = len(kept["kind"]), len(kept["index"])
    _must(kept.keys() == _CODES and n > 0, "another set of arrays")
    for name, dtype in _OF_A_TOKEN.items():
        _must_be(kept[name], dtype, (n,), name)
    _must_be(kept["index"], _I4, (nnz,), "index")
    _must_be(kept["value"], _F4, (nnz,), "value")
    _check_firings(kept["indptr"], kept["index"], n, width_of(kept["d_sae"]))
    _must(bool((kept["position"] == np.arange(n)).all()), "positions that are not those of a prompt's tokens")
    start = kept["start"]
    _must(bool((start >= -1).all() and (kept["end"] >= start).all()), "spans of no text")
    _must(bool((kept["token_id"] >= 0).all()), "token ids below 0")
    kinds = sorted(set(kept["kind"].tobytes()))
    _must(kinds[-1] < len(Kind) and kept["kinds"].tobytes() == bytes(kinds), "kinds of tokens that there are none of")
    _must(kept["sum_h"].ndim == 2 and kept["sum_h"].shape[1] <= WIDEST, "activations of no width")
    _must_be(kept["sum_h"], _F8, (len(kinds), kept["sum_h"].shape[1]), "sum_h")
    _must(int(kept["sink"].max()) <= 1, "sinks that are neither 0 nor 1")
    _must_be(kept["sink_h"], _F4, (int(kept["sink"].sum()), kept["sum_h"].shape[1]), "sink_h")
    for name in ("value", "hh", "rr", "hr", "ee", "sum_h", "sink_h"):
        _must(_finite(kept[name]), f"{name} that is not finite")


def _check_firings(indptr: NDArray[np.int64], index: NDArray[np.int32], n: int, d_sae: int) -> None:
    """Each token's part of `index` follows the one before, and in it every feature stands once, in rising order."""
    _must_be(indptr, _I8, (n + 1,), "indptr")
    rises = bool((indptr[1:] >= indptr[:-1]).all())
    _must(rises and indptr[0] == 0 and indptr[-1] == len(index), "tokens that share firings")
    if len(index):
        _must(int(index.view(np.uint32).max()) < d_sae, "features that the SAE has not")
        falls = (np.flatnonzero(index[1:] <= index[:-1]) + 1).tolist()
        _must(set(falls) <= set(indptr.tolist()), "a feature that fires twice on one token")


def check_residuals(kept: Arrays) -> None:
    """[n_tokens, d_in] fp32. Raises ValueError, KeyError."""
    values = kept["residuals"]
    _must(kept.keys() == {"residuals"} and values.ndim == 2 and len(values) > 0, "no activations of tokens")
    _must(values.dtype == _F4 and values.shape[1] <= WIDEST and _finite(values), "activations that are none")


def check_sums(kept: Arrays) -> None:
    """Some blocks of a corpus. Raises ValueError, KeyError."""
    blocks, sum_h, fired = len(kept["n"]), kept["sum_h"], kept["fired"]
    _must(kept.keys() == {*_OF_A_BLOCK, "sum_h", "fired"} and blocks > 0, "another set of arrays")
    for name, dtype in _OF_A_BLOCK.items():
        _must_be(kept[name], dtype, (blocks,), name)
    _check_parts(kept["part"])
    _must(bool((kept["n"] <= MOST_TOKENS).all()), "more tokens than a block can have")
    _must(sum_h.ndim == fired.ndim == 2, "sums of no width")
    _must(sum_h.shape[1] <= WIDEST and 0 < fired.shape[1] <= MOST_FEATURES, "sums of no such width")
    _must_be(sum_h, _F8, (blocks, sum_h.shape[1]), "sum_h")
    _must_be(fired, _I4 if fired.dtype == _I4 else _I8, (blocks, fired.shape[1]), "fired")
    _must(
        bool((fired >= 0).all() and (fired.max(1) <= kept["n"]).all()), "features that fire on more tokens than counted"
    )
    sums = [name for name in (*_OF_A_BLOCK, "sum_h") if name not in ("part", "n")]
    _must(all(_finite(kept[name]) for name in sums), "sums that are not finite")


def _check_parts(part: NDArray[np.uint8]) -> None:
    """Each block begins with its ordinary tokens, and has every other part once at most, in rising order."""
    _must(bool(part[0] == Part.ORDINARY and part.max() < len(Part)), "parts of a block that there are none of")
    _must(bool(((part[1:] == Part.ORDINARY) | (part[1:] > part[:-1])).all()), "parts of a block out of order")


def check_promotions(kept: Arrays) -> None:
    """Lists of one length, but for their tokens' text. Raises ValueError, KeyError.

    An effect may be NaN or infinite: `promotes` judges it so.
    """
    d_sae, feature, sampled = width_of(kept["d_sae"]), kept["feature"], kept["sampled"]
    _must(kept.keys() == {"feature", "sampled", "effect", "token", "d_sae"}, "another set of arrays")
    for name, features in (("feature", feature), ("sampled", sampled)):
        _must_be(features, _I8, (len(features),), name)
        rises = bool((features[1:] > features[:-1]).all())
        _must(
            rises and (not len(features) or (features[0] >= 0 and features[-1] < d_sae)), f"{name}: none of the SAE's"
        )
    _must(len(feature) > 0 and bool(np.isin(sampled, feature).all()), "sampled features without a list")
    _must(kept["effect"].ndim == 2, "effect that is no list")
    _must_be(kept["effect"], _F4, (len(feature), kept["effect"].shape[1]), "effect")


def width_of(d_sae: NDArray[Any]) -> int:
    """How many features there are; raises ValueError."""
    _must_be(d_sae, _I8, (1,), "d_sae")
    _must(0 < d_sae[0] <= MOST_FEATURES, "an SAE of no such width")
    return int(d_sae[0])


def texts_of(text: NDArray[Any], count: int) -> tuple[str, ...]:
    """The text of `count` tokens; raises ValueError."""
    found = bounded_json(text.tobytes(), count + MOST_LETTERS)
    _must(type(found) is list and len(found) == count, "another number of tokens")
    _must(set(map(type, found)) <= {str}, "tokens that are no text")
    return tuple(found)


def bounded_json(text: bytes, most: int) -> Any:
    """What JSON says that has no more than `most` values; a value may take 64 bytes of memory for 3 of text.

    Raises ValueError and RecursionError.
    """
    _must(sum(map(text.count, (b",", b"[", b"{"))) <= most + 1, "more values than there can be")
    return json.loads(text)


def _finite(values: NDArray[Any]) -> bool:
    """A sum of squares is finite only if all are (bar overflow, which the second look settles), and is soon had."""
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def _must_be(values: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> None:
    if values.dtype != dtype or values.shape != shape:
        raise ValueError(f"{name} is {values.dtype}{list(values.shape)}")


def _must(holds: Any, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
