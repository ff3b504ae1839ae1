"""One bad text, SAE or corpus fails alone: what was raised names it, and the others keep bit-equal codes."""

import pytest
import torch

from harness.capture import engine, tokens
from harness.capture.engine import read_model
from harness.capture.limits import Limits
from harness.capture.loaded import LoadedModel
from harness.errors import EnvironmentFault
from harness.inputs import Corpus, Prompt
from harness.keys import code_key, corpus_key, prompt_key
from interp_tests.test_capture_reading import PROMPTS, Kept, read, reading, same_bits
from interp_tests.tiny_random import build_tiny, edit_json

BAD = Prompt("The red dress ran.")  # shares its length with others


class PanicException(BaseException):
    """What Rust code raises through pyo3, as tokenizers does: it is no Exception."""


ENDING = [SystemExit(2), PanicException("index out of bounds")]
RAISED = [
    *ENDING,
    RuntimeError("device-side assert\nlong trace"),
    IndexError("index out of range in self"),
    KeyError("scale"),
    ValueError(""),
    MemoryError("cannot allocate"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ZeroDivisionError("division by zero"),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def breaking(monkeypatch):
    """Let the forward pass raise where one of these texts is in the batch."""
    real, passes = LoadedModel.forward, []

    def break_on(error, *bad):
        def forward(self, texts, part, length, hooks):
            passes.append((length, len(part)))
            ids = {tuple(texts[i].ids) for i in part}
            if any(tuple(self.texts.tokenize(prompt, 128).ids) in ids for prompt in bad):
                raise error
            return real(self, texts, part, length, hooks)

        monkeypatch.setattr(LoadedModel, "forward", forward)
        return passes

    return break_on


@pytest.mark.parametrize("error", RAISED, ids=lambda error: f"{type(error).__name__}: {error}"[:30])
def test_a_text_that_breaks_its_batch_fails_alone(tiny, breaking, error):
    """Its fault says what was raised; every other text of the batch has the codes that it has without it."""
    before = read(reading(tiny.subject()))[0].rows
    breaking(error, BAD)
    sink, stats = read(reading(tiny.subject(), [PROMPTS[0], BAD, *PROMPTS[1:]]))
    key = code_key(tiny.subject())
    assert [one for _, one in sink.faults] == [prompt_key(BAD)]
    assert len(sink.rows) == len(PROMPTS) == stats["tiny"].prompts
    for prompt in PROMPTS:
        assert same_bits(sink.rows[key, prompt_key(prompt)], before[key, prompt_key(prompt)])
    fault = sink.faults[key, prompt_key(BAD)]
    if "allocate" in str(error):
        assert fault.code == "out_of_memory"
    else:
        assert str(fault).startswith(f"reading_failed: the forward pass raised {type(error).__name__}")
        assert "test_capture_apart.py:" in fault.message
        assert "long trace" not in fault.message
        assert "Traceback (most recent call last)" in fault.trace


def test_only_the_batch_that_failed_is_tried_again(tiny, breaking):
    """One pass each for its texts, in the same shape; none for other batches."""
    passes = breaking(RuntimeError("no"), BAD)
    read(reading(tiny.subject(), [*PROMPTS, BAD]))
    passes = [one for one in passes if one[0] < 64]  # longer ones look for attention sinks
    lengths = [length for length, _ in passes]
    assert [n for length, n in passes if lengths.count(length) == 1] == [1] * sum(
        lengths.count(n) == 1 for n in lengths
    )
    (again,) = {length for length in lengths if lengths.count(length) > 1}
    tried = [n for length, n in passes if length == again]
    assert tried == [len(tried) - 1, *[1] * (len(tried) - 1)]


def test_every_text_that_fails_has_a_fault(tiny, breaking):
    """A model that always fails is a fault of each text, and of no run."""
    breaking(RuntimeError("device lost"), *PROMPTS)
    sink, _ = read(reading(tiny.subject()))
    assert sink.rows == {}
    assert len(sink.faults) == len(PROMPTS)


def test_a_text_that_does_not_fit_into_memory_fails_alone(tiny, breaking):
    """Rows are halved down to one, and then it is that text's own."""
    breaking(torch.OutOfMemoryError("no room"), BAD)
    sink, stats = read(reading(tiny.subject(), [*PROMPTS, BAD]))
    assert [key for _, key in sink.faults] == [prompt_key(BAD)]
    assert "out_of_memory: one text of" in str(*sink.faults.values())
    assert len(sink.rows) == len(PROMPTS)
    assert stats["tiny"].oom_halvings > 0


def test_an_interrupt_is_no_fault(tiny, breaking):
    """Ctrl-C in the forward pass ends the reading."""
    breaking(KeyboardInterrupt(), BAD)
    with pytest.raises(KeyboardInterrupt):
        read(reading(tiny.subject(), [BAD]))


@pytest.mark.parametrize(
    "error", [ValueError("bad bytes"), KeyError("x"), MemoryError("no room"), RecursionError(), *ENDING]
)
def test_a_tokenizer_that_raises_fails_its_text_alone(tiny, monkeypatch, error):
    """Whatever it raises: found before weights are loaded, or by the thread beside them."""
    real = tokens.tokenize

    def tokenize(tokenizer, text, *rest):
        if text == BAD.text:
            raise error
        return real(tokenizer, text, *rest)

    monkeypatch.setattr(tokens, "tokenize", tokenize)
    for prompts in ([BAD, *PROMPTS], [*PROMPTS, BAD], [BAD]):
        sink, _ = read(reading(tiny.subject(), prompts))
        assert [str(fault)[:40] for fault in sink.faults.values()] == ["reading_failed: tokenizing 'The red dres"]
        assert len(sink.rows) == len(prompts) - 1


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, PanicException])
@pytest.mark.parametrize("at", ["loading", "encoding"])
def test_an_sae_that_raises_fails_its_own_reading(tiny, monkeypatch, at, kind):
    """The same model's other SAE is read to its end."""
    real_load, real_encode, bad = engine.load_sae, engine.encode, []

    def load(ref, *rest):
        if ref.architecture == "topk" and at == "loading":
            raise kind("no cfg")
        sae = real_load(ref, *rest)
        bad.extend([sae] * (ref.architecture == "topk"))
        return sae

    def encode(h, real, sae):
        if at == "encoding" and sae in bad:
            raise kind("shapes cannot be multiplied")
        return real_encode(h, real, sae)

    monkeypatch.setattr(engine, "load_sae", load)
    monkeypatch.setattr(engine, "encode", encode)
    good, other = tiny.subject(), tiny.subject("b", architecture="topk")
    sink, _ = read(reading(good), reading(other))
    assert {code for code, _ in sink.rows} == {code_key(good)}
    assert {code for code, _ in sink.faults} == {code_key(other)}
    assert len(sink.rows) == len(sink.faults) == len(PROMPTS)
    assert {fault.code for fault in sink.faults.values()} == {"reading_failed"}


def test_a_corpus_with_a_context_that_fails_is_a_fault_of_the_corpus(tiny, tmp_path, monkeypatch):
    """Sums without it would be another corpus's; prompts and other corpora are read."""
    long = tmp_path / "long.txt"
    long.write_text(" ".join(prompt.text for prompt in PROMPTS) * 40)
    bad, good = (Corpus(name, str(long), name, 32, 320) for name in ("bad", "good"))
    real = engine.partial_sums
    monkeypatch.setattr(engine, "partial_sums", lambda *args: 1 / 0 if first.pop() else real(*args))
    first = [False] * 400 + [True]
    sink, _ = read(reading(tiny.subject(), PROMPTS, [bad, good]))
    assert [key for _, key in sink.faults] == [corpus_key(bad)]
    assert "reading corpus bad raised ZeroDivisionError: division by zero" in str(*sink.faults.values())
    assert len(sink.rows) == len(PROMPTS)


def short_model(root, positions, kind="gpt2"):
    """A model with so many positions, and the tokenizer and SAEs of the usual one."""
    from transformers import GPT2Config, GPT2LMHeadModel

    made = build_tiny(root)
    if kind == "gpt2":
        vocabulary = max_id(made) + 1
        settings = GPT2Config(
            vocab_size=vocabulary, n_embd=32, n_layer=4, n_head=4, n_positions=positions, bos_token_id=2, eos_token_id=1
        )
        for old in made.model.glob("*.safetensors"):
            old.unlink()
        torch.manual_seed(0)
        GPT2LMHeadModel(settings).save_pretrained(made.model)
    else:
        edit_json(made.model / "config.json", max_position_embeddings=positions)
    return made


def max_id(made):
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(made.model)) - 1


@pytest.mark.parametrize("kind", ["gpt2", "gemma2"])
def test_a_text_that_fits_is_read_and_one_that_does_not_is_a_fault(tmp_path, kind):
    """At 40 positions one of 34 tokens is read, though the usual bucket has 48; one of 41 is not, in any family."""
    made = short_model(tmp_path, 40, kind)
    fits = [Prompt("x" * n) for n in (33, 36, 39)]
    long, cut = Prompt("x" * 40), Prompt("x" * 60, truncate=True)
    sink, stats = read(reading(made.subject(), [*fits, long, cut]))
    code = code_key(made.subject())
    assert {key for _, key in sink.rows} == {prompt_key(one) for one in (*fits, cut)}
    assert sink.rows[code, prompt_key(cut)].n_tokens == 40
    assert "prompt_too_long" in str(*sink.faults.values())
    assert "its model only 40 positions" in str(*sink.faults.values())
    assert set(stats["tiny"].rows) == {"40"}


def test_positions_change_no_shape_that_fits_in_them():
    """The table of lengths is what it was: a bucket is cut only where it ends beyond the positions."""
    from harness.capture.batching import Shapes, by_length

    lengths = list(range(1, 600))
    plain = by_length(lengths, Shapes(256))
    for longest in (None, 1024, 4096, 600):
        bounded = by_length(lengths, Shapes(256), longest)
        assert {n: i for n, i in bounded.items() if longest is None or n < longest} == {
            n: i for n, i in plain.items() if longest is None or n <= longest
        }
    assert list(by_length([30, 34, 40], Shapes(256), 40)) == [32, 40]
    assert list(by_length([34, 50], Shapes(256), 40)) == [40, 50]  # who reads without limits gets what he asks for


def test_a_token_without_an_embedding_fails_its_text_alone(tmp_path):
    """Named with its id, before weights are loaded: on a GPU the index would end the process."""
    from transformers import AutoTokenizer

    made = build_tiny(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(made.model)
    tokenizer.add_tokens(["zzzz"])
    tokenizer.save_pretrained(made.model)
    sink, _ = read(reading(made.subject(), [*PROMPTS, Prompt("a zzzz b")]))
    assert len(sink.rows) == len(PROMPTS)
    assert "token_without_embedding: the prompt 'a zzzz b' has the token 'zzzz' (id" in str(*sink.faults.values())
    alone, stats = read(reading(made.subject(), [Prompt("a zzzz b")]))
    assert stats["tiny"].loads == 0
    assert len(alone.faults) == 1


def test_contexts_longer_than_the_positions_are_a_fault_of_their_corpus(tmp_path):
    """Not of the prompts that are read with it."""
    made = short_model(tmp_path, 40, "gemma2")
    text = tmp_path / "long.txt"
    text.write_text(" ".join(prompt.text for prompt in PROMPTS) * 40)
    corpus = Corpus("wide", str(text), "wide", 64, 640)
    sink, _ = read(reading(made.subject(), PROMPTS[:1], [corpus]))
    assert [key for _, key in sink.faults] == [corpus_key(corpus)]
    assert "context_too_long: the contexts of corpus wide have 64 tokens" in str(*sink.faults.values())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_position_embeddings": 40, "vocab_size": 9}, Limits(40, 9)),
        ({"n_positions": 32, "vocab_size": 9}, Limits(32, 9)),
        ({"max_seq_len": 8}, Limits(8, None)),
        ({"max_position_embeddings": -1, "vocab_size": 9}, Limits(None, 9)),
        ({"max_position_embeddings": None, "n_ctx": 7}, Limits(7, None)),
        ({}, Limits(None, None)),
    ],
)
def test_limits_are_read_from_a_configuration(fields, expected):
    """By whatever name; a model that says nothing has none."""
    from types import SimpleNamespace

    assert Limits.of(SimpleNamespace(**fields)) == expected


def test_a_fault_of_the_sink_is_not_taken_for_one_of_a_text(tiny):
    """A store that cannot be written is no reason to call prompts unreadable."""

    class Full(Kept):
        def codes(self, code_key, rows):
            raise EnvironmentFault("store_not_writable", "the disk is full.")

    sink = Full()
    with pytest.raises(EnvironmentFault, match="store_not_writable"):
        read_model([reading(tiny.subject())], sink)
    assert not sink.faults


def test_a_fault_says_where_it_was_raised():
    """Type, first line, file and line; a fault stays itself; the traceback travels with it."""
    import pickle

    def raised(error):
        try:
            raise error
        except (KeyError, ValueError, EnvironmentFault) as caught:
            return EnvironmentFault.unforeseen("reading_failed", "it", caught)

    fault = raised(KeyError("scale\nmore"))
    assert fault.message.startswith("it raised KeyError: 'scale\\nmore' (interp_tests/test_capture_apart.py:")
    assert raised(ValueError()).message.startswith("it raised ValueError (interp_tests")
    assert raised(ValueError("first.\nsecond")).message.startswith("it raised ValueError: first (interp")
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.trace) == (str(fault), fault.trace)
    known = EnvironmentFault("cold", "not here.")
    assert raised(known) is known
    assert "KeyError" in fault.trace
