"""Sites are proven when a model is loaded: right, or refused by name, in every family that transformers builds."""

import pytest
import torch

from harness.capture.layers import decoder_layers
from harness.capture.loaded import LoadedModel
from harness.errors import EnvironmentFault
from harness.inputs import SITES
from interp_tests import architectures
from interp_tests.architectures import HANDFUL, judged, tiny_model

MLP_OUT = "blocks.1.hook_mlp_out"
REFUSED = {
    "granite": {"hook_mlp_out"},
    "bloom": {"hook_mlp_out"},
    "gemma4_text": {"hook_mlp_out"},
    "opt": {"hook_mlp_out"},
    "mamba": {"hook_mlp_out"},
    "deepseek_v4": set(SITES),
    "xlnet": set(SITES),
}


def proof(model, hook):
    LoadedModel(model, None, torch.device("cpu")).prove(hook)


def refusal(model, hook=MLP_OUT):
    with pytest.raises(EnvironmentFault) as caught:
        proof(model, hook)
    return caught.value


@pytest.mark.parametrize("model_type", HANDFUL)
def test_a_site_is_right_or_refused(model_type):
    """What is read is the truth that patching and zeroed weights give; where it would not be, it is refused."""
    model = tiny_model(model_type)
    found = {site: judged(model, site) for site in SITES}
    assert {site for site, outcome in found.items() if outcome != "right"} == REFUSED.get(model_type, set()), found
    assert all(outcome == "right" or outcome.startswith("refused: `site_") for outcome in found.values()), found


@pytest.mark.slow
def test_no_site_of_any_family_is_wrong():
    """Every causal language model that transformers builds here, at least 60 of them."""
    built, _ = architectures.rows()
    assert len(built) >= 60
    assert [(family, row) for family, row in built if any(cell.startswith("WRONG") for cell in row)] == []
    page = (architectures.DOCS / "architectures.md").read_text()
    assert [family for family, row in built if f"| {family} | {' | '.join(row)} |" not in page] == []


def test_the_oracle_sees_what_is_wrong(monkeypatch):
    """Without the proof the same comparison finds Granite's and BLOOM's MLPs wrong, and a layer too far."""
    for place in ("harness.capture.proving", "harness.capture.loaded"):
        monkeypatch.setattr(f"{place}.prove", lambda model, hook: None)
    assert judged(tiny_model("granite"), "hook_mlp_out").startswith("WRONG")
    assert judged(tiny_model("bloom"), "hook_mlp_out").startswith("WRONG")
    model = tiny_model("llama")
    assert (
        architectures.stream_error(model, "hook_resid_post", architectures.read(model, "blocks.2.hook_resid_post"))
        > 0.1
    )


def test_a_multiplier_of_one_is_no_reason_to_refuse():
    """It is the sum that decides, not the family's name."""
    proof(tiny_model("granite", residual_multiplier=1.0), MLP_OUT)
    assert refusal(tiny_model("granite", residual_multiplier=0.99)).code == "site_unproven"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_neither_hides_nor_makes_a_difference(dtype):
    """In half precision the sum is off by 2e-3 by rounding alone: the layer is run again in float32."""
    proof(tiny_model("llama", dtype), MLP_OUT)
    assert refusal(tiny_model("granite", dtype, residual_multiplier=0.997)).code == "site_unproven"


def test_a_sink_hides_no_small_part():
    """A first token of norm 100,000 beside parts of norm 1: every token counts by its own parts."""
    for multiplier, proven in ((1.0, True), (0.9, False)):
        model = tiny_model("granite", residual_multiplier=multiplier)
        ids = model.model.embed_tokens.weight
        with torch.no_grad():
            ids[3].mul_(100_000 / ids[3].norm())
        if proven:
            proof(model, MLP_OUT)
        else:
            assert refusal(model).code == "site_unproven"


def test_a_stream_that_is_changed_between_layers_is_refused():
    """What leaves layer 1 must be what enters layer 2, or neither is the stream."""
    model = tiny_model("llama")
    decoder_layers(model)[2].register_forward_pre_hook(lambda module, args: (args[0] * 1.5, *args[1:]))
    assert "is not what enters the next module" in refusal(model, "blocks.1.hook_resid_post").message
    assert "is not what left layer 1" in refusal(model, "blocks.2.hook_resid_pre").message
    proof(model, "blocks.1.hook_resid_pre")
    proof(model, "blocks.2.hook_resid_post")


def test_a_layer_that_runs_twice_is_refused():
    """Whose activations would be read?"""
    model = tiny_model("llama")
    layers = decoder_layers(model)
    layers[2] = layers[1]
    assert "runs layer 1 2 times" in refusal(model, "blocks.1.hook_resid_post").message


def test_the_last_layer_is_proven_by_the_norm_after_it():
    """A model cut off after the layer that is read has no next layer."""
    for family in ("llama", "gpt2", "bloom"):
        proof(tiny_model(family), "blocks.3.hook_resid_post")
    model = tiny_model("llama")
    model.model.norm.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    assert refusal(model, "blocks.3.hook_resid_post").code == "site_unproven"


def test_one_site_that_is_refused_leaves_the_others():
    """BLOOM's MLP cannot be read, its stream can; and nothing stays hooked."""
    model = tiny_model("bloom")
    fault = refusal(model)
    assert f"{MLP_OUT} of BloomForCausalLM is refused" in fault.message
    proof(model, "blocks.1.hook_resid_post")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
