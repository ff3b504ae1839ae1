"""Tokens are the model's own, with what each is and where it stands; texts that cannot be read say why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.capture.batching import CPU_TOKENS, Shapes, by_length, filled
from harness.capture.tokens import Texts, begins_with_bos, contexts, tokenize
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.inputs import Prompt
from interp_tests.tiny_random import TEXTS, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def read(tokenizer, text, max_tokens=128, truncate=False):
    return tokenize(tokenizer, text, max_tokens, truncate, bos_first=True)


def test_a_prompt_begins_with_bos_and_the_rest_is_text(tokenizer):
    """Kinds are by token id; a special token has no place in the text."""
    found = read(tokenizer, "The red ball.")
    assert found.token == ("<bos>", "The", " red", " ball", ".")
    assert found.kind.tolist() == [Kind.SPECIAL] + [Kind.TEXT] * 4
    assert found.start.tolist() == [-1, 0, 3, 7, 12]
    assert found.end.tolist() == [-1, 3, 7, 12, 13]


def test_a_special_in_the_middle_is_special(tokenizer):
    """It is found by its id, not by where it stands."""
    found = read(tokenizer, "The red<eos> ball")
    at = found.token.index("<eos>")
    assert found.kind[at] == Kind.SPECIAL
    assert (found.kind == Kind.SPECIAL).sum() == 2


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_tokens_stand_where_they_say(text):
    """Any text: a token of its own is its slice, and together the slices cover the text."""
    found = read(make_tokenizer_once(), text)
    for token, start, end, kind in zip(found.token, found.start, found.end, found.kind, strict=True):
        assert (start == -1) == (kind == Kind.SPECIAL)
        if kind == Kind.TEXT and text[start:end] != token:  # several tokens of one sign go by their own names
            assert (found.start == start).sum() > 1
    covered = {i for start, end in zip(found.start, found.end, strict=True) for i in range(start, end)}
    assert covered == set(range(len(text)))


def make_tokenizer_once(cache=[]):  # noqa: B006 - one tokenizer for all examples
    cache[:] = cache or [make_tokenizer()]
    return cache[0]


def test_an_empty_prompt_is_an_error(tokenizer):
    """So is one of special tokens only: there is nothing to read."""
    for text in ("", "<eos><pad>"):
        with pytest.raises(EnvironmentFault, match=r"empty_prompt: the prompt .* has no tokens of text"):
            read(tokenizer, text)


def test_a_long_prompt_is_an_error_unless_it_may_be_cut(tokenizer, snapshot):
    """100k tokens: the message has the count, the limit and the mends, and is short itself."""
    text = "ball " * 50_000
    with pytest.raises(EnvironmentFault) as caught:
        read(tokenizer, text)
    assert caught.value.code == "prompt_too_long"
    assert str(caught.value) == snapshot
    assert len(str(caught.value)) < 300
    cut = read(tokenizer, text, truncate=True)
    assert len(cut) == 128
    assert cut.token == read(tokenizer, text, max_tokens=10**6).token[:128]


def test_a_prompt_of_exactly_max_tokens_is_read(tokenizer):
    """The limit itself is allowed."""
    n = len(read(tokenizer, TEXTS[0]))
    assert len(read(tokenizer, TEXTS[0], max_tokens=n)) == n
    with pytest.raises(EnvironmentFault, match="prompt_too_long"):
        read(tokenizer, TEXTS[0], max_tokens=n - 1)


def test_bos_is_as_the_tokenizer_means_it():
    """One that adds it, one that does not, and one that should and does not."""
    assert begins_with_bos(make_tokenizer(), "gemma2") is True
    assert begins_with_bos(make_tokenizer(bos=False), "qwen3") is False
    with pytest.raises(EnvironmentFault, match=r"no_bos: the tokenizer does not put BOS .* first, and gemma2 needs"):
        begins_with_bos(make_tokenizer(bos=False), "gemma2")


def test_a_text_begins_with_bos_or_not_whatever_the_tokenizer_adds(tokenizer):
    """GPT-2's and Pythia's tokenizers have a BOS token and add none; an SAE may have been trained without one."""
    bare = make_tokenizer(bos=False)
    for one in (tokenizer, bare):
        begun, plain = (tokenize(one, "The red ball", 128, False, bos_first=bos) for bos in (True, False))
        assert begun.token == ("<bos>", *plain.token) == ("<bos>", "The", " red", " ball")
        assert begun.kind.tolist() == [Kind.SPECIAL, *plain.kind.tolist()]
        assert begun.start.tolist() == [-1, *plain.start.tolist()]
    with pytest.raises(EnvironmentFault, match="prompt_too_long"):
        tokenize(bare, "The red ball", 3, False, bos_first=True)


def test_a_tokenizer_without_bos_gives_none():
    """Qwen's loader says that its SAEs were trained with BOS, and its tokenizer has no such token."""
    none = make_tokenizer(bos=False)
    none.bos_token = None
    texts = Texts(none, "qwen3")
    assert [texts.begins(rule) for rule in ("prepend", "none", "tokenizer")] == [False, False, False]
    assert Texts(make_tokenizer(bos=False), "gpt2").begins("prepend") is True
    assert Texts(make_tokenizer(), "llama").begins("none") is False


@pytest.mark.parametrize("text", ["<bos>The red ball", " <bos>The red ball", "The red <bos> ball"])
@pytest.mark.parametrize("chat", [None, "user"])
@pytest.mark.parametrize("bos", [True, False])
def test_bos_written_in_a_text_is_an_error(tokenizer, text, chat, bos):
    """Wherever it stands, in a chat message too: the model would read a second text."""
    tokenizer.chat_template = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(EnvironmentFault, match=r"double_bos: the text .*has '<bos>' in it"):
        Texts(tokenizer, "llama").tokenize(Prompt(text, chat=chat), 128, bos)
    assert len(Texts(tokenizer, "llama").tokenize(Prompt("The bos, or <b>", chat=chat), 128, bos)) > 3


def test_a_bos_that_also_ends_a_text_may_part_two_documents():
    """GPT-2 has one token for both, so it is an error at the beginning only."""
    shared = make_tokenizer(bos=False)
    shared.eos_token = "<bos>"
    texts = Texts(shared, "gpt2")
    found = texts.tokenize(Prompt("The red<bos> ball"), 128, True)
    assert found.token == ("<bos>", "The", " red", "<bos>", " ball")
    with pytest.raises(EnvironmentFault, match="double_bos"):
        texts.tokenize(Prompt(" <bos>The red ball"), 128, True)


@pytest.mark.parametrize("writes", [True, False])
def test_a_chat_template_begins_with_bos_once_or_not_at_all(tokenizer, writes):
    """Whether or not the template writes it."""
    begin = "{{ bos_token }}" if writes else ""
    tokenizer.chat_template = begin + "user: {% for m in messages %}{{ m['content'] }}{% endfor %}"
    with_bos, without = (
        Texts(tokenizer, "llama").tokenize(Prompt("The ball.", chat="user"), 128, b) for b in (True, False)
    )
    assert with_bos.token == ("<bos>", *without.token)
    assert "<bos>" not in without.token


def test_contexts_are_full_and_begin_with_bos(tokenizer):
    """A corpus is cut into equal contexts, BOS first in each and not counted towards the limit."""
    text = " ".join(TEXTS * 20)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = list(contexts(tokenizer, iter([text]), 16, 10**6, bos_first=True))
    assert [len(c) for c in found] == [16] * (len(ids) // 15)
    assert all(c[0] == tokenizer.bos_token_id for c in found)
    assert [i for c in found for i in c[1:]] == ids[: 15 * len(found)]
    assert len(list(contexts(tokenizer, iter([text]), 16, 100, bos_first=True))) == 6
    bare = list(contexts(tokenizer, iter([text]), 16, 10**6, bos_first=False))
    assert [i for c in bare for i in c] == ids[: 16 * len(bare)]


def test_a_corpus_is_not_read_beyond_its_limit(tokenizer):
    """A huge file costs only what is used of it."""

    def pieces():
        yield from TEXTS * 5
        raise AssertionError("read on")

    assert len(list(contexts(tokenizer, pieces(), 16, 45, bos_first=True))) == 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60))
def test_shapes_depend_on_the_length_alone(lengths):
    """Whatever is read together: each text's bucket holds it, is a power of two or three quarters of one, and has the
    same rows; less than a third of it is padding."""
    shapes = Shapes(CPU_TOKENS)
    for length, indices in by_length(lengths, shapes).items():
        assert length & (length - 1) == 0 or (length % 3 == 0 and (length // 3) & (length // 3 - 1) == 0)
        assert all(length >= lengths[i] for i in indices)
        assert all(length == 12 or 2 * length < 3 * lengths[i] for i in indices)
        assert shapes.rows(length) == Shapes(CPU_TOKENS).rows(length)
    assert sorted(i for part in by_length(lengths, shapes).values() for i in part) == list(range(len(lengths)))


def test_short_batches_are_filled_with_repeats():
    """The rows are always as many; a full batch has none."""
    assert filled([7, 8], 5) == [7, 8, 7, 8, 7]
    assert filled([1, 2, 3], 3) == [1, 2, 3]


def test_the_table_is_recorded_and_halved():
    """It holds the buckets that were used, and follows when memory ran out."""
    shapes = Shapes.for_memory(80.0)
    assert (shapes.rows(16), shapes.rows(512)) == (1024, 32)
    shapes.halve()
    assert shapes.table() == {"16": 512, "512": 16}
    assert shapes.halvings == 1
    assert Shapes.for_memory(None).tokens == CPU_TOKENS
    assert Shapes.for_memory(16.0).tokens < Shapes.for_memory(40.0).tokens < shapes.for_memory(141.0).tokens
