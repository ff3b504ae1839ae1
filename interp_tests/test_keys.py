"""Keys: whatever changes an activation changes the key, and nothing else does."""

from dataclasses import replace

import pytest

from harness import keys
from harness.inputs import Corpus, ModelRef, Prompt, SaeRef, Subject
from harness.keys import code_key, code_parts, corpus_key, prompt_key

MODEL = ModelRef("m", "hub", "org/m", "a" * 40, "d" * 64, "t" * 64)
SAE = SaeRef("s", "release", "r", "id", "e" * 64, 8, 16)
SUBJECT = Subject("one", MODEL, SAE, "blocks.1.hook_resid_post", device="cpu")
CORPUS = Corpus("c", "c.txt", "f" * 64)


@pytest.mark.parametrize(
    "other",
    [
        replace(SUBJECT, hook="blocks.2.hook_resid_post"),
        replace(SUBJECT, hook="blocks.1.hook_resid_pre"),
        replace(SUBJECT, dtype="bfloat16"),
        replace(SUBJECT, device="cuda"),
        replace(SUBJECT, max_tokens=64),
        replace(SUBJECT, model=replace(MODEL, digest="0" * 64)),
        replace(SUBJECT, model=replace(MODEL, tokenizer_digest="0" * 64)),
        replace(SUBJECT, sae=replace(SAE, digest="0" * 64)),
        replace(SUBJECT, sae=replace(SAE, digest=None)),
        replace(SUBJECT, model=replace(MODEL, digest=None)),
    ],
)
def test_what_moves_an_activation_moves_the_key(other):
    """Another place, precision, device class, limit, weights, tokenizer or SAE is other evidence."""
    assert code_key(other) != code_key(SUBJECT)


@pytest.mark.parametrize(
    "other",
    [
        replace(SUBJECT, name="two", owner="@them"),
        replace(SUBJECT, model=replace(MODEL, name="n", location="elsewhere/m", revision="b" * 40)),
        replace(SUBJECT, sae=replace(SAE, name="t", location="elsewhere", architecture="topk")),
    ],
)
def test_a_name_is_not_evidence(other):
    """With the digests pinned, names and places of files change nothing."""
    assert code_key(other) == code_key(SUBJECT)


@pytest.mark.parametrize("package", ["torch", "transformers", "tokenizers", "sae-lens"])
def test_another_version_of_a_library_is_a_miss(monkeypatch, package):
    """Each library that takes part in reading is in the key by its version."""
    before = code_key(SUBJECT)
    real = keys.installed_version
    monkeypatch.setattr(keys, "installed_version", lambda name: "99.1" if name == package else real(name))
    assert code_key(SUBJECT) != before
    assert "99.1" in code_parts(SUBJECT).values()


def test_the_build_of_torch_is_left_to_the_device(monkeypatch):
    """2.13.0+cpu and 2.13.0+cu128 are one version: evidence from a GPU machine serves a reviewer without one."""
    real, found = keys.installed_version, []
    for build in ("2.13.0+cpu", "2.13.0+cu128"):
        monkeypatch.setattr(keys, "installed_version", lambda n, b=build: b if n == "torch" else real(n))
        found.append(code_key(SUBJECT))
    assert found[0] == found[1]


def test_another_way_of_capturing_is_a_miss(monkeypatch):
    """Raising CAPTURE_VERSION leaves all older evidence behind."""
    before = code_key(SUBJECT)
    monkeypatch.setattr(keys, "CAPTURE_VERSION", "next")
    assert code_key(SUBJECT) != before


def test_marks_and_groups_are_hits():
    """An edited mark or group costs nothing."""
    assert prompt_key(Prompt("a red ball", ((2, 5),), "frame 1")) == prompt_key(Prompt("a red ball"))


@pytest.mark.parametrize("other", ["a red ball ", "A red ball", "a red  ball", "a red ball\n", ""])
def test_an_edited_text_is_a_miss(other):
    """The text is in the key to the last blank."""
    assert prompt_key(Prompt(other)) != prompt_key(Prompt("a red ball"))


def test_truncation_is_in_the_prompt_key():
    """A long prompt that was cut must not answer for one that is an error."""
    assert prompt_key(Prompt("x", truncate=True)) != prompt_key(Prompt("x"))


def test_any_text_has_a_key():
    """Emoji, NUL and lone surrogates are texts, too, and are told apart."""
    texts = ["🟥", "\0", "\ud800", "é", "e\u0301"]
    assert len({prompt_key(Prompt(text)) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"digest": "0" * 64}, False),
        ({"context_length": 64}, False),
        ({"token_limit": 5}, False),
        ({"name": "d", "path": "elsewhere.txt"}, True),
    ],
)
def test_a_corpus_is_its_bytes_and_its_cut(change, same):
    """What the file is called does not matter."""
    assert (corpus_key(replace(CORPUS, **change)) == corpus_key(CORPUS)) is same


@pytest.mark.parametrize(
    ("env", "nvidia", "device"),
    [
        ({}, True, "cuda"),
        ({}, False, "cpu"),
        ({"CUDA_VISIBLE_DEVICES": ""}, True, "cpu"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, True, "cpu"),
        ({"INTERP_DEVICE": "cpu"}, True, "cpu"),
        ({"INTERP_DEVICE": "cuda"}, False, "cuda"),
    ],
)
def test_auto_is_resolved_without_torch(monkeypatch, env, nvidia, device):
    """INTERP_DEVICE, else the device files, less what CUDA_VISIBLE_DEVICES hides."""
    for name in ("INTERP_DEVICE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keys, "_has_nvidia_device", lambda: nvidia)
    assert keys.resolve_device("auto") == device
    assert code_key(replace(SUBJECT, device="auto")) == code_key(replace(SUBJECT, device=device))


def test_an_unknown_device_is_named(monkeypatch):
    """A misspelt INTERP_DEVICE is one clear fault, not a quiet cpu."""
    monkeypatch.setenv("INTERP_DEVICE", "gpu0")
    with pytest.raises(keys.EnvironmentFault, match="INTERP_DEVICE is 'gpu0'"):
        keys.resolve_device("auto")
