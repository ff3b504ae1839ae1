"""`interp check` of the standard workload beside yaml.CSafeLoader parsing the same files, and its peak memory.

    .venv/bin/python benchmarks/check.py [--rounds 5]

The start-up is that of `interp check` on a project with one claim, since with none it would not even import the kinds
(both are written down). The loader parses the 100 files with the
1,000 specs (the bar's denominator), and, for what else `check` reads, the files of prompts and subjects as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from measuring import ROOT, env_of, in_turns, interp, least, timed, write
from workload import write_claims, write_project

PROMPTS = "prompts:\n  s00:\n" + "".join(f"    - A red ball number {n}.\n" for n in range(20))


def parse(files: list[Path]) -> None:
    for file in files:
        yaml.load(file.read_bytes(), yaml.CSafeLoader)


def small_project(root: Path, like: Path, claims: int) -> Path:
    """The subjects of a project, its prompts, and at most one claim."""
    (root / "specs").mkdir(parents=True)
    shutil.copy(like / "specs/subjects.yaml", root / "specs")
    (root / "harness").symlink_to(ROOT / "harness")
    if claims:
        write_claims(root / "specs/generated", claims)
        (root / "specs/prompts").mkdir()
        (root / "specs/prompts/plain.yaml").write_text(PROMPTS, encoding="utf-8")
    return root


def peak_mb(root: Path) -> float:
    """Peak resident memory of one `interp check`, by a process that has no other child."""
    inner = (
        "import resource, subprocess, sys; "
        "subprocess.run([sys.executable, '-m', 'harness', 'check'], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", inner], cwd=root, env={**os.environ, **env_of(root)}, capture_output=True, check=True
    )
    return int(done.stdout) / 1024


def measure(rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        full = Path(made) / "full"
        write_project(full)
        empty, one = (small_project(Path(made) / str(n), full, n) for n in (0, 1))
        specs = sorted((full / "specs/generated").glob("*.yaml"))
        everything = [*specs, *sorted((full / "specs/prompts").glob("*.yaml")), full / "specs/subjects.yaml"]
        ways = {
            "check": lambda: interp(full, "check"),
            "check of nothing": lambda: interp(empty, "check"),
            "check of one claim": lambda: interp(one, "check"),
            "loader, specs": lambda: timed(lambda: parse(specs)),
            "loader, all files": lambda: timed(lambda: parse(everything)),
        }
        in_turns(1, ways)  # byte code, and files into the cache
        seconds = {name: least(times) for name, times in in_turns(rounds, ways).items()}
        memory = peak_mb(full)
    own = seconds["check"]["cpu_s"] - seconds["check of one claim"]["cpu_s"]
    return {
        "seconds": seconds,
        "check less start-up / loader, specs (bar 5)": own / seconds["loader, specs"]["cpu_s"],
        "check less start-up / loader, all files": own / seconds["loader, all files"]["cpu_s"],
        "peak_mb (bar 150)": memory,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    write("check", measure(parser.parse_args().rounds))
