"""CARD.md of tiny-paligemma2: what it is, how it was trained, how it does, and the digests of its files."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.zoo.tiny_paligemma2 import tower, train_model, train_sae
from harness.zoo.tiny_paligemma2.captions import ATTRIBUTES
from harness.zoo.tiny_paligemma2.pictures import COLORS, HELD_OUT, SHAPES, TRAINED

FILES = (
    "model/model.safetensors",
    "model/config.json",
    "model/tokenizer.json",
    "model/processor_config.json",
    "sae/sae_weights.safetensors",
    "sae/cfg.json",
)
ABOUT = """\
# tiny-paligemma2

A PaliGemmaForConditionalGeneration of {parameters:,} parameters: tiny-gemma2's language model, a SigLIP tower of 3
layers (56 x 56 pixels, patches of 14, so 16 image tokens) and a projector, taught to caption pictures drawn by code
(pictures.py): one to three shapes of one color, somewhere on a gray ground. Its tokenizer is tiny-gemma2's, file by
file.

Rebuilt by `python -m harness.zoo.tiny_paligemma2.build`; seed 0, fixed steps. The text is tiny-gemma2's, with the
standard library of Python {python}; another Python gives other weights.

| | |
|---|---|
| colors, shapes | {colors}, {shapes}; {unseen} of {all} pairs are on no training picture |
| other colors | {unnamed:.0%} of the training pictures are in colors without a name, which no caption names |
| vision tower, alone | {tower_steps:,} steps of 128 pictures, AdamW 2e-3, cosine, a head an attribute; then frozen |
| language model, projector | {steps:,} steps: 64 captions, 16 x 128 tokens of text by turns; AdamW {rate}, 2e-3 |
| held-out text, tiny-gemma2 | {base_loss:.3f} nats a token |
| held-out text, this model | {text_loss:.3f} nats a token, read causally (token_type_ids of ones) |
| libraries | torch {torch}, transformers {transformers}, sae-lens {sae_lens}, Pillow {pillow} |
| image processor | SiglipImageProcessorPil (named, since torchvision may be absent) |

While training, the shape that a color never comes with is left out of the softmax at the shape's word, and the color
likewise (tower.never_with): no step says that a red thing is no square. No picture of an unseen pair is trained on.

## Accuracy

Teacher-forced: all tokens of the word are the argmax; 500 new pictures, both frames, all prefixes of captions.py. The
tower's rows are its linear heads before the captions.

{accuracy}

## SAEs

`sae/` is this model's own: {d_sae:,} features after layer {layer}, BatchTopK k = {k}, saved as JumpReLU;
{text_tokens:,} tokens of text and {pictures:,} pictures' prompts (16 image tokens, the prefix, no BOS), each once,
lr 2e-3, seed 0. `base` is ../tiny_gemma2/sae. Text: held-out documents, BOS left out. Image: image tokens of
specs/images/shapes, prefix "caption".

{fidelity}

## Classes between tiny-gemma2 and tiny-paligemma2

Aligned on prompts of specs/prompts/categories.yaml, read causally, and specs/images/shapes (80 pictures, prefix
"caption"); BOS left out.

{classes}

## Files (sha256)

{digests}
"""


def write_card(figures: dict[str, Any], here: Path) -> None:
    """Write the card from the figures of training and measuring."""
    names = {"torch": "torch", "transformers": "transformers", "sae_lens": "sae-lens", "pillow": "pillow"}
    text = ABOUT.format(
        **{k: figures[k] for k in ("parameters", "base_loss", "text_loss")},
        **{k: version(name).partition("+")[0] for k, name in names.items()},
        python=".".join(platform.python_version_tuple()[:2]),
        colors=len(COLORS),
        shapes=len(SHAPES),
        unseen=len(HELD_OUT),
        all=len(HELD_OUT) + len(TRAINED),
        tower_steps=tower.STEPS,
        unnamed=tower.UNNAMED_SHARE,
        rate=f"{train_model.RATES['language_model']:g}",
        steps=train_model.STEPS,
        d_sae=train_sae.D_SAE,
        layer=train_sae.LAYER,
        k=train_sae.K,
        text_tokens=train_sae.TEXT_TOKENS,
        pictures=train_sae.PICTURES,
        accuracy=_accuracy(figures),
        fidelity=_fidelity(figures),
        classes=_classes(figures),
        digests="\n".join(f"    {hashlib.sha256((here / n).read_bytes()).hexdigest()}  {n}" for n in FILES),
    )
    (here / "CARD.md").write_text(text, encoding="utf-8")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _accuracy(figures: dict[str, Any]) -> str:
    found = [("captions", figures), ("tower", figures["tower"])]
    rows = [
        (what, f"{pairs} pairs", *(f"{of[pairs][a]:.3f}" for a in ATTRIBUTES))
        for what, of in found
        for pairs in ("seen", "unseen")
    ]
    return _table(("read by", "pictures", *ATTRIBUTES), rows)


def _fidelity(figures: dict[str, Any]) -> str:
    names = {
        "base": "tiny-gemma2, text",
        "adapted": "tiny-paligemma2, text",
        "image": "tiny-paligemma2, image",
    }
    rows = [
        (sae, names[tokens], f"{f.tokens:,}", f"{f.fvu:.3f}", f"{f.l0:.1f}", f"{f.dead:.1%}")
        for (sae, tokens), f in figures["fidelity"].items()
    ]
    return _table(("SAE", "read on", "tokens", "FVU", "L0", "never fire"), rows)


def _classes(figures: dict[str, Any]) -> str:
    found = [("base", figures["classes"]), ("native", figures["native_classes"])]
    names = next(iter(figures["classes"].values()))
    rows = [(sae, texts, *map(str, counts.values())) for sae, of in found for texts, counts in of.items()]
    return _table(("SAE", "prompts", *names), rows)
