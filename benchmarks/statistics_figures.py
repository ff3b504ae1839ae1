"""The pictures of docs/statistics.md, one for each idea, as SVG in docs/figures.

    .venv/bin/python benchmarks/statistics_figures.py

What they show is drawn from seeds.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from false_green_designs import shift_for
from matplotlib.axes import Axes
from measuring import ROOT
from planted import copies, firing, shared

from harness.codes import Pooled
from harness.stats.auroc import auroc_of_all
from harness.stats.intervals import auroc_limits
from harness.stats.permutation import rank_sum, stratified_p

FOLDER = ROOT / "docs/figures"
GREEN, RED, GREY, BLUE = "#2e7d32", "#c62828", "#9e9e9e", "#1565c0"


def save(name: str, draw: object, width: float = 6.4, height: float = 2.8) -> None:
    """One picture, the same bytes each time."""
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    draw(axes)  # type: ignore[operator]
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def units(axes: Axes) -> None:
    """p of features that know nothing, on 3 sentences with 8 near copies a side: by prompt, and by sentence."""
    rng = np.random.default_rng(0)
    _, cluster = copies(rng, 3, 8)
    a, b = (shared(rng, cluster, 2000, 1.0) for _ in range(2))
    first = np.unique(cluster, return_index=True)[1]
    for label, rows, color in (("every prompt counts", slice(None), RED), ("one of each near copies", first, GREEN)):
        p = sorted(stratified_p([rank_sum(x, y)]).value for x, y in zip(a[rows].T, b[rows].T, strict=True))
        axes.plot(p, np.linspace(0, 1, len(p)), color=color, label=label)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as it should be")
    axes.set(xlabel="p", ylabel="share of false claims\nwith this p or less", xlim=(0, 0.3), ylim=(0, 0.6))
    axes.legend(frameon=False)


def frames(axes: Axes) -> None:
    """Three words a side in four frames: one deal of labels to words, the same in every frame."""
    words = ["red", "blue", "pink", "big", "old", "new"]
    texts = ["The {w} ball rolled.", "A {w} door stood open.", "She saw the {w} coat.", "His {w} boat sank."]
    for x, word in enumerate(words):
        color = BLUE if x < 3 else GREY
        axes.text(x, -0.8, word, ha="center", va="center", fontweight="bold", color=color)
        for y in range(len(texts)):
            axes.add_patch(plt.Rectangle((x - 0.42, y - 0.38), 0.84, 0.76, color=color, alpha=0.35, linewidth=0))
        axes.add_patch(plt.Rectangle((x - 0.47, -0.45), 0.94, 3.9, fill=False, color=color, linewidth=1.4))
    axes.set(xlim=(-0.6, 5.6), ylim=(3.6, -1.2), xticks=[], yticks=range(4))
    axes.set_yticklabels(texts)
    axes.set_xlabel("a word is one unit: it keeps its label in every frame (6 units, not 24)")


def bound(axes: Axes) -> None:
    """Three AUROCs with their one-sided limits against the bound .7."""
    rows = [(0.93, 20, 20, GREEN, "met: the lower limit is over the bound")]
    rows += [(0.78, 10, 10, GREY, "inconclusive: the bound lies between the limits")]
    rows += [(0.52, 24, 24, RED, "unmet: the upper limit is under the bound")]
    for y, (value, n, m, color, words) in enumerate(rows):
        found = auroc_limits(value, n, m, 0.05)
        axes.plot([found.low1, found.high1], [y, y], color=color, linewidth=4, solid_capstyle="butt")
        axes.plot([value], [y], "o", color=color)
        axes.text(0.29, y - 0.32, f"{words} ({n} v {m})", color=color, backgroundcolor="white")
    axes.axvline(0.7, color="black", linestyle="--")
    axes.text(0.705, 2.45, "bound .7")
    axes.set(xlabel="AUROC, with one-sided 95 % limits", xlim=(0.28, 1.02), ylim=(2.6, -0.7), yticks=[])


def shortcut(axes: Axes) -> None:
    """A feature of the final full stop: it separates the sets, and not the prompts of one kind."""
    rng = np.random.default_rng(4)
    stops = [np.r_[np.ones(18, bool), np.zeros(4, bool)], np.r_[np.ones(4, bool), np.zeros(18, bool)]]
    for x, has in enumerate(stops):
        value = np.where(has, 3 + rng.normal(0, 0.5, len(has)), np.abs(rng.normal(0, 0.4, len(has))))
        at = x + rng.uniform(-0.16, 0.16, len(has))
        axes.scatter(at[has], value[has], color=BLUE, label="ends with a full stop" if not x else None)
        axes.scatter(at[~has], value[~has], color=GREY, label="ends without one" if not x else None)
    axes.set(xticks=[0, 1], xlim=(-0.5, 2.1), ylabel="activation")
    axes.set_xticklabels(["prompts", "than"])
    axes.legend(frameon=False, loc="center right")


def provenance(axes: Axes) -> None:
    """AUROC on random deals of 10 v 10: of one feature named beforehand, and of the best of 1,000."""
    rng = np.random.default_rng(1)
    pairs = [(firing(rng, 10, 1000, 0.42), firing(rng, 10, 1000, 0.42)) for _ in range(300)]
    found = np.array([auroc_of_all(*map(Pooled.from_dense, pair)) for pair in pairs])
    bins = np.linspace(0, 1, 41)
    for values, color, words in (
        (found[:, 0], GREEN, "a feature named beforehand"),
        (found.max(axis=1), RED, "the best of 1,000, chosen on these prompts"),
    ):
        axes.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=color, alpha=0.6, label=words)
    axes.axvline(0.7, color="black", linestyle="--")
    axes.set(xlabel="AUROC on a random deal of 10 v 10 prompts", ylabel="share of deals", xlim=(0.1, 1))
    axes.legend(frameon=False, loc="upper left")


def power(axes: Axes) -> None:
    """How often a claim of AUROC at least .7 is met, over the true AUROC."""
    rng = np.random.default_rng(2)
    truths = np.linspace(0.6, 0.98, 20)
    for (n, m), color in (((10, 10), GREY), ((20, 20), BLUE), ((24, 168), GREEN)):
        met = []
        for truth in truths:
            a, b = firing(rng, n, 400, shift=shift_for(float(truth))), firing(rng, m, 400)
            values = auroc_of_all(Pooled.from_dense(a), Pooled.from_dense(b))
            met.append(np.mean([auroc_limits(float(v), n, m, 0.05).low1 >= 0.7 for v in values]))
        axes.plot(truths, met, color=color, label=f"{n} v {m}")
    axes.axvline(0.7, color="black", linestyle="--")
    axes.axhline(0.05, color=GREY, linestyle=":")
    axes.set(xlabel="true AUROC", ylabel="share of claims met", ylim=(0, 1.02))
    axes.legend(frameon=False)


PICTURES = {
    "statistics-units": units,
    "statistics-frames": frames,
    "statistics-bound": bound,
    "statistics-power": power,
    "statistics-shortcut": shortcut,
    "statistics-provenance": provenance,
}


def main() -> None:
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "interp-specs", "svg.fonttype": "none", "font.size": 9})
    for name, draw in PICTURES.items():
        save(name, draw)


if __name__ == "__main__":
    main()
