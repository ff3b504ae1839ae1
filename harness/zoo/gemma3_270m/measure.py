"""One feature a category, chosen on discovery.yaml and tested on categories.yaml; both in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from harness.capture.specials import special_ids
from harness.capture.training.contexts import contexts
from harness.capture.training.harvest import Read, harvest
from harness.codes import Pooled
from harness.stats.auroc import auroc_of_all

SPECS = Path(__file__).resolve().parents[3] / "specs"
Codes = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A category's best feature on the discovery prompts, and how it does there and on the test prompts."""

    category: str
    feature: int
    discovery_auroc: float
    test_auroc: float


def prompts(name: str) -> dict[str, list[str]]:
    """Category -> prompts of specs/prompts/<name>.yaml; a set that is a reference is read from its text file."""
    sets = yaml.safe_load((SPECS / "prompts" / f"{name}.yaml").read_text(encoding="utf-8"))["prompts"]
    return {
        category: found if isinstance(found, list) else (SPECS / found).read_text(encoding="utf-8").splitlines()
        for category, found in sets.items()
    }


def chosen_features(tokenizer: Any, read: Read, sae: Any) -> list[Chosen]:
    """For each category the feature of highest AUROC against all other categories of discovery.yaml (the lower
    number where several tie), and its AUROC against all others of categories.yaml."""
    discovery = {c: pooled(texts, tokenizer, read, sae) for c, texts in prompts("discovery").items()}
    test = {c: pooled(texts, tokenizer, read, sae) for c, texts in prompts("categories").items()}
    found = []
    for category in discovery:
        scores, tested = aurocs(category, discovery), aurocs(category, test)
        best = int(scores.argmax())
        found.append(Chosen(category, best, float(scores[best]), float(tested[best])))
    return found


def pooled(texts: list[str], tokenizer: Any, read: Read, sae: Any) -> NDArray[np.float64]:
    """[n_prompts, d_sae]: each feature's largest activation on the prompt's tokens, specials left out."""
    rows = []
    with torch.no_grad():
        for text in texts:
            cut = contexts([text], tokenizer, 512, 512)
            h = torch.cat(list(harvest(read, cut, special_ids(tokenizer), "cpu", "float32")))
            rows.append(sae.encode(h).amax(0).double().numpy())
    return np.stack(rows)


def aurocs(category: str, codes: Codes) -> NDArray[np.float64]:
    """[d_sae]: P(a prompt of `category` exceeds one of another category), ties counted half."""
    others = np.concatenate([v for c, v in codes.items() if c != category])
    return auroc_of_all(Pooled.from_dense(codes[category]), Pooled.from_dense(others))


def table(rows: list[Chosen], withheld: set[str]) -> str:
    """The table as Markdown, with whether the corpus lacks the category's words."""
    head = "| category | words in the corpus | feature | AUROC, discovery | AUROC, test |\n|---|---|---|---|---|"
    lines = []
    for r in rows:
        words = "withheld" if r.category in withheld else "not withheld"
        lines.append(f"| {r.category} | {words} | {r.feature} | {r.discovery_auroc:.3f} | {r.test_auroc:.3f} |")
    return "\n".join([head, *lines])
