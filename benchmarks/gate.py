"""A warm `pytest` of the standard workload beside pytest on as many empty tests, and what one more spec costs.

    .venv/bin/python benchmarks/gate.py [--rounds 3]

The workload is read once (`interp warm`), judged once, and its numbers accepted as baselines; then warm runs, runs that
judge all claims anew from the same evidence (the store's verdicts are deleted before each) and empty tests take turns.
One more spec: 1,000 claims against 2,000 on the same prompts and pairs of sets, less the same slope of empty tests;
claims of all kinds, then of fires_more alone; judged anew, and with its verdict kept. A run in a process that looks
afterwards says whether torch was imported.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from measuring import PYTEST, Timed, empty_tests, env_of, gate, in_turns, interp, least, write
from workload import KINDS, write_claims, write_project

IMPORTS = "import pytest, sys; pytest.main({words!r}); print('torch' in sys.modules)"


def warmed(root: Path, specs: int, kinds: Sequence[str] = KINDS) -> Path:
    """The claims of a project made anew, everything read, judged once and accepted."""
    write_claims(root / "specs/generated", specs, kinds)
    interp(root, "warm")
    gate(root)
    if any(kind.startswith("unchanged") for kind in kinds):
        interp(root, "accept", "latest")
    return root


def imports_torch(root: Path) -> bool:
    words = [sys.executable, "-c", IMPORTS.format(words=list(PYTEST[3:]))]
    done = subprocess.run(words, cwd=root, env=env_of(root), capture_output=True, text=True, check=True)
    return done.stdout.rstrip().endswith("True")


def anew(root: Path) -> Timed:
    """A run that finds all evidence in the store, and no verdict."""
    with closing(sqlite3.connect(env_of(root)["INTERP_STORE"])) as store, store:
        store.execute("DELETE FROM verdicts")
    return gate(root)


def beside_empty(root: Path, n: int, rounds: int) -> dict[str, dict[str, float]]:
    gate(root)  # what was accepted as baselines changed some claims
    ways = {"warm": lambda: gate(root), "empty": lambda: empty_tests(root, n), "judged anew": lambda: anew(root)}
    times = in_turns(rounds, ways)
    return {name: least(some) for name, some in times.items()}


def one_more(few: dict[str, dict[str, float]], many: dict[str, dict[str, float]], n: int) -> dict[str, float]:
    """Milliseconds of CPU that each of the last n claims costs, and each empty test."""
    names = ("judged anew", "warm", "empty")
    claim, kept, test = (1000 * (many[name]["cpu_s"] - few[name]["cpu_s"]) / n for name in names)
    return {
        "claim_ms": claim,
        "kept_ms": kept,
        "empty_ms": test,
        "over_ms (bar 1)": claim - test,
        "kept_over_ms": kept - test,
    }


def measure(rounds: int) -> dict[str, Any]:
    only = [kind for kind in KINDS if kind.startswith("fires_more")]
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "project"
        write_project(root)
        for name, n, kinds in (("fires_more", 1000, only), ("fires_more", 2000, only), ("all kinds", 1000, KINDS)):
            found[f"{n} {name}"] = beside_empty(warmed(root, n, kinds), n, rounds)
        torch = imports_torch(root)
        found["2000 all kinds"] = beside_empty(warmed(root, 2000), 2000, rounds)
    standard = found["1000 all kinds"]
    return {
        "seconds": found,
        "warm / empty (bar 2.5)": standard["warm"]["cpu_s"] / standard["empty"]["cpu_s"],
        "judged anew / empty": standard["judged anew"]["cpu_s"] / standard["empty"]["cpu_s"],
        "imports_torch": torch,
        "one more": {
            name: one_more(found[f"1000 {name}"], found[f"2000 {name}"], 1000) for name in ("all kinds", "fires_more")
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    write("gate", measure(parser.parse_args().rounds))
