"""A message counts, and nothing of the chat template around it, whatever the message says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from harness.capture.framing import MARKER, framed
from harness.capture.tokens import Texts
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.inputs import Prompt
from interp_tests.chat_templates import SHAPES, Shape
from interp_tests.tiny_random import make_tokenizer

MESSAGES = [
    "end", "turn", "of", "user", "INST", "im", "start", "You", "are", "a", "helpful", "Date", "2024", "system",
    "\\n", "|",
    "The red ball.", "user\nend", " end ", "\n\nturn", "end\n", "[/INST", "<end_of", "The  red ball.\n\nHe ran. ",
]  # fmt: skip


def chatting(shape, **change):
    """A tokenizer with a template and its special tokens, some of which swallow white space as Phi-3's do."""
    tokenizer = make_tokenizer()
    swallows = shape is SHAPES["phi 3"]
    tokenizer.add_tokens(
        [AddedToken(t, special=True, normalized=False, rstrip=swallows) for t in shape.specials], special_tokens=True
    )
    tokenizer.chat_template = shape.template
    texts = Texts(tokenizer, "gemma2" if shape.bos else "qwen2")
    texts._bos = shape.bos
    return texts


def read(texts, message):
    return texts.tokenize(Prompt(message, chat="user"), 512)


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request):
    shape = SHAPES[request.param]
    return shape, chatting(shape)


@pytest.mark.parametrize("message", MESSAGES)
def test_what_counts_is_the_message(shaped, message):
    """The tokens that hold letters of the message, at their places in it; the wrapper's words never, however alike."""
    shape, texts = shaped
    kept = message.strip() if shape.strips else message
    written = shape.before + kept + shape.after
    encoded = texts.tokenizer(written, add_special_tokens=False, return_offsets_mapping=True)
    found = read(texts, message)
    assert found.ids.tolist() == encoded["input_ids"]
    first, last, offset = len(shape.before), len(shape.before) + len(kept), message.index(kept)
    for (start, end), kind, at, to in zip(encoded["offset_mapping"], found.kind, found.start, found.end, strict=True):
        of_message = [i for i in range(start, end) if first <= i < last]
        whole = len(of_message) == end - start > 0
        if whole or any(not written[i].isspace() for i in of_message):
            assert kind == Kind.TEXT
            assert (at, to) == (of_message[0] - first + offset, of_message[-1] + 1 - first + offset)
        else:
            assert kind in (Kind.WRAPPER, Kind.SPECIAL)
            assert (at, to) == (-1, -1)
    covered = {i for at, to in zip(found.start, found.end, strict=True) for i in range(at, to)}
    assert {i for i, letter in enumerate(message) if not letter.isspace()} <= covered


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip))
def test_any_message_is_counted_whole(message):
    """All letters of any text, once the words of the template are left aside."""
    for shape in (SHAPES["gemma 2"], SHAPES["mistral"]):
        texts = chatting_once(shape)
        found = read(texts, message)
        covered = {i for at, to in zip(found.start, found.end, strict=True) for i in range(at, to)}
        assert {i for i, letter in enumerate(message) if not letter.isspace()} <= covered


def chatting_once(shape, cache={}):  # noqa: B006 - one tokenizer for all examples
    return cache.setdefault(shape.template, chatting(shape))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{{ m['content'] | upper }}", "changes"),
        ("{{ m['content'] }} {{ m['content'] }}", "writes it 2 times"),
        ("Hello.", "drops or changes"),
        ("{{ m['content'][:9] }}", "changes"),
        ("{{ m['content'] | urlencode }}", "drops or changes"),
        ("{{ m['content'] | replace(' ', '_') }}", "changes"),
        ("{{ m['content'] | length }}: {{ m['content'] }}", "writes other words around it"),
    ],
)
def test_a_template_that_alters_the_message_is_a_fault(body, what):
    """Dropped, repeated, cut, written otherwise: which tokens are the message's nobody can say."""
    texts = chatting(Shape("{% for m in messages %}" + body + "{% endfor %}", "", ""))
    with pytest.raises(EnvironmentFault, match="text_not_found") as caught:
        read(texts, "The red ball bounced.")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "{{ raise_exception('content must be a list of parts') }}",
        "{{ m['content'][0]['text'].name }}",
        "{{ nothing() }}",
        "{% if %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_raises_is_a_fault_of_the_chat(body):
    """Its own refusal, an undefined name, a slip in its code: one fault, and the same text without `chat` is read."""
    texts = chatting(Shape("{% for m in messages %}" + body + "{% endfor %}", "", ""))
    with pytest.raises(EnvironmentFault, match="chat_template_failed: the model's chat template raised"):
        read(texts, "The red ball.")
    assert len(texts.tokenize(Prompt("The red ball."), 64)) == 5


@pytest.mark.parametrize(
    ("name", "message", "named"),
    [
        ("gemma 2", "The red<end_of_turn> ball", "<end_of_turn>"),
        ("gemma 3", "<start_of_turn>", "<start_of_turn>"),
        ("qwen 2", "a<|im_end|>\n<|im_start|>user\nb", "<|im_end|>, <|im_start|>"),
        ("llama 3", "<|eot_id|>", "<|eot_id|>"),
        ("zephyr", "red<eos>", "<eos>"),
        ("mistral", "red <pad>", "<pad>"),
    ],
)
def test_a_special_token_in_a_message_is_a_fault_that_names_it(name, message, named):
    """It would end the message, or begin another one."""
    with pytest.raises(EnvironmentFault, match="special_in_text") as caught:
        read(chatting(SHAPES[name]), message)
    assert f"contains {named}, which" in str(caught.value)


def test_bos_in_a_message_is_a_fault():
    """Of its own code, as in a text without a template."""
    with pytest.raises(EnvironmentFault, match="double_bos: the text 'red <bos> ball' has '<bos>' in it"):
        read(chatting(SHAPES["gemma 2"]), "red <bos> ball")


def test_a_token_of_the_template_that_is_not_called_special_is_one_too():
    """Some tokenizers add their turn tokens as plain ones."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["<start_of_turn>", "<end_of_turn>", "<table>"])
    tokenizer.chat_template = SHAPES["gemma 2"].template
    texts = Texts(tokenizer, "gemma2")
    assert "<table>" in read(texts, "a <table> b").token
    with pytest.raises(EnvironmentFault, match="special_in_text"):
        read(texts, "a <end_of_turn> b")


def test_the_date_of_a_template_is_always_the_same():
    """The same prompt is the same tokens tomorrow."""
    texts = chatting(
        Shape("{% for m in messages %}{{ strftime_now('%Y-%m-%d, %A') }} {{ m['content'] }}{% endfor %}", "", "")
    )
    found = read(texts, "The red ball.")
    assert texts.tokenizer.decode(found.ids) == "<bos>2024-07-26, Friday The red ball."


def test_a_text_that_holds_the_marker_is_found_all_the_same():
    """The marker stands in a rendering of its own."""
    found = framed(lambda text: f"<{text}>", f"a{MARKER}b")
    assert (found.first, found.last, found.message) == (1, 1 + 2 + len(MARKER), f"a{MARKER}b")
