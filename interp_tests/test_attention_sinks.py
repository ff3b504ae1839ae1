"""Attention sinks are found by fixed medians, never count unless asked for, and cannot make an SAE look good."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.attention_sinks import NO_SINKS, OVER, Probed, SinkRule, rule_of, written_norms
from harness.capture.engine import read_model
from harness.capture.training.fidelity import fidelity
from harness.codes import Kind, concat, split
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.expectations.fires_at import FiresAt
from harness.expectations.reconstruction import Reconstruction
from harness.explore import scan_tokens, top_features
from harness.inputs import Corpus, ModelRef, Norms, Prompt, PromptSet, Reading, SaeRef, Subject
from harness.keys import code_key, code_parts, corpus_key, prompt_key
from harness.probe import TEXTS, pictures, probe_digest
from harness.store.packing import pack_codes, unpack_codes
from harness.sums import Part, concat_sums
from harness.verdict import Outcome, Reason
from interp_tests.tiny_random import Kept, make_jumprelu, make_tokenizer

D_IN, HOOK = 32, "blocks.1.hook_resid_post"
WORDS = "the red ball bounced on grass she wore a blue dress to work and three apples in basket".split()
PROMPTS = [Prompt(" ".join(np.random.default_rng(i).choice(WORDS, 24)).capitalize() + f" {i}.") for i in range(12)]
TEXT, SPECIAL = np.uint8(Kind.TEXT), np.uint8(Kind.SPECIAL)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e4), st.sampled_from(list(Kind))), min_size=1, max_size=30))
def test_a_sink_exceeds_its_kinds_median(tokens):
    """Token by token, against a plain comparison; special and template tokens have the median of text."""
    rule = SinkRule(OVER, Norms(100.0, 7.0))
    found = rule.flags(np.array([n for n, _ in tokens]), np.array([k for _, k in tokens], np.uint8))
    assert found.tolist() == [n > 10 * (7.0 if k == Kind.IMAGE else 100.0) for n, k in tokens]
    assert not NO_SINKS.flags(np.array([n for n, _ in tokens]), np.array([k for _, k in tokens], np.uint8)).any()


def probed(*multiples, kinds=None, median=50.0):
    """A probe of 99 ordinary text tokens at the median and these besides."""
    norm = np.array([median] * 99 + [m * median for m in multiples])
    kind = np.array([TEXT] * 99 + list(kinds or [TEXT] * len(multiples)))
    return Probed(norm, kind, tuple(f"t{i}" for i in range(len(norm))))


def test_the_rule_stands_where_it_parts_two_groups():
    """Nothing between 5 and 20 medians: 10 is the rule, with the medians measured."""
    assert rule_of(probed(1.9, 4.9, 140.0), "auto", HOOK) == SinkRule(10.0, Norms(50.0))


@pytest.mark.parametrize("multiple", [5.1, 9.0, 12.0, 19.9])
def test_an_ordinary_token_near_the_rule_stops_the_reading(multiple):
    """Which tokens are sinks is then the owner's to say: `sinks: none`, or over how many medians."""
    with pytest.raises(EnvironmentFault, match="sinks_unclear") as caught:
        rule_of(probed(multiple, 2.0), "auto", HOOK, "mine")
    assert f"'t99' ({multiple:.1f} x)" in str(caught.value)
    assert "Write `sinks: none` or `sinks: {over: X}` on the subject" in str(caught.value)
    assert rule_of(probed(multiple), "none", HOOK) == NO_SINKS
    assert rule_of(probed(multiple), 30.0, HOOK) == SinkRule(30.0, Norms(50.0))


def test_a_special_token_near_the_rule_is_no_ordinary_one():
    """BOS never counts, so its norm leaves nothing unclear (Gemma 3 270M: 14.2 medians)."""
    assert rule_of(probed(14.2, kinds=[SPECIAL]), "auto", HOOK).over == 10.0
    with pytest.raises(EnvironmentFault, match="sinks_unclear"):
        rule_of(probed(14.2), "auto", HOOK)


def test_pinned_medians_decide_and_must_be_the_models_own():
    """Within a tenth they are taken, so that flags are the same on every machine; others are an error."""
    assert rule_of(probed(), "auto", HOOK, "mine", Norms(52.0)).norms == Norms(52.0)
    with pytest.raises(EnvironmentFault, match=r"norms_changed: .* pins a median norm of 70.0 for text tokens of mine"):
        rule_of(probed(), "auto", HOOK, "mine", Norms(70.0))
    with pytest.raises(EnvironmentFault, match="image tokens of mine"):
        rule_of(probed(), "auto", HOOK, "mine", Norms(50.0, 3.0))


def test_the_probe_is_fixed():
    """A change of a text or a picture changes every code key: then raise nothing, but know it."""
    assert probe_digest(False) == PROBE_OF_TEXTS
    assert probe_digest(True) == PROBE_WITH_PICTURES
    assert len(set(TEXTS)) == len(TEXTS)
    assert {picture.shape for picture in pictures()} == {(224, 224, 3)}


PROBE_OF_TEXTS = "f248dc6ecd50cb83c7f12decba3e77e08651abccd36e6dee24e00f7b1cabb6fd"
PROBE_WITH_PICTURES = "cab379a0a88d44d0940b5b432b5d9b4a52edc97c506b671d6c2d1e677bf33b5f"
SUBJECT = Subject(
    "s", ModelRef("m", "hub", "org/m", "a" * 40, "d" * 64, "t" * 64), SaeRef("s", "release", "r", "i"), HOOK
)


def test_the_rule_and_the_pin_are_in_the_key():
    """Which token is a sink is part of the evidence; another rule or pin never answers for this one."""
    others = [{"sinks": "none"}, {"sinks": 30.0}, {"norms": Norms(6.0)}, {"norms": Norms(6.0, 2.0)}, {"sinks": 10.0}]
    assert len({code_key(replace(SUBJECT, **one)) for one in [{}, *others]}) == len(others) + 1
    assert probe_digest(False)[:16] in code_parts(SUBJECT)["sinks"]
    assert written_norms(Norms(6195.0, 46.37)) == "{text: 6195, image: 46.37}"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A tiny GPT-2 without BOS whose first position is 200 times as long as any other, and an SAE for that alone."""
    from transformers import GPT2Config, GPT2LMHeadModel

    root = tmp_path_factory.mktemp("planted")
    tokenizer = make_tokenizer(bos=False)
    tokenizer.save_pretrained(root / "model")
    torch.manual_seed(0)
    settings = GPT2Config(
        vocab_size=len(tokenizer), n_embd=D_IN, n_layer=3, n_head=4, n_positions=128, initializer_range=0.2,
        bos_token_id=2, eos_token_id=1, attn_implementation="eager",
    )  # fmt: skip
    model = GPT2LMHeadModel(settings).eval()
    with torch.no_grad():
        model.transformer.wpe.weight[0] *= 400
    model.save_pretrained(root / "model")
    _save_sae(root / "sae", model.transformer.wpe.weight[0].detach())
    sae = SaeRef("planted", "path", str(root / "sae"), d_in=D_IN, d_sae=4, architecture="standard")
    return Subject("planted", ModelRef("planted", "path", str(root / "model")), sae, HOOK, max_tokens=100)


def _save_sae(folder, sink):
    """Feature 0 gives back the first position's vector where it is found, feature 1 fires on everything a little."""
    from sae_lens import StandardSAE, StandardSAEConfig

    sae = StandardSAE(StandardSAEConfig(d_in=D_IN, d_sae=4, apply_b_dec_to_input=False))
    direction = sink / sink.norm()
    with torch.no_grad():
        for weight in sae.parameters():
            weight.zero_()
        sae.W_enc[:, 0], sae.W_dec[0], sae.b_enc[0] = direction, 2 * direction, -0.5 * sink.norm()
        sae.b_enc[1], sae.W_dec[1, 0] = 0.5, 1.0
    sae.cfg.metadata.hook_name, sae.cfg.metadata.prepend_bos = HOOK, False
    sae.save_model(folder)


def read(subject, prompts=PROMPTS, corpora=()):
    sink = Kept()
    rows = tuple((prompt_key(p), p) for p in prompts)
    asked = Reading(subject, code_key(subject), rows, tuple((corpus_key(c), c) for c in corpora))
    read_model([asked], sink)
    return sink


def codes_of(subject, prompts=PROMPTS):
    sink = read(subject, prompts)
    assert not sink.faults, next(iter(sink.faults.values()))
    return concat([sink.rows[code_key(subject), prompt_key(p)] for p in prompts])


@pytest.fixture(scope="module")
def codes(planted, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield codes_of(planted)


def test_the_first_token_is_the_only_sink(codes):
    """In every prompt, whatever else was read; it stays text, and is not counted."""
    assert (codes.sink == (codes.position == 0)).all()
    assert (codes.kind == Kind.TEXT).all()
    assert (codes.counted() == (codes.position > 0)).all()
    assert codes.counted("text", "counted").all()
    assert codes.left_out_sinks().sum() == len(PROMPTS)


def test_what_is_a_sink_does_not_depend_on_what_else_is_read(planted, codes):
    """One prompt alone, cut to two tokens, has the same flags: its own median would flag nothing."""
    short = Prompt(" ".join(PROMPTS[0].text.split()[:2]))
    assert codes_of(planted, [short]).sink.tolist()[:2] == [True, False]


def test_codes_survive_store_split_and_concat(codes):
    """Flags and the sinks' own activations come back bit by bit."""
    parts = split(codes)
    back = concat([unpack_codes(pack_codes(one)) for one in parts])
    for name in ("sink", "sink_h", "sum_h", "kind", "hh"):
        assert np.array_equal(getattr(back, name), getattr(codes, name)), name
    assert codes.sink_h.shape == (len(PROMPTS), D_IN)
    assert (codes.sink_h.astype(float) ** 2).sum(1) == pytest.approx(codes.hh[codes.sink])


def judged(codes, kind, **claim):
    evidence = Evidence(sets={"prompts": PromptSet("texts", tuple(PROMPTS))}, codes_of={("prompts", None): codes})
    return kind.judge(evidence, Claim(**claim))


def test_an_sae_that_explains_only_the_sink_is_not_met(codes):
    """Its FVU is near 0 with sinks and over .9 on all other tokens: unmet, and the finding has both numbers."""
    bound = Reconstruction(prompts="texts", fvu={"at_most": 0.1})
    with_sinks = judged(codes, bound, special_tokens="counted")
    without = judged(codes, bound)
    assert with_sinks.outcome is Outcome.MET
    assert with_sinks.measurement.value < 0.05
    assert without.outcome is Outcome.UNMET
    assert without.measurement.value > 0.9
    assert "with sinks (12 tokens): fvu" in without.finding
    assert {m.name: m.value for m in without.also}["fvu with sinks"] == pytest.approx(with_sinks.measurement.value)


def test_a_mark_on_a_sink_counts_nothing(codes):
    """The claim says that its marks are sinks, not that nothing is marked. Where they count, all stand in one place."""
    marked = tuple(replace(p, marks=((0, 1),)) for p in PROMPTS)
    evidence = Evidence(sets={"prompts": PromptSet("texts", marked)}, codes_of={("prompts", None): codes})
    verdict = FiresAt(prompts="texts").judge(evidence, Claim(feature=0))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "12 of 12 marks of texts are on attention sinks, which do not count" in verdict.finding
    counted = FiresAt(prompts="texts").judge(evidence, Claim(feature=0, special_tokens="counted"))
    assert (counted.reason, counted.measurement.value) == (Reason.SHORTCUT, 1)


def test_a_corpus_sums_its_sinks_apart(planted, tmp_path, monkeypatch):
    """Each block's first tokens are rows of their own: counted when asked for, and reported beside the rest."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "corpus.txt").write_text(" ".join(p.text for p in PROMPTS * 9))
    corpus = Corpus("c", str(tmp_path / "corpus.txt"), "d", context_length=32, token_limit=2000)
    sink = read(planted, (), [corpus])
    found = concat_sums([sums for _, sums in sorted(sink.blocks.items(), key=lambda one: one[0][2])])
    contexts = found.n_sinks
    assert contexts > 30
    assert found.n_tokens == 31 * contexts
    assert found.counting(Part.SINK).n.sum() == 32 * contexts
    assert set(found.part.tolist()) == {Part.ORDINARY, Part.SINK}
    assert found.hh[found.part == Part.SINK].sum() > 100 * found.hh[found.part == Part.ORDINARY].sum()


def test_a_pin_of_other_weights_is_a_fault_of_its_subject(planted, tmp_path, monkeypatch):
    """Said once per prompt, under the subject's own keys; nothing is read with wrong flags."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    sink = read(replace(planted, norms=Norms(1e6)))
    assert not sink.rows
    assert {fault.code for fault in sink.faults.values()} == {"norms_changed"}


def test_an_mlp_output_has_the_streams_sinks(planted, tmp_path, monkeypatch):
    """Its own norms are small at the first position; the residual stream at that layer decides."""
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    mlp = replace(planted, hook="blocks.1.hook_mlp_out", read_otherwise=(("hook", "a test"),))
    codes = codes_of(mlp)
    assert (codes.sink == (codes.position == 0)).all()
    assert codes.hh[codes.sink].max() < 100 * np.median(codes.hh[~codes.sink])


def test_a_json_row_of_old_evidence_is_no_longer_asked_for():
    """The capture version rose with the flags, so that rows without them are other keys."""
    assert json.loads(code_parts(SUBJECT)["capture"]) >= 3


def test_top_features_leave_the_sink_out_and_say_so(codes):
    """Otherwise all that `interp top` lists are the features of the first token."""
    one = split(codes)[0]
    found, counting = top_features(one), top_features(one, counted=one.counted("text", "counted"))
    assert [row.feature for row in found] == [1]
    assert [row.feature for row in counting] == [0, 1]
    assert (found.sinks, counting.sinks) == (1, 0)
    assert str(found).endswith("1 attention sink is left out: a token whose norm is many times that of others")
    assert "left out" not in str(counting)


def test_a_scan_does_not_count_the_sink(codes):
    """The contract of `interp scan --json`: `counted` is false on a sink."""
    (row,) = scan_tokens(split(codes)[0], 1, PROMPTS[:1], split(codes)[0].counted())
    assert [counted for _, _, counted in row.tokens] == [False] + [True] * (len(row.tokens) - 1)


def test_a_training_card_has_fvu_with_and_without_sinks():
    """One token of a thousand times the norm: left out of FVU, tokens and dead features, and in a number of its own."""
    h = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32))
    h[7] *= 1000
    sae, rule = make_jumprelu(), SinkRule(OVER, Norms(5.6))
    alone, found = (fidelity("x", sae, [part], rule) for part in (h[[i for i in range(50) if i != 7]], h))
    assert (found.tokens, found.sinks, alone.sinks) == (49, 1, 0)
    assert (found.fvu, found.l0, found.dead) == pytest.approx((alone.fvu, alone.l0, alone.dead))
    assert found.fvu_with_sinks == pytest.approx(fidelity("x", sae, [h]).fvu)
    assert abs(found.fvu_with_sinks - found.fvu) > 0.1 * found.fvu
