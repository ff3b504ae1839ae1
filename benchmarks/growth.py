"""How a cold run's cost grows: ten times the specs on the same prompts, ten times the prompts under the same specs.

    .venv/bin/python benchmarks/growth.py

The standard workload with 100, 316 and 1,000 specs on 600 prompts, then 100 specs on 200, 640 and 2,000 prompts, each
from an empty store: `interp warm` (reading) and then `pytest` (judging), CPU seconds. 100 specs compare half of the 20
sets, so they read half of the prompts. Start-up (imports, the model's load) is in both. Figures go to
benchmarks/results/growth.json and benchmarks/figures/growth.svg.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import ROOT, gate, interp, write
from workload import write_project

SPECS, PROMPTS = (100, 316, 1000), (200, 640, 2000)  # prompts in 20 sets of one size
OF_SPECS, OF_PROMPTS = 600, 100


def cold(specs: int, prompts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "project"
        write_project(root, specs, prompts)
        return {"specs": specs, "prompts": prompts, "reading_s": interp(root, "warm").cpu, "judging_s": gate(root).cpu}


def plot(figures: dict[str, list[dict[str, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for ax, (what, points) in zip(axes, figures.items(), strict=True):
        x = [point[what] for point in points]
        total = [point["reading_s"] + point["judging_s"] for point in points]
        ax.loglog(x, total, "o-", color="black", label="cold run")
        ax.loglog(x, [p["reading_s"] for p in points], "s--", color="tab:blue", label="reading")
        ax.loglog(x, [p["judging_s"] for p in points], "^--", color="tab:orange", label="judging")
        ax.loglog(x, [total[0] * n / x[0] for n in x], ":", color="gray", label="in proportion")
        other = "prompts" if what == "specs" else "specs"
        ax.set(xlabel=what, title=f"{points[0][other]:,.0f} {other}", xticks=x, xticklabels=[f"{n:,.0f}" for n in x])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("CPU seconds")
    axes[0].legend(frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def measure() -> dict[str, Any]:
    cold(20, 200)  # compiles byte code, fills the disk's cache: the first point took twice its time without
    figures = {
        "specs": [cold(n, OF_SPECS) for n in SPECS],
        "prompts": [cold(OF_PROMPTS, n) for n in PROMPTS],
    }
    plot(figures, ROOT / "benchmarks/figures/growth.svg")
    ratio = {
        what: (points[-1]["reading_s"] + points[-1]["judging_s"]) / (points[0]["reading_s"] + points[0]["judging_s"])
        for what, points in figures.items()
    }
    return {**figures, "cold run, ten times the specs": ratio["specs"], "ten times the prompts": ratio["prompts"]}


if __name__ == "__main__":
    write("growth", measure())
