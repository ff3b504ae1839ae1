"""What stays of a run beside the weights: loss.csv, loss.svg, loss.png and CARD.md."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from harness.capture.training.config import Fidelity, TrainConfig, sha256_of

FILES = ("sae_weights.safetensors", "cfg.json")


def write_curve(curve: Sequence[dict[str, float]], out: Path) -> None:
    """loss.csv, one row a step: step, tokens, loss (in normalised units) and fvu of that batch. Its L0 is k by
    construction."""
    with (out / "loss.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, ["step", "tokens", "loss", "fvu"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(curve)


def write_figure(config: TrainConfig, curve: Sequence[dict[str, float]], out: Path, day: str) -> None:
    """loss.svg and loss.png: FVU and loss of each batch over the tokens trained on. day: such as 2026-11-30."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "interp-specs", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 3.8), layout="constrained")
        about = f"SAE of {config.name or config.model.name}, {config.hook}: {config.d_sae:,} features, "
        about += f"{int(curve[-1]['tokens']):,} tokens of {', '.join(path.name for path in config.corpus)}; {day}"
        head = figure.suptitle(fill(about, 105), x=0.01, ha="left", fontsize=8.5)
        head.set_parse_math(False)  # two dollars in a name would be read as mathematics
        for axes, name in zip(figure.subplots(1, 2), ("fvu", "loss"), strict=True):
            axes.semilogy([row["tokens"] for row in curve], [row[name] for row in curve], "k", linewidth=0.8)
            axes.set(xlabel="tokens", title={"fvu": "FVU of the batch", "loss": "loss of the batch"}[name])
            axes.grid(visible=True, which="both", alpha=0.3)
        figure.savefig(out / "loss.svg", metadata={"Date": None})
        figure.savefig(out / "loss.png", dpi=150, metadata={"Software": None})


def write_card(config: TrainConfig, curve: Sequence[dict[str, float]], measured: Sequence[Fidelity]) -> None:
    """CARD.md: what it reads, how it was trained, what it reaches on held-out tokens, and the files' digests."""
    parts = [_head(config), config.about, _table("Training", _training(config, curve)), _held_out(measured)]
    parts.append(_table("Corpus (sha256)", {p.name: sha256_of(p) for p in (*config.corpus, *config.held_out)}))
    parts.append(_table("Files (sha256)", {name: sha256_of(config.out / name) for name in FILES}))
    (config.out / "CARD.md").write_text("\n\n".join(p for p in parts if p) + "\n", encoding="utf-8")


def _head(config: TrainConfig) -> str:
    form = f"trained as BatchTopK with k = {config.k:g}, saved as JumpReLU"
    if config.architecture == "topk":
        form = f"trained and saved as TopK with k = {config.k:g}"
    return (
        f"# SAE of {config.name or config.model.name}, {config.hook}\n\n"
        f"{config.d_sae} features, {form} by sae-lens {version('sae-lens')}. "
        f"It reads raw activations. Matrices are {config.weights} on disk; use it in float32."
    )


def _training(config: TrainConfig, curve: Sequence[dict[str, float]]) -> dict[str, object]:
    last = curve[-len(curve) // 20 :]
    return {
        "tokens": f"{int(curve[-1]['tokens']):,}, each once, no special tokens",
        "steps": f"{len(curve):,} of {config.batch_tokens:,} tokens",
        "contexts": f"{config.context_length} tokens",
        "learning rate": f"{config.lr:g} (Adam; warm-up over the first twentieth, decay over the last quarter)",
        "seed": config.seed,
        "precision while training": config.precision,
        "FVU of the last twentieth of the batches": f"{sum(row['fvu'] for row in last) / len(last):.3f}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("sae-lens", "torch", "transformers")),
    }


def _held_out(measured: Sequence[Fidelity]) -> str:
    rows = [
        f"| {m.domain} | {m.tokens:,} | {m.fvu:.3f} | {m.l0:.1f} | {m.dead:.1%} | {m.sinks:,} "
        f"| {m.fvu_with_sinks:.3f} |"
        for m in measured
    ]
    columns = ("domain", "tokens", "FVU", "L0", "features that never fire", "sinks", "FVU with sinks")
    table = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    head = f"## Held-out documents\n\nAttention sinks count in the last column only.\n\n{table}"
    return head + "\n".join(rows) if rows else "## Held-out documents\n\nNone: the corpus is too small."


def _table(title: str, values: dict[str, object]) -> str:
    return f"## {title}\n\n| | |\n|---|---|\n" + "\n".join(f"| {k} | {v} |" for k, v in values.items())
