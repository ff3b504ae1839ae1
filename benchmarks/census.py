"""The census of 16,384 features between two models, beside the source notebook's loop over features; the same classes.

    .venv/bin/python benchmarks/census.py [--repeats 5]

Codes are drawn from a seed, in the notebook's own amounts: 24 prompts of 10 tokens in two models, 15 pictures of 266
tokens (256 of them the picture's), 70 features a token as a published SAE has them, some features living in one
condition only. Classifying is timed from the sparse codes, with the notebook's rule on both sides. The notebook gets
its dense tensors for free. Beside the whole stand its loop alone and the sums that precede it. census_of does more
(aligned classes, fidelity, examples): it is timed for itself.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from measuring import least, timed, write
from numpy.typing import NDArray

from harness.census import census_of
from harness.codes import Codes, Kind
from harness.stats.transfer.conditions import condition
from harness.stats.transfer.ratio import RATIO_CLASSES, ratio_of_means

D_SAE, PER_TOKEN = 16_384, 70
TEXT, PICTURES = (24, 10), (15, 266)  # prompts, tokens of each
NAMED = ("stable", "shifted", "new_vision", "new_text")
Dense = NDArray[np.float32]


def drawn(random: np.random.Generator) -> tuple[Dense, Dense, Dense]:
    """Dense codes of the base on text, the adapted model on the same text, and the adapted one on pictures."""
    share = random.pareto(1.0, D_SAE)
    rate = np.minimum(share * PER_TOKEN / share.sum(), 0.9)
    lives = random.choice(4, D_SAE, p=[0.7, 0.1, 0.1, 0.1])  # everywhere, not in the base, on pictures only, nowhere
    scale = random.lognormal(0, 0.7, D_SAE)

    def codes(size: tuple[int, int], alive: NDArray[np.bool_], strength: NDArray[np.float64]) -> Dense:
        tokens = size[0] * size[1]
        fires = random.random((tokens, D_SAE), np.float32) < rate * alive
        return (fires * random.exponential(2.0, (tokens, D_SAE)) * strength).astype(np.float32)

    return (
        codes(TEXT, lives == 0, np.ones(D_SAE)),
        codes(TEXT, lives <= 1, scale),
        codes(PICTURES, lives <= 2, scale),
    )


def sparse(dense: Dense, kind: Kind, prompts: int) -> Codes:
    """The same as codes of prompts of one length; the SAE's residuals play no part here and are of width 1."""
    n = len(dense)
    token, feature = np.nonzero(dense)
    zeros, ones = np.zeros(n, np.int32), np.ones(n)
    return Codes(
        indptr=np.r_[0, np.cumsum(np.count_nonzero(dense, axis=1))].astype(np.int64),
        index=feature.astype(np.int32),
        value=dense[token, feature],
        prompt=(np.arange(n) * prompts // n).astype(np.int32),
        position=zeros, token_id=zeros, token=("",) * n, start=zeros, end=zeros, kind=np.full(n, kind, np.uint8),
        hh=2 * ones, rr=ones, hr=ones, ee=ones, sum_h=np.zeros((prompts, len(Kind), 1)),
        sink=np.zeros(n, bool), sink_h=np.zeros((0, 1), np.float32), d_sae=D_SAE,
    )  # fmt: skip


def ours(base: Codes, adapted: Codes, images: Codes) -> dict[str, list[int]]:
    sides = [condition(codes, codes.counted("all")) for codes in (base, adapted, images)]
    classes = ratio_of_means(*sides).classes
    return {name: np.flatnonzero(classes == RATIO_CLASSES.index(name)).tolist() for name in NAMED}


def as_the_notebook(dense: tuple[torch.Tensor, ...]) -> dict[str, list[int]]:
    return looped(*summed(dense))


def summed(dense: tuple[torch.Tensor, ...]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Transcribed: the share of tokens over .1 and the mean, of every feature, in each condition."""
    return [(codes > 0.1).float().mean(dim=0) for codes in dense], [codes.mean(dim=0) for codes in dense]


def looped(active: list[torch.Tensor], mean: list[torch.Tensor]) -> dict[str, list[int]]:
    """Transcribed: one feature after the other, six numbers taken out of tensors for each, also of dead ones."""
    found: dict[str, list[int]] = {name: [] for name in NAMED}
    for feature in range(active[0].shape[0]):
        share = [one[feature].item() for one in active]
        g, t, m = (one[feature].item() for one in mean)
        in_base, in_text, in_pictures = (one > 0.01 for one in share)
        if not (in_base or in_text or in_pictures):
            continue
        if in_pictures and not in_base and m > g * 3:
            found["new_vision"].append(feature)
            continue
        if in_text and not in_base and t > g * 3:
            found["new_text"].append(feature)
            continue
        if in_base and in_text:
            ratio = min(g, t) / max(g, t) if max(g, t) > 0 else 0
            if ratio > 0.7:
                found["stable"].append(feature)
            elif ratio > 0.3:
                found["shifted"].append(feature)
    return found


def measure(repeats: int) -> dict[str, Any]:
    dense = drawn(np.random.default_rng(0))
    tensors = tuple(torch.from_numpy(one) for one in dense)
    sorts = ((Kind.TEXT, TEXT[0]), (Kind.TEXT, TEXT[0]), (Kind.IMAGE, PICTURES[0]))
    codes = [sparse(one, *sort) for one, sort in zip(dense, sorts, strict=True)]
    found, theirs = ours(*codes), as_the_notebook(tensors)
    if found != theirs:
        raise SystemExit("the classes differ: nothing here can be compared")
    sums = summed(tensors)
    ways = {
        "ours": lambda: ours(*codes),
        "notebook": lambda: as_the_notebook(tensors),
        "its sums": lambda: summed(tensors),
        "its loop": lambda: looped(*sums),
        "census_of": lambda: census_of(*codes, method="ratio_of_means"),
        "census_of aligned": lambda: census_of(*codes),
    }
    seconds = {name: least([timed(way) for _ in range(repeats)]) for name, way in ways.items()}
    wall = {name: one["wall_s"] for name, one in seconds.items()}
    return {
        "features": D_SAE,
        "nonzero": [len(one.index) for one in codes],
        "classes": {name: len(features) for name, features in found.items()},
        "same_classes": True,
        "seconds": seconds,
        "notebook / ours (bar 200)": wall["notebook"] / wall["ours"],
        "its loop / ours": wall["its loop"] / wall["ours"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    write("census", measure(parser.parse_args().repeats))
