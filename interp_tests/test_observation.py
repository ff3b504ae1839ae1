"""The first source document's utilities under their own names, compared with a literal transcription of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.codes import NoSuchFeature
from harness.errors import EnvironmentFault
from harness.observation import (
    FeatureRanking,
    capture_residual,
    differential_features,
    encode_prompts,
    fire_rate,
    pretty_ranking,
    scan_prompts_for_feature,
    top_features_for_prompt,
)

ZOO = Path(__file__).resolve().parents[1] / "harness/zoo"
POSITIVE = ["The red ball rolled away.", "She chose a blue door.", "A green hat lay there.", "He saw a yellow bird."]
NEGATIVE = ["The old ball rolled away.", "She chose a heavy door.", "for i in range(3): print(i)"]


@pytest.fixture(scope="module", params=["tiny_gemma2", "tiny_qwen3"])
def parts(request):
    """A model with BOS and a JumpReLU SAE, and one without BOS and a TopK SAE, as the document's."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = ZOO / request.param / "model"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", attn_implementation="eager").eval()
    return model, AutoTokenizer.from_pretrained(folder), _sae(request.param), 3


def _sae(name):
    if name == "tiny_gemma2":
        from sae_lens import SAE

        return SAE.load_from_disk(str(ZOO / name / "sae"))
    from harness.capture.qwen_scope import read_qwen_scope

    return read_qwen_scope(next((ZOO / name / "sae").glob("*.sae.pt")), 12, "cpu")


def _document_codes(model, tokenizer, sae, prompts, layer):
    """encode_prompts as the document writes it, with its hook written out."""
    codes = []
    for prompt in prompts:
        inputs, bucket = tokenizer(prompt, return_tensors="pt"), {}
        handle = model.model.layers[layer].register_forward_hook(lambda m, i, o, b=bucket: b.update(h=o))
        with torch.no_grad():
            model(**inputs)
        handle.remove()
        codes.append(sae.encode(bucket["h"][0, -1].unsqueeze(0).float())[0].detach().to("cpu", torch.float32))
    return torch.stack(codes, dim=0)


def _document_ranking(pos_codes, neg_codes, top_n):
    """differential_features as the document writes it."""
    pos_mean, neg_mean = pos_codes.mean(dim=0), neg_codes.mean(dim=0)
    diff = pos_mean - neg_mean
    pos_fire, neg_fire = (pos_codes != 0).float().mean(dim=0), (neg_codes != 0).float().mean(dim=0)
    order = diff.argsort(descending=True)[:top_n]
    values = (diff, pos_mean, neg_mean, pos_fire, neg_fire)
    return [FeatureRanking(int(i), *(float(value[i]) for value in values)) for i in order]


def test_encode_prompts_gives_the_documents_codes(parts):
    """The last token's code of every prompt, float32 on the CPU, equal to the document's own loop."""
    model, tokenizer, sae, layer = parts
    ours = encode_prompts(model, tokenizer, sae, POSITIVE, layer)
    theirs = _document_codes(model, tokenizer, sae, POSITIVE, layer)
    assert (ours.dtype, ours.device.type, ours.shape) == (torch.float32, "cpu", theirs.shape)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-4)
    assert theirs.any()
    moved = _document_codes(model, tokenizer, sae, POSITIVE, layer - 1)
    assert not torch.allclose(ours, moved, atol=2e-3), "another layer is something else"


def test_top_features_are_the_documents(parts):
    """The strongest features of one prompt's last token, in the document's order."""
    model, tokenizer, sae, layer = parts
    codes = _document_codes(model, tokenizer, sae, POSITIVE[:1], layer)[0]
    order = codes.argsort(descending=True)[:5]
    ours = top_features_for_prompt(model, tokenizer, sae, POSITIVE[0], layer, top_n=5)
    assert [row.feature_id for row in ours] == order.tolist()
    assert [row.score for row in ours] == pytest.approx(codes[order].tolist(), rel=1e-4)
    assert {row.pos_mean for row in ours} == {None}


def test_differential_features_are_the_documents(parts):
    """Ids, difference, both means and both rates of the top 20 are the document's."""
    model, tokenizer, sae, layer = parts
    pos, neg = (_document_codes(model, tokenizer, sae, texts, layer) for texts in (POSITIVE, NEGATIVE))
    ours, theirs = differential_features(pos, neg, 8), _document_ranking(pos, neg, 8)
    assert [row.feature_id for row in ours] == [row.feature_id for row in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.score, mine.pos_mean, mine.neg_mean) == pytest.approx(
            (other.score, other.pos_mean, other.neg_mean), rel=1e-5, abs=1e-6
        )
        assert (mine.pos_fire_rate, mine.neg_fire_rate) == pytest.approx((other.pos_fire_rate, other.neg_fire_rate))
    swapped = differential_features(neg, pos, 8)
    assert [row.feature_id for row in swapped] != [row.feature_id for row in ours], "the sides are not alike"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_codes_of_any_dtype_and_with_a_gradient_are_taken(dtype):
    """Half-precision codes that carry a gradient rank as the same numbers in float32 do."""
    pos, neg = torch.tensor([[0.0, 2.0, 1.0], [0.0, 4.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    ranked = differential_features(pos.to(dtype).requires_grad_(), neg.to(dtype).requires_grad_())
    assert [(row.feature_id, row.score) for row in ranked] == [(1, 3.0), (2, 0.5), (0, -1.0)]
    assert fire_rate(pos.to(dtype).requires_grad_(), 2) == 0.5
    assert scan_prompts_for_feature(pos.to(dtype).requires_grad_(), 1).tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: differential_features(torch.zeros(0, 3), torch.zeros(2, 3)), "pos_codes holds no prompt"),
        (lambda: differential_features(torch.zeros(2, 3), torch.zeros(0, 3)), "neg_codes holds no prompt"),
        (lambda: differential_features(torch.zeros(3), torch.zeros(2, 3)), r"pos_codes is \[n_prompts, n_features\]"),
        (lambda: differential_features(torch.zeros(2, 3), torch.zeros(2, 4)), "3.*4"),
        (lambda: differential_features(torch.zeros(2, 3), torch.zeros(2, 3), 0), "top_n is 0"),
        (lambda: fire_rate(torch.zeros(0, 3), 1), "holds no prompt"),
        (lambda: encode_prompts(None, None, None, [], 3), "at least one prompt"),
        (lambda: encode_prompts(None, None, None, "The red ball.", 3), r"write \[prompt\]"),
    ],
)
def test_what_has_no_answer_is_a_clear_error(call, words):
    """An empty set, one row, other widths, no features wanted: each says what is wrong, never NaN."""
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("feature", [-1, 3])
def test_a_feature_that_is_not_there_is_an_error(feature):
    """A number below zero does not count from the end."""
    with pytest.raises(NoSuchFeature, match="3 features"):
        fire_rate(torch.zeros(2, 3), feature)


def test_capture_residual_reads_and_leaves_no_hook(parts):
    """The block's last forward pass is under "h"; outputs do not change, and no hook stays, not even after an error."""
    model, tokenizer, _, layer = parts
    inputs = tokenizer(POSITIVE[0], return_tensors="pt")
    with torch.no_grad():
        without = model(**inputs).logits
        with capture_residual(model, layer) as bucket:
            within = model(**inputs).logits
    assert torch.equal(within, without), "reading changed the model's output"
    with pytest.raises(RuntimeError, match="stop"), capture_residual(model, layer):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks for module in model.modules())
    with torch.no_grad():  # transformers leaves hooks of its own in the model after this
        stream = model(**inputs, output_hidden_states=True).hidden_states[layer + 1]
    assert torch.equal(bucket["h"], stream)
    with pytest.raises(EnvironmentFault, match="layers"), capture_residual(model, 99):
        pass


def test_rankings_are_written_as_the_document_writes_them():
    """One line a feature, in both of its forms, to the character."""
    difference = FeatureRanking(731, 1.25, 1.5, 0.25, 0.5, 0.125)
    assert pretty_ranking([difference, FeatureRanking(12, 3.5)]) == (
        " feat    731 diff= +1.2500 pos_mean= +1.5000 neg_mean= +0.2500 pos_fire=0.50 neg_fire=0.12\n"
        " feat     12 act= +3.5000"
    )
    assert pretty_ranking([]) == ""


def test_scanning_is_the_column(parts):
    """One feature's activation on each prompt is its column of the codes."""
    model, tokenizer, sae, layer = parts
    codes = encode_prompts(model, tokenizer, sae, POSITIVE, layer)
    feature = int(codes.sum(0).argmax())
    assert torch.equal(scan_prompts_for_feature(codes, feature), codes[:, feature])
    assert fire_rate(codes, feature) == float(np.mean(codes[:, feature].numpy() != 0)) > 0
