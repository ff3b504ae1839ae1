"""A checkpoint that is not what it seems is named for what is wrong with it, not for what trips over it later."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.capture.models import load_model, load_texts
from harness.capture.promoting import promotions
from harness.capture.saes import load_sae
from harness.checkpoints import damage_of, has_files
from harness.digests import MODEL_FILES, files_digest, verify
from harness.errors import EnvironmentFault
from harness.language.references import Folder
from harness.language.subjects import load_subjects
from harness.pinning import readiness
from interp_tests.tiny_random import D_MODEL, Tiny, build_tiny, edit_json

CPU = torch.device("cpu")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
ADAPTER = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def tiny(shelf, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(shelf.root, tmp_path / "tiny")
    return Tiny(tmp_path / "tiny")


def fault_of(action):
    with pytest.raises(EnvironmentFault) as caught:
        action()
    return caught.value


def without(path, *names):
    """Save the file again without these tensors."""
    save_file({k: v for k, v in load_file(path).items() if k not in names}, path, metadata={"format": "pt"})


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_git_lfs_pointer_is_called_so(tiny, file):
    """Not a damaged file to be fetched again: `git lfs pull` is what helps."""
    (tiny.model / file).write_text(POINTER)
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "lfs_pointer"
    assert file in fault.message
    assert fault.mend == "Run `git lfs pull`."


def test_a_pointer_in_place_of_an_sae_is_called_so(tiny):
    """For the weights and for cfg.json."""
    for file in ("sae_weights.safetensors", "cfg.json"):
        (tiny.sae() / file).write_text(POINTER)
        fault = fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU))
        assert (fault.code, fault.mend) == ("lfs_pointer", "Run `git lfs pull`.")


def test_pointers_are_weights_that_are_not_here(tiny):
    """A pinned digest is not compared with them, so that evidence in the store stays of use without the weights."""
    from dataclasses import replace

    subject = tiny.subject()
    pinned = replace(subject, model=replace(subject.model, digest=files_digest(tiny.model, MODEL_FILES)))
    (tiny.model / "model.safetensors").write_text(POINTER)
    verify(pinned)
    assert not has_files(tiny.model)
    edit_json(tiny.model / "config.json", vocab_size=7)
    shutil.copy(tiny.sae() / "sae_weights.safetensors", tiny.model / "model.safetensors")
    assert fault_of(lambda: verify(pinned)).code == "digest_mismatch"


@pytest.mark.parametrize("peft", [False, True], ids=["without-peft", "with-peft"])
def test_an_adapter_beside_the_weights_is_refused(tiny, monkeypatch, peft):
    """Whether or not peft is installed: the same folder would be two models."""
    import transformers.utils.import_utils as installed

    monkeypatch.setattr(installed, "is_peft_available", lambda *given: peft)
    (tiny.model / "adapter_config.json").write_text(json.dumps(ADAPTER))
    for action in (lambda: load_model(tiny.subject(), 2), lambda: verify(tiny.subject())):
        fault = fault_of(action)
        assert fault.code == "adapter_beside_weights"
        assert "adapter_config.json" in fault.message


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "awq"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"compression_config": {"format": "int-quantized"}}, "unnamed"),
        ({"text_config": {"quantization_config": {"quant_method": "gptq"}}}, "gptq"),
    ],
)
def test_quantized_weights_are_refused_by_name(tiny, config, method):
    """Whichever library would read them, installed or not."""
    edit_json(tiny.model / "config.json", **config)
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "quantized_weights"
    assert method in fault.message


@pytest.mark.parametrize("kind", ["adapter", "quantized"])
def test_check_and_doctor_name_weights_that_are_never_read(tiny, tmp_path, kind):
    """Known from files in the repository: an error at the path, before anything is loaded."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/subjects.yaml").write_text(
        "models:\n  tiny: {path: tiny/model}\nsaes:\n  tiny: {path: tiny/sae-jumprelu}\n"
        "subjects:\n  tiny: {model: tiny, sae: tiny}\n"
    )
    assert load_subjects(Folder(tmp_path)).errors == ()
    assert [row.missing for row in readiness(tmp_path)] == [()]
    if kind == "adapter":
        (tiny.model / "adapter_config.json").write_text(json.dumps(ADAPTER))
    else:
        edit_json(tiny.model / "config.json", quantization_config={"quant_method": "gptq"})
    found = load_subjects(Folder(tmp_path))
    assert [(error.code, error.source.line) for error in found.errors][:1] == [
        ("adapter_beside_weights" if kind == "adapter" else "quantized_weights", 2)
    ]
    assert fault_of(lambda: verify(found.subjects["tiny"])).code == found.errors[0].code


def test_doctor_names_pointers(tiny, tmp_path):
    """Of the model and of the SAE."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/subjects.yaml").write_text(
        "models:\n  tiny: {path: tiny/model}\nsaes:\n"
        "  tiny: {path: tiny/sae-jumprelu, d_in: 32, d_sae: 64, hook: blocks.1.hook_resid_post}\n"
        "subjects:\n  tiny: {model: tiny, sae: tiny}\n"
    )
    for path in (tiny.model / "model.safetensors", tiny.sae() / "sae_weights.safetensors"):
        path.write_text(POINTER)
    (row,) = readiness(tmp_path)
    assert len(row.missing) == 2
    assert set(row.mends) == {"git lfs pull"}


def test_a_file_that_is_cut_off_is_called_so(tiny):
    """With how much of it is here; a whole one is not."""
    path = tiny.model / "model.safetensors"
    assert damage_of(path) is None
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[: whole // 2])
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "weights_unreadable"
    assert f"is cut off: it has {whole // 2:,} of {whole:,} bytes" in fault.message
    sae = tiny.sae() / "sae_weights.safetensors"
    sae.write_bytes(sae.read_bytes()[:-1])
    fault = fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU))
    assert (fault.code, "is cut off" in fault.message) == ("sae_unreadable", True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no safetensors file"),
        (b"<!DOCTYPE html><html>", "is no safetensors file"),
        (struct.pack("<Q", 50) + b"{", "is cut off inside its header"),
        (struct.pack("<Q", 4) + b"nope", "is no safetensors file"),
        (struct.pack("<Q", 2) + b"[]", "is no safetensors file"),
    ],
)
def test_what_is_no_safetensors_file_is_called_so(tmp_path, data, said):
    """An error page of a server, an empty file, half a header."""
    (tmp_path / "x.safetensors").write_bytes(data)
    assert said in str(damage_of(tmp_path / "x.safetensors"))


def test_a_missing_shard_is_named(tiny):
    """The index lists two files, one of them is not here; or it lists nothing."""
    tensors = load_file(tiny.model / "model.safetensors")
    (tiny.model / "model.safetensors").unlink()
    names = sorted(tensors)
    save_file({k: tensors[k] for k in names[::2]}, tiny.model / "model-00001-of-00002.safetensors")
    shards = {k: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, k in enumerate(names)}
    index = tiny.model / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "weights_missing"
    assert "model-00002-of-00002.safetensors, which model.safetensors.index.json lists" in fault.message
    index.write_text("{}")
    assert "model.safetensors.index.json" in fault_of(lambda: load_model(tiny.subject(), 2)).message


def test_a_missing_or_damaged_config_is_named(tiny):
    """Not the weights, which are whole."""
    (tiny.model / "config.json").write_text('{"model_type": ')
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert (fault.code, "config.json of model tiny is no JSON object" in fault.message) == ("weights_unreadable", True)
    (tiny.model / "config.json").unlink()
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert (fault.code, "config.json is not beside them" in fault.message) == ("weights_missing", True)


def test_a_damaged_tokenizer_is_no_damaged_model(tiny):
    """The message says tokenizer."""
    (tiny.model / "tokenizer.json").write_text('{"model": ')
    fault = fault_of(lambda: load_texts(tiny.subject()))
    assert fault.code == "tokenizer_unreadable"
    assert "the tokenizer of model tiny cannot be loaded" in fault.message


def test_a_head_that_is_not_in_the_checkpoint_promotes_nothing(tiny):
    """An untied model without its head is read, and what decoder directions promote is refused: transformers would
    put random numbers there."""
    edit_json(tiny.model / "config.json", tie_word_embeddings=False)
    loaded = load_model(tiny.subject(), 2)
    sae = load_sae(tiny.subject().sae, D_MODEL, CPU)
    fault = fault_of(lambda: promotions(loaded.model, loaded.tokenizer, sae, ["5"]))
    assert fault.code == "weights_missing"
    assert "the unembedding of Gemma2ForCausalLM is not in its checkpoint" in fault.message
    edit_json(tiny.model / "config.json", tie_word_embeddings=True)
    tied = load_model(tiny.subject(), 2)
    assert promotions(tied.model, tied.tokenizer, sae, ["5"])


def test_a_tensor_of_the_body_that_is_missing_is_still_refused(tiny):
    """Only the head may be absent."""
    without(tiny.model / "model.safetensors", "model.layers.0.mlp.down_proj.weight")
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert (fault.code, "model.layers.0.mlp.down_proj.weight" in fault.message) == ("weights_missing", True)


def test_what_sae_lens_says_is_quoted_whole(tiny):
    """Which tensors do not fit stands on later lines of its message."""
    path = tiny.sae() / "sae_weights.safetensors"
    without(path, "threshold")
    fault = fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU))
    assert "threshold" in fault.message
    tensors = load_file(tiny.sae("topk") / "sae_weights.safetensors")
    save_file({**tensors, "W_dec": tensors["W_dec"][:7].contiguous()}, tiny.sae("topk") / "sae_weights.safetensors")
    fault = fault_of(lambda: load_sae(tiny.subject(architecture="topk").sae, D_MODEL, CPU))
    assert "size mismatch for W_dec" in fault.message
