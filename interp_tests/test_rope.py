"""Rotary frequencies that depend on a length depend on the text's own, never on what was read before or beside it."""

import numpy as np
import pytest
import torch

from harness.capture.batching import Shapes, by_length
from harness.capture.limits import Limits
from harness.capture.loaded import LoadedModel
from interp_tests.architectures import tiny_model

HOOK = "blocks.2.hook_resid_post"
SHORT, EDGE, LONG = (np.arange(3, 3 + n, dtype=np.int32) for n in (10, 18, 40))
HALF = 4  # pairs of rotated dimensions of a head of 8
LONGROPE = {
    "rope_type": "longrope", "short_factor": [1.0] * HALF, "long_factor": [4.0] * HALF, "rope_theta": 1e4,
    "original_max_position_embeddings": 18, "factor": 4.0,
}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}


def model_with(rope, positions=64):
    return tiny_model("llama", rope_parameters=dict(rope), max_position_embeddings=positions)


def read(loaded, *texts):
    """Per text its activations, [n_tokens, d_model]."""
    found = {}

    def keep(batch):
        for row, i in enumerate(batch.indices):
            found[i] = batch.seen[HOOK][row, : len(texts[i])]

    loaded.read(list(texts), [HOOK], keep)
    return [found[i] for i in range(len(texts))]


def alone(model, text):
    """The model's own hidden states of one text without padding."""
    ids = torch.from_numpy(text)[None].long()
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[3][0]


@pytest.mark.parametrize("rope", [LONGROPE, DYNAMIC], ids=lambda rope: rope["rope_type"])
def test_a_short_text_reads_the_same_after_a_long_one(rope):
    """Bit for bit, in one call and in several."""
    loaded = LoadedModel(model_with(rope), None, torch.device("cpu"))
    (before,) = read(loaded, SHORT)
    read(loaded, LONG)
    (after,) = read(loaded, SHORT)
    beside = read(loaded, LONG, SHORT)[1]
    assert torch.equal(before, after)
    assert torch.equal(before, beside)


@pytest.mark.parametrize("text", [SHORT, EDGE, LONG], ids=len)
@pytest.mark.parametrize("rope", [LONGROPE, DYNAMIC], ids=lambda rope: rope["rope_type"])
def test_a_text_is_read_with_the_frequencies_of_its_own_length(rope, text):
    """Padding 18 tokens to a bucket of 24 would take longrope's frequencies of long texts."""
    model = model_with(rope)
    (found,) = read(LoadedModel(model, None, torch.device("cpu")), text)
    torch.testing.assert_close(found, alone(model, text), atol=2e-4, rtol=1e-3)


def test_padding_beyond_the_switch_would_show(monkeypatch):
    """The comparison above can fail."""
    monkeypatch.setattr("harness.capture.limits._switch", lambda rope: None)
    model = model_with(LONGROPE)
    (found,) = read(LoadedModel(model, None, torch.device("cpu")), EDGE)
    assert not torch.allclose(found, alone(model, EDGE), atol=1e-2)


def test_a_bucket_ends_at_the_switch():
    """Texts that fit stand in a bucket of that length at most; longer ones in their own."""
    assert by_length([10, 17, 18, 19, 40], Shapes(256), 64, 18) == {12: [0], 18: [1, 2], 24: [3], 48: [4]}
    assert by_length([10, 17, 18], Shapes(256), 64) == {12: [0], 24: [1, 2]}
    nested = {"full_attention": LONGROPE, "sliding_attention": {"rope_type": "default"}}
    config = type("Config", (), {"rope_parameters": nested, "vocab_size": 9, "max_position_embeddings": 64})()
    assert Limits.of(config).rope_switch == 18
    config.rope_parameters = {"rope_type": "default"}
    assert Limits.of(config).rope_switch is None
