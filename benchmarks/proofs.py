"""What the proofs at load cost, beside a cold read of 160 prompts through Gemma 3 270M to layer 9, in one run.

    .venv/bin/python benchmarks/proofs.py [--prompts 160]

The cold read loads tokenizer, model and SAE, and reads every prompt into an empty store. The proofs are timed inside
it: that the site is the stream, that the tokenizer splits text as its tokenizer.json, that the files are whole. The
proof of mlp_out, which runs the layer in float32, is timed after it. Figures go to benchmarks/results/proofs.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capture import SUBJECT, ours, prompts_of
from measuring import ROOT, write

from harness.capture import models
from harness.capture.engine import Kept
from harness.capture.loaded import LoadedModel
from harness.language.specs import load


def measure(most: int) -> dict[str, Any]:
    """Seconds of a cold read and of each proof in it."""
    subject = load(ROOT).subjects[SUBJECT]
    prompts = [prompt for some in prompts_of(most).values() for prompt in some]
    spent: dict[str, float] = {}
    LoadedModel.prove = _timed(LoadedModel.prove, "site", spent)  # type: ignore[method-assign]
    models.refuse_other_tokens = _timed(models.refuse_other_tokens, "tokenizer", spent)
    models.refuse_damage = _timed(models.refuse_damage, "files", spent)
    kept = Kept()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ours(subject, prompts, kept, Path(folder))
        whole = time.perf_counter() - began
    share = sum(spent.values()) / whole
    assert kept.loaded is not None
    began = time.perf_counter()
    kept.loaded.prove(f"blocks.{subject.layer}.hook_mlp_out")
    mlp = time.perf_counter() - began
    return {
        "prompts": len(prompts),
        "subject": SUBJECT,
        "seconds": {"cold read": whole, **spent, "mlp_out, besides": mlp},
        "proofs / cold read (bar .02)": share,
    }


def _timed(function: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

    return call


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=160)
    write("proofs", measure(parser.parse_args().prompts))
