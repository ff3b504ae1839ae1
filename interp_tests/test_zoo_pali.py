"""tiny-paligemma2 and its SAE are what their card says: captions of unseen pairs, text not forgotten, and fidelity."""

import hashlib
import random
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.capture.training.fidelity import fidelity, load_sae
from harness.zoo.tiny_gemma2 import corpus
from harness.zoo.tiny_gemma2.train_model import pack
from harness.zoo.tiny_paligemma2 import measure, pictures, shipped, tower, train_model
from harness.zoo.tiny_paligemma2.captions import FRAMES, PREFIXES, batch, captioned, image_prompt, right, words_of
from harness.zoo.tiny_paligemma2.train_sae import read_text

ROOT = Path(__file__).resolve().parents[1]
ZOO = ROOT / "harness/zoo/tiny_paligemma2"
BASE = ROOT / "harness/zoo/tiny_gemma2"
CARD = ZOO / "CARD.md"


@pytest.fixture(scope="module")
def adapted():
    return measure.load(ZOO / "model")


@pytest.fixture(scope="module")
def base():
    return measure.load(BASE / "model")


@pytest.fixture(scope="module")
def processor():
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(ZOO / "model")


@pytest.fixture(scope="module")
def held_out():
    return corpus.split()[1]


def card_number(pattern):
    found = re.search(pattern, CARD.read_text(), re.MULTILINE)
    assert found, pattern
    return float(found[1])


def test_the_files_are_those_of_the_card():
    """Every digest on the card is that of the file beside it."""
    digests = re.findall(r"([0-9a-f]{64})\s+((?:model|sae)/\S+)", CARD.read_text())
    assert len(digests) == 6
    for digest, name in digests:
        assert hashlib.sha256((ZOO / name).read_bytes()).hexdigest() == digest, name


def test_no_path_of_a_machine_is_in_the_files():
    """Configurations name neither a folder nor a user."""
    for path in [*ZOO.rglob("*.json"), *ZOO.rglob("*.md")]:
        assert not re.search(r"/(?:home|root|tmp|work|Users)/", path.read_text()), path


def test_the_zoo_is_small():
    """All that ships in the zoo is at most 40 MB."""
    files = [p for p in ZOO.parent.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert 10e6 < sum(p.stat().st_size for p in files) <= 40e6


def test_no_picture_of_an_unseen_pair_is_trained_on():
    """Every color keeps at least all shapes but one, every shape all colors but one; unseen and trained are apart."""
    scenes, _ = pictures.drawn(2000, 3, pictures.TRAINED)
    assert not {(s.color, s.shape) for s in scenes} & pictures.HELD_OUT
    assert len({c for c, _ in pictures.HELD_OUT}) == len({s for _, s in pictures.HELD_OUT}) == len(pictures.HELD_OUT)
    assert 6 * len(pictures.HELD_OUT) < len(pictures.HELD_OUT) + len(pictures.TRAINED)


@pytest.mark.parametrize("folder", shipped.SEEDS)
def test_the_shipped_pictures_are_what_the_code_draws(folder):
    """Each folder has every color with every shape, in small files whose pixels the code draws again."""
    drawn = dict(shipped.drawn(folder))
    files = sorted((shipped.FOLDER / folder).rglob("*.png"))
    assert {p.relative_to(shipped.FOLDER).as_posix() for p in files} == drawn.keys()
    assert len(files) == 80
    assert max(p.stat().st_size for p in files) <= 1024
    for path in files:
        there = np.asarray(Image.open(path).convert("RGB"), int)
        here = np.asarray(drawn[path.relative_to(shipped.FOLDER).as_posix()], int)
        assert np.abs(there - here).mean() < 2, path  # a palette of 16
    assert np.abs(there - np.asarray(next(iter(drawn.values())), int)).mean() > 2


def test_the_two_folders_share_no_scene():
    """What a feature is found on and what it is tested on show no color and shape in the same number and place."""
    found, tested = (set(shipped.scenes(seed)) for seed in shipped.SEEDS.values())
    assert not found & tested


def test_captions_are_tokenized_as_the_processor_would(adapted, processor):
    """Rows put together word by word are the processor's, and so are their pixels and token types."""
    _, tokenizer = adapted
    random_ = random.Random(5)
    scenes, images = pictures.drawn(12, 5, pictures.TRAINED)
    for scene, image in zip(scenes, images, strict=True):
        frame, prefix = random_.choice(FRAMES), random_.choice(PREFIXES)
        row = captioned(tokenizer, scene, frame, prefix)
        words = words_of(scene)
        given = {"text": [f"<image>{prefix}"], "suffix": [frame.format(**words)], "images": [Image.fromarray(image)]}
        made = processor(**given, return_tensors="pt")
        ours = batch([row], tokenizer.pad_token_id)
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            assert made[name].tolist() == ours[name].tolist(), name
        assert torch.allclose(made["pixel_values"], tower.inputs(image[None]), atol=1e-5)
        for name, word in words.items():
            assert tokenizer.decode([row.ids[p] for p in row.places[name]]).strip() == word


def test_the_processor_names_its_backend(processor):
    """The image processor is PIL's, whatever else is installed."""
    assert type(processor.image_processor).__name__ == "SiglipImageProcessorPil"


def test_text_is_tokenized_as_in_the_base(base, adapted):
    """Prompts have the same ids in both models, BOS first; the processor's own text, less its pictures, too."""
    (_, plain), (_, tokenizer) = base, adapted
    text = (ROOT / "specs/prompts/categories.yaml").read_text().splitlines()
    assert [plain(t)["input_ids"] for t in text] == [tokenizer(t)["input_ids"] for t in text]
    assert tokenizer("red")["input_ids"][0] == tokenizer.bos_token_id
    ids = image_prompt(tokenizer, "red")
    assert ids[16:] == plain("red\n")["input_ids"]
    assert ids[:17] != plain("red\n")["input_ids"][:17]


def test_it_loads_in_about_a_second():
    """Loading is a matter of a second, not of minutes; the bound is wide, for a busy machine."""
    start = time.process_time()
    measure.load(ZOO / "model")
    assert time.process_time() - start < 10


@pytest.mark.parametrize("pairs", ["seen", "unseen"])
def test_captions_name_what_is_there(adapted, pairs):
    """Color and shape are right on nine pictures in ten each, of pairs never trained on too, and as the card says."""
    model, tokenizer = adapted
    chosen = pictures.TRAINED if pairs == "seen" else tuple(sorted(pictures.HELD_OUT))
    found = train_model.accuracy(model, tokenizer, chosen, seed=909, n=200)
    row = re.search(rf"^\| captions \| {pairs} pairs \| (.*) \|$", CARD.read_text(), re.MULTILINE)
    said = dict(zip(tower.CHOICES, map(float, row[1].split(" | ")), strict=True))
    assert found["color"] >= 0.9
    assert found["shape"] >= 0.9
    assert found == pytest.approx(said, abs=0.06)


def test_without_the_picture_it_can_only_guess(adapted):
    """The accuracies come from the pictures: with a gray one color and shape are near chance."""
    model, tokenizer = adapted
    scenes, images = pictures.drawn(100, 910, pictures.TRAINED)
    rows = [captioned(tokenizer, s, FRAMES[0], PREFIXES[0]) for s in scenes]
    inputs = batch(rows, tokenizer.pad_token_id)
    inputs.pop("labels")
    with torch.no_grad():
        gray = tower.inputs(np.full_like(images, 128))
        found = right(rows, model(**inputs, pixel_values=gray, use_cache=False).logits.argmax(-1))
    assert max(found["color"], found["shape"]) < 0.5


def test_text_is_not_forgotten(base, adapted, held_out):
    """Nats a token of held-out text, read causally, are within 10 % of tiny-gemma2's; other weights' are not."""
    (plain, tokenizer), (model, _) = base, adapted
    rows = pack(tokenizer, held_out)[:64]
    with torch.no_grad():
        before = float(plain(input_ids=rows, labels=rows, use_cache=False).loss)
        after = float(train_model.text_loss(model, rows))
        prefix = model(input_ids=rows, labels=rows, attention_mask=torch.ones_like(rows),
                       token_type_ids=torch.zeros_like(rows), use_cache=False).loss  # fmt: skip
    assert after <= 1.1 * before
    assert abs(float(prefix) - after) > 0.1, "read as a prefix it is another condition"


def test_the_saes_do_on_text_and_on_pictures_what_the_card_says(adapted, held_out):
    """FVU of both SAEs on text and image tokens of this model; the model's own is the better one on pictures."""
    model, tokenizer = adapted
    h = {
        "text": read_text(model, tokenizer, held_out, 8_000),
        "image": measure.image_activations(model, tokenizer)[:, :16].flatten(0, 1),
    }
    found = {}
    for sae, folder in (("base", BASE / "sae"), ("native", ZOO / "sae")):
        for tokens, values in h.items():
            found[sae, tokens] = fidelity(tokens, load_sae(folder), [values]).fvu
            said = card_number(rf"^\| {sae} \| tiny-paligemma2, {tokens} \| [\d,]+ \| ([\d.]+) \|")
            assert found[sae, tokens] == pytest.approx(said, rel=0.15)
    assert found["native", "image"] < 0.5 * found["base", "image"]


def test_features_stay_move_and_arise(base, adapted):
    """The base's SAE has stable features, features between the classes and new ones, as many as the card says."""
    found = measure.classes(base, adapted, load_sae(BASE / "sae"))
    here = found["72 on colors, counts, places"]
    assert min(here[name] for name in ("stable", "between", "new_vision")) > 0
    said = re.findall(r"^\| base \| ([^|]+) \| ([\d |]+) \|$", CARD.read_text(), re.MULTILINE)
    assert [name for name, _ in said] == list(found)
    for name, counts in said:
        assert list(found[name].values()) == pytest.approx([int(n) for n in counts.split(" | ")], abs=5)
