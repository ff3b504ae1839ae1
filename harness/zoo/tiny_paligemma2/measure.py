"""What the card says of the SAEs: FVU on text and image tokens, and classes between the two models (STATISTICS 8)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.capture.specials import special_ids
from harness.codes import Codes, Kind, concat
from harness.stats.transfer.aligned import ALIGNED_CLASSES, aligned
from harness.stats.transfer.conditions import Condition, condition
from harness.zoo.tiny_paligemma2.captions import PREFIXES, image_prompt
from harness.zoo.tiny_paligemma2.train_sae import HOOK, read_pictures, read_text

SPECS = Path(__file__).parents[3] / "specs"
HELD_OUT_TOKENS = 25_000
# Every text, and those about what captions say. Few of 1,024 features are silent on all.
TEXTS = {"all 192": None, "72 on colors, counts, places": ("color", "number", "spatial")}


def load(model: Path) -> tuple[Any, Any]:
    """(model, tokenizer) in fp32 and eager attention, of either kind."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

    kind = AutoModelForImageTextToText if (model / "processor_config.json").is_file() else AutoModelForCausalLM
    loaded = kind.from_pretrained(model, dtype="float32", attn_implementation="eager")
    return loaded.eval(), AutoTokenizer.from_pretrained(model)


def pictures() -> tuple[list[Path], torch.Tensor]:
    """The pictures under specs/images/shapes, sorted, and their pixels [n, 3, 56, 56]."""
    from PIL import Image

    from harness.zoo.tiny_paligemma2.pictures import pixels
    from harness.zoo.tiny_paligemma2.tower import inputs

    files = sorted((SPECS / "images/shapes").rglob("*.png"))
    return files, inputs(pixels([Image.open(file).convert("RGB") for file in files]))


def image_activations(model: Any, tokenizer: Any, prefix: str = PREFIXES[0]) -> torch.Tensor:
    """Residuals [n_pictures, length, d_in] of the shipped pictures, each with this prefix."""
    _, pixels = pictures()
    ids = torch.tensor([image_prompt(tokenizer, prefix)] * len(pixels))
    return torch.cat(list(read_pictures(model, ids, pixels)))


def image_codes(model: Any, tokenizer: Any, sae: Any) -> Codes:
    """Codes of the shipped pictures, every token with its kind."""
    from harness.capture.encode import codes_of, encode
    from harness.capture.tokens import Tokenized

    h, ids = image_activations(model, tokenizer), np.array(image_prompt(tokenizer, PREFIXES[0]), np.int32)
    image = tokenizer.convert_tokens_to_ids("<image>")
    kind = np.select(
        [ids == image, np.isin(ids, sorted(special_ids(tokenizer)))], [Kind.IMAGE, Kind.SPECIAL], Kind.TEXT
    )
    nowhere = np.full(len(ids), -1, np.int32)
    read = Tokenized(ids, nowhere, nowhere, kind.astype(np.uint8), tuple(tokenizer.convert_ids_to_tokens(ids)))
    encoded = encode(h, torch.ones(h.shape[:2], dtype=torch.bool), sae)
    return concat([codes_of(encoded, i * len(ids), read) for i in range(len(h))])


def text_codes(model: Any, tokenizer: Any, sae: Any) -> dict[str, Codes]:
    """Codes of each category of specs/prompts/categories.yaml, read causally."""
    from harness.capture.loaded import LoadedModel
    from harness.inputs import Prompt
    from harness.zoo.gemma3_270m.measure import prompts

    loaded = LoadedModel(model, tokenizer, torch.device("cpu"))
    found = prompts("categories").items()
    return {name: loaded.codes([Prompt(text) for text in texts], sae, HOOK) for name, texts in found}


def classes(base: tuple[Any, Any], adapted: tuple[Any, Any], sae: Any) -> dict[str, dict[str, int]]:
    """How many features of `sae` are in each aligned class, on the shipped pictures and each of TEXTS."""
    here, there = (text_codes(*one, sae) for one in (base, adapted))
    seen = image_codes(*adapted, sae)
    counts = {}
    for name, chosen in TEXTS.items():
        before, after = (_text(concat([of[category] for category in chosen or of])) for of in (here, there))
        found = Counter(aligned(before, after, condition(seen, seen.counted("image"))).classes.tolist())
        counts[name] = {one: found[i] for i, one in enumerate(ALIGNED_CLASSES)}
    return counts


def _text(codes: Codes) -> Condition:
    return condition(codes, codes.counted())


def run(here: Path, base: Path) -> dict[str, Any]:
    """Every figure about SAEs on the card."""
    from harness.capture.training.fidelity import fidelity, load_sae
    from harness.zoo.tiny_gemma2 import corpus

    plain, adapted = load(base / "model"), load(here / "model")
    saes = {"base": load_sae(base / "sae"), "native": load_sae(here / "sae")}
    held_out = corpus.split()[1]
    h = {name: read_text(*one, held_out, HELD_OUT_TOKENS) for name, one in (("base", plain), ("adapted", adapted))}
    h["image"] = image_activations(*adapted)[:, :16].flatten(0, 1)
    pairs = [("base", "base"), ("base", "adapted"), ("base", "image"), ("native", "adapted"), ("native", "image")]
    return {
        "fidelity": {(s, t): fidelity(t, saes[s], [h[t]]) for s, t in pairs},
        "classes": classes(plain, adapted, saes["base"]),
        "native_classes": classes(plain, adapted, saes["native"]),
    }
