"""Warm runs of this tree beside those of an earlier commit, in turns: what proofs, probes and sinks cost a run that
reads nothing.

    .venv/bin/python benchmarks/since.py [--commit 65189ae] [--specs 320] [--rounds 5]

The earlier tree is checked out in a temporary folder. Both have the prompts of the standard workload and the same
claims, of the kinds whose grammar has not changed, and a store of their own that one run has filled. Then their runs
take turns: with the verdicts of the run before, and with all claims judged anew from the same evidence. The default
commit is the last before SAEs were read as they were trained.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from measuring import PYTEST, ROOT, Timed, command, in_turns, least, write
from workload import KINDS, write_claims

SAME = ("density", "fire_rate", "fires_more", "reconstruction", "selective", "silent_on", "sparsity")
BEFORE = "65189ae"


def made(tree: Path, root: Path, specs: int, prompts: int) -> Path:
    """A project of the standard workload with a tree's harness in it, its store filled."""
    script = [sys.executable, str(tree / "benchmarks/workload.py"), str(root)]
    env = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run([*script, "--specs", "1", "--prompts", str(prompts)], check=True, capture_output=True, env=env)
    write_claims(root / "specs/generated", specs, [kind for kind in KINDS if kind.partition(":")[0] in SAME])
    for _ in range(2):  # the second compiles nothing and reads nothing
        run(tree, root)
    return root


def run(tree: Path, root: Path, anew: bool = False) -> Timed:
    """pytest in a project with this tree's harness; anew: without the verdicts of earlier runs."""
    store = root / "store.sqlite"
    if anew:
        with closing(sqlite3.connect(store)) as kept, kept:
            kept.execute("DELETE FROM verdicts")
    env = {"INTERP_STORE": str(store), "INTERP_CACHE": str(root / "cache"), "PYTHONPATH": str(tree)}
    return command(PYTEST, root, HF_HUB_OFFLINE="1", **env)


def measure(commit: str, specs: int, prompts: int, rounds: int) -> dict[str, Any]:
    """The least of the rounds for each way, and today's over the earlier one's CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(tree), commit], check=True, capture_output=True)
        try:
            trees = {"before": tree, "now": ROOT}
            roots = {when: made(trees[when], folder / when, specs, prompts) for when in trees}
            ways = {
                f"{what}, {when}": partial(run, trees[when], roots[when], what == "judged anew")
                for what in ("warm", "judged anew")
                for when in trees
            }
            found = {way: least(times) for way, times in in_turns(rounds, ways).items()}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=False, capture_output=True)
    ratios = {
        f"{what}, now / before": found[f"{what}, now"]["cpu_s"] / found[f"{what}, before"]["cpu_s"]
        for what in ("warm", "judged anew")
    }
    return {"commit": commit, "specs": specs, "prompts": prompts, "rounds": rounds, **found, **ratios}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default=BEFORE)
    parser.add_argument("--specs", type=int, default=320)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    write("since", measure(given.commit, given.specs, given.prompts, given.rounds))
