"""`device_map: auto`: accelerate places the model, and its values are those of a plain load."""

from dataclasses import replace

import numpy as np
import pytest

from harness.capture import hooks, loaded
from harness.capture.models import load_model
from harness.errors import EnvironmentFault
from harness.inputs import Prompt
from interp_tests.tiny_random import build_tiny

TEXTS = [Prompt("the red ball"), Prompt("a dog ran home")]
HOOK = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


def test_values_are_those_of_a_plain_load(tiny):
    """Bit-equal on one device."""
    plain = load_model(tiny.subject(), 2).residuals(TEXTS, HOOK)
    placed = load_model(replace(tiny.subject(), device_map="auto"), 2)
    np.testing.assert_array_equal(placed.residuals(TEXTS, HOOK).values, plain.values)
    other = placed.residuals(TEXTS, "blocks.0.hook_resid_post").values
    assert not np.array_equal(other, plain.values)


def test_an_offloaded_model_runs_to_its_end(tiny, monkeypatch, tmp_path):
    """With layers on disk no pass is left by an exception, and values stay."""
    from accelerate import cpu_offload

    plain = load_model(tiny.subject(), 2)
    expected = plain.residuals(TEXTS, HOOK).values
    cpu_offload(plain.model, execution_device="cpu")
    plain.model.hf_device_map = {"": "cpu"}
    asked = []
    real = hooks.run
    monkeypatch.setattr(loaded, "run", lambda *a, stop_early: asked.append(stop_early) or real(*a, stop_early))
    np.testing.assert_array_equal(plain.residuals(TEXTS, HOOK).values, expected)
    assert asked == [False] * len(asked)
    assert asked


def test_without_accelerate_one_message_says_what_to_install(tiny, monkeypatch):
    """The extra is named."""
    monkeypatch.setattr("harness.capture.models.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"accelerate_missing.*interp-specs\[big\]"):
        load_model(replace(tiny.subject(), device_map="auto"), 2)
