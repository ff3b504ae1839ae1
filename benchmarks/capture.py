"""Reading prompts through Gemma 3 270M and its SAE, each way beside another, in one run on one CPU.

    .venv/bin/python benchmarks/capture.py [--prompts 160] [--repeats 3]
    .venv/bin/python benchmarks/capture.py --workload

1. ours (capture, encode, decode, sums, store on disk) against a bare batched forward to the same layer and the SAE's
   encode of the same tokens in the same batches;
2. the same eight questions (which features set a category off from the others, how often they fire) ours from an empty
   store, and as the source documents ask them: one prompt at a time through the whole model with logits, dense codes,
   `differential_features` and `fire_rate` on them;
3. ours against sae-lens with TransformerLens' bridge: batched, equal lengths, stopping at the layer.

--workload: the first of these on the standard workload, 2,000 prompts through tiny-gemma2 and two SAEs at once;
figures in capture_workload.json.

Models and SAE are loaded once and not timed. Repeats alternate; minima are compared, and CPU seconds stand beside wall
seconds, since a shared machine moves the latter. Figures go to benchmarks/results/capture.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import ROOT, Timed, timed, write
from workload import SUBJECTS, write_project

from harness.capture.engine import Kept, read_model
from harness.capture.models import load_model
from harness.capture.saes import load_sae
from harness.inputs import Prompt, PromptSet, Reading, Subject
from harness.keys import code_key, code_parts, prompt_key
from harness.language.specs import load
from harness.spec import Spec
from harness.stats.contrast import contrast
from harness.store import Store

SUBJECT = "gemma-3-270m-q4-l9"
CATEGORIES = "prompts/categories.yaml"


class Sink:
    """The store, as running/sinks.py writes it, without a run around it."""

    def __init__(self, store: Store, subject: Subject) -> None:
        self.store, self.parts = store, code_parts(subject)

    def codes(self, code_key: str, rows: Sequence[Any]) -> None:
        self.store.put(code_key, self.parts, rows)

    def sums(self, code_key: str, corpus_key: str, block: int, sums: Any) -> None:
        self.store.put_sums(code_key, self.parts, corpus_key, block, sums)

    def fault(self, code_key: str, prompt_key: str, fault: Exception) -> None:
        raise fault

    def __getattr__(self, name: str) -> Callable[..., None]:
        """What is not read here (residuals, promotions), and what is kept beside codes."""
        return lambda *given: None


def prompts_of(most: int) -> dict[str, list[Prompt]]:
    """The shared categories, evenly, as any suite about this subject reads them."""
    named: dict[str, PromptSet] = {}
    for item in load(ROOT).items:
        if isinstance(item, Spec) and item.subject.name == SUBJECT:
            named |= {s.name.rpartition("#")[2]: s for s in item.sets.values() if s.name.startswith(CATEGORIES)}
    sets = {name: list(found.prompts) for name, found in sorted(named.items()) if not name.startswith("!")}
    each = most // len(sets)
    return {name: found[:each] for name, found in sets.items()}


def ours(subject: Subject, prompts: Sequence[Prompt], kept: Kept, folder: Path) -> Store:
    """Everything that a cold run does with these prompts, model and SAE being loaded."""
    store = Store(folder / f"{time.monotonic_ns()}.sqlite")
    reading = Reading(subject, code_key(subject), tuple((prompt_key(p), p) for p in prompts))
    read_model([reading], Sink(store, subject), kept=kept)
    return store


def bare(subjects: Sequence[Subject], prompts: Sequence[Prompt], kept: Kept) -> int:
    """Forward to the layer and encode through each subject's SAE, in the same batches; nothing is kept."""
    loaded, fired = kept.loaded, 0
    assert loaded is not None
    saes, hook = [kept.saes[code_key(subject)] for subject in subjects], subjects[0].hook
    texts = [loaded.texts.tokenize(prompt, subjects[0].max_tokens) for prompt in prompts]

    def encode(batch: Any) -> None:
        nonlocal fired
        with torch.inference_mode():
            for sae in saes:
                fired += int(torch.count_nonzero(sae.encode(batch.seen[hook].flatten(0, 1).float())))

    loaded.read(texts, [hook], encode)
    return fired


def answers_from(store: Store, subject: Subject, sets: dict[str, list[Prompt]]) -> dict[str, list[int]]:
    """Per category the 20 features that set it off from all others, from evidence in the store."""
    from harness.codes import concat

    code = code_key(subject)
    keys = {name: [prompt_key(p) for p in found] for name, found in sets.items()}
    codes = store.get(code, {key for some in keys.values() for key in some})
    pooled = {}
    for name in sets:
        here = concat([codes[k] for k in keys[name]])
        there = concat([codes[k] for other in sets if other != name for k in keys[other]])
        found = contrast(here.pooled(here.counted(), "last"), there.pooled(there.counted(), "last"))
        pooled[name] = [int(f) for f in np.argsort(-found.mean_difference)[:20]]
    return pooled


def as_the_source(
    model: Any, tokenizer: Any, sae: Any, layer: int, sets: dict[str, list[Prompt]]
) -> dict[str, list[int]]:
    """Transcribed: encode_prompts reads prompt by prompt through the whole model and keeps the last token's dense code;
    differential_features ranks by the difference of means, fire_rate looks at one feature after the other."""
    dense: dict[str, torch.Tensor] = {}
    for name, prompts in sets.items():
        rows = []
        for prompt in prompts:
            held: dict[str, torch.Tensor] = {}

            def keep(module: Any, given: Any, out: Any, held: dict[str, torch.Tensor] = held) -> None:
                held["h"] = out[0] if isinstance(out, tuple) else out

            inputs = tokenizer(prompt.text, return_tensors="pt")
            handle = model.model.layers[layer].register_forward_hook(keep)
            with torch.no_grad():
                model(**inputs)
            handle.remove()
            rows.append(sae.encode(held["h"][0, -1].unsqueeze(0))[0].detach().to("cpu", torch.float32))
        dense[name] = torch.stack(rows)
    found = {}
    for name in sets:
        pos, neg = dense[name], torch.cat([dense[other] for other in sets if other != name])
        order = (pos.mean(dim=0) - neg.mean(dim=0)).argsort(descending=True)[:20]
        for feature in order.tolist():
            for codes in (pos, neg):
                float((codes[:, feature] != 0).float().mean())
        found[name] = order.tolist()
    return found


def through_the_bridge(bridge: Any, tokenizer: Any, sae: Any, layer: int, prompts: Sequence[Prompt], rows: int) -> int:
    """Batches of like lengths, right padding, stopping after the layer, sparse codes kept."""
    name, kept = f"blocks.{layer}.hook_out", []
    order = sorted(prompts, key=lambda prompt: len(prompt.text))
    for at in range(0, len(order), rows):
        batch = tokenizer(
            [p.text for p in order[at : at + rows]], return_tensors="pt", padding=True, padding_side="right"
        )
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(
                batch["input_ids"],
                attention_mask=batch["attention_mask"],
                names_filter=lambda hook: hook == name,
                stop_at_layer=layer + 1,
            )
            codes = sae.encode(cache[name].flatten(0, 1).float())
            kept.append(codes[batch["attention_mask"].flatten().bool()].to_sparse_csr())
    return sum(int(one.values().numel()) for one in kept)


def bridge_of(model: Any, tokenizer: Any) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers("google/gemma-3-270m", hf_model=model, tokenizer=tokenizer, device="cpu")


def alternating(repeats: int, ways: dict[str, Callable[[], Any]]) -> dict[str, list[Timed]]:
    """Each way once in turn, `repeats` times, after one round that counts nothing."""
    found: dict[str, list[Timed]] = {name: [] for name in ways}
    for again in range(repeats + 1):
        for name, way in ways.items():
            one = timed(way)
            if again:
                found[name].append(one)
    return found


def measure(most: int, repeats: int) -> dict[str, Any]:
    subject = load(ROOT).subjects[SUBJECT]
    sets = prompts_of(most)
    prompts = [prompt for some in sets.values() for prompt in some]
    kept = Kept(load_model(subject, subject.layer + 1))
    whole = load_model(subject, 99)
    sae = load_sae(subject.sae, kept.loaded.d_model, kept.loaded.device)
    figures: dict[str, Any] = {"prompts": len(prompts), "subject": SUBJECT}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = ours(subject, prompts, kept, folder)
        tokens = sum(c.n_tokens for c in store.get(code_key(subject), {prompt_key(p) for p in prompts}).values())
        figures["tokens"] = tokens
        layer = subject.layer
        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(subject, prompts, kept, folder),
            "bare": lambda: bare([subject], prompts, kept),
            "ours with answers": lambda: answers_from(ours(subject, prompts, kept, folder), subject, sets),
            "source": lambda: as_the_source(whole.model, whole.tokenizer, sae, layer, sets),
        }
        same = answers_from(store, subject, sets), as_the_source(whole.model, whole.tokenizer, sae, layer, sets)
        figures["same top 20 as the source's, share"] = float(
            np.mean([len(set(same[0][name]) & set(same[1][name])) / 20 for name in sets])
        )
        try:
            bridge = bridge_of(whole.model, whole.tokenizer)
            through_the_bridge(bridge, whole.tokenizer, sae, layer, prompts[:16], 16)
            ways["bridge"] = lambda: through_the_bridge(bridge, whole.tokenizer, sae, layer, prompts, 16)
        except Exception as error:  # noqa: BLE001 - what another library cannot do is a figure, too
            figures["bridge"] = f"cannot be had: {type(error).__name__}: {str(error)[:200]}"
        found = alternating(repeats, ways)
    figures["seconds"] = {
        name: {"wall": [t.wall for t in ts], "cpu": [t.cpu for t in ts]} for name, ts in found.items()
    }
    best = {name: min(t.wall for t in ts) for name, ts in found.items()}
    figures["ratios"] = {
        "ours / bare (bar 1.15)": best["ours"] / best["bare"],
        "source / ours with answers (bar 6)": best["source"] / best["ours with answers"],
        **({"bridge / ours (bar 1)": best["bridge"] / best["ours"]} if "bridge" in best else {}),
    }
    return figures


def measure_workload(repeats: int) -> dict[str, Any]:
    """Capture, encoding and the store on the standard workload, beside a bare forward and both SAEs' encode."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_project(folder / "project")
        loaded = load(folder / "project")
        subjects = [loaded.subjects[name] for name in SUBJECTS]
        specs = [item for item in loaded.items if isinstance(item, Spec)]
        prompts = list({prompt_key(p): p for spec in specs for s in spec.sets.values() for p in s.prompts}.values())
        kept = Kept(load_model(subjects[0], subjects[0].layer + 1))
        readings = [Reading(s, code_key(s), tuple((prompt_key(p), p) for p in prompts)) for s in subjects]
        ways = {
            "ours": lambda: read_model(readings, Sinks(folder, subjects), kept=kept),
            "bare": lambda: bare(subjects, prompts, kept),
        }
        read_model(readings, Sinks(folder, subjects), kept=kept)
        found = alternating(repeats, ways)
    best = {name: (min(t.wall for t in ts), min(t.cpu for t in ts)) for name, ts in found.items()}
    return {
        "prompts": len(prompts),
        "seconds": {name: {"wall": [t.wall for t in ts], "cpu": [t.cpu for t in ts]} for name, ts in found.items()},
        "ours / bare, wall (bar 1.15)": best["ours"][0] / best["bare"][0],
        "ours / bare, CPU": best["ours"][1] / best["bare"][1],
    }


class Sinks(Sink):
    """One store for some subjects of one model."""

    def __init__(self, folder: Path, subjects: Sequence[Subject]) -> None:
        super().__init__(Store(folder / f"{time.monotonic_ns()}.sqlite"), subjects[0])
        self.parts_of = {code_key(subject): code_parts(subject) for subject in subjects}

    def codes(self, code_key: str, rows: Sequence[Any]) -> None:
        self.store.put(code_key, self.parts_of[code_key], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workload", action="store_true")
    given = parser.parse_args()
    if given.workload:
        write("capture_workload", measure_workload(given.repeats))
    else:
        write("capture", measure(given.prompts, given.repeats))
