"""Peak memory of reading a corpus through an SAE of 16,384 features, and of judging from its sums.

    .venv/bin/python benchmarks/memory.py [--tokens 10000 100000 1000000]

tiny-gemma2 and a random JumpReLU SAE (seeded) are loaded, a first prompt is read, and memory noted; then the corpus
(sentences from a seed) is read into a store on disk as sums, and density and reconstruction are judged from the store.
Each length is a process of its own; peaks are over what was resident before the first block. A million tokens take 200
seconds of two cores. The bar: 300 MB over model and SAE.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import NormalDist
from typing import Any

from measuring import ROOT, write

D_SAE, PER_TOKEN, HOOK = 16_384, 70, "blocks.3.hook_resid_post"
LENGTH = 30.0  # of tiny-gemma2's activations at this hook, about; it only sets how many features fire
STATUS = Path("/proc/self/status")


def resident_mb(which: str) -> float:
    """VmRSS (now) or VmHWM (the highest since `noted`) of this process."""
    return int(next(line for line in STATUS.read_text().splitlines() if line.startswith(which)).split()[1]) / 1024


def write_corpus(path: Path, tokens: int) -> None:
    """Enough sentences: one has about eleven tokens."""
    from harness.zoo.tiny_gemma2.corpus import sentence
    from harness.zoo.tiny_gemma2.frames import TOPICS

    random_, topics = random.Random(0), list(TOPICS)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(tokens // 6):
            file.write(sentence(random_, random_.choice(topics)) + "\n")


def write_sae(folder: Path, d_in: int) -> None:
    """Random directions and a threshold that 70 of 16,384 normal pre-activations pass."""
    import torch
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig

    torch.manual_seed(0)
    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=d_in, d_sae=D_SAE, device="cpu", dtype="float32"))
    directions = torch.nn.functional.normalize(torch.randn(d_in, D_SAE), dim=0)
    level = NormalDist().inv_cdf(1 - PER_TOKEN / D_SAE)
    with torch.no_grad():
        sae.W_enc.copy_(directions)
        sae.W_dec.copy_(directions.T)
        sae.b_enc.zero_()
        sae.b_dec.zero_()
        sae.threshold.fill_(level * LENGTH / d_in**0.5)
    sae.save_model(folder)


def read(tokens: int, folder: Path) -> dict[str, Any]:
    from capture import Sink

    from harness.capture.engine import Kept, read_model
    from harness.inputs import Corpus, ModelRef, Prompt, Reading, SaeRef, Subject
    from harness.keys import code_key, corpus_key, prompt_key
    from harness.store import Store

    write_sae(folder / "sae", 128)
    write_corpus(folder / "corpus.txt", tokens)
    model = ModelRef("tiny-gemma2", "path", str(ROOT / "harness/zoo/tiny_gemma2/model"))
    sae = SaeRef("wide", "path", str(folder / "sae"), d_in=128, d_sae=D_SAE, hook=HOOK)
    subject = Subject("wide", model, sae, HOOK, max_tokens=128)
    corpus = Corpus("made", str(folder / "corpus.txt"), "0" * 64, token_limit=tokens)
    store, code, kept = Store(folder / "store.sqlite"), code_key(subject), Kept()
    text = Prompt("The red ball rolled away from the old house. " * 8)
    sink = Sink(store, subject)
    read_model([Reading(subject, code, ((prompt_key(text), text),))], sink, kept=kept)
    before, began = noted(), time.perf_counter()
    read_model([Reading(subject, code, corpora=((corpus_key(corpus), corpus),))], sink, kept=kept)
    return {"seconds": time.perf_counter() - began, **judged(store, code, corpus_key(corpus), before)}


def noted() -> float:
    """What is resident now; the peak starts here."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb("VmRSS")


def judged(store: Any, code: str, corpus: str, before: float) -> dict[str, Any]:
    """Density of every feature and the unexplained variance, from the store, with the peaks until now and of this."""
    from harness.stats.fidelity import blocks_of_sums, fvu, value_of

    peak = resident_mb("VmHWM")
    noted()
    sums = store.get_sums(code, corpus)
    density, error = sums.fired.sum(0) / sums.n_tokens, value_of(fvu, blocks_of_sums(sums))
    return {
        "tokens": sums.n_tokens,
        "before_mb": before,
        "reading_over_mb": peak - before,
        "judging_over_mb": resident_mb("VmHWM") - before,
        "features_a_token": float(density.sum()),
        "fvu": error,
    }


def in_a_process(tokens: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        words = [sys.executable, __file__, "--child", str(tokens), made]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        tokens, folder = given.child
        print(json.dumps(read(int(tokens), Path(folder))))
    else:
        write("memory", {"d_sae": D_SAE, "lengths": [in_a_process(n) for n in given.tokens]})
