"""The standard workload, from a seed: 1,000 specs in 100 files, 2,000 distinct prompts, two SAEs on one model.

    .venv/bin/python benchmarks/workload.py FOLDER [--specs 1000] [--prompts 2000]

It is a checkout of its own, with this tree's harness in it. The prompts have 8 to 128 tokens (beginning-of-text
included), in 20 sets of one topic each, of sentences of tiny-gemma2's training world. The claims are of all kinds about
one model's text, in turns: transfers, transfer_census and transfers_sae are about two models. holds_under makes 100
edited prompts from each of four sets, which are read besides. Both SAEs read layer 3: tiny-gemma2's own, and
the one trained on tiny-paligemma2, a model of the same shape. Every claim is a warning at worst, so that no failure is
formatted; `unchanged` has no baseline until `interp accept` gives it one (gate.py does).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from measuring import ROOT
from tokenizers import Tokenizer

from harness.zoo.tiny_gemma2 import lexicon
from harness.zoo.tiny_gemma2.corpus import sentence

TOPICS = tuple(lexicon.CATEGORIES)
SETS, FILES = 20, 100
SHORTEST, LONGEST = 8, 128
# Sets that are compared: never two of one topic.
PAIRS = tuple((k, (k + step) % SETS) for step in (3, 8) for k in range(SETS))
EDITED = 4  # sets of which holds_under makes prompts
SUBJECTS = {"own": "tiny-gemma2-l3", "other": "tiny-paligemma2-l3"}  # subject: SAE of specs/subjects.yaml
# Features by AUROC on specs/prompts/discovery.yaml, best first (`interp diff`), of each SAE and topic.
FEATURES = {
    "own": {
        "number": [731, 54, 604, 308],
        "color": [267, 888, 604, 672],
        "animal": [407, 295, 705, 900],
        "object": [88, 434, 900, 648],
        "abstract": [139, 494, 620, 788],
        "action": [727, 329, 284, 150],
        "spatial": [165, 612, 570, 827],
    },
    "other": {
        "number": [463, 569, 977, 692],
        "color": [40, 569, 977, 445],
        "animal": [230, 623, 777, 383],
        "object": [189, 862, 383, 819],
        "abstract": [574, 978, 47, 1000],
        "action": [561, 34, 10, 223],
        "spatial": [910, 929, 982, 768],
    },
}
KINDS = (
    "activation: {{prompts: {a}, median: {{at_least: {bound}}}}}",
    "beats_keywords: {{prompts: {a}, than: {b}, margin: {{at_least: -{bound}}}}}",
    "density: {{prompts: [{a}, {b}], rate: {{at_most: {bound}}}}}",
    "distinguishes: {{prompts: {a}, than: {b}, top: 20}}",
    "fire_rate: {{prompts: {a}, rate: {{at_least: {bound}}}}}",
    "fires_at: {{prompts: {marked}, auroc: {{at_least: {over_half}}}}}",
    "fires_more: {{prompts: {a}, than: {b}, auroc: {{at_least: {over_half}}}}}",
    "holds_under: {{prompts: {edited}, edits: [punctuation, {{swap_marked: [thing, part]}}], relation: stops_firing, "
    "mode: rate, rate: {{at_least: {bound}}}}}",
    "promotes: {{tokens: [{words}], share: {{at_least: {bound}}}}}",
    "reconstruction: {{prompts: {a}, fvu: {{at_most: {bound}}}}}",
    "selective: {{prompts: {a}, than: {b}, precision: {{at_least: {over_half}}}}}",
    "silent_on: {{prompts: {b}, but_fires_on: {a}, rate: {{at_most: {bound}}}}}",
    "sparsity: {{prompts: {a}, l0: {{at_most: {top}}}}}",
    "top_feature: {{prompts: {a}, than: {b}, among: 10, rate: {{at_least: {bound}}}}}",
    "top_tokens: {{prompts: [{a}, {b}], tokens: [{words}], share: {{at_least: {bound}}}}}",
    "unchanged: {{measure: firing_rate, prompts: {a}, within: {{absolute: {bound}}}}}",
)
OF_THE_SAE = ("reconstruction", "sparsity")


def write_project(root: Path, specs: int = 1000, prompts: int = 2000, seed: int = 0) -> None:
    """The checkout; specs and prompts may be others than the standard's, the rest stays."""
    (root / "interp_tests").mkdir(parents=True)
    for name in ("conftest.py", "pytest.ini", "interp_tests/test_specs.py"):
        shutil.copy(ROOT / name, root / name)
    (root / "harness").symlink_to(ROOT / "harness")
    (root / "specs/prompts").mkdir(parents=True)
    (root / "specs/subjects.yaml").write_text(json.dumps(subjects()), encoding="utf-8")
    write_prompts(root / "specs/prompts", prompts, seed)
    write_claims(root / "specs/generated", specs)


def subjects() -> dict[str, Any]:
    """Both SAEs on the one model, pinned as they are in specs/; JSON is YAML, too."""
    shipped = yaml.safe_load((ROOT / "specs/subjects.yaml").read_text(encoding="utf-8"))
    how = {"model": "tiny-gemma2", "dtype": "float32", "device": "cpu", "max_tokens": 256}
    return {
        "models": {"tiny-gemma2": shipped["models"]["tiny-gemma2"]},
        "saes": {sae: shipped["saes"][sae] for sae in SUBJECTS.values()},
        "subjects": {name: {**how, "sae": sae} for name, sae in SUBJECTS.items()},
    }


def write_claims(folder: Path, specs: int, kinds: Sequence[str] = KINDS) -> None:
    """100 files, or one a claim where there are fewer; what stood there before goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = min(FILES, specs)
    for n in range(files):
        subject = list(SUBJECTS)[n % 2]
        head = f"title: generated {n}\nsubjects: [{subject}]\nowner: '@bench'\nexpect:\n"
        claims = (claim(i, subject, kinds) for i in range(specs * n // files, specs * (n + 1) // files))
        (folder / f"s{n:04}.yaml").write_text(head + "\n".join(claims), encoding="utf-8")


def write_prompts(folder: Path, count: int, seed: int) -> None:
    """plain.yaml and marked.yaml: the same texts, a word of the topic marked in the second."""
    drawn = prompts_of(count, seed)
    for name, at in (("plain", 0), ("marked", 1)):
        lines = ["prompts:"]
        for k, pairs in enumerate(drawn):
            lines += [f"  s{k:02}:", *(["    marks: true", "    prompts:"] if at else [])]
            lines += [f"      - {json.dumps(pair[at])}" for pair in pairs]
        (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prompts_of(count: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """Of each set its prompts, without and with a mark; all distinct, lengths even between the shortest and longest."""
    tokenizer = Tokenizer.from_file(str(ROOT / "harness/zoo/tiny_gemma2/model/tokenizer.json"))
    random_, seen, found = random.Random(seed), set[str](), []
    for k in range(SETS):
        topic, texts = TOPICS[k % len(TOPICS)], []
        while len(texts) < count // SETS:
            text = text_of(random_, topic, random_.randint(SHORTEST, LONGEST), tokenizer)
            if text not in seen and SHORTEST <= tokens(tokenizer, text) <= LONGEST:
                seen.add(text)
                texts.append((text, marked(text, topic)))
        found.append(texts)
    return found


def text_of(random_: random.Random, topic: str, length: int, tokenizer: Tokenizer) -> str:
    """Sentences of a topic while they fit into the length, one at least."""
    text = sentence(random_, topic)
    while tokens(tokenizer, longer := f"{text} {sentence(random_, topic)}") <= length:
        text = longer
    return text


def tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids) + 1


def marked(text: str, topic: str) -> str:
    """The first word of the topic in [[ ]]; the first word of all where none is there."""
    own = set(lexicon.CATEGORIES[topic])
    words = text.split(" ")
    at = next((i for i, word in enumerate(words) if word.strip(".,?").lower() in own), 0)
    bare = words[at].rstrip(".,?")
    words[at] = f"[[{bare}]]{words[at][len(bare) :]}"
    return " ".join(words)


def claim(i: int, subject: str, kinds: Sequence[str]) -> str:
    """The i-th claim: kinds and pairs of sets take turns, and no two claims are alike."""
    kind = kinds[i % len(kinds)]
    a, b = PAIRS[i // len(kinds) % len(PAIRS)]
    bound = 0.1 + i * 7 % 7919 / 10000
    fields = {
        "a": f"prompts/plain.yaml#s{a:02}",
        "b": f"prompts/plain.yaml#s{b:02}",
        "marked": f"prompts/marked.yaml#s{a:02}",
        "edited": f"prompts/marked.yaml#s{a % EDITED:02}",
        "words": ", ".join(lexicon.CATEGORIES[TOPICS[a % len(TOPICS)]][:10]),
        "bound": f"{bound:.4f}",
        "over_half": f"{0.5 + bound / 2:.4f}",  # of what is .5 where two sets do not differ
        "top": 5 + i % 40,
    }
    feature = (
        ""
        if kind.startswith(OF_THE_SAE)
        else f"    feature: {feature_of(i // (len(kinds) * len(PAIRS)), a, subject)}\n"
    )
    return f"  - id: claim-{i:05}\n{feature}    severity: warn\n    {kind.format(**fields)}\n"


def feature_of(turn: int, a: int, subject: str) -> int:
    """One of the features that set the topic off from the others best, on prompts/discovery.yaml."""
    best = FEATURES[subject][TOPICS[a % len(TOPICS)]]
    return best[turn % len(best)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--specs", type=int, default=1000)
    parser.add_argument("--prompts", type=int, default=2000)
    given = parser.parse_args()
    write_project(given.folder, given.specs, given.prompts)
