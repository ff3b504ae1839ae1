"""Mutation of our own statistics, verdicts and planner: which changed lines no test notices.

    .venv/bin/python benchmarks/mutation.py [--folder FOLDER] [--only PATTERN] [--processes 2] [--sum-up]

mutmut changes one thing at a time in harness/stats/, harness/verdict.py and harness/planning.py, and runs the tests
that reach it. It works in a copy of the checkout's tracked files, whose Hypothesis tries 20 examples, the same ones
each time. --folder keeps the copy, so that a run can go on where it was stopped; --only takes mutmut's patterns
(`harness.stats.auroc*`); --sum-up runs nothing, and writes what the folder has. A mutant that never ends counts as
killed, one that no test reaches as survived.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from measuring import ROOT, write

MUTATED = ("harness/stats/*.py", "harness/stats/**/*.py", "harness/verdict.py", "harness/planning.py")
TESTS = (
    "stats_auroc stats_company stats_edges stats_fidelity stats_intervals stats_multiplicity stats_power "
    "stats_ranking stats_transfer stats_transfer_edges stats_units stats_within verdict planning warm census keys "
    "kinds kinds_rules kinds_transfer heldout outlook edits noise failure_text"
).split()
# Tests that start another interpreter or load a model: minutes for what the others find in seconds.
LONG = (
    "end_to_end two_shards_merged what_cannot_be_read_is_told what_mutants_read_is_read judged_again_in_float32 "
    "calibrate calibrated figures_that_cannot"
).split()
# mutmut runs each mutant in a fork of the process that ran the tests before: what that remembered hides the mutant.
FEWER_EXAMPLES = """
import functools  # noqa: E402
import gc  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("mutants", max_examples=20, derandomize=True, database=None, deadline=None)
settings.load_profile("mutants")


@pytest.fixture(autouse=True, scope="session")
def nothing_remembered():
    for one in gc.get_objects():
        if type(one) is functools._lru_cache_wrapper and str(one.__module__).startswith("harness."):
            one.cache_clear()
"""
KILLED = ("killed", "timeout", "segfault", "caught by type check")  # in mutmut's words
UNTRIED = ("not checked", "check was interrupted by user")


def prepare(folder: Path) -> None:
    """The copy and mutmut's settings; what is there already is brought up to date, so that a run can go on."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    with (folder / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(FEWER_EXAMPLES)
    (folder / "setup.cfg").write_text(settings(), encoding="utf-8")


def settings() -> str:
    listed = {
        "source_paths": ["harness/"],
        "only_mutate": MUTATED,
        "also_copy": ["interp_tests", "conftest.py", "pytest.ini", "specs", "docs"],
        "pytest_add_cli_args_test_selection": [f"interp_tests/test_{name}.py" for name in TESTS],
        "pytest_add_cli_args": [
            "-m",
            "not slow",
            "-k",
            " and ".join(f"not {n}" for n in LONG),
            "-p",
            "no:cacheprovider",
        ],
    }
    lines = [f"{name}=\n    " + "\n    ".join(values) for name, values in listed.items()]
    plain = ["timeout_constant=30.0", "timeout_multiplier=30.0"]
    return "\n".join(["[mutmut]", *lines, *plain, "use_git_change_detection=false", "track_dependencies=false", ""])


def mutate(folder: Path, processes: int, only: list[str]) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *only]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    if subprocess.run(command, cwd=folder, env=env, check=False).returncode:
        sys.exit("mutmut did not end well; what it tried so far stays in the folder")


def summed_up(folder: Path) -> dict[str, Any]:
    """Per module and in all: mutants tried, killed, of these by time, survived, reached by no test; share killed."""
    from mutmut.stats import status_by_exit_code

    modules = {}
    for meta in sorted((folder / "mutants/harness").rglob("*.py.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].values()
        if fates := Counter(status_by_exit_code[code] for code in codes):
            modules[meta.relative_to(folder / "mutants").as_posix().removesuffix(".meta")] = fates
    whole: Counter[str] = sum(modules.values(), Counter())
    return {"whole (bar .9)": figures(whole), "modules": {name: figures(one) for name, one in modules.items()}}


def figures(fates: Counter[str]) -> dict[str, Any]:
    tried = fates.total() - sum(fates[word] for word in UNTRIED)
    killed = sum(fates[word] for word in KILLED)
    return {
        "tried": tried,
        "killed": killed,
        "by_time": fates["timeout"],
        "survived": tried - killed,
        "no_test": fates["no tests"],
        "killed_share": round(killed / tried, 4) if tried else None,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sum-up", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        place = given.folder or Path(made)
        place.mkdir(parents=True, exist_ok=True)
        if not given.sum_up:
            prepare(place)
            mutate(place, given.processes, given.only)
        write("mutation", summed_up(place))
