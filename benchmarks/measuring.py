"""What every benchmark shares: seconds of a call, and the JSON of its figures, with versions and the machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "transformers", "sae-lens", "numpy", "pytest")


@dataclass(frozen=True, slots=True)
class Timed:
    """Wall and CPU seconds of one call."""

    wall: float
    cpu: float


def timed(call: Callable[[], Any]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Timed(time.perf_counter() - wall, time.process_time() - cpu)


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
