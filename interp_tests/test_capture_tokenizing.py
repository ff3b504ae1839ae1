"""Tokenizing beside the loading: the same tokens and faults in the same order, and nobody waits for the other."""

import threading
from dataclasses import replace

import pytest

from harness.capture import engine
from harness.capture.models import load_texts
from harness.capture.tokenizing import tokenizing
from harness.capture.tokens import Texts, Tokenized
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Reading
from harness.keys import code_key, prompt_key
from interp_tests.tiny_random import TEXTS, Kept, build_tiny

UNREADABLE = [Prompt(""), Prompt("ball " * 500)]
PROMPTS = [UNREADABLE[0], *map(Prompt, TEXTS), UNREADABLE[1]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def texts(tiny):
    return load_texts(tiny.subject())


def wanted(prompts, max_tokens=128):
    return {(prompt_key(prompt), max_tokens, "tokenizer"): prompt for prompt in prompts}


def told(texts, prompts, max_tokens=128):
    """(text, ids or the fault's code) of each, as the two parts of the work give them."""
    with tokenizing(texts, wanted(prompts, max_tokens)) as tokens:
        return [(text, ids_or_code(outcome)) for text, outcome in tokens.outcomes()]


def ids_or_code(outcome):
    return tuple(outcome.ids) if isinstance(outcome, Tokenized) else outcome.code


def one_by_one(texts, prompts, max_tokens=128):
    """The same without a thread: the reference."""
    found = []
    for text, prompt in wanted(prompts, max_tokens).items():
        try:
            found.append((text, tuple(texts.tokenize(prompt, max_tokens).ids)))
        except EnvironmentFault as fault:
            found.append((text, fault.code))
    return found


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[::-1], PROMPTS[1:-1], PROMPTS[1:2], UNREADABLE, []])
def test_every_text_has_its_tokens_or_its_fault_in_the_order_asked(texts, prompts):
    """Readable first, unreadable first, one alone, none readable, none at all."""
    assert told(texts, prompts) == one_by_one(texts, prompts)


def test_the_comparison_above_can_fail(texts):
    """Another limit of tokens makes faults of texts."""
    assert told(texts, PROMPTS, 3) != one_by_one(texts, PROMPTS)


@pytest.mark.parametrize(
    ("prompts", "nothing"), [(PROMPTS, False), (PROMPTS[:2], False), (UNREADABLE, True), ([], True)]
)
def test_whether_anything_is_readable_is_known_at_once(texts, prompts, nothing):
    """Before the thread has done anything: whether a model has to be loaded depends on it."""
    with tokenizing(texts, wanted(prompts)) as tokens:
        assert tokens.nothing_readable is nothing


def test_what_nobody_foresaw_in_the_thread_is_a_fault_of_its_text(texts, monkeypatch):
    """The other texts have their tokens."""
    real = Texts.tokenize

    def broken(self, prompt, max_tokens, bos=None):
        if prompt == PROMPTS[3]:
            raise ZeroDivisionError
        return real(self, prompt, max_tokens, bos)

    monkeypatch.setattr(Texts, "tokenize", broken)
    with tokenizing(texts, wanted(PROMPTS)) as tokens:
        outcomes = [outcome for _, outcome in tokens.outcomes()]
    faults = [one for one in outcomes if isinstance(one, EnvironmentFault)]
    assert sum("ZeroDivisionError" in str(fault) for fault in faults) == 1
    assert len(outcomes) == len(PROMPTS)


def reading(subject):
    return Reading(
        subject, code_key(subject), tuple((prompt_key(prompt), prompt) for prompt in PROMPTS), (), frozenset()
    )


def test_weights_load_while_texts_are_tokenized(tiny, monkeypatch):
    """The second readable text waits until the model is loaded, and the model is."""
    real_load, real_tokenize, loaded, waited = engine.load_model, Texts.tokenize, threading.Event(), []

    def load(*given):
        model = real_load(*given)
        loaded.set()
        return model

    def tokenize(self, prompt, max_tokens, bos=None):
        if prompt == PROMPTS[2]:
            waited.append(loaded.wait(60))
        return real_tokenize(self, prompt, max_tokens, bos)

    monkeypatch.setattr(engine, "load_model", load)
    monkeypatch.setattr(Texts, "tokenize", tokenize)
    sink = Kept()
    stats = engine.read_model([reading(tiny.subject())], sink)
    assert (waited, stats["tiny"].prompts, len(sink.faults)) == ([True], len(TEXTS), len(UNREADABLE))


def test_unreadable_texts_are_told_where_the_sae_is_missing(tiny, tmp_path):
    """Who mends the path of the SAE should not meet the empty prompt a run later."""
    subject = tiny.subject()
    gone = replace(subject, sae=replace(subject.sae, location=str(tmp_path / "nowhere")))
    sink, texts = Kept(), {prompt_key(prompt) for prompt in UNREADABLE}
    engine.read_model([reading(gone)], sink)
    codes = {prompt: fault.code for (_, prompt), fault in sink.faults.items()}
    assert {codes[prompt] for prompt in texts} == {"empty_prompt", "prompt_too_long"}
    assert {code for prompt, code in codes.items() if prompt not in texts} == {"sae_missing"}


def test_unreadable_texts_are_told_where_loading_the_model_fails(tiny, monkeypatch):
    """The run's fault is the model's, and the texts keep theirs."""

    def fails(*given):
        raise EnvironmentFault("weights_unreadable", "torn")

    monkeypatch.setattr(engine, "load_model", fails)
    sink = Kept()
    with pytest.raises(EnvironmentFault, match="torn"):
        engine.read_model([reading(tiny.subject())], sink)
    assert {fault.code for fault in sink.faults.values()} == {"empty_prompt", "prompt_too_long"}
