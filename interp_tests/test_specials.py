"""Special tokens are those that the tokenizer's files call special, named or not, wherever tokens are left out."""

import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken

from harness.capture.specials import special_ids
from harness.capture.tokens import tokenize
from harness.codes import Kind
from interp_tests.tiny_random import make_tokenizer

ROOT = Path(__file__).resolve().parents[1]
# Turn, header and reserved tokens of three families: special in tokenizer.json, and none of them has a name.
UNNAMED = {
    "gemma 3": ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<unused0>"),
    "llama 3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|reserved_special_token_0|>"),
    "chatml": ("<|im_start|>", "<|im_end|>", "<|fim_prefix|>"),
}
# Added tokens that are text: Gemma's runs of line breaks, Qwen's marks of reasoning.
PLAIN = ("<think>", "<mark>")


def shaped(style):
    """A small tokenizer with a family's added tokens."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in UNNAMED[style]], special_tokens=True)
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in PLAIN])
    return tokenizer


@pytest.mark.parametrize("style", UNNAMED)
def test_tokens_without_a_name_are_special(style):
    """`special: true` decides; the named ones alone would count turn and header tokens as text."""
    tokenizer = shaped(style)
    found = special_ids(tokenizer)
    named = {i for i in tokenizer.all_special_ids if i is not None}
    assert named < found
    assert {tokenizer.convert_ids_to_tokens(i) for i in found - named} == set(UNNAMED[style])
    assert not {tokenizer.convert_tokens_to_ids(t) for t in PLAIN} & found


@pytest.mark.parametrize("style", UNNAMED)
def test_a_saved_tokenizer_says_the_same(tmp_path, style):
    """What is read is what the files say, whatever object wrote them."""
    from transformers import AutoTokenizer

    tokenizer = shaped(style)
    tokenizer.save_pretrained(tmp_path)
    assert special_ids(AutoTokenizer.from_pretrained(tmp_path)) == special_ids(tokenizer)


@pytest.mark.parametrize("style", UNNAMED)
def test_they_do_not_count_in_a_prompt(style):
    """In a text they are of the kind SPECIAL, and an added token that is text is TEXT."""
    turn = UNNAMED[style][0]
    found = tokenize(shaped(style), f"The{turn} red<think> ball", 128, False, bos_first=True)
    kinds = dict(zip(found.token, found.kind.tolist(), strict=True))
    assert kinds[turn] == Kind.SPECIAL
    assert kinds["<think>"] == kinds[" red"] == Kind.TEXT
    assert int(np.sum(found.kind == Kind.SPECIAL)) == 2


def test_nothing_reads_the_named_ones_alone():
    """One rule: no code of ours asks transformers for `all_special_ids`."""
    asking = [p for p in (ROOT / "harness").rglob("*.py") if re.search(r"\.all_special_(ids|tokens)", p.read_text())]
    assert asking == []
