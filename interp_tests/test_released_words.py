"""A release whose words stand in a cfg.json on the hub: they are compared when it is loaded."""

import json

import pytest
import torch

from harness.capture.centring import wants_centred
from harness.capture.saes import load_sae
from harness.errors import EnvironmentFault
from harness.inputs import SaeRef
from interp_tests.hub_cache import folder_of
from interp_tests.tiny_random import D_MODEL, HOOK, make_jumprelu, make_topk

CPU = torch.device("cpu")
REPOSITORY = "someone/their-saes"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Puts an SAE into a hub cache under a name that the registry does not list, saying what a test has it say."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def publish(make=make_jumprelu, **says):
        folder = folder_of(tmp_path / "hub", REPOSITORY) / "layer_1"
        sae = make()
        sae.cfg.metadata.hook_name = HOOK
        sae.save_model(folder)
        path = folder / "cfg.json"
        config = json.loads(path.read_text())
        for key, value in says.items():
            (config if key in config else config["metadata"])[key] = value
        path.write_text(json.dumps(config))
        return SaeRef("theirs", "release", REPOSITORY, "layer_1", hook=HOOK)

    return publish


def fault_of(ref, **how):
    with pytest.raises(EnvironmentFault) as caught:
        load_sae(ref, D_MODEL, CPU, **how)
    return caught.value


def test_a_release_that_says_what_is_read_is_read(published):
    """Nothing in it differs; it is loaded as a folder of this repository would be."""
    assert load_sae(published(), D_MODEL, CPU).cfg.d_sae == 64


@pytest.mark.parametrize(
    ("says", "code", "named"),
    [
        ({"hook_name": "blocks.2.hook_resid_post"}, "sae_mismatch", "trained at blocks.2.hook_resid_post"),
        ({"hook_head_index": 1}, "sae_unsupported", "one attention head"),
        ({"seqpos_slice": [1, None]}, "sae_unsupported", "positions [1:] only"),
        ({"normalize_activations": "expected_average_only_in"}, "sae_unsupported", "expected_average_only_in"),
        ({"normalize_activations": "covariance_whitening"}, "sae_unsupported", "covariance_whitening"),
        ({"activation_fn": "tanh-relu"}, "sae_unsupported", "tanh-relu"),
    ],
)
def test_what_its_file_says_otherwise_is_refused(published, says, code, named):
    """As of a folder, once the file is here."""
    fault = fault_of(published(**says))
    assert fault.code == code
    assert named in fault.message


def test_what_is_meant_is_read(published):
    """`read_otherwise` of the subject lets it through."""
    assert load_sae(published(hook_head_index=1), D_MODEL, CPU, HOOK, {"head": "why"}) is not None


def test_a_topk_release_must_be_called_so(published):
    """Nobody can know before it is loaded that a claim about its L0 is vacuous: the entry has to say it."""
    ref = published(make_topk)
    fault = fault_of(ref)
    assert (fault.code, fault.mend) == ("sae_mismatch", "Write `architecture: topk`.")
    import dataclasses

    assert load_sae(dataclasses.replace(ref, architecture="topk"), D_MODEL, CPU) is not None
    assert fault_of(dataclasses.replace(ref, architecture="jumprelu")).code == "sae_mismatch"


def test_its_centred_stream_is_obeyed(published):
    """What only the hub's file says counts as what a folder's says."""
    ref = published(model_from_pretrained_kwargs={"center_writing_weights": True})
    assert wants_centred(load_sae(ref, D_MODEL, CPU))
    assert not wants_centred(load_sae(published(), D_MODEL, CPU))


def test_a_file_from_before_sae_lens_6_is_read_by_its_own_names(published, tmp_path):
    """Fields at the top, under names of their day: another activation function in it is found."""
    ref = published()
    path = folder_of(tmp_path / "hub", REPOSITORY) / "layer_1/cfg.json"
    old = {
        "d_in": D_MODEL, "d_sae": 64, "dtype": "float32", "device": "cpu", "architecture": "jumprelu",
        "hook_point": HOOK, "hook_point_layer": 1, "apply_b_dec_to_input": False, "normalize_activations": False,
        "activation_fn_str": "relu",
    }  # fmt: skip
    path.write_text(json.dumps(old))
    assert load_sae(ref, D_MODEL, CPU) is not None
    path.write_text(json.dumps({**old, "activation_fn_str": "tanh-relu"}))
    assert "tanh-relu" in fault_of(ref).message
    path.write_text(json.dumps({**old, "normalize_activations": True}))
    assert "expected_average_only_in" in fault_of(ref).message
    path.write_text(json.dumps({**old, "hook_point": "blocks.1.hook_resid_pre"}))
    assert fault_of(ref).code == "sae_mismatch"
