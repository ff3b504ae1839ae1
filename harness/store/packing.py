"""Codes, residuals and sums as safetensors bytes, and back. No pickle: reading a row runs no code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from harness.codes import Codes, Kind
from harness.promotion import Promotions
from harness.store.soundness import (
    MOST_LETTERS,
    bounded_json,
    check_codes,
    check_promotions,
    check_residuals,
    check_sums,
    texts_of,
)
from harness.sums import Sums
from harness.weights import Sample

_CODES = (
    "indptr", "index", "value", "position", "token_id", "start", "end", "kind", "hh", "rr", "hr", "ee", "sink_h",
)  # fmt: skip
_SUMS = ("part", "n", "hh", "rr", "hr", "ee", "cosine", "norm_ratio", "l0", "sum_h", "fired")
_MOST_OF_WEIGHTS = 2**20  # values in a sample: four a tensor, so of 250,000 tensors
# What safetensors, json and numpy raise at bytes that nobody packed. Not MemoryError: a row is not damaged for that.
_NONSENSE = (SafetensorError, LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


class Damaged(Exception):
    """Bytes that are not what was written, or that no store could have written."""


def pack_codes(codes: Codes) -> bytes:
    """The codes of ONE prompt. Of sum_h only the kinds that occur are kept (at d_in 2304 all five take 92 KB)."""
    if codes.n_prompts != 1:
        raise ValueError(f"a row holds the codes of one prompt, not of {codes.n_prompts}")
    kinds = np.unique(codes.kind)
    return _save(
        {name: getattr(codes, name) for name in _CODES}
        | {
            "token": np.frombuffer(json.dumps(codes.token).encode(), np.uint8),
            "sink": codes.sink.view(np.uint8),
            "kinds": kinds,
            "sum_h": codes.sum_h[0, kinds],
            "d_sae": np.array([codes.d_sae]),
        }
    )


def unpack_codes(value: bytes) -> Codes:
    """What pack_codes wrote; raises Damaged."""
    with _sound():
        kept = load(value)
        check_codes(kept)
        n = len(kept["kind"])
        sum_h = np.zeros((1, len(Kind), kept["sum_h"].shape[1]))
        sum_h[0, kept["kinds"]] = kept["sum_h"]
        return Codes(
            **{name: kept[name] for name in _CODES},
            prompt=np.zeros(n, np.int32),
            token=texts_of(kept["token"], n),
            sum_h=sum_h,
            sink=kept["sink"].view(np.bool_),
            d_sae=int(kept["d_sae"][0]),
        )


def pack_residuals(residuals: NDArray[np.float32]) -> bytes:
    """The activations of one prompt's tokens, [n_tokens, d_in] fp32."""
    return _save({"residuals": np.asarray(residuals, np.float32)})


def unpack_residuals(value: bytes) -> NDArray[np.float32]:
    """What pack_residuals wrote; raises Damaged."""
    with _sound():
        kept = load(value)
        check_residuals(kept)
        return kept["residuals"]


def pack_sums(sums: Sums) -> bytes:
    """Some blocks of a corpus's sums."""
    return _save({name: getattr(sums, name) for name in _SUMS})


def unpack_sums(value: bytes) -> Sums:
    """What pack_sums wrote; raises Damaged."""
    with _sound():
        kept = load(value)
        check_sums(kept)
        fired = kept["fired"].astype(np.int32)  # a block has 1,024 tokens, and a corpus a thousand blocks
        return Sums(**{name: kept[name] for name in _SUMS if name != "fired"}, fired=fired)


def pack_promotions(found: Promotions) -> bytes:
    """One row: the lists of some features, all of one length."""
    lists = [found.lists[feature] for feature in sorted(found.lists)]
    return _save(
        {
            "feature": np.array(sorted(found.lists)),
            "sampled": np.array(sorted(found.sampled), np.int64),
            "effect": np.array([[effect for _, effect in one] for one in lists], np.float32),
            "token": np.frombuffer(json.dumps([[token for token, _ in one] for one in lists]).encode(), np.uint8),
            "d_sae": np.array([found.d_sae]),
        }
    )


def unpack_promotions(value: bytes) -> Promotions:
    """What pack_promotions wrote; raises Damaged."""
    with _sound():
        kept = load(value)
        check_promotions(kept)
        texts, effects = _lists(kept["token"], kept["effect"].shape), kept["effect"].tolist()
        lists = {
            feature: tuple(zip(tokens, of_one, strict=True))
            for feature, tokens, of_one in zip(kept["feature"].tolist(), texts, effects, strict=True)
        }
        return Promotions(lists, frozenset(kept["sampled"].tolist()), int(kept["d_sae"][0]))


def _lists(text: NDArray[Any], shape: tuple[int, ...]) -> list[list[str]]:
    """The tokens' text of some lists of one length; raises ValueError."""
    found = bounded_json(text.tobytes(), shape[0] * (shape[1] + 1) + MOST_LETTERS)
    if [len(one) for one in found if type(one) is list] != [shape[1]] * shape[0] or len(found) != shape[0]:
        raise ValueError("another number of tokens")
    if not {type(token) for one in found for token in one} <= {str}:
        raise ValueError("tokens that are no text")
    return list(found)


def pack_weights(sample: Sample) -> bytes:
    """JSON: names and digests only."""
    return json.dumps(sample.to_dict(), sort_keys=True).encode()


def unpack_weights(value: bytes) -> Sample:
    """What pack_weights wrote; raises Damaged."""
    with _sound():
        found = Sample.from_dict(bounded_json(value, _MOST_OF_WEIGHTS))
        for tensors in (found.decoder, found.outside, found.sae):
            if not {type(said) for tensor in tensors.values() for said in tensor.values()} <= {str}:
                raise ValueError("a digest that is no text")
        return found


def _save(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


@contextmanager
def _sound() -> Iterator[None]:
    """Whatever bytes that nobody packed lead to becomes Damaged."""
    try:
        yield
    except _NONSENSE as error:
        raise Damaged(str(error)) from error
