"""Weights are the pinned ones, complete, finite and safely loaded, or one message says which are not."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness import digests
from harness.capture.layers import decoder_layers
from harness.capture.models import load_model
from harness.capture.saes import load_sae, read_config, weights_digest
from harness.digests import MODEL_FILES, SAE_FILES, TOKENIZER_FILES, files_digest
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, SaeRef
from interp_tests.tiny_random import D_MODEL, D_SAE, LAYERS, build_tiny, edit_json, make_jumprelu, make_tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """One tiny model to copy from."""
    return build_tiny(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def tiny(shelf, tmp_path, monkeypatch):
    """A copy for each test to spoil."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_seen", {})
    shutil.copytree(shelf.root, tmp_path / "tiny")
    return replace(shelf, root=tmp_path / "tiny")


def edit_weights(file, change):
    """Apply `change` to the dict of tensors in a safetensors file."""
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def fault_of(action):
    with pytest.raises(EnvironmentFault) as caught:
        action()
    return caught.value


def test_a_plain_stack_is_loaded_to_the_depth_asked_for(tiny):
    """Two of four layers, and no hook of ours or weight drawn at random among them."""
    loaded = load_model(tiny.subject(), 2)
    whole = load_file(tiny.model / "model.safetensors")
    assert len(decoder_layers(loaded.model)) == 2
    for name, tensor in loaded.model.state_dict().items():
        if name in whole:
            assert torch.equal(tensor, whole[name])
    assert len(decoder_layers(load_model(tiny.subject(), LAYERS + 5).model)) == LAYERS


def test_the_model_is_loaded_to_be_read(tiny):
    """Eager attention, no dropout, no gradients, the dtype that the subject says."""
    loaded = load_model(tiny.subject(dtype="bfloat16"), 2)
    assert loaded.model.config._attn_implementation == "eager"
    assert not loaded.model.training
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in loaded.model.parameters())


def test_missing_weights_say_where_they_were_looked_for(tiny, snapshot):
    """No folder, and a folder without weights."""
    gone = replace(tiny.subject(), model=ModelRef("gone", "path", "zoo/nowhere"))
    fault = fault_of(lambda: load_model(gone, 2))
    assert str(fault) == snapshot
    (tiny.model / "model.safetensors").unlink()
    assert fault_of(lambda: load_model(tiny.subject(), 2)).code == "weights_missing"


def test_a_hub_model_that_is_not_cached_is_missing(tiny, monkeypatch, tmp_path):
    """Offline, the message names the command that fetches it."""
    import huggingface_hub.constants

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    subject = replace(tiny.subject(), model=ModelRef("far", "hub", "nobody/nothing-here", "main"))
    fault = fault_of(lambda: load_model(subject, 2))
    assert fault.code == "weights_missing"
    assert "hf download nobody/nothing-here" in fault.mend


def test_a_tensor_that_is_not_there_is_never_drawn_at_random(tiny, snapshot):
    """transformers would go on with random numbers; the first absent tensor is named."""
    edit_weights(tiny.model / "model.safetensors", lambda t: t.pop("model.layers.1.mlp.up_proj.weight"))
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "weights_missing"
    assert fault.message == snapshot


def test_a_tensor_of_a_layer_that_is_not_read_may_be_absent(tiny):
    """Only what is used is asked for."""
    edit_weights(tiny.model / "model.safetensors", lambda t: t.pop("model.layers.3.mlp.up_proj.weight"))
    assert load_model(tiny.subject(), 2).d_model == D_MODEL


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_checkpoint_with_nan_is_refused(tiny, value, snapshot):
    """One value in one tensor is found and the tensor named."""

    def spoil(tensors):
        tensors["model.layers.0.mlp.down_proj.weight"][3, 5] = value

    edit_weights(tiny.model / "model.safetensors", spoil)
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "not_finite"
    assert fault.message == snapshot


def test_a_truncated_file_is_unreadable(tiny):
    """Half a download is one message, not a trace."""
    file = tiny.model / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "weights_unreadable"
    assert "\n" not in fault.message


def test_pinned_digests_are_held_against_the_files(tiny):
    """Right pins load; another tokenizer, config or weight does not."""
    model = tiny.subject().model
    pinned = replace(
        model,
        digest=files_digest(tiny.model, MODEL_FILES),
        tokenizer_digest=files_digest(tiny.model, TOKENIZER_FILES),
    )
    subject = replace(tiny.subject(), model=pinned)
    load_model(subject, 2)
    make_tokenizer(bos=False).save_pretrained(tiny.model)
    fault = fault_of(lambda: load_model(subject, 2))
    assert (fault.code, "tokenizer" in fault.message) == ("digest_mismatch", True)
    edit_weights(tiny.model / "model.safetensors", lambda t: t["model.norm.weight"].add_(1))
    fault = fault_of(lambda: load_model(subject, 2))
    assert (fault.code, "weights" in fault.message) == ("digest_mismatch", True)


@pytest.mark.parametrize("load", ["model", "sae"])
def test_unsafe_loading_is_refused(tiny, monkeypatch, load):
    """With torch's weights_only default switched off nothing is loaded; 0 is not "on"."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    action = {
        "model": lambda: load_model(tiny.subject(), 2),
        "sae": lambda: load_sae(tiny.subject().sae, D_MODEL, CPU),
    }[load]
    assert fault_of(action).code == "unsafe_loading"
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0")
    action()


def test_float32_is_float32(tiny):
    """Whatever was set before, loading a model turns TF32 off."""
    torch.set_float32_matmul_precision("high")
    load_model(tiny.subject(), 2)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_missing_device_is_named(tiny, monkeypatch):
    """A cuda subject never falls back to the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fault_of(lambda: load_model(tiny.subject(device="cuda"), 2)).code == "device_missing"


@pytest.mark.parametrize("architecture", ["jumprelu", "topk"])
def test_an_sae_is_read_in_float32(tiny, architecture):
    """Kept in bf16 on disk, it computes in float32, in the form that was saved."""

    def halve(tensors):
        for name in ("W_enc", "W_dec"):
            tensors[name] = tensors[name].bfloat16()

    edit_weights(tiny.sae(architecture) / "sae_weights.safetensors", halve)
    sae = load_sae(tiny.subject(architecture=architecture).sae, D_MODEL, CPU)
    assert {p.dtype for p in sae.parameters()} == {torch.float32}
    assert sae.cfg.architecture() == architecture
    h = torch.randn(7, D_MODEL, generator=torch.Generator().manual_seed(0))
    assert sae.encode(h).dtype == torch.float32


def test_the_config_is_read_without_sae_lens(tiny):
    """For shapes and flags, from cfg.json."""
    found = read_config(tiny.sae())
    assert (found["d_in"], found["d_sae"], found["architecture"]) == (D_MODEL, D_SAE, "jumprelu")


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"d_in": 33}, "says d_in 33 of SAE tiny-jumprelu, cfg.json says 32"),
        ({"d_sae": 63}, "says d_sae 63 of SAE tiny-jumprelu, cfg.json says 64"),
        ({"digest": "0" * 64}, f"pins {'0' * 64}, found"),
    ],
    ids=["d_in", "d_sae", "digest"],
)
def test_an_sae_is_what_its_pins_say(tiny, pins, message):
    """A wrong width or digest is refused with both numbers; the right ones load."""
    right = replace(tiny.subject().sae, d_in=D_MODEL, d_sae=D_SAE, digest=files_digest(tiny.sae(), SAE_FILES))
    load_sae(right, D_MODEL, CPU)
    assert message in fault_of(lambda: load_sae(replace(right, **pins), D_MODEL, CPU)).message


def test_an_sae_of_another_model_is_refused(tiny, snapshot):
    """Its width must be the model's."""
    fault = fault_of(lambda: load_sae(tiny.subject().sae, 48, CPU))
    assert fault.message == snapshot


@pytest.mark.parametrize("architecture", ["batchtopk", "matryoshka_batchtopk", "transcoder", "temporal"])
def test_an_architecture_that_cannot_be_read_is_refused_by_name(tiny, architecture, snapshot):
    """Forms for training say how to save the one for reading."""
    edit_json(tiny.sae() / "cfg.json", architecture=architecture)
    fault = fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU))
    assert fault.code == "sae_unsupported"
    assert fault.message == snapshot
    assert ("save_inference_model" in fault.mend) == ("batchtopk" in architecture)


def test_an_sae_that_is_not_there_is_never_replaced(tiny):
    """No folder, no config, no weights, garbage: a message each."""
    sae = tiny.subject().sae
    assert fault_of(lambda: load_sae(replace(sae, location="nowhere"), D_MODEL, CPU)).code == "sae_missing"
    (tiny.sae() / "sae_weights.safetensors").write_bytes(b"garbage")
    assert fault_of(lambda: load_sae(sae, D_MODEL, CPU)).code == "sae_unreadable"
    (tiny.sae() / "sae_weights.safetensors").unlink()
    assert fault_of(lambda: load_sae(sae, D_MODEL, CPU)).code == "sae_missing"
    (tiny.sae() / "cfg.json").write_text("{")
    assert fault_of(lambda: load_sae(sae, D_MODEL, CPU)).code == "sae_missing"


def test_an_sae_with_nan_is_refused(tiny, snapshot):
    """A damaged threshold would silence a feature without a word."""

    def spoil(tensors):
        tensors["threshold"][4] = torch.nan

    edit_weights(tiny.sae() / "sae_weights.safetensors", spoil)
    fault = fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU))
    assert fault.message == snapshot


RELEASE, LAYER = "gemma-scope-2b-pt-res-canonical", "layer_10/width_16k/canonical"  # names that the registry knows


def test_a_release_is_pinned_by_its_tensors(monkeypatch):
    """The digest of what from_pretrained gave is held against the pin; one changed value is seen."""
    from sae_lens import SAE

    sae = make_jumprelu()
    pin = weights_digest(sae)
    asked = []

    def give(release, sae_id, device, dtype):
        asked.append((release, sae_id, dtype))
        return sae

    monkeypatch.setattr(SAE, "from_pretrained", give)
    ref = SaeRef("scope", "release", RELEASE, LAYER, digest=pin)
    assert load_sae(ref, D_MODEL, CPU) is sae
    assert asked == [(RELEASE, LAYER, "float32")]
    with torch.no_grad():
        sae.b_dec[0] += 1e-6
    assert fault_of(lambda: load_sae(ref, D_MODEL, CPU)).code == "digest_mismatch"


def test_a_release_that_cannot_be_had_is_one_message():
    """An unknown release is named; nothing else is taken in its place."""
    fault = fault_of(lambda: load_sae(SaeRef("scope", "release", "no-such-release", "x"), D_MODEL, CPU))
    assert fault.code == "sae_missing"
    assert "SAE scope: sae-lens has no release 'no-such-release'" in fault.message


def test_what_is_fetched_is_held_against_the_pins(tiny, monkeypatch, tmp_path):
    """A hub model that is not cached is fetched, only the files that are digested, and then checked like any other."""
    import huggingface_hub

    asked = []

    def fetch(repository, revision, allow_patterns):
        asked.append((repository, revision, "*.bin" in allow_patterns, "*.py" in allow_patterns))
        return str(tiny.model)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    ref = ModelRef("far", "hub", "org/far", "a" * 40, digest=files_digest(tiny.model, MODEL_FILES))
    assert load_model(replace(tiny.subject(), model=ref), 2).d_model == D_MODEL
    assert set(asked) == {("org/far", "a" * 40, False, False)}
    other = replace(tiny.subject(), model=replace(ref, digest="0" * 64))
    assert fault_of(lambda: load_model(other, 2)).code == "digest_mismatch"


def test_a_cached_hub_model_is_read_where_it_lies(tiny, monkeypatch, tmp_path):
    """From the snapshot of its commit, without asking the hub."""
    import huggingface_hub

    def refuse(*args, **rest):
        raise AssertionError("asked the hub")

    snapshot = tmp_path / "hub/models--org--far/snapshots" / ("b" * 40)
    shutil.copytree(tiny.model, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    ref = ModelRef("far", "hub", "org/far", "b" * 40)
    assert load_model(replace(tiny.subject(), model=ref), 2).d_model == D_MODEL
