"""Weights are data: no checkpoint, configuration or tokenizer runs code, and none is taken for what it is not.

Held elsewhere: pickles in .sae.pt (test_qwen_scope), TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD, NaN, truncation and pins
(test_capture_loading), pictures (test_capture_pictures).
"""

import ast
import contextlib
import dataclasses
import json
import struct
from hashlib import sha256

import numpy as np
import pytest
import torch

from harness.capture.engine import read_model
from harness.capture.models import load_model, load_texts
from harness.capture.saes import load_sae, released
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Reading, SaeRef
from harness.keys import code_key, prompt_key
from interp_tests.hub_cache import folder_of
from interp_tests.project import REPO
from interp_tests.test_converted import PACKAGE, carrier, converted_checkpoint, enter, left_in_cache
from interp_tests.test_qwen_scope import Bomb
from interp_tests.tiny_random import D_MODEL, build_tiny

__all__ = ["carrier"]  # a fixture
CPU = torch.device("cpu")
# Ray sends pieces of work between our own processes so; nothing of it was ever a file.
MAY_PICKLE = {"capture/on_ray.py"}
GEMMA_SCOPE = ("gemma-scope-2b-pt-res-canonical", "layer_12/width_16k/canonical")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    return build_tiny(tmp_path / "tiny")


def fault_of(action):
    with pytest.raises(EnvironmentFault) as caught:
        action()
    return caught.value


def risks(text):
    """What a source file does that could run what a checkpoint holds, as `line: what`."""
    return sorted(f"{node.lineno}: {what}" for node in ast.walk(ast.parse(text)) if (what := _risk(node)))


def _risk(node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = {alias.name.partition(".")[0] for alias in node.names} | {getattr(node, "module", None)}
        return next((f"import {name}" for name in ("pickle", "joblib", "dill", "marshal") if name in names), None)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        trusted = any(
            isinstance(k, ast.Constant) and k.value == "trust_remote_code" and _not(v, False) for k, v in pairs
        )
        return "trust_remote_code" if trusted else None
    return _risky_call(node) if isinstance(node, ast.Call) else None


def _risky_call(node):
    called, given = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
    if "trust_remote_code" in given and _not(given["trust_remote_code"], False):
        return "trust_remote_code"
    if called == "torch.load" and _not(given.get("weights_only"), True):
        return "torch.load"
    if called in ("np.load", "numpy.load") and "allow_pickle" in given and _not(given["allow_pickle"], False):
        return "allow_pickle"
    return called if called in ("eval", "exec", "compile", "os.system") else None


def _not(node, wanted):
    return not (isinstance(node, ast.Constant) and node.value is wanted)


def test_no_line_of_the_harness_runs_what_it_loads():
    """No trust_remote_code, no pickle, torch.load with weights_only, no eval: over every file of harness/."""
    files = {str(path.relative_to(REPO / "harness")): path.read_text() for path in (REPO / "harness").rglob("*.py")}
    found = {name: risks(text) for name, text in files.items()}
    assert len(files) > 200
    assert {name for name, what in found.items() if what} == MAY_PICKLE
    assert {line.partition(": ")[2] for line in found["capture/on_ray.py"]} == {"import pickle"}


@pytest.mark.parametrize(
    "line",
    [
        "AutoModel.from_pretrained(p, trust_remote_code=True)",
        "AutoModel.from_pretrained(p, trust_remote_code=asked)",
        "LOCAL = {'trust_remote_code': True}",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "from pickle import loads",
        "import joblib",
        "eval(text)",
    ],
)
def test_a_line_that_would_is_found(line):
    """The search above can fail."""
    assert len(risks(line)) == 1


def with_code(folder, name, change):
    """A JSON file of the model that names classes of evil.py, which leaves a folder behind when it is imported."""
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(folder / 'exploded')!r})\n")
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


AUTO_MAP = {
    "auto_map": {
        "AutoConfig": "evil.Config",
        "AutoModelForCausalLM": "evil.Model",
        "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"],
    }
}


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_that_a_configuration_names_is_not_run(tiny, name):
    """auto_map beside a model that transformers knows: the known class is used."""
    with_code(tiny.model, name, AUTO_MAP)
    assert load_model(tiny.subject(), 2).d_model == D_MODEL
    assert not (tiny.model / "exploded").exists()


def test_a_model_that_needs_its_own_code_is_refused(tiny):
    """A type that transformers does not know is one message, and nothing of the folder is imported."""
    with_code(tiny.model, "config.json", {**AUTO_MAP, "model_type": "evil"})
    fault = fault_of(lambda: load_model(tiny.subject(), 2))
    assert fault.code == "weights_unreadable"
    assert "trust_remote_code" in fault.message or "custom code" in fault.message
    assert not (tiny.model / "exploded").exists()


def test_a_pickle_beside_the_configuration_is_no_model(tiny):
    """pytorch_model.bin is not read, whatever it holds: weights are safetensors or missing."""
    (tiny.model / "model.safetensors").unlink()
    torch.save(Bomb(tiny.root / "exploded"), tiny.model / "pytorch_model.bin")
    assert fault_of(lambda: load_model(tiny.subject(), 2)).code == "weights_missing"
    assert not (tiny.root / "exploded").exists()


def npz_release(tmp_path, monkeypatch, **arrays):
    """GemmaScope's SAE as the hub cache would hold it, with these arrays."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = folder_of(tmp_path / "hub", "google/gemma-scope-2b-pt-res") / "layer_12/width_16k/average_l0_82"
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **arrays)
    return SaeRef("scope", "release", GEMMA_SCOPE[0], GEMMA_SCOPE[1])


def test_an_npz_of_objects_is_refused_and_not_unpickled(tmp_path, monkeypatch):
    """A published SAE whose arrays are pickles is one message."""
    objects = np.array([Bomb(tmp_path / "exploded")], dtype=object)
    ref = npz_release(tmp_path, monkeypatch, W_enc=objects, W_dec=objects, b_enc=objects)
    fault = fault_of(lambda: released(ref, CPU))
    assert fault.code == "sae_unreadable"
    assert "allow_pickle=False" in fault.message
    assert not (tmp_path / "exploded").exists()


def truncated(data):
    return data[: len(data) // 2]


def claims_more_tensors(data):
    """The header's count of tensors, far above those that follow."""
    return data[:8] + struct.pack("<Q", 2**40) + data[16:]


def claims_a_longer_text(data):
    """The length of the first key, far above the file's."""
    return data[:24] + struct.pack("<Q", 2**50) + data[32:]


@pytest.mark.parametrize("spoil", [truncated, claims_more_tensors, claims_a_longer_text])
def test_a_gguf_that_lies_is_refused(carrier, monkeypatch, tmp_path, spoil):
    """Even where its digest is the one that is expected: one message, and nothing stays in the cache."""
    file = tmp_path / "site/tiny.gguf"
    file.write_bytes(spoil(file.read_bytes()))
    enter(monkeypatch, dataclasses.replace(carrier, gguf_sha256=sha256(file.read_bytes()).hexdigest()))
    fault = fault_of(lambda: converted_checkpoint(PACKAGE, progress=lambda line: None))
    assert fault.code == "conversion_failed"
    assert "\n" not in fault.message
    assert left_in_cache(tmp_path) == []


def with_header(file, change):
    """A safetensors file whose header says something else of the same bytes."""
    data = file.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def other_shape(header):
    header["model.norm.weight"]["shape"] = [D_MODEL // 2, 2]


def larger_shape(header):
    header["model.norm.weight"]["shape"] = [D_MODEL * 1000]


def outside(header):
    header["model.norm.weight"]["data_offsets"] = [2**40, 2**40 + 4 * D_MODEL]


@pytest.mark.parametrize("lie", [other_shape, larger_shape, outside])
def test_a_checkpoint_whose_shapes_lie_is_refused(tiny, lie):
    """A shape that is not the configuration's, or not that of the bytes."""
    with_header(tiny.model / "model.safetensors", lie)
    assert fault_of(lambda: load_model(tiny.subject(), 4)).code == "weights_unreadable"


@pytest.mark.parametrize(("field", "value"), [("d_in", 2 * D_MODEL), ("d_sae", 7), ("d_in", 10**9)])
def test_an_sae_whose_configuration_lies_is_refused(tiny, field, value):
    """cfg.json with another shape than the weights."""
    file = tiny.sae() / "cfg.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    assert fault_of(lambda: load_sae(tiny.subject().sae, D_MODEL, CPU)).code in ("sae_unreadable", "sae_mismatch")


class Rows:
    """A sink that keeps what is read, and what is not."""

    def __init__(self):
        self.kept, self.faults = [], {}

    def codes(self, code_key, rows):
        self.kept += [key for key, _ in rows]

    def weights(self, code_key, sample):
        self.kept.append("sample")

    def fault(self, code_key, prompt_key, fault):
        self.faults[prompt_key] = fault


def flip_last_byte(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "file", ["model/model.safetensors", "model/tokenizer.json", "sae-jumprelu/sae_weights.safetensors"]
)
def test_files_that_change_between_planning_and_loading_give_no_evidence(tiny, file):
    """What was read would be kept under the key of the old files: it is a fault instead, and nothing is kept."""
    subject, prompt = tiny.subject(), Prompt("The red ball bounced on the grass.")
    reading = Reading(subject, code_key(subject), ((prompt_key(prompt), prompt),))
    unchanged, sink = Rows(), Rows()
    read_model([reading], unchanged)
    assert (len(unchanged.kept), unchanged.faults) == (2, {})
    path = tiny.root / file
    if path.suffix == ".json":
        path.write_text(path.read_text() + "\n")
    else:
        flip_last_byte(path)
    read_model([reading], sink)
    assert sink.kept == []
    assert {fault.code for fault in sink.faults.values()} == {"weights_changed"}


def test_reading_a_tokenizer_runs_no_code_either(tiny):
    """The tokenizer is read before the weights, by the same rules."""
    with_code(tiny.model, "tokenizer_config.json", {**AUTO_MAP, "tokenizer_class": "Evil"})
    with contextlib.suppress(EnvironmentFault):
        load_texts(tiny.subject())
    assert not (tiny.model / "exploded").exists()
