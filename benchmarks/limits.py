"""How often a claim is met, by the truth behind it: each rule that holds a bound by a limit, through the judge itself.

    .venv/bin/python benchmarks/limits.py [--draws 400] [--only fires_more]

Prompts are drawn from a seed and judged as toy codes, one claim a draw, at alpha .05. A truth on the bound should be
met in at most .05 of the draws, up to the error of a simulation (.011 at 400); the other truths show power.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from measuring import write
from scipy.stats import norm

from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.expectations.toy import Row, evidence_of_rows
from harness.verdict import Outcome

CLAIM = Claim(feature=0)
DESIGNS = ((5, 5), (8, 8), (10, 10), (10, 40), (20, 20), (24, 168))
Cell = dict[str, Any]
_WORDS = count()


def prompt(values: Sequence[float], marked: int | None = None) -> Row:
    """A prompt of words that no other prompt has; the feature takes these values on its tokens."""
    words = [f"w{next(_WORDS)}" for _ in values]
    return tuple(
        (f"[[{w}]]" if i == marked else w, float(v)) for i, (w, v) in enumerate(zip(words, values, strict=True))
    )


def met(kind: str, evidence: Evidence, **fields: Any) -> bool:
    names = {role: role for role in evidence.sets}
    return kinds()[kind].model_validate(names | fields).judge(evidence, CLAIM).outcome is Outcome.MET


def share(draws: int, one: Callable[[np.random.Generator], bool]) -> float:
    rng = np.random.default_rng(0)
    return sum(one(rng) for _ in range(draws)) / draws


def two_sets(rng: np.random.Generator, auroc: float, n_pos: int, n_neg: int, silent: float = 0.0) -> Evidence:
    """Normal scores that tell the sets apart with this AUROC; a share of the prompts of both is silent."""
    shift = np.sqrt(2) * norm.ppf(auroc)
    sides = [np.exp(rng.normal(at, 1, n)) * (rng.random(n) >= silent) for at, n in ((shift, n_pos), (0, n_neg))]
    a, b = ([prompt([v]) for v in side] for side in sides)
    return evidence_of_rows(prompts=a, than=b)


def fires_more(draws: int) -> Iterator[Cell]:
    """At the default bound of .7, by the true AUROC."""
    for n_pos, n_neg in DESIGNS:
        for auroc in (0.5, 0.7, 0.85, 0.9, 0.95):
            found = share(draws, lambda rng: met("fires_more", two_sets(rng, auroc, n_pos, n_neg)))  # noqa: B023
            yield {"kind": "fires_more", "n": f"{n_pos} v {n_neg}", "truth": auroc, "met": found}


def fires_at(draws: int) -> Iterator[Cell]:
    """At the default bound of .7: six tokens a prompt, one of them marked, which is the strongest in a share of the
    prompts, and takes a random rank in the others."""
    for n in (9, 14, 20, 29):
        for auroc in (0.7, 0.9, 0.97):
            right = 2 * auroc - 1

            def one(rng: np.random.Generator, n: int = n, right: float = right) -> bool:
                rows = []
                for _ in range(n):
                    values = rng.random(6)
                    values[2] = 2 if rng.random() < right else values[2]
                    rows.append(prompt(values.tolist(), marked=2))
                return met("fires_at", evidence_of_rows(prompts=rows))

            yield {"kind": "fires_at", "n": str(n), "truth": auroc, "met": share(draws, one)}


RULES: dict[str, Callable[[int], Iterator[Cell]]] = {"fires_more": fires_more, "fires_at": fires_at}


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """One row a design, one column a truth, as docs/statistics.md has it."""
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        mine = [cell for cell in cells if cell["kind"] == kind]
        truths = list(dict.fromkeys(cell["truth"] for cell in mine))
        yield f"| {kind}: n | " + " | ".join(f"true {t:g}" for t in truths) + " |"
        yield "|---" * (len(truths) + 1) + "|"
        for n in dict.fromkeys(cell["n"] for cell in mine):
            yield f"| {n} | " + " | ".join(f"{c['met']:.3f}" for c in mine if c["n"] == n) + " |"
        yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--only", choices=sorted(RULES), nargs="*", default=sorted(RULES))
    args = parser.parse_args()
    cells = [cell for name in args.only for cell in RULES[name](args.draws)]
    print("\n".join(table(cells)))
    write("limits", {"draws": args.draws, "cells": cells})


if __name__ == "__main__":
    main()
