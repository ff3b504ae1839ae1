"""tiny-qwen3 is what its card says: no BOS, and a TopK SAE as Qwen-Scope writes its own."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.capture.models import load_model
from harness.capture.saes import load_sae
from harness.codes import Kind
from harness.inputs import Prompt
from harness.language.references import Folder
from harness.language.sets import resolve_reference
from harness.language.subjects import load_subjects
from harness.stats.auroc import auroc_of_all

ROOT = Path(__file__).resolve().parents[1]
ZOO = ROOT / "harness/zoo/tiny_qwen3"
PROMPTS = [Prompt("The red ball is here."), Prompt("x = 1")]


@pytest.fixture(scope="module")
def parts():
    subject = load_subjects(Folder(ROOT)).subjects["tiny-qwen3"]
    model = load_model(subject, 4)
    return subject, model, load_sae(subject.sae, model.d_model, model.device)


def test_the_files_are_those_of_the_card():
    """Every digest on the card is that of the file beside it, and all four are there."""
    digests = re.findall(r"([0-9a-f]{64})  (\S+)", (ZOO / "CARD.md").read_text())
    assert len(digests) == 4
    for digest, name in digests:
        assert hashlib.sha256((ZOO / name).read_bytes()).hexdigest() == digest, name
    assert (ZOO / "model/model.safetensors").stat().st_size <= 3_000_000


def test_the_checkpoint_is_laid_out_as_qwen_scope_lays_out_its_own():
    """Names, shapes and dtype of layer3.sae.pt."""
    found = torch.load(ZOO / "sae/layer3.sae.pt", weights_only=True)
    assert {name: tuple(t.shape) for name, t in found.items()} == {
        "W_enc": (1024, 128),
        "W_dec": (128, 1024),
        "b_enc": (1024,),
        "b_dec": (128,),
    }
    assert {t.dtype for t in found.values()} == {torch.float32}


def test_texts_have_no_bos_and_every_token_counts(parts):
    """Qwen puts nothing before a text: the first token is the text's own, and its code is kept."""
    subject, model, sae = parts
    assert not model.texts.bos_first
    codes = model.codes(PROMPTS, sae, subject.hook)
    assert set(codes.kind) == {Kind.TEXT}
    assert codes.token[0] == "The"
    assert codes.counted().all()


def test_at_most_k_features_fire_on_a_token(parts):
    """TopK, less what ReLU takes; all are used, so k is the one that was trained."""
    subject, model, sae = parts
    fired = np.diff(model.codes(PROMPTS, sae, subject.hook).indptr)
    assert fired.max() == subject.sae.k == 12


@pytest.mark.parametrize("category", ["color", "animal", "code"])
def test_the_cards_table_is_what_one_measures(parts, category):
    """Chosen on discovery.yaml, tested on categories.yaml: the feature and both AUROCs are the card's."""
    subject, model, sae = parts
    row = re.search(
        rf"^\| {category} \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", (ZOO / "CARD.md").read_text(), re.MULTILINE
    )

    def aurocs(file):
        pooled = []
        for sign in ("", "!"):
            prompts = resolve_reference(ROOT, f"prompts/{file}.yaml#{sign}{category}").prompts
            codes = model.codes([Prompt(p.text) for p in prompts], sae, subject.hook)
            pooled.append(codes.pooled(codes.counted()))
        return auroc_of_all(*pooled)

    feature, (found, tested) = int(row[1]), (aurocs("discovery"), aurocs("categories"))
    assert int(np.argmax(found)) == feature
    assert (found[feature], tested[feature]) == pytest.approx((float(row[2]), float(row[3])), abs=2e-3)
    assert tested[(feature + 1) % len(tested)] != pytest.approx(float(row[3]), abs=2e-3)
