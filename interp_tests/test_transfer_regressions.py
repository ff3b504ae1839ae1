"""What silently changes a census must not come back unnoticed: the other attention, a dropped mask, a counted BOS."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.capture.loaded import LoadedModel
from harness.capture.models import load_model
from harness.capture.saes import load_sae
from harness.census import census_of
from harness.digests import file_digest
from harness.inputs import ModelRef, Picture, Prompt
from harness.stats.transfer.aligned import aligned
from harness.stats.transfer.conditions import condition
from harness.stats.transfer.pairs import Misaligned
from harness.stats.transfer.ratio import ratio_of_means
from interp_tests.tiny_random import HOOK, TEXTS, build_tiny, build_tiny_pali

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = sorted((ROOT / "specs/images/photos").rglob("*.jpg"))
PLAIN = [Prompt(f"{start} {text}") for start in ("", "Well,", "So") for text in TEXTS]
PICTURES = [
    Prompt(text, image=Picture(str(path.relative_to(ROOT)), file_digest(path)))
    for path, text in zip(
        PHOTOS, ["A.", "A photo.", "A long caption of a photograph, so that others are padded."] * 4, strict=False
    )
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """read(model, prompts) -> codes through one SAE, of a base model and of a PaliGemma with its language weights."""
    tiny = build_tiny(tmp_path_factory.mktemp("tiny"))
    folder = build_tiny_pali(tiny.root, tiny)
    seeing = replace(tiny.subject("pali"), model=ModelRef("pali", "path", str(folder), modality="image_text"))
    models = {"base": load_model(tiny.subject(), 2), "adapted": load_model(seeing, 2)}
    sae = load_sae(tiny.subject().sae, 32, torch.device("cpu"))
    return lambda name, prompts: models[name].codes(prompts, sae, HOOK)


@pytest.fixture(scope="module")
def right(read):
    return census_of(read("base", PLAIN), read("adapted", PLAIN), read("adapted", PICTURES))


def strengths(census):
    return {name: one.mean.round(6).tolist() for name, one in census.strength.items()}


def test_equal_weights_move_nothing(right):
    """The same language weights: what fires often enough is stable, nothing is shifted or lost."""
    assert right.counts["stable"] > 0
    assert {name: right.counts[name] for name in ("rescaled", "shifted", "lost", "new_text")} == {
        "rescaled": 0, "shifted": 0, "lost": 0, "new_text": 0,
    }  # fmt: skip


def test_prefix_attention_for_text_changes_the_census(read, right):
    """Read both ways, the adapted model is another one."""
    prefix = [replace(prompt, attention="prefix") for prompt in PLAIN]
    wrong = census_of(read("base", PLAIN), read("adapted", prefix), read("adapted", PICTURES))
    assert wrong.counts != right.counts
    assert wrong.counts["stable"] < right.counts["stable"]


def test_counting_bos_in_one_model_changes_the_classes(read):
    """As the notebook's processor leaves BOS out of one model's text and not of the other's."""
    base, adapted = read("base", PLAIN), read("adapted", PLAIN)
    ignored, counted = (condition(base, base.counted("text", special)) for special in ("ignored", "counted"))
    other = condition(adapted, adapted.counted("text"))
    assert counted.n_tokens == ignored.n_tokens + len(PLAIN)
    assert (ratio_of_means(counted, other).classes != ratio_of_means(ignored, other).classes).any()
    with pytest.raises(Misaligned):
        aligned(counted, other)


def test_dropping_the_mask_changes_the_census(read, right, monkeypatch):
    """Padding that pictures can see moves the features on their tokens; nothing raises."""
    whole = LoadedModel._whole

    def without_mask(self):
        body = whole(self)
        return lambda **given: body(**{name: value for name, value in given.items() if name != "attention_mask"})

    monkeypatch.setattr(LoadedModel, "_whole", without_mask)
    wrong = census_of(read("base", PLAIN), read("adapted", PLAIN), read("adapted", PICTURES))
    moved = np.abs(wrong.strength["adapted_image_tokens"].mean - right.strength["adapted_image_tokens"].mean)
    assert moved.max() > 0.01
    assert strengths(wrong)["base_text"] == strengths(right)["base_text"], (
        "and the base model, which has none, is as it was"
    )
