"""Hours of cold and warm runs: memory, open files and threads of a process that goes on, and of the runs it starts.

    .venv/bin/python benchmarks/soak.py [--minutes 60]

One process reads and judges a suite on tiny-gemma2 again and again, as a notebook or a service would: a cold store
every round, then the same store warm. Every tenth round pytest runs a suite in a process of its own, over one store
and one reports/ that stay, as on a self-hosted runner: its largest memory and the size of what it leaves. Figures go
to benchmarks/results/soak.json: each round's, and what a line through the second half says of an hour's growth.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, write
from workload import write_project

from harness.language.specs import load
from harness.session import open_session
from harness.store import Store

CLAIMS, PROMPTS, EVERY = 60, 200, 10


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=60)
    minutes = asked.parse_args().minutes
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root / "project", CLAIMS, PROMPTS)
        rounds, runs = soak(root, minutes * 60)
    write("soak", summary(rounds, runs))


def soak(root: Path, seconds: float) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    began, rounds, runs = time.monotonic(), [], []
    while time.monotonic() < began + seconds:
        with tempfile.TemporaryDirectory(dir=root) as cold:
            judged = [judge(root / "project", Path(cold)) for _ in ("cold", "warm")]
        if judged[0] != judged[1]:
            sys.exit("a warm run judged otherwise than the cold one before it")
        rounds.append({"at_s": time.monotonic() - began, **held()})
        if len(rounds) % EVERY == 1:
            runs.append({"at_s": time.monotonic() - began, **run_of_pytest(root / "project")})
    return rounds, runs


def judge(project: Path, folder: Path) -> list[str]:
    """Every claim of the project, in this process; cold where the folder holds no store yet."""
    with contextlib.chdir(project):
        specs = [spec for spec in load(project).items if hasattr(spec, "needs")]
        store = Store(folder / "store.sqlite")
        shared = Path(tempfile.mkdtemp(dir=folder))
        session = open_session(specs, store, shared, lambda spec: True, lambda line: None)
        words = [session.record(spec).verdict.word for spec in specs]
        store.close()
    return words


def held() -> dict[str, float]:
    """Resident MB, open files and threads of this process, after what can be freed was."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return {"mb": pages * resource.getpagesize() / 2**20, "files": files, "threads": threading.active_count()}


def run_of_pytest(project: Path) -> dict[str, float]:
    """One run as CI starts it: its peak MB, and the MB of the store and of reports/ after it."""
    env = {**os.environ, "INTERP_STORE": str(project / "store.sqlite"), "PYTHONPATH": str(ROOT)}
    code = "import re, sys, pytest; code = pytest.main(['-q', '-p', 'no:cacheprovider'])\n"  # ru_maxrss outlives exec
    code += (
        "print('peak', int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):  # claims of the workload may be unmet
        sys.exit(done.stdout[-3000:] + done.stderr[-1000:])
    peak = float(done.stdout.rsplit("peak ", 1)[1])
    reports = sum(path.stat().st_size for path in (project / "reports").rglob("*") if path.is_file())
    store = sum(path.stat().st_size for path in project.glob("store.sqlite*"))
    return {"peak_mb": peak, "reports_mb": reports / 2**20, "store_mb": store / 2**20}


def summary(rounds: list[dict[str, float]], runs: list[dict[str, float]]) -> dict[str, Any]:
    settled = rounds[len(rounds) // 2 :]
    return {
        "minutes": round(rounds[-1]["at_s"] / 60, 1),
        "cold_and_warm_rounds": len(rounds),
        "pytest_runs": len(runs),
        "growth_per_hour_of_second_half": {name: per_hour(settled, name) for name in ("mb", "files", "threads")},
        "first": rounded(rounds[0]),
        "middle": rounded(settled[0]),
        "last": rounded(rounds[-1]),
        "highest_mb": round(max(one["mb"] for one in rounds), 1),
        "pytest": [rounded(one) for one in runs],
    }


def per_hour(rounds: list[dict[str, float]], name: str) -> float:
    """Slope of a least-squares line, times an hour; of fewer than 3 rounds there is none."""
    if len(rounds) < 3:
        return float("nan")
    return round(float(np.polyfit([one["at_s"] for one in rounds], [one[name] for one in rounds], 1)[0]) * 3600, 3)


def rounded(one: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in one.items()}


if __name__ == "__main__":
    main()
