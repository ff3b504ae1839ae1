"""SAEs of a centred stream: on LayerNorm models the mean is subtracted, exactly as centred weights would have it."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from harness.capture.centring import centred, must_be_centrable, wants_centred
from harness.capture.loaded import LoadedModel
from harness.capture.saes import load_sae
from harness.errors import EnvironmentFault
from harness.inputs import Prompt, SaeRef
from interp_tests.tiny_random import D_MODEL, HOOK, TEXTS, make_jumprelu, make_tokenizer

CPU = torch.device("cpu")
PROMPTS = [Prompt(text) for text in TEXTS]


def gpt2(vocabulary, shift=0.7):
    """A random GPT-2 whose embedding has a mean over d_in, as the real one's has."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=D_MODEL, n_layer=4, n_head=4, n_positions=128, initializer_range=0.2,
        attn_implementation="eager", bos_token_id=2, eos_token_id=1,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.wte.weight.add_(shift)
        for block in model.transformer.h:
            block.mlp.c_proj.bias.normal_(0.3, 0.2)
    return model


def centre_writing_weights(model):
    """What TransformerLens does: every matrix and bias that writes to the stream loses its mean over d_in."""
    body = model.transformer
    with torch.no_grad():
        for table in (body.wte.weight, body.wpe.weight):
            table.sub_(table.mean(-1, keepdim=True))
        for block in body.h:
            for part in (block.attn.c_proj, block.mlp.c_proj):
                part.weight.sub_(part.weight.mean(-1, keepdim=True))
                part.bias.sub_(part.bias.mean())
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture
def saved(tmp_path):
    """Writes an SAE that says whether it was trained on the centred stream."""

    def save(is_centred):
        torch.manual_seed(3)
        sae = make_jumprelu()
        sae.cfg.metadata["model_from_pretrained_kwargs"] = {"center_writing_weights": is_centred}
        sae.save_model(tmp_path / "sae")
        return SaeRef("c", "path", str(tmp_path / "sae"), hook=HOOK)

    return save


def read(model, tokenizer, sae):
    return LoadedModel(model, tokenizer, CPU).codes(PROMPTS, sae, HOOK)


def dense(codes):
    out = np.zeros((codes.n_tokens, codes.d_sae), np.float32)
    out[np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr)), codes.index] = codes.value
    return out


def test_subtracting_the_mean_is_what_centred_weights_give(tokenizer, saved):
    """The stream of the model with centred weights is the stream less its mean, and the codes are the same."""
    plain, processed = gpt2(len(tokenizer)), centre_writing_weights(gpt2(len(tokenizer)))
    with torch.no_grad():
        ids = tokenizer(TEXTS[1], return_tensors="pt")["input_ids"]
        raw, theirs = (m(ids, output_hidden_states=True).hidden_states[2][0] for m in (plain, processed))
    assert float(raw.mean(-1).abs().max()) > 0.5
    assert torch.allclose(centred(raw), theirs, atol=1e-4)
    ours = read(plain, tokenizer, load_sae(saved(True), D_MODEL, CPU))
    right = read(processed, tokenizer, load_sae(saved(False), D_MODEL, CPU))
    assert np.array_equal(dense(ours) > 0, dense(right) > 0)
    np.testing.assert_allclose(dense(ours), dense(right), atol=1e-3)
    for name in ("hh", "rr", "hr", "ee", "sum_h"):
        np.testing.assert_allclose(getattr(ours, name), getattr(right, name), rtol=1e-4, atol=1e-3)


def test_without_centring_another_set_of_features_fires(tokenizer, saved):
    """The comparison above can fail: on the raw stream L0 and the error are others."""
    plain = gpt2(len(tokenizer))
    ours, raw = (read(plain, tokenizer, load_sae(saved(flag), D_MODEL, CPU)) for flag in (True, False))
    assert (dense(ours) > 0).mean() < (dense(raw) > 0).mean()
    assert not np.allclose(ours.ee, raw.ee, rtol=0.1)


def test_an_owner_may_mean_the_raw_stream(tokenizer, saved):
    """`read_otherwise: {centring: ...}` reads the stream as it is; a notebook's own SAE is obeyed by its metadata."""
    from sae_lens import SAE

    ref = saved(True)
    meant = load_sae(ref, D_MODEL, CPU, HOOK, {"centring": "why"})
    assert not wants_centred(meant)
    assert wants_centred(SAE.load_from_disk(ref.location))
    plain = gpt2(len(tokenizer))
    same = read(plain, tokenizer, load_sae(saved(False), D_MODEL, CPU))
    assert np.array_equal(dense(read(plain, tokenizer, meant)), dense(same))


def test_what_mutants_make_of_such_an_sae_reads_the_centred_stream(saved):
    """A shuffled decoder and random directions keep how the SAE reads."""
    from harness.capture.derived import derived

    for what in ("shuffled_decoder", "random_sae"):
        assert wants_centred(derived(load_sae(saved(True), D_MODEL, CPU), what))
        assert not wants_centred(derived(load_sae(saved(False), D_MODEL, CPU), what))
        assert not wants_centred(derived(load_sae(saved(True), D_MODEL, CPU, HOOK, {"centring": "why"}), what))


def small(kind, **change):
    import transformers

    base = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = getattr(transformers, f"{kind}Config")(**{**base, **change})
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("GPTNeoX", {"intermediate_size": 48}),
        ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 64}),
        ("Phi", {"intermediate_size": 48}),
    ],
)
def test_models_that_read_through_layer_norm_can_be_centred(kind, change):
    """By their own norms, whatever they are called."""
    must_be_centrable(small(kind, **change), "x")


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("Llama", {"intermediate_size": 48}, "LlamaRMSNorm, which reads the mean"),
        ("Gemma2", {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}, "RMSNorm, which reads the mean"),
        ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 32, "do_layer_norm_before": False}, "behind every sum"),
        ("Bloom", {"n_layer": 2, "n_head": 4}, "behind its embedding"),
    ],
)
def test_other_models_are_refused(kind, change, why):
    """Their streams with and without the mean are read as different ones."""
    with pytest.raises(EnvironmentFault) as caught:
        must_be_centrable(small(kind, **change), "x")
    assert caught.value.code == "sae_unsupported"
    assert why in str(caught.value)
    assert "read_otherwise: {centring: why}" in str(caught.value)


def test_a_norm_of_another_kind_anywhere_in_the_layers_refuses(tokenizer):
    """One RMSNorm among LayerNorms is enough."""
    model = gpt2(len(tokenizer))
    must_be_centrable(model, "x")
    model.transformer.h[1].ln_2 = nn.RMSNorm(D_MODEL)
    with pytest.raises(EnvironmentFault, match="RMSNorm"):
        must_be_centrable(model, "x")


def test_silence_is_not_centring(tmp_path):
    """An SAE that does not say so reads the stream as it is."""
    make_jumprelu().save_model(tmp_path / "sae")
    assert "model_from_pretrained_kwargs" not in json.loads((tmp_path / "sae/cfg.json").read_text())["metadata"]
    assert not wants_centred(load_sae(SaeRef("c", "path", str(tmp_path / "sae")), D_MODEL, CPU))
