"""The same promises on a model that was trained: tiny-gemma2 and its SAE, as they ship."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.capture.engine import read_model
from harness.capture.models import load_model
from harness.capture.saes import load_sae
from harness.codes import Kind
from harness.inputs import ModelRef, Prompt, Reading, SaeRef, Subject
from harness.keys import code_key, prompt_key
from harness.store import Store
from interp_tests.tiny_random import TEXTS, Kept

ZOO = Path(__file__).resolve().parents[1] / "harness/zoo/tiny_gemma2"
HOOK = "blocks.3.hook_resid_post"
SUBJECT = Subject(
    "tiny-gemma2",
    ModelRef("tiny-gemma2", "path", str(ZOO / "model")),
    SaeRef("tiny-gemma2", "path", str(ZOO / "sae"), d_in=128, d_sae=1024, hook=HOOK),
    HOOK,
)
PROMPTS = [Prompt(text) for text in TEXTS]


@pytest.fixture(scope="module")
def loaded():
    return load_model(SUBJECT, 4)


@pytest.fixture(scope="module")
def sae():
    return load_sae(SUBJECT.sae, 128, torch.device("cpu"))


def read(prompts):
    sink = Kept()
    rows = tuple((prompt_key(prompt), prompt) for prompt in prompts)
    stats = read_model([Reading(SUBJECT, code_key(SUBJECT), rows)], sink)
    assert not sink.faults
    return sink.rows, stats[SUBJECT.name]


def test_its_activations_are_its_hidden_states(loaded):
    """What is read in batches is what the whole six-layer model says of each text alone."""
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(ZOO / "model", dtype=torch.float32, attn_implementation="eager")
    kept = loaded.residuals(PROMPTS, HOOK)
    for i, prompt in enumerate(PROMPTS):
        ids = torch.tensor(loaded.texts.tokenize(prompt, 512).ids[None], dtype=torch.long)
        with torch.no_grad():
            states = whole(ids, output_hidden_states=True).hidden_states
        scale = float(states[4].abs().max())
        np.testing.assert_allclose(kept.values[kept.prompt == i], states[4][0].numpy(), atol=1e-5 * scale)
        assert float((states[3] - states[4]).abs().max()) > 1e-2 * scale


def test_its_codes_are_the_same_bits_whatever_else_was_read():
    """Alone and among forty others."""
    among, _ = read([*PROMPTS, *(Prompt(f"{text} {i}") for i in range(7) for text in TEXTS)])
    for prompt in PROMPTS:
        alone, _ = read([prompt])
        ((key, codes),) = alone.items()
        for name in ("indptr", "index", "value", "hh", "rr", "hr", "ee", "sum_h"):
            np.testing.assert_array_equal(getattr(codes, name), getattr(among[key], name), name)


def test_bos_is_first_and_never_counted(loaded, sae):
    """It is special by its id, and larger than any word (norm 51; words 30 in the median, 40 at most)."""
    codes = loaded.codes(PROMPTS, sae, HOOK)
    first = np.flatnonzero(codes.position == 0)
    assert (codes.kind[first] == Kind.SPECIAL).all()
    assert {codes.token[i] for i in first} == {loaded.tokenizer.bos_token}
    assert not codes.counted()[first].any()
    assert codes.hh[first].min() > codes.hh[codes.counted()].max()
    assert codes.counted().sum() == codes.n_tokens - len(PROMPTS)


def test_its_codes_survive_the_store(tmp_path):
    """What a second run judges from is what the first one read."""
    rows, stats = read(PROMPTS)
    assert (stats.loads, stats.prompts) == (1, len(PROMPTS))
    store = Store(tmp_path / "evidence.sqlite")
    store.put(code_key(SUBJECT), {}, [(key, codes) for (_, key), codes in rows.items()])
    found = Store(tmp_path / "evidence.sqlite").get(code_key(SUBJECT), [prompt_key(p) for p in PROMPTS])
    for (_, key), codes in rows.items():
        for name in codes.__dataclass_fields__:
            assert np.array_equal(getattr(found[key], name), getattr(codes, name)), name
