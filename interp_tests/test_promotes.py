"""promotes: from the weights of a real model to a verdict, and what the store keeps of it."""

import sqlite3

import pytest
import torch
from safetensors.torch import load_file

from harness.capture.models import load_model
from harness.capture.promoting import _most_raised, promotions
from harness.capture.saes import load_sae
from harness.capture.specials import special_ids
from harness.errors import EnvironmentFault
from harness.language.specs import load
from harness.language.subjects import find_subject
from harness.promotion import KEPT, SAMPLE, SAMPLED, Promotions, joined, sampled_features
from harness.session import open_session
from harness.store import Store
from harness.store.packing import Damaged, pack_promotions, unpack_promotions
from harness.verdict import Outcome
from interp_tests.project import REPO

TINY = ("tiny-gemma2", "tiny-qwen3")


@pytest.fixture(scope="module", params=TINY)
def loaded(request):
    subject = find_subject(REPO, request.param)
    model = load_model(subject, subject.layer + 1)
    return subject, model, load_sae(subject.sae, model.d_model, torch.device("cpu"))


def plainly(subject, decoder, feature, gained=True):
    """{token id: effect}, from the files: Gemma's gain is 1 + weight, Qwen's the weight."""
    weights = load_file(REPO / subject.model.location / "model.safetensors")
    norm = weights["model.norm.weight"].float()
    gain = (1 + norm if subject.name == "tiny-gemma2" else norm) if gained else torch.ones_like(norm)
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).float()
    return [sum((decoder[feature] * gain * row).tolist()) for row in head]


def test_the_list_is_that_of_the_formula(loaded):
    """The most raised tokens and their effects are what the weights in the files say; without the gain they are not."""
    subject, model, sae = loaded
    effects, ids = _most_raised(sae.W_dec[[17]], model.model, special_ids(model.tokenizer))
    plain = plainly(subject, sae.W_dec, 17)
    order = sorted(set(range(len(plain))) - set(special_ids(model.tokenizer)), key=lambda t: -plain[t])[:KEPT]
    assert effects[0].tolist() == pytest.approx([plain[t] for t in order], rel=1e-4)
    assert set(ids[0, :30].tolist()) <= set(order)
    ungained = plainly(subject, sae.W_dec, 17, gained=False)
    assert effects[0].tolist() != pytest.approx(sorted(ungained, reverse=True)[:KEPT], rel=1e-2)


def test_the_list_is_what_the_model_itself_says_more_often(loaded):
    """A step along the direction at the last layer raises the listed tokens' logits more than nearly all others'."""
    _, model, sae = loaded
    body, head = model.model.base_model, model.model.get_output_embeddings()
    torch.manual_seed(0)
    h = 8 * torch.randn(64, model.d_model)
    with torch.no_grad():
        before, after = (head(body.norm(x)) for x in (h, h + 0.5 * sae.W_dec[17]))
    raised = (after - before).mean(0)
    _, ids = _most_raised(sae.W_dec[[17, 18]], model.model, special_ids(model.tokenizer))
    own, other = ((raised[None] > raised[one[:10], None]).float().mean(1) for one in ids)
    assert own.max() < 0.02
    assert other.max() > 0.1, "the list of another feature is not raised so"


def test_the_vocabulary_in_parts_gives_the_same_list(loaded, monkeypatch):
    """How many tokens are looked at at once changes nothing."""
    _, model, sae = loaded
    whole = _most_raised(sae.W_dec[:5], model.model, special_ids(model.tokenizer))
    monkeypatch.setattr("harness.capture.promoting._VOCABULARY_AT_ONCE", 97)
    parts = _most_raised(sae.W_dec[:5], model.model, special_ids(model.tokenizer))
    assert torch.allclose(whole[0], parts[0], rtol=1e-5)
    assert torch.equal(whole[1], parts[1])


def test_the_sample_is_seeded_and_of_features_that_exist():
    """512 features of a wide SAE, all of a narrow one, the same ones each time."""
    wide = sampled_features(16_384)
    assert len(set(wide)) == SAMPLED
    assert max(wide) < 16_384
    assert wide == sampled_features(16_384)
    assert wide != sampled_features(4_096)
    assert sampled_features(8) == tuple(range(8))


def test_a_layer_norm_takes_the_mean_out_and_other_heads_are_refused(loaded):
    """GPT-2's final norm has another formula; a model without a head, or an SAE without W_dec, has no list."""
    _, model, sae = loaded
    from torch import nn
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=90, n_embd=model.d_model, n_layer=1, n_head=1))
    nn.init.uniform_(gpt.transformer.ln_f.weight, 0.5, 2)
    effects, ids = _most_raised(sae.W_dec[[3]], gpt, [])
    centred = (sae.W_dec[3] - sae.W_dec[3].mean()) * gpt.transformer.ln_f.weight
    plain = (gpt.lm_head.weight @ centred).sort(descending=True)
    assert torch.allclose(effects[0], plain.values[:KEPT], rtol=1e-4)
    assert ids[0, 0] == plain.indices[0]
    for broken_model, broken_sae in ((model.model.base_model, sae), (model.model, object())):
        with pytest.raises(EnvironmentFault) as caught:
            promotions(broken_model, model.tokenizer, broken_sae, [SAMPLE])
        assert caught.value.code == "decoder_unreadable"


def test_a_row_is_read_back_as_it_was_kept(tmp_path):
    """What is packed is unpacked; damaged bytes are a miss, and rows join."""
    one = Promotions({3: ((" red", 2.5), ("\n", 1.5))}, frozenset(), 64)
    many = Promotions({1: (("a", 1.0),), 5: (("b", 2.0),)}, frozenset({1, 5}), 64)
    store = Store(tmp_path / "store.sqlite")
    store.put_promotions("code", {}, [("3", one), (SAMPLE, many)])
    assert store.get_promotions("code", ["3", SAMPLE, "4"]) == {"3": one, SAMPLE: many}
    both = joined([many, one])
    assert both.lists.keys() == {1, 3, 5}
    assert both.sampled == {1, 5}
    with pytest.raises(Damaged):
        unpack_promotions(pack_promotions(one)[:-9])
    store.database.write("UPDATE promotions SET value=? WHERE prompt_key=?", [(b"other", "3")])
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.have_promotions("code", ["3", SAMPLE]) == {SAMPLE}


def test_a_store_from_before_is_given_the_table(tmp_path):
    """A store of layout 1 is opened to write with all that it holds; read-only it has no such rows."""
    path = tmp_path / "store.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as old:
        old.execute("INSERT INTO versions VALUES ('code', '{}')")
        old.execute("DROP TABLE promotions")
        old.execute("DROP TABLE weights")
        old.execute("DROP TABLE verdicts")
        old.execute("PRAGMA user_version=1")
    old.close()
    assert Store(path, read_only=True).have_promotions("code", ["3"]) == set()
    store = Store(path)
    store.put_promotions("code", {}, [("3", Promotions({3: (("a", 1.0),)}, frozenset(), 8))])
    assert store.have_promotions("code", ["3"]) == {"3"}
    assert store.stats()["code_keys"] == 1


SUBJECTS = """\
models:
  tiny-gemma2: {path: harness/zoo/tiny_gemma2/model}
saes:
  tiny: {path: harness/zoo/tiny_gemma2/sae, d_in: 128, d_sae: 1024, hook: blocks.3.hook_resid_post}
subjects:
  tiny-gemma2: {model: tiny-gemma2, sae: tiny}
"""
SUITE = """\
subjects: [tiny-gemma2]
expect:
  - {id: right, feature: 17, promotes: {tokens: WORDS}}
  - {id: wrong, feature: 18, promotes: {tokens: WORDS}}
  - {id: vacuous, feature: 17, promotes: {pattern: "(?s)[^\u5b57]*"}}
  - {id: absent, features: [17, 18], together: any, promotes: {pattern: "zzz+"}}
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Judged records of SUITE, feature 17's own tokens as its words; then again, from the store alone."""
    root = tmp_path_factory.mktemp("promotes")
    (root / "specs").mkdir()
    (root / "harness").symlink_to(REPO / "harness")
    (root / "specs/subjects.yaml").write_text(SUBJECTS)
    subject = find_subject(root, "tiny-gemma2")
    model = load_model(subject, subject.layer + 1)
    sae = load_sae(subject.sae, model.d_model, torch.device("cpu"))
    [(_, found)] = promotions(model.model, model.tokenizer, sae, ["17"])
    words = [token.strip() for token, _ in found.lists[17][:15] if token.strip()]
    (root / "specs/suite.yaml").write_text(SUITE.replace("WORDS", repr(words)))
    return root


def judged(root, tmp_path):
    specs = list(load(root).items)
    session = open_session(specs, Store(tmp_path / "store.sqlite"), tmp_path, lambda spec: True, print)
    return {spec.id.partition("::")[2]: session.record(spec).verdict for spec in specs}, session


def test_from_yaml_to_verdict_without_a_prompt(records, tmp_path, monkeypatch, snapshot):
    """Met, unmet and met by all; no forward pass is made, and a second run loads nothing."""
    monkeypatch.chdir(records)
    found, session = judged(records, tmp_path)
    assert found["right"].outcome is Outcome.MET
    assert found["wrong"].outcome is Outcome.UNMET
    assert found["absent"].outcome is Outcome.UNMET
    assert found["wrong"].finding == snapshot
    assert found["right"].null_share < 0.05 < found["vacuous"].null_share == 1
    assert any("features drawn by a seed" in line for line in found["vacuous"].warnings)
    stats = session.runner.capture["tiny-gemma2"]
    assert (stats["loads"], stats["batches"], stats["prompts"]) == (1, 0, 0)
    again, warm = judged(records, tmp_path)
    assert warm.runner.capture == {}
    assert {name: verdict.finding for name, verdict in again.items()} == {
        name: verdict.finding for name, verdict in found.items()
    }
