"""How tokens are shown: real tokenizers take letters to pieces, and no reader sees the pieces' names."""

import html
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.capture.tokens import begins_with_bos, tokenize
from harness.census import strongest_tokens
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.expectations.showing import examples_at
from harness.expectations.toy import codes_from_dense
from harness.explore import scan_tokens, top_features
from harness.inputs import Prompt, PromptSet
from harness.reports.examples import marked_text
from harness.reports.exhibits import Exhibits
from harness.spelling import CONTINUED, joined, spelled, spelled_alone
from harness.verdict import Outcome, Verdict
from interp_tests.mutant_cases import toy_spec

ZOO = Path(__file__).resolve().parents[1] / "harness/zoo"
TEXTS = {
    "hebrew": "שלום עולם",
    "hebrew with points": "בְּרֵאשִׁית the dog",
    "cjk": "日本語 the dog",
    "zwj emoji": "a 👩\u200d👩\u200d👧 cat",
    "accents": "naïve café",
    "combining": "e\u0301te\u0301",
    "middle dot": "col·lecció",
    "plain": "The dog sat.",
}
NAMES_OF_BYTES = re.compile("[æåèðÃ×ÖĀ-ń]")


MODELS = ["tiny_gemma2", "tiny_qwen3"]


@cache
def tokenizer_of(model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ZOO / model / "model")


@pytest.fixture(params=MODELS)
def tokenizer(request):
    return tokenizer_of(request.param)


def codes_of(tokenizer, text, fires=()):
    """What capture keeps of a prompt, with feature 0 at 1, 2, ... on the tokens named."""
    found = tokenize(tokenizer, text, 512, False, begins_with_bos(tokenizer))
    dense, h = np.zeros((len(found), 2)), np.ones((len(found), 4))
    for value, at in enumerate(fires, start=1):
        dense[at, 0] = value
    made = codes_from_dense(dense, h, h, np.zeros(len(found), int), 1, found.kind)
    return replace(
        made,
        token=found.token,
        start=found.start,
        end=found.end,
        token_id=found.ids,
        position=np.arange(len(found), dtype=np.int32),
    )


def text_tokens(codes, text):
    shown = spelled(codes, slice(0, codes.n_tokens), text)
    return [token for token, start in zip(shown, codes.start, strict=True) if start >= 0]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_tokens_show_the_text_once(text, tokenizer):
    """Put together they are the text, one for each token of the model; the evidence's own names are not."""
    codes = codes_of(tokenizer, text)
    for given_text in (text, None):
        shown = text_tokens(codes, given_text)
        assert joined(shown) == text
        assert len(shown) == int((codes.start >= 0).sum())
    names = "".join(name for name, start in zip(codes.token, codes.start, strict=True) if start >= 0)
    assert (names == text) == text.isascii()


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12))
def test_any_text_is_shown_once(model, text):
    """Whatever was written, and wherever a tokenizer cuts it."""
    codes = codes_of(tokenizer_of(model), text)
    assert joined(text_tokens(codes, text)) == "".join(text[i] for i in range(len(text)) if covered(codes, i))


def covered(codes, i):
    return any(start <= i < end for start, end in zip(codes.start, codes.end, strict=True))


def test_a_character_stands_at_its_first_token_and_its_values_at_each(tokenizer):
    """日 is three tokens: the character, then two quiet marks; the peak on the last byte is the character's."""
    first = 1 if begins_with_bos(tokenizer) else 0
    codes = codes_of(tokenizer, TEXTS["cjk"], [first, first + 1, first + 2])
    (row,) = scan_tokens(codes, 0, [Prompt(TEXTS["cjk"])], codes.counted())
    assert row.tokens[first : first + 4] == (
        ("日", 1.0, True),
        (CONTINUED, 2.0, True),
        (CONTINUED, 3.0, True),
        ("本", 0.0, True),
    )
    assert ">>日<<本語 the dog" in str(row)
    assert CONTINUED not in str(row)
    page = html.unescape(re.sub("<[^>]+>", "", row._repr_html_()))
    assert f"日{CONTINUED}{CONTINUED}本" in page
    assert not NAMES_OF_BYTES.search(page)
    assert NAMES_OF_BYTES.search("".join(codes.token)), "the check can fail"


def test_a_token_that_is_named_alone_is_its_character(tokenizer):
    """The peak of a ranking and the strongest tokens of a census: 語, not a mark and not a byte."""
    at = codes_of(tokenizer, TEXTS["cjk"]).token.index(" the") - 1
    codes = codes_of(tokenizer, TEXTS["cjk"], [at])
    assert top_features(codes, text=TEXTS["cjk"])[0].token == "語"
    assert top_features(codes)[0].token == "語"
    assert strongest_tokens(codes, 0) == (("語", 1.0),)
    assert spelled_alone(codes, at + 1, TEXTS["cjk"]) == " the"


def test_reports_show_characters(tokenizer):
    """A failure text marks the letter, and the page's heat-map has every value in place."""
    text, last = TEXTS["hebrew"], codes_of(tokenizer, TEXTS["hebrew"]).n_tokens - 1
    codes = codes_of(tokenizer, text, [last - 1, last])
    spec, _ = toy_spec("fire_rate", {}, {"prompts": [[("word", 1.0)]] * 5})
    evidence = Evidence(sets={"prompts": PromptSet("prompts", (Prompt(text),))}, codes_of={("prompts", None): codes})
    (example,) = examples_at(evidence, Claim(0), "prompts", [0], "fires")
    assert joined([token for token, _ in example.tokens]) == text
    assert marked_text(example) == "שלום עול>>ם<< (2)"
    exhibits = Exhibits()
    exhibits.add(spec, evidence, Verdict(Outcome.MET, "it does", feature=0))
    (shown,) = json.loads(exhibits.cards[spec.id])["sets"][0]["prompts"]
    assert [shown["tokens"][at] for at in shown["at"]] == ["ם", CONTINUED]
    assert shown["values"] == [1, 2]


def test_a_token_that_begins_within_a_shown_character_shows_the_rest():
    """Spans that overlap without being equal: nothing twice, nothing lost. Names that are no bytes stay names."""
    h = np.ones((5, 4))
    codes = codes_from_dense(np.zeros((5, 2)), h, h, np.zeros(5, int), 1)
    spans = {"start": np.array([-1, 0, 1, 1, 3], np.int32), "end": np.array([-1, 2, 3, 3, 4], np.int32)}
    codes = replace(codes, token=("\u0120user\u010a", "ab", "x x", "y y", "d"), **spans)
    everything = slice(0, 5)
    assert spelled(codes, everything, "abcd") == (" user\n", "ab", "c", CONTINUED, "d")
    assert spelled(codes, everything)[3:] == (CONTINUED, "d")
    assert spelled_alone(codes, 3, "abcd") == "bc"
    assert spelled_alone(codes, 3) == "y y"
    fallback = replace(codes, token=("<bos>", "ab", "<0xC3>", "<0xA9>", "d"))
    assert spelled_alone(fallback, 3) == "é"
