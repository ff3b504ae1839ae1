"""Toy evidence from a KindExample: small codes on which every kind shows what met, unmet and could-not-tell mean.

A toy SAE has eight features. Feature 0 is what the example's rows say; the others are the same in all toys:
1 fires on every token at 1, 2 on the first token of a prompt, 3 on every third token, 4 nowhere, 5 to 7 on
tokens picked by a seed. Each prompt starts with a <bos> and an attention sink, on both of which all features fire at
50, so that a kind that counts specials or sinks unasked shows it. An activation h is a seeded vector of four numbers,
and its reconstruction misses it by a tenth of feature 0's value in every dimension: mse = (value / 10)^2.
The text of each prompt ends with words of its own, which are no tokens: rows that are alike would be near copies, and
count once.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np

from harness.codes import Codes, Floats, Kind
from harness.expectations.base import Claim, Expectation, KindExample
from harness.expectations.evidence import Evidence, Stream
from harness.inputs import Prompt, PromptSet
from harness.promotion import Promotions
from harness.sums import Part, Sums

Row = Sequence[tuple[str, float]]
D_SAE, D_IN = 8, 4
BOS, IMAGE, SINK = "<bos>", "<image>", "<sink>"


def row(text: str, **values: float) -> Row:
    """Words as tokens; those named fire: row("a [[red]] ball", red=3)."""
    return tuple((word, float(values.get(word.strip("[]"), 0.0))) for word in text.split())


def rows(n: int, text: str, **values: float) -> list[Row]:
    """n prompts alike but for a number as their last token; the firing values differ a little, so as not to tie."""
    made: list[Row] = []
    for i in range(n):
        found = row(text, **values)
        made.append((*((t, v + 0.01 * i if v else 0.0) for t, v in found), (f"no{i}", 0.0)))
    return made


def scattered(some: Sequence[Row]) -> list[Row]:
    """Rows whose marked token stands one place further in each, so that no place tells it from the others."""
    made: list[Row] = []
    for i, one in enumerate(some):
        rest = [token for token in one if not token[0].startswith("[[")]
        at = i % (len(rest) + 1)
        made.append((*rest[:at], *(token for token in one if token not in rest), *rest[at:]))
    return made


def evidence_of(example: KindExample) -> Evidence:
    """The evidence of an example: codes, sums and residuals of each of its roles."""
    return replace(evidence_of_rows(**example.rows), promotions=_promotions(example.promoted))


def evidence_of_rows(**given: Sequence[Row]) -> Evidence:
    """Evidence from rows by role, or by role@subject where another subject reads the role."""
    built = {_read_by(name): toy_codes(some, seed) for seed, (name, some) in enumerate(given.items())}
    return Evidence(
        sets={_read_by(name)[0]: _prompt_set(_read_by(name)[0], some) for name, some in given.items()},
        codes_of={key: codes for key, (codes, _) in built.items()},
        sums_of={key: sums_of(codes) for key, (codes, _) in built.items()},
        streams={key: _stream(codes) for key, (codes, _) in built.items()},
        residuals_of={key: h for key, (_, h) in built.items()},
    )


def _stream(codes: Codes) -> Stream:
    return Stream(lambda: iter([codes]))


def _promotions(tokens: Sequence[str]) -> Promotions | None:
    """Feature 0 raises these tokens, the others as many made-up ones each."""
    others = {f: [f"x{f}{'abcdefghijklmnop'[i]}" for i in range(len(tokens))] for f in range(1, D_SAE)}
    lists = {f: tuple((t, 1.0 - i / 100) for i, t in enumerate(one)) for f, one in {0: tokens, **others}.items()}
    return Promotions(lists, frozenset(lists), D_SAE) if tokens else None


def _read_by(name: str) -> tuple[str, str | None]:
    role, _, subject = name.partition("@")
    return role, subject or None


def claim_of(example: KindExample) -> Claim:
    """What stands beside the kind; feature 0 unless the example says otherwise."""
    known = {f.name for f in fields(Claim)}
    return Claim(**{"feature": 0, **{k: v for k, v in example.settings.items() if k in known}})


def expectation_of(kind: type[Expectation], example: KindExample) -> Expectation:
    """The claim itself; roles are named after themselves, since toy sets are. A role that is no field is one that the
    claim makes itself."""
    names = {role: role for role, _ in map(_read_by, example.rows) if role in kind.model_fields}
    return kind.model_validate({**names, **example.fields})


def toy_codes(given: Sequence[Row], seed: int = 0) -> tuple[Codes, Floats]:
    """Codes of prompts given token by token, and their activations h, [n_tokens, 4]."""
    tokens = [(i, j, t, v) for i, one in enumerate(given) for j, (t, v) in enumerate([(BOS, 50.0), *one])]
    dense = np.stack([_features(j, v, n + 1000 * seed) for n, (_, j, _, v) in enumerate(tokens)])
    prompt, place = (np.array([t[k] for t in tokens], np.int32) for k in (0, 1))
    token = [str(t[2]).replace("[[", "").replace("]]", "") for t in tokens]
    h = np.random.default_rng(seed).normal(size=(len(tokens), D_IN))
    h[place == 0] *= 20
    r = h - np.array([[t[3] / 10] for t in tokens])
    start, end = _offsets(token, place)
    text = np.where(np.array([t == IMAGE for t in token]), Kind.IMAGE, Kind.TEXT)
    kind = np.where(place == 0, Kind.SPECIAL, text).astype(np.uint8)
    at = np.flatnonzero(place == 0) + 1  # where each prompt's sink goes in

    def with_sinks(values: Any, sinks: Any) -> Any:
        return np.insert(values, at, sinks, axis=0)

    sink = with_sinks(np.zeros(len(tokens), bool), True)
    prompt, h, kind = with_sinks(prompt, prompt[at - 1]), with_sinks(h, 3 * h[at - 1]), with_sinks(kind, Kind.TEXT)
    every = with_sinks(dense, 50.0), h, with_sinks(r, h[sink] - 5.0)
    made = codes_from_dense(*every, prompt, len(given), kind, sink)
    names = tuple(np.insert(np.array(token, object), at, SINK).tolist())
    return replace(
        made,
        token_id=np.array([zlib.crc32(t.encode()) >> 1 for t in names], np.int32),
        position=np.concatenate([np.arange(n, dtype=np.int32) for n in np.bincount(prompt)]),
        token=names,
        start=with_sinks(start, -1),
        end=with_sinks(end, -1),
    ), h


def codes_from_dense(
    dense: Floats, h: Floats, r: Floats, prompt: Any, n_prompts: int, kind: Any = None, sink: Any = None
) -> Codes:
    """Codes from a dense [n_tokens, d_sae] array with activations h and reconstructions r, [n_tokens, d_in]."""
    kinds = np.full(len(dense), Kind.TEXT, np.uint8) if kind is None else kind
    token, feature = np.nonzero(dense)
    sum_h = np.zeros((n_prompts, len(Kind), h.shape[1]))
    sinks = np.zeros(len(dense), bool) if sink is None else sink
    np.add.at(sum_h, (np.asarray(prompt)[~sinks], kinds[~sinks]), h[~sinks])
    zeros = np.zeros(len(dense), np.int32)
    return Codes(
        indptr=np.r_[0, np.cumsum(np.count_nonzero(dense, axis=1))].astype(np.int64),
        index=feature.astype(np.int32),
        value=dense[token, feature].astype(np.float32),
        prompt=np.asarray(prompt, np.int32),
        position=zeros,
        token_id=zeros,
        token=("",) * len(dense),
        start=zeros,
        end=zeros,
        kind=kinds,
        hh=(h * h).sum(1),
        rr=(r * r).sum(1),
        hr=(h * r).sum(1),
        ee=((h - r) ** 2).sum(1),
        sum_h=sum_h,
        sink=sinks,
        sink_h=h[sinks].astype(np.float32),
        d_sae=dense.shape[1],
    )


def sums_of(codes: Codes) -> Sums:
    """The same evidence as streaming sums, a block per prompt; without image tokens, which no corpus has."""
    kept = codes.kind != Kind.IMAGE
    text = np.select([codes.kind == Kind.SPECIAL, codes.sink], [Part.SPECIAL, Part.SINK], Part.ORDINARY)
    row, n_rows = codes.prompt * len(Part) + text, codes.n_prompts * len(Part)

    def total(values: Any) -> Floats:
        weights = np.asarray(values, np.float64)[kept]
        return np.bincount(row[kept], weights=weights, minlength=n_rows).astype(np.float64)

    token = np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr))
    fired, sum_h = np.zeros((n_rows, codes.d_sae), np.int64), np.zeros((n_rows, codes.d_in))
    of_text = kept[token]
    np.add.at(fired, (row[token[of_text]], codes.index[of_text]), 1)
    sum_h[0 :: len(Part)] = codes.sum_h[:, Kind.TEXT]
    sum_h[2 :: len(Part)] = codes.sum_h[:, Kind.SPECIAL]
    np.add.at(sum_h, row[codes.sink], codes.sink_h)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine, ratio = codes.hr / np.sqrt(codes.hh * codes.rr), np.sqrt(codes.rr / codes.hh)
    return Sums(
        part=np.tile(np.arange(len(Part), dtype=np.uint8), codes.n_prompts),
        n=total(np.ones(codes.n_tokens)).astype(np.int64),
        hh=total(codes.hh),
        rr=total(codes.rr),
        hr=total(codes.hr),
        ee=total(codes.ee),
        cosine=total(cosine),
        norm_ratio=total(ratio),
        l0=total(np.diff(codes.indptr)),
        sum_h=sum_h,
        fired=fired,
    ).without_empty_parts()


def _features(position: int, value: float, n: int) -> Floats:
    if position == 0:
        return np.full(D_SAE, 50.0)
    fixed = [value, 1.0, 2.0 * (position == 1), 0.5 * (position % 3 == 0), 0.0]
    return np.array([*fixed, *_chance(n)])


@cache
def _chance(n: int) -> tuple[float, ...]:
    """Three features that fire by chance on a fifth of all tokens; the n-th tokens of all toys are alike."""
    picked = np.random.default_rng(n).random(3)
    return tuple(np.where(picked < 0.2, picked * 4, 0.0).tolist())


def _offsets(token: Sequence[str], position: Any) -> tuple[Any, Any]:
    """Where each token stands in its prompt's text, which is the tokens joined by spaces; -1 for <bos>."""
    start, end, at = [], [], 0
    for text, place in zip(token, position, strict=True):
        if place == 0:
            at = 0
            start.append(-1)
            end.append(-1)
            continue
        start.append(at)
        end.append(at + len(text))
        at += len(text) + 1
    return np.array(start, np.int32), np.array(end, np.int32)


def _prompt_set(role: str, given: Sequence[Row]) -> PromptSet:
    return PromptSet(role, tuple(_prompt(one, f"own{i}") for i, one in enumerate(given)))


def _prompt(one: Row, name: str) -> Prompt:
    text, marks = "", []
    for token, _ in one:
        plain = token.replace("[[", "").replace("]]", "")
        begin = len(text) + (1 if text else 0)
        text = f"{text} {plain}" if text else plain
        if token.startswith("[["):
            marks.append((begin, len(text)))
    own = " ".join(f"{name}{'x' * place}" for place in range(len(one) + 1))
    return Prompt(f"{text} {own}", tuple(marks))
