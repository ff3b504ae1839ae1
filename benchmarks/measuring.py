"""What every benchmark shares: seconds of a call or a command, runs in turns, and the JSON of the figures."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "transformers", "sae-lens", "numpy", "pytest")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
EMPTY = "import pytest\n\n@pytest.mark.parametrize('i', range({n}))\ndef test_nothing(i):\n    pass\n"


@dataclass(frozen=True, slots=True)
class Timed:
    """Wall and CPU seconds of one call or command."""

    wall: float
    cpu: float


def timed(call: Callable[[], Any]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Timed(time.perf_counter() - wall, time.process_time() - cpu)


def command(words: Sequence[str], cwd: Path, **env: str) -> Timed:
    """One command in a process of its own; ends the benchmark where it fails.

    It may write byte code, as it does for anyone: without that every start compiles pytest anew, which would double
    the time of the empty tests and flatter whatever stands beside them.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=cwd, env={**inherited, **env}, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-1000:])
    return Timed(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def interp(root: Path, *words: str) -> Timed:
    """`interp` of this tree in a generated project."""
    return command([sys.executable, "-m", "harness", *words], root, **env_of(root))


def gate(root: Path, *options: str) -> Timed:
    """pytest in a generated project, with a store of its own."""
    return command([*PYTEST, *options], root, **env_of(root))


def env_of(root: Path) -> dict[str, str]:
    return {"INTERP_STORE": str(root / "store.sqlite"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def empty_tests(root: Path, n: int) -> Timed:
    """pytest on n empty parametrised tests, in a folder of its own."""
    folder = root / f"empty-{n}"
    folder.mkdir(exist_ok=True)
    (folder / "test_empty.py").write_text(EMPTY.format(n=n), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return command(PYTEST, folder)


def in_turns(rounds: int, ways: Mapping[str, Callable[[], Timed]]) -> dict[str, list[Timed]]:
    """Every way once a round, the ways taking turns, since other work comes and goes."""
    found: dict[str, list[Timed]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def least(times: Sequence[Timed]) -> dict[str, float]:
    return {"wall_s": min(t.wall for t in times), "cpu_s": min(t.cpu for t in times)}


def write(name: str, figures: dict[str, Any]) -> None:
    """benchmarks/results/<name>.json, and the same on the screen."""
    about = {
        "versions": {library: version(library) for library in LIBRARIES},
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    text = json.dumps({**figures, **about}, indent=1) + "\n"
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / f"benchmarks/results/{name}.json").write_text(text)
    print(text)
