"""AUROC of all 16,384 features over 200 prompts, then with p; on one core.

    .venv/bin/python benchmarks/auroc.py [--repeats 5]

Codes are drawn from a seed with the sparsity of a published SAE: about 70 features a token on 30 tokens a prompt, a few
frequent features and very many rare ones, pooled by max, 100 prompts against 100. p is the exact rank-sum p of each
feature, its null distributions remembered by tie pattern (features that are silent on as many prompts share one); where
counting would take longer than 50 against 50 does, it is the corrected normal p, as for any claim.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from measuring import least, timed, write

from harness.codes import Pooled
from harness.stats.auroc import auroc_of_all
from harness.stats.permutation import null_distribution, rank_sum, stratified_p

D_SAE, PROMPTS, TOKENS, PER_TOKEN = 16_384, 200, 30, 70


def drawn(random: np.random.Generator) -> tuple[Pooled, Pooled]:
    """Both sides, 100 prompts each; a tenth of the features fires twice as often on the first."""
    share = random.pareto(1.0, D_SAE)
    rate = np.minimum(share * PER_TOKEN / share.sum(), 0.9)  # chance to fire on a token
    sides = []
    for more in (2.0, 1.0):
        tilt = np.where(np.arange(D_SAE) % 10 == 0, more, 1.0)
        on = random.random((PROMPTS // 2, D_SAE)) < 1 - (1 - np.minimum(rate * tilt, 0.95)) ** TOKENS
        sides.append(Pooled.from_dense(on * random.lognormal(0, 1, on.shape)))
    return sides[0], sides[1]


def p_of_all(positive: Pooled, negative: Pooled) -> list[float]:
    """The p of each feature that fires, forgetting first what earlier calls remembered."""
    null_distribution.cache_clear()
    live = np.flatnonzero(np.diff(positive.ptr) + np.diff(negative.ptr))
    return [stratified_p([rank_sum(positive.column(f), negative.column(f))]).value for f in live]


def measure(repeats: int) -> dict[str, Any]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    positive, negative = drawn(np.random.default_rng(0))
    ways = {
        "auroc": lambda: auroc_of_all(positive, negative),
        "auroc and p": lambda: (auroc_of_all(positive, negative), p_of_all(positive, negative)),
    }
    seconds = {name: least([timed(way) for _ in range(repeats)]) for name, way in ways.items()}
    fires = np.diff(positive.ptr) + np.diff(negative.ptr)
    return {
        "features": D_SAE,
        "prompts": PROMPTS,
        "live": int((fires > 0).sum()),
        "nonzero": int(fires.sum()),
        "null distributions": null_distribution.cache_info()._asdict(),
        "seconds": seconds,
        "bars": {"auroc": 0.5, "auroc and p": 2.0},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    write("auroc", measure(parser.parse_args().repeats))
