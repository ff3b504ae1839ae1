"""Codes: the sparse SAE code of every token of some prompts, in numpy; and what pools it.

Values are float32, sums are float64. Nothing is masked by zeroing: which tokens count is a mask
that travels beside the values (`counted`), derived when judging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.errors import one_of

Pool = Literal["max", "last", "mean", "any"]
Tokens = Literal["text", "image", "all"]
Specials = Literal["ignored", "counted"]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class NoSuchFeature(IndexError):
    """A feature number that an SAE of this width does not have. Below zero is none: it does not count from the end."""

    def __init__(self, feature: int, d_sae: int) -> None:
        super().__init__(f"feature {feature} does not exist: the SAE has {d_sae:,} features, 0 to {d_sae - 1}")


class Kind(IntEnum):
    """What a token is. Found by token id, never by position (FACTS: BOS may follow image tokens)."""

    TEXT = 0
    IMAGE = 1
    SPECIAL = 2
    WRAPPER = 3
    PAD = 4


@dataclass(frozen=True, slots=True)
class Codes:
    """CSR over tokens: token t fires features index[indptr[t]:indptr[t+1]] with those values.

    Per token, shape [n_tokens]: prompt (row in the set), position, token_id, token, start, end
    (character offsets into the prompt's text, -1 where none), kind, and the scalars hh = h.h,
    rr = r.r, hr = h.r, ee = e.e of activation h, reconstruction r and error e = h - r, fp64.
    sum_h: [n_prompts, len(Kind), d_in], the sum of h per prompt and kind (FVU under any counting
    policy needs it: norms alone cannot give the mean). Attention sinks are left out of it.
    sink: per token, whether it is an attention sink (harness/attention_sinks.py); a token of any kind may be one.
    sink_h: [n_sinks, d_in] float32, h of each sink in the order of the tokens; few, so kept one by one.
    """

    indptr: NDArray[np.int64]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    prompt: NDArray[np.int32]
    position: NDArray[np.int32]
    token_id: NDArray[np.int32]
    token: tuple[str, ...]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    kind: NDArray[np.uint8]
    hh: Floats
    rr: Floats
    hr: Floats
    ee: Floats
    sum_h: Floats
    sink: Mask
    sink_h: NDArray[np.float32]
    d_sae: int

    @property
    def n_tokens(self) -> int:
        return len(self.prompt)

    @property
    def n_prompts(self) -> int:
        return int(self.sum_h.shape[0])

    @property
    def d_in(self) -> int:
        return int(self.sum_h.shape[2])

    def of_prompt(self, row: int) -> slice:
        """Where the tokens of one prompt are: they stand together, prompts in order."""
        ends = np.searchsorted(self.prompt, np.array([row, row + 1], self.prompt.dtype))  # another type copies them all
        return slice(int(ends[0]), int(ends[1]))

    def counted(self, tokens: Tokens = "text", special_tokens: Specials = "ignored") -> Mask:
        """Which tokens count, [n_tokens] bool: never padding, specials and sinks only if asked.

        "all" with specials "counted" is every token that the model reads: also what a chat template or a picture's
        processor wraps around a text. Raises ValueError for another word.
        """
        one_of("tokens", tokens, get_args(Tokens))
        one_of("special_tokens", special_tokens, get_args(Specials))
        if tokens == "all" and special_tokens == "counted":
            return np.asarray(self.kind != Kind.PAD)
        kinds = {"text": [Kind.TEXT], "image": [Kind.IMAGE], "all": [Kind.TEXT, Kind.IMAGE]}[tokens]
        if special_tokens == "counted":
            return np.isin(self.kind, [*kinds, Kind.SPECIAL])
        return np.isin(self.kind, kinds) & ~self.sink

    def left_out_sinks(self, tokens: Tokens = "text") -> Mask:
        """Sinks that would count if they were none, [n_tokens] bool; special and wrapping tokens are left out for
        what they are."""
        kept_out = np.isin(self.kind, [Kind.SPECIAL, Kind.WRAPPER])
        return np.asarray(self.counted(tokens, "counted") & self.sink & ~kept_out)

    def token_column(self, feature: int) -> NDArray[np.float32]:
        """One feature's value on every token, [n_tokens] float32, zero where it does not fire; NoSuchFeature."""
        _check_feature(feature, self.d_sae)
        out = np.zeros(self.n_tokens, np.float32)
        hit = np.flatnonzero(self.index == feature)
        out[np.searchsorted(self.indptr, hit, side="right") - 1] = self.value[hit]
        return out

    def pooled(self, counted: Mask, pool: Pool = "max") -> Pooled:
        """Each prompt's counted tokens turned into one number per feature."""
        return pool_codes(self, counted, pool)


@dataclass(frozen=True, slots=True)
class Pooled:
    """One number per prompt and feature, as CSC: feature f is `value[ptr[f]:ptr[f+1]]` on the
    prompts `prompt[ptr[f]:ptr[f+1]]`, zero on all others. Only values != 0 are kept.
    `lengths`: counted tokens of each prompt, [n_prompts]."""

    ptr: NDArray[np.int64]
    prompt: NDArray[np.int32]
    value: Floats
    lengths: NDArray[np.int64]

    @classmethod
    def from_dense(cls, values: NDArray[Any]) -> Pooled:
        """From an (n_prompts, d_sae) array, each prompt taken as one counted token."""
        if values.ndim != 2:
            raise ValueError(f"codes of prompts are (n_prompts, d_sae); this array is {values.shape}")
        feature, prompt = np.nonzero(np.asarray(values).T)
        ptr = np.concatenate([[0], np.cumsum(np.bincount(feature, minlength=values.shape[1]))])
        kept = np.asarray(values)[prompt, feature].astype(np.float64)
        return cls(ptr.astype(np.int64), prompt.astype(np.int32), kept, np.ones(len(values), np.int64))

    @property
    def n_prompts(self) -> int:
        return len(self.lengths)

    @property
    def d_sae(self) -> int:
        return len(self.ptr) - 1

    def column(self, feature: int) -> Floats:
        """One feature's value on every prompt, [n_prompts] fp64. Raises NoSuchFeature."""
        _check_feature(feature, self.d_sae)
        out = np.zeros(self.n_prompts)
        part = slice(self.ptr[feature], self.ptr[feature + 1])
        out[self.prompt[part]] = self.value[part]
        return out

    def dense(self) -> Floats:
        """[n_prompts, d_sae] fp64; only for small d_sae and for exporting."""
        out = np.zeros((self.n_prompts, self.d_sae))
        out[self.prompt, self.features()] = self.value
        return out

    def features(self) -> NDArray[np.int64]:
        """The feature of each kept value, [nnz]."""
        return np.repeat(np.arange(self.d_sae), np.diff(self.ptr))


def _check_feature(feature: int, d_sae: int) -> None:
    if not 0 <= feature < d_sae:
        raise NoSuchFeature(feature, d_sae)


def pool_codes(codes: Codes, counted: Mask, pool: Pool) -> Pooled:
    """max, mean (over counted tokens), last (counted token) or any (1.0 where it fires)."""
    one_of("pool", pool, get_args(Pool))
    lengths = np.bincount(codes.prompt[counted], minlength=codes.n_prompts)
    keep = counted & _is_last(codes, counted) if pool == "last" else counted
    token = np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr))
    kept = keep[token] & (codes.value != 0)
    prompt, feature = codes.prompt[token[kept]], codes.index[kept]
    value = codes.value[kept].astype(np.float64)
    order = np.lexsort((prompt, feature))
    prompt, feature, value = prompt[order], feature[order], value[order]
    first = (
        np.flatnonzero(np.r_[True, (np.diff(feature) != 0) | (np.diff(prompt) != 0)])
        if len(value)
        else np.array([], np.int64)
    )
    reduced = _reduce(value, first, pool)
    prompt, feature = prompt[first], feature[first]
    if pool == "mean" and len(first):
        reduced = reduced / lengths[prompt]
    ptr = np.zeros(codes.d_sae + 1, np.int64)
    np.cumsum(np.bincount(feature, minlength=codes.d_sae), out=ptr[1:])
    return Pooled(ptr, prompt.astype(np.int32), reduced, lengths)


def _reduce(value: Floats, first: NDArray[np.int64], pool: Pool) -> Floats:
    if not len(first):
        return np.zeros(0)
    if pool == "mean":
        return np.add.reduceat(value, first)
    if pool == "any":
        return np.ones(len(first))
    return np.maximum.reduceat(value, first)


def _is_last(codes: Codes, counted: Mask) -> Mask:
    last = np.full(codes.n_prompts, -1, np.int64)
    where = np.flatnonzero(counted)
    last[codes.prompt[where]] = where  # tokens are in order, so the last write wins
    out = np.zeros(codes.n_tokens, bool)
    out[last[last >= 0]] = True
    return out


_OF_TOKENS = ("position", "token_id", "start", "end", "kind", "hh", "rr", "hr", "ee", "sink")


def concat(parts: Sequence[Codes]) -> Codes:
    """The codes of several prompts or sets, in order; prompt rows are renumbered."""
    if not parts:
        raise ValueError("no codes to join")
    widths = sorted({p.d_sae for p in parts})
    if len(widths) > 1:
        raise ValueError(f"codes of different widths cannot be joined: {widths}")
    nnz = np.cumsum([0] + [len(p.index) for p in parts])
    rows = np.cumsum([0] + [p.n_prompts for p in parts])
    names = ("index", "value", *_OF_TOKENS, "sum_h", "sink_h")
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Codes(
        indptr=np.concatenate([[0]] + [p.indptr[1:] + n for p, n in zip(parts, nnz, strict=False)]).astype(np.int64),
        prompt=np.concatenate([p.prompt + r for p, r in zip(parts, rows, strict=False)]).astype(np.int32),
        token=tuple(t for p in parts for t in p.token),
        d_sae=parts[0].d_sae,
        **joined,
    )


def split(codes: Codes) -> list[Codes]:
    """The codes of each prompt by itself, in order: `concat` of them is the codes again."""
    return [_one(codes, row) for row in range(codes.n_prompts)]


def _one(codes: Codes, row: int) -> Codes:
    at = codes.of_prompt(row)
    span = slice(codes.indptr[at.start], codes.indptr[at.stop])
    sinks = np.count_nonzero(codes.sink[: at.start]), np.count_nonzero(codes.sink[: at.stop])
    return Codes(
        indptr=codes.indptr[at.start : at.stop + 1] - codes.indptr[at.start],
        index=codes.index[span],
        value=codes.value[span],
        prompt=np.zeros(at.stop - at.start, np.int32),
        sum_h=codes.sum_h[row : row + 1],
        sink_h=codes.sink_h[slice(*sinks)],
        d_sae=codes.d_sae,
        **{name: getattr(codes, name)[at] for name in ("token", *_OF_TOKENS)},
    )
