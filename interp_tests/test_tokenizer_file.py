"""Text is read as tokenizer.json splits it, the file that is pinned, or not at all."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from harness.capture.models import load_texts
from harness.capture.tokenizer_file import PROBES, refuse_other_tokens, rules_of
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, Prompt, SaeRef, Subject
from interp_tests.tiny_random import edit_json, make_tokenizer

ZOO = Path(__file__).resolve().parents[1] / "harness/zoo"
SHIPPED = ("tiny_gemma2", "tiny_qwen3", "tiny_paligemma2")


@pytest.fixture
def folder(tmp_path):
    """A byte-level tokenizer whose splitter keeps digits together, and the configuration of a llama."""
    make_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return tmp_path


def loaded(folder):
    return AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True)


def check(folder):
    refuse_other_tokens("tiny", folder, loaded(folder))


def refusal(folder):
    with pytest.raises(EnvironmentFault) as caught:
        check(folder)
    assert caught.value.code == "tokenizer_mismatch"
    return caught.value.message


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3_5"])
def test_a_class_that_replaces_the_splitter_is_refused(folder, model_type):
    """Qwen's classes split digits one by one, whatever the file says; the message names the class and a text."""
    check(folder)
    edit_json(folder / "config.json", model_type=model_type)
    message = refusal(folder)
    assert type(loaded(folder)).__name__ in message
    assert "splits text otherwise than tokenizer.json" in message


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gemma2", "mistral", "qwen3"])
def test_a_class_named_in_the_configuration_is_refused(folder, model_type):
    """tokenizer_config.json says Qwen2TokenizerFast: the two pinned files contradict each other."""
    edit_json(folder / "config.json", model_type=model_type)
    edit_json(folder / "tokenizer_config.json", tokenizer_class="Qwen2TokenizerFast")
    ours = loaded(folder)("10 of 1990")["input_ids"]
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("10 of 1990").ids
    if ours == theirs:
        check(folder)
    else:
        refusal(folder)


def test_a_file_that_says_what_the_class_does_is_read(folder):
    """As a real Qwen2 or Qwen3 checkpoint does: its file has the splitter of its class."""
    edit_json(folder / "config.json", model_type="qwen2")
    loaded(folder).save_pretrained(folder)
    assert "Qwen2" in type(loaded(folder)).__name__
    check(folder)


def test_rules_that_are_written_otherwise_and_mean_the_same_are_read(folder):
    """The long comparison decides: an isolated Split that never matches changes no text."""
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    never = {"type": "Split", "pattern": {"String": "\x00\x01"}, "behavior": "Isolated", "invert": False}
    tokenizer = loaded(folder)
    edit_json(path, pre_tokenizer={"type": "Sequence", "pretokenizers": [never, file["pre_tokenizer"]]})
    refuse_other_tokens("tiny", folder, tokenizer)
    edit_json(path, normalizer={"type": "Lowercase"})
    with pytest.raises(EnvironmentFault, match="tokenizer_mismatch"):
        refuse_other_tokens("tiny", folder, tokenizer)


def test_an_added_token_that_the_class_does_not_find_is_refused(folder):
    """The file's added tokens are tokens wherever they are written."""
    path, tokenizer = folder / "tokenizer.json", loaded(folder)
    file = json.loads(path.read_text())
    added = {**file["added_tokens"][0], "id": 379, "content": "basket", "special": False, "normalized": False}
    edit_json(path, added_tokens=[*file["added_tokens"], added])
    with pytest.raises(EnvironmentFault, match="basket"):
        refuse_other_tokens("tiny", folder, tokenizer)


def test_a_prefix_space_that_the_file_does_not_have_is_refused(folder):
    """tokenizer_config.json's add_prefix_space changes every first token, where transformers obeys it."""
    edit_json(folder / "tokenizer_config.json", add_prefix_space=True)
    text = "red ball"
    ours = loaded(folder)(text, add_special_tokens=False)["input_ids"]
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    if ours == theirs:
        check(folder)
    else:
        refusal(folder)


def test_a_checkpoint_whose_tokenizer_differs_is_not_read(folder):
    """The door that every reading goes through."""
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    subject = Subject("s", ModelRef("m", "path", str(folder)), SaeRef("s", "path", "x"), "blocks.0.hook_resid_post")
    assert load_texts(subject).tokenize(Prompt("The red ball."), 16)
    edit_json(folder / "config.json", model_type="qwen2")
    with pytest.raises(EnvironmentFault, match="tokenizer_mismatch"):
        load_texts(subject)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_tokenizers_are_read_as_their_files_are(name):
    """By the rules, and by every probe."""
    folder = ZOO / name / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    refuse_other_tokens(name, folder, tokenizer)
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in PROBES:
        ours = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ours == file.encode(text, add_special_tokens=False).ids


def test_the_rules_of_a_file_are_read_without_its_vocabulary():
    """The same as parsing all of it; nothing where the model comes first, or the text ends."""
    text = (ZOO / "tiny_gemma2/model/tokenizer.json").read_text()
    whole, found = json.loads(text), rules_of(text)
    model = {k: v for k, v in whole["model"].items() if k not in ("vocab", "merges")}
    assert found == {**whole, "model": model}
    assert rules_of(text[: text.index('"vocab"')]) is None
    assert rules_of("not JSON") is None
    assert rules_of("") is None
