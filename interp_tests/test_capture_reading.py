"""What comes out of a reading: the same bits whatever else was read, and the numbers that their names say."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.capture import corpora, proving
from harness.capture import loaded as loaded_module
from harness.capture.checks import must_be_finite
from harness.capture.engine import read_model
from harness.capture.loaded import padded
from harness.capture.models import load_model
from harness.capture.saes import load_sae
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.inputs import Corpus, Prompt, Reading, SaeRef
from harness.keys import code_key, corpus_key, prompt_key
from harness.store import MemoryStore
from harness.sums import Part, concat_sums
from interp_tests.tiny_random import D_MODEL, D_SAE, HOOK, TEXTS, Kept, build_tiny, edit_json

PROMPTS = [Prompt(text) for text in TEXTS]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))


def reading(subject, prompts=PROMPTS, corpora=(), residuals=()):
    keys = frozenset(prompt_key(prompt) for prompt in residuals)
    rows = tuple((prompt_key(prompt), prompt) for prompt in prompts)
    return Reading(subject, code_key(subject), rows, tuple((corpus_key(c), c) for c in corpora), keys)


def read(*readings):
    """(sink, stats) of one read_model."""
    sink = Kept()
    return sink, read_model(readings, sink)


def whole_model(tiny):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny.model, attn_implementation="eager").eval()


def hidden(tiny, text, layer=1):
    """[n_tokens, d_model] of one text alone, without padding, batch or early stop: the reference."""
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(tiny.model)(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return whole_model(tiny)(ids, output_hidden_states=True).hidden_states[layer + 1][0].numpy()


BITS = ("indptr", "index", "value", "hh", "rr", "hr", "ee", "sum_h")


def same_bits(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in BITS)


@pytest.mark.parametrize("architecture", ["jumprelu", "topk"])
def test_the_same_bits_whatever_else_was_selected(tiny, architecture):
    """Alone, in reverse, doubled with strangers: a prompt's codes do not move by a bit."""
    subject = tiny.subject(architecture=architecture)
    together = read(reading(subject))[0].rows
    strangers = [Prompt(f"{i} apples {text}") for i in range(9) for text in TEXTS]
    among = read(reading(subject, [*strangers, *reversed(PROMPTS)]))[0].rows
    for prompt in PROMPTS:
        alone = read(reading(subject, [prompt]))[0].rows
        key = subject_key(subject, prompt)
        assert same_bits(alone[key], together[key])
        assert same_bits(among[key], together[key])


def subject_key(subject, prompt):
    return code_key(subject), prompt_key(prompt)


def test_a_prompt_is_always_computed_in_one_shape(tiny, monkeypatch):
    """Alone or among others, every pass over a bucket has the rows that the table says: short ones are filled."""
    shapes = set()
    real = loaded_module.padded

    def note(texts, length):
        shapes.add((len(texts), length))
        return real(texts, length)

    monkeypatch.setattr(loaded_module, "padded", note)
    subject = tiny.subject(sinks="none")
    read(reading(subject, PROMPTS[:1]))
    assert shapes == {(21, 12)}
    read(reading(subject, PROMPTS * 3))
    read(reading(subject))
    assert shapes == {(21, 12), (16, 16), (8, 32)}


def test_other_prompts_have_other_bits(tiny):
    """The comparison above can fail."""
    rows = read(reading(tiny.subject()))[0].rows
    one, two = (rows[subject_key(tiny.subject(), prompt)] for prompt in PROMPTS[:2])
    assert not same_bits(one, two)


@pytest.mark.parametrize("text", TEXTS)
def test_residuals_are_the_hidden_states_of_the_text_alone(tiny, text):
    """Neither padding nor the other rows of the batch nor the shorter model move them beyond rounding."""
    sink, _ = read(reading(tiny.subject(), residuals=PROMPTS))
    np.testing.assert_allclose(
        sink.kept[subject_key(tiny.subject(), Prompt(text))], hidden(tiny, text), atol=2e-5, rtol=1e-4
    )


def test_a_wrong_mask_would_show(tiny, monkeypatch):
    """Hiding one real token from the others moves what is read: the masks above matter."""

    def hide_the_second(texts, length):
        ids, mask = padded(texts, length)
        mask[:, 1] = 0
        return ids, mask

    right, _ = read(reading(tiny.subject(), residuals=PROMPTS))
    loaded = load_model(tiny.subject(), 2)
    monkeypatch.setattr(loaded_module, "padded", hide_the_second)
    texts = [loaded.texts.tokenize(prompt, 128).ids for prompt in PROMPTS[:1]]
    seen = []
    loaded.read(texts, [HOOK], lambda batch: seen.append(batch.seen[HOOK][0, : len(texts[0])].numpy()))
    key = subject_key(tiny.subject(), PROMPTS[0])
    assert np.abs(seen[0][2:] - right.kept[key][2:]).max() > 1e-2


@pytest.mark.parametrize("architecture", ["jumprelu", "topk"])
def test_codes_are_what_the_sae_says(tiny, architecture):
    """The sparse code of every token is sae.encode's dense one, made sparse; TopK fires k at most."""
    subject = tiny.subject(architecture=architecture)
    sae = load_sae(subject.sae, D_MODEL, torch.device("cpu"))
    sink, _ = read(reading(subject, residuals=PROMPTS))
    for prompt in PROMPTS:
        key = subject_key(subject, prompt)
        codes, dense = sink.rows[key], sae.encode(torch.from_numpy(sink.kept[key])).numpy()
        sparse = np.stack([codes.token_column(feature) for feature in range(D_SAE)], axis=1)
        np.testing.assert_allclose(sparse, dense, atol=1e-5)
        assert (sparse != 0).any()
        assert architecture != "topk" or np.diff(codes.indptr).max() == 5


def test_scalars_are_what_their_names_say(tiny):
    """hh, rr, hr, ee and sum_h against loops in float64 over tokens and dimensions."""
    subject = tiny.subject()
    sae = load_sae(subject.sae, D_MODEL, torch.device("cpu"))
    sink, _ = read(reading(subject, residuals=PROMPTS))
    for prompt in PROMPTS:
        key = subject_key(subject, prompt)
        codes, h = sink.rows[key], sink.kept[key].astype(np.float64)
        r = sae.decode(sae.encode(torch.from_numpy(sink.kept[key]))).numpy().astype(np.float64)
        for t in range(codes.n_tokens):
            twin = {"hh": 0.0, "rr": 0.0, "hr": 0.0, "ee": 0.0}
            for x, y in zip(h[t], r[t], strict=True):
                twin = {
                    "hh": twin["hh"] + x * x,
                    "rr": twin["rr"] + y * y,
                    "hr": twin["hr"] + x * y,
                    "ee": twin["ee"] + (x - y) ** 2,
                }
            for name, value in twin.items():
                assert getattr(codes, name)[t] == pytest.approx(value, rel=1e-5, abs=1e-5), name
        for kind in Kind:
            expected = sum((h[t] for t in range(len(h)) if codes.kind[t] == kind), np.zeros(D_MODEL))
            np.testing.assert_allclose(codes.sum_h[0, kind], expected, rtol=1e-6, atol=1e-6)


def test_codes_are_the_same_in_micro_batches(tiny, monkeypatch):
    """Cutting the tokens for a wide SAE changes nothing."""
    from harness.capture import encode

    whole = read(reading(tiny.subject()))[0].rows
    monkeypatch.setattr(encode, "CPU_PEAK_BYTES", 16 * 4 * 4 * D_SAE)
    cut = read(reading(tiny.subject()))[0].rows
    for key in whole:
        np.testing.assert_array_equal(whole[key].index, cut[key].index)
        np.testing.assert_allclose(whole[key].value, cut[key].value, atol=1e-5)
        np.testing.assert_array_equal(whole[key].indptr, cut[key].indptr)


def test_an_sae_that_normalizes_is_decoded_at_once(tiny, tmp_path, monkeypatch):
    """layer_norm keeps each batch's scale for its decode: micro-batches must not mix them, and the flag matters."""
    from harness.capture import encode

    shutil.copytree(tiny.sae(), tmp_path / "sae")
    edit_json(tmp_path / "sae/cfg.json", normalize_activations="layer_norm")
    subject = tiny.subject(sae=SaeRef("normed", "path", str(tmp_path / "sae")))
    assert code_key(subject) != code_key(tiny.subject())
    sae = load_sae(subject.sae, D_MODEL, torch.device("cpu"))
    monkeypatch.setattr(encode, "CPU_PEAK_BYTES", 16 * 4 * 4 * D_SAE)
    sink, _ = read(reading(subject, residuals=PROMPTS))
    plain, _ = read(reading(tiny.subject()))
    for prompt in PROMPTS:
        codes, h = (rows[subject_key(subject, prompt)] for rows in (sink.rows, sink.kept))
        with torch.no_grad():
            r = torch.stack([sae.decode(sae.encode(token[None]))[0] for token in torch.from_numpy(h)])
        np.testing.assert_allclose(codes.ee, ((h - r.numpy()) ** 2).sum(1), rtol=1e-3)
        assert not np.allclose(codes.ee, plain.rows[subject_key(tiny.subject(), prompt)].ee, rtol=1e-2)


def test_several_saes_share_one_load_and_one_pass(tiny):
    """Two SAEs at two places read 6 prompts in the batches that one takes; each only what it asked for."""
    deep = tiny.subject("deep", "topk", hook="blocks.2.hook_mlp_out")
    alone, alone_stats = read(reading(deep, PROMPTS[:2]))
    sink, stats = read(reading(tiny.subject()), reading(deep, PROMPTS[:2]))
    assert [s.loads for s in stats.values()] == [1, 0]
    assert [s.prompts for s in stats.values()] == [6, 2]
    assert stats["tiny"].batches == read(reading(tiny.subject()))[1]["tiny"].batches
    assert len(sink.rows) == 8
    for prompt in PROMPTS[:2]:
        assert same_bits(sink.rows[subject_key(deep, prompt)], alone.rows[subject_key(deep, prompt)])
    assert alone_stats["deep"].tokens == stats["deep"].tokens == sum(c.n_tokens for c in alone.rows.values())


def test_residuals_are_kept_only_where_asked(tiny):
    """They are the activations of the very tokens of the codes."""
    sink, _ = read(reading(tiny.subject(), residuals=PROMPTS[:1]))
    key = subject_key(tiny.subject(), PROMPTS[0])
    assert sink.kept.keys() == {key}
    assert sink.kept[key].shape == (sink.rows[key].n_tokens, D_MODEL)
    np.testing.assert_allclose((sink.kept[key].astype(np.float64) ** 2).sum(1), sink.rows[key].hh, rtol=1e-12)


def test_one_bad_prompt_costs_only_itself(tiny):
    """Empty, too long: a fault each, under its own key; the others are read."""
    bad = [Prompt(""), Prompt("ball " * 500), Prompt("<bos>twice")]
    sink, stats = read(reading(tiny.subject(), [*PROMPTS, *bad]))
    assert stats["tiny"].prompts == len(PROMPTS)
    codes = [sink.faults[subject_key(tiny.subject(), prompt)].code for prompt in bad]
    assert codes == ["empty_prompt", "prompt_too_long", "double_bos"]
    assert len(sink.faults) == 3


def test_no_model_is_loaded_for_prompts_that_cannot_be_read(tiny):
    """They are met again in every run: their faults come from the tokenizer alone."""
    sink, stats = read(reading(tiny.subject(), [Prompt(""), Prompt("ball " * 500)]))
    assert len(sink.faults) == 2
    assert (stats["tiny"].loads, stats["tiny"].prompts) == (0, 0)


def test_a_prompt_may_be_too_long_for_one_subject_only(tiny):
    """max_tokens is each subject's own, though the model is shared."""
    short = replace(tiny.subject("short", "topk"), max_tokens=8)
    sink, _ = read(reading(tiny.subject(), PROMPTS[:1]), reading(short, PROMPTS[:1]))
    assert sink.faults.keys() == {subject_key(short, PROMPTS[0])}
    assert sink.rows.keys() == {subject_key(tiny.subject(), PROMPTS[0])}


def test_a_cut_prompt_is_read_to_the_limit(tiny):
    """truncate keeps the first max_tokens, and they read as in the whole text."""
    short = replace(tiny.subject(), max_tokens=8)
    cut = Prompt(TEXTS[5], truncate=True)
    sink, _ = read(reading(short, [cut], residuals=[cut]))
    np.testing.assert_allclose(sink.kept[subject_key(short, cut)], hidden(tiny, TEXTS[5])[:8], atol=2e-5, rtol=1e-4)


def test_an_sae_that_cannot_be_had_fails_alone(tiny, tmp_path):
    """Its prompts and corpora each get the fault; the other SAE's are read."""
    gone = tiny.subject("gone")
    gone = replace(gone, sae=replace(gone.sae, location=str(tmp_path / "nowhere")))
    corpus = make_corpus(tmp_path)
    sink, stats = read(reading(gone, corpora=[corpus]), reading(tiny.subject("fine", "topk")))
    assert {fault.code for fault in sink.faults.values()} == {"sae_missing"}
    assert len(sink.faults) == len(PROMPTS) + 1
    assert stats["fine"].prompts == len(PROMPTS)


def test_activations_that_are_no_numbers_are_not_kept(tiny, monkeypatch):
    """The prompt whose activations overflow is a fault naming the token; its batch neighbours are kept."""
    from harness.capture import loaded

    real_run = loaded.run

    def overflow(forward, sites, **more):
        seen = real_run(forward, sites, **more)
        seen[HOOK][0, 3] = torch.inf
        return seen

    monkeypatch.setattr(loaded, "run", overflow)
    sink, _ = read(reading(tiny.subject()))
    assert {fault.code for fault in sink.faults.values()} == {"not_finite"}
    firsts = [keys[0] for kind, _, keys in sink.calls]
    assert len(sink.faults) >= 2
    assert len(sink.rows) == len(PROMPTS) - len(sink.faults) > 0
    assert firsts
    assert "from token 3 (" in str(next(iter(sink.faults.values())))


class LittleMemory(torch.nn.Module):
    """A decoder that runs out of memory above some rows, as a device does."""

    def __init__(self, inner, rows):
        super().__init__()
        self.inner, self.most, self.refused = inner, rows, 0

    def forward(self, input_ids, **rest):
        if len(input_ids) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("no room")
        return self.inner(input_ids=input_ids, **rest)


@pytest.fixture
def with_little_memory(monkeypatch):
    """Let decoders refuse batches of more than `rows` rows."""

    def limit(rows):
        real = loaded_module.decoder_of
        for place in (loaded_module, proving):
            monkeypatch.setattr(place, "decoder_of", lambda model: LittleMemory(real(model), rows))

    return limit


def test_out_of_memory_halves_the_rows(tiny, with_little_memory):
    """The batch is tried again, nothing is lost or counted twice, and the record says so."""
    with_little_memory(3)
    sink, stats = read(reading(tiny.subject()))
    assert len(sink.rows) == len(PROMPTS) == stats["tiny"].prompts
    assert stats["tiny"].oom_halvings > 0
    assert max(stats["tiny"].rows.values()) <= 3
    assert stats["tiny"].to_dict()["oom_halvings"] == stats["tiny"].oom_halvings


def test_out_of_memory_for_any_text_is_a_fault(tiny, with_little_memory):
    """When one row is too many, the message says what does not fit."""
    with_little_memory(0)
    with pytest.raises(EnvironmentFault, match="out_of_memory: one text of 12 tokens does not fit"):
        read(reading(tiny.subject(sinks="none")))


def test_two_models_are_refused(tiny):
    """One load serves one model, dtype and device."""
    with pytest.raises(ValueError, match="one model, dtype and device"):
        read(reading(tiny.subject()), reading(tiny.subject("b", dtype="bfloat16")))


def test_bfloat16_is_read_in_bfloat16(tiny):
    """Near the float32 values, not equal to them, and the SAE still computes in float32."""
    half = tiny.subject(dtype="bfloat16")
    low = read(reading(half, residuals=PROMPTS))[0].kept[subject_key(half, PROMPTS[0])]
    full = read(reading(tiny.subject(), residuals=PROMPTS))[0].kept[subject_key(tiny.subject(), PROMPTS[0])]
    assert np.array_equal(low, torch.from_numpy(low).bfloat16().float().numpy())
    assert not np.array_equal(low, full)
    np.testing.assert_allclose(low, full, rtol=0.1, atol=0.15 * np.abs(full).max())


def make_corpus(folder, texts=TEXTS, **changes):
    (folder / "corpus.txt").write_text("\n".join(texts * 40))
    return Corpus("c", str(folder / "corpus.txt"), "d", **{"context_length": 32, "token_limit": 6000, **changes})


def test_sums_are_the_sums_of_the_tokens(tiny, tmp_path, monkeypatch):
    """Against a plain loop over the corpus's tokens, in blocks that follow each other."""
    monkeypatch.setattr(corpora, "BLOCK_TOKENS", 512)
    corpus, subject = make_corpus(tmp_path, token_limit=1000), tiny.subject()
    sink, stats = read(reading(subject, (), [corpus]))
    blocks = [sink.blocks[code_key(subject), corpus_key(corpus), i] for i in range(len(sink.blocks))]
    assert [block.n.tolist() for block in blocks] == [[16 * 31, 16], [16 * 31, 16], []]
    assert [block.part.tolist() for block in blocks] == [[Part.ORDINARY, Part.SPECIAL]] * 2 + [[]], "BOS by itself"
    found = concat_sums(blocks).counting()
    h, sae = corpus_activations(subject, contexts=32), load_sae(subject.sae, D_MODEL, torch.device("cpu"))
    twin, fired = {"l0": 0.0, "ee": 0.0, "hh": 0.0, "cosine": 0.0, "norm_ratio": 0.0}, np.zeros(D_SAE)
    for token in h:
        f = sae.encode(token[None])
        x, r = token.double(), sae.decode(f)[0].double()
        twin["l0"] += float((f != 0).sum())
        twin["ee"] += float(((x - r) ** 2).sum())
        twin["hh"] += float((x**2).sum())
        twin["cosine"] += float(x @ r / x.norm() / r.norm())
        twin["norm_ratio"] += float(r.norm() / x.norm())
        fired += (f[0] != 0).numpy()
    assert found.n_tokens == len(h) == stats["tiny"].tokens == 992
    for name, value in twin.items():
        assert getattr(found, name).sum() == pytest.approx(value, rel=1e-4), name
    np.testing.assert_allclose(found.sum_h.sum(0), h.double().sum(0), rtol=1e-4, atol=1e-3)
    assert np.abs(found.fired.sum(0) - fired).sum() <= 2  # of 16,000 firings, some stand at their threshold
    assert found.fired.sum() == found.l0.sum()


def corpus_activations(subject, contexts):
    """[n_tokens, d_model] of the corpus's contexts without BOS, each context read alone by the whole model."""
    loaded = load_model(subject, 4)
    ids = loaded.tokenizer("\n".join(TEXTS * 40), add_special_tokens=False)["input_ids"]
    rows = torch.tensor([[2, *ids[31 * i : 31 * (i + 1)]] for i in range(contexts)])
    with torch.no_grad():
        states = [loaded.model(row[None], output_hidden_states=True).hidden_states[2] for row in rows]
    return torch.cat([state[0, 1:] for state in states])


def test_sums_go_through_a_store(tiny, tmp_path):
    """The engine's end mark is what the store takes for the end."""
    corpus, subject, store = make_corpus(tmp_path), tiny.subject(), MemoryStore()
    sink, _ = read(reading(subject, (), [corpus]))
    for (code, key, number), sums in sink.blocks.items():
        assert store.have_sums(code, [key]) == set()
        store.put_sums(code, {}, key, number, sums)
    assert store.have_sums(code_key(subject), [corpus_key(corpus)]) == {corpus_key(corpus)}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.unlink(), "corpus_missing"),
        (lambda path: path.write_bytes(b"\xff\xfe not text"), "corpus_missing"),
        (lambda path: path.write_text("three words only"), "corpus_too_short"),
    ],
    ids=["missing", "not text", "too short"],
)
def test_a_corpus_that_cannot_be_read_costs_only_itself(tiny, tmp_path, spoil, code):
    """Missing, not text, too short: one fault under its key; the prompts are read."""
    corpus = make_corpus(tmp_path)
    spoil(tmp_path / "corpus.txt")
    sink, stats = read(reading(tiny.subject(), corpora=[corpus]))
    assert sink.faults[code_key(tiny.subject()), corpus_key(corpus)].code == code
    assert stats["tiny"].prompts == len(PROMPTS)


def test_a_model_in_memory_reads_like_the_engine(tiny):
    """For notebooks: no names, keys or store, and the same bits, tokens and order."""
    subject = tiny.subject()
    loaded = load_model(subject, 2)
    sae = load_sae(subject.sae, D_MODEL, torch.device("cpu"))
    codes = loaded.codes(PROMPTS, sae, HOOK)
    rows = read(reading(subject, residuals=PROMPTS))[0]
    for i, prompt in enumerate(PROMPTS):
        one = rows.rows[subject_key(subject, prompt)]
        assert np.array_equal(codes.hh[codes.prompt == i], one.hh)
        assert tuple(np.array(codes.token)[codes.prompt == i]) == one.token
    kept = loaded.residuals(PROMPTS, HOOK)
    assert kept.values.shape == (codes.n_tokens, D_MODEL)
    assert kept.token == codes.token
    np.testing.assert_array_equal(kept.prompt, codes.prompt)
    np.testing.assert_array_equal(kept.kind, codes.kind)
    key = subject_key(subject, PROMPTS[3])
    np.testing.assert_array_equal(kept.values[kept.prompt == 3], rows.kept[key])


def test_anything_that_encodes_is_an_sae(tiny):
    """A notebook's own dictionary needs encode and decode only."""

    class Halves:
        def encode(self, x):
            return torch.cat([x.clamp(min=0), (-x).clamp(min=0)], 1)

        def decode(self, f):
            return f[:, :D_MODEL] - f[:, D_MODEL:]

    codes = load_model(tiny.subject(), 2).codes(PROMPTS[:2], Halves(), HOOK)
    assert codes.d_sae == 2 * D_MODEL
    np.testing.assert_allclose(codes.ee, 0, atol=1e-6)
    assert codes.hh.min() > 0


def test_finite_weights_pass_the_check_that_others_fail():
    """One NaN among a million, or an infinity, is found and named; large finite numbers are no fault."""
    layer = torch.nn.Linear(1000, 1000)
    with torch.no_grad():
        layer.weight[:] = 3e38
    must_be_finite(layer, "x")
    for value in (torch.nan, torch.inf):
        with torch.no_grad():
            layer.weight[7, 7] = value
        with pytest.raises(EnvironmentFault, match=r"not_finite: x: 1 of 1,000,000 values of weight"):
            must_be_finite(layer, "x")
