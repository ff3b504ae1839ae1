"""Wall times of the gate, cold and warm, each beside something to compare it with, in one run.

    .venv/bin/python benchmarks/wall_times.py [--suite tiny-gemma2]

A cold run reads everything into an empty store; a warm run judges from it. Beside them stands pytest on as many
empty parametrised tests, which is what any run costs. Figures go to benchmarks/results/wall_times.json with versions
and the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from measuring import ROOT, empty_tests


def seconds(command: list[str], cwd: Path, **env: str) -> tuple[float, str]:
    """Wall seconds of one command and its last line."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env={**inherited, **env}, capture_output=True, text=True, check=False)
    return time.perf_counter() - began, (done.stdout.splitlines() or [""])[-1]


def gate(store: Path, select: str) -> tuple[float, str]:
    gate = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", select]
    return seconds(gate, ROOT, INTERP_STORE=str(store))


def measure(select: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        cold, last = gate(store, select)
        warm = min(gate(store, select)[0] for _ in range(3))
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-k", select], cwd=ROOT, capture_output=True, text=True
    )
    n = sum("::test_spec[" in line for line in collected.stdout.splitlines())
    with tempfile.TemporaryDirectory() as folder:
        empty = min(empty_tests(Path(folder), n).wall for _ in range(3))
    return {
        "specs": n,
        "cold_s": round(cold, 2),
        "warm_s": round(warm, 2),
        "empty_pytest_s": round(empty, 2),
        "warm_over_empty": round(warm / empty, 2),
        "cold_over_warm": round(cold / warm, 1),
        "last_line": last,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", help="a -k expression; default: each subject's folder")
    suites = parser.parse_args().suite or sorted(p.name for p in (ROOT / "specs").iterdir() if is_subject(p))
    figures = {suite: measure(suite) for suite in suites}
    for suite, row in figures.items():
        print(suite, json.dumps(row))
    versions = {name: version(name) for name in ("torch", "transformers", "sae-lens", "pytest")}
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    document = {"figures": figures, "versions": versions, "machine": machine}
    (ROOT / "benchmarks/results/wall_times.json").write_text(json.dumps(document, indent=2) + "\n")


def is_subject(path: Path) -> bool:
    return path.is_dir() and path.name not in ("prompts", "images", "measured")


if __name__ == "__main__":
    main()
