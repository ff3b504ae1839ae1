"""Looking at features: held against an independent transcription of the source utilities."""

from pathlib import Path

import numpy as np
import pytest

from harness.explore import (
    differential_features,
    fire_rate,
    open_subject,
    scan_prompts_for_feature,
)

ZOO = Path(__file__).resolve().parents[1] / "harness/zoo/tiny_gemma2"
POSITIVE = ["The red ball rolled away.", "She chose a blue door.", "A green hat lay there.", "He saw a yellow bird."]
NEGATIVE = ["The old ball rolled away.", "She chose a heavy door.", "for i in range(3): print(i)"]


class Source:
    """The source document's utilities, transcribed: one prompt at a time, last token, dense codes, loops."""

    def __init__(self, model, tokenizer, sae, layer):
        self.model, self.tokenizer, self.sae, self.layer = model, tokenizer, sae, layer

    def encode_prompts(self, prompts):
        import torch

        rows = []
        for prompt in prompts:
            caught = {}
            module = self.model.model.layers[self.layer]
            handle = module.register_forward_hook(
                lambda m, i, o, c=caught: c.update(h=o[0] if isinstance(o, tuple) else o)
            )
            with torch.no_grad():
                self.model(**self.tokenizer(prompt, return_tensors="pt"))
            handle.remove()
            rows.append(
                self.sae.encode(caught["h"].reshape(-1, caught["h"].shape[-1])[-1:].float())[0].detach().numpy()
            )
        return np.stack(rows)

    @staticmethod
    def differential(pos, neg, top_n):
        difference = pos.mean(0) - neg.mean(0)
        order = sorted(range(len(difference)), key=lambda f: (-difference[f], f))[:top_n]
        return [
            (f, difference[f], pos[:, f].mean(), neg[:, f].mean(), (pos[:, f] != 0).mean(), (neg[:, f] != 0).mean())
            for f in order
        ]


@pytest.fixture(scope="module")
def parts():
    from sae_lens import SAE
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(ZOO / "model", dtype="float32", attn_implementation="eager")
    return model.eval(), AutoTokenizer.from_pretrained(ZOO / "model"), SAE.load_from_disk(str(ZOO / "sae")), 3


@pytest.fixture(scope="module")
def source(parts):
    return Source(*parts)


@pytest.fixture(scope="module")
def opened(parts):
    model, tokenizer, sae, layer = parts
    return open_subject(model=model, tokenizer=tokenizer, sae=sae, layer=layer)


def test_last_token_codes_are_the_sources(opened, source):
    """pool="last" gives the code of the last token, as the source's encode_prompts does."""
    ours = opened.pooled(POSITIVE, "last").dense()
    theirs = source.encode_prompts(POSITIVE)
    assert theirs.any()
    np.testing.assert_allclose(ours, theirs, atol=2e-3, rtol=1e-4)
    assert not np.allclose(opened.pooled(POSITIVE, "max").dense(), theirs, atol=2e-3), "max pooling is something else"


def test_top_features_are_the_sources(opened, source):
    """The strongest features of a prompt, in the source's order, ten by default."""
    theirs = source.encode_prompts(POSITIVE[:1])[0]
    expected = np.argsort(-theirs, kind="stable")[: min(10, int((theirs != 0).sum()))]
    ours = opened.top_features(POSITIVE[0], pool="last")
    assert [row.feature for row in ours] == expected.tolist()
    assert [row.score for row in ours] == pytest.approx(theirs[expected].tolist(), rel=1e-4)
    assert len(opened.top_features(" ".join(POSITIVE))) == 10


def test_differential_features_are_the_sources(source):
    """Mean difference, both means and both firing rates, for plain arrays, in the source's order."""
    pos, neg = source.encode_prompts(POSITIVE), source.encode_prompts(NEGATIVE)
    expected = source.differential(pos.astype(float), neg.astype(float), 20)
    ours = differential_features(pos, neg)
    assert [row.feature for row in ours] == [row[0] for row in expected]
    got = [(r.score, r.pos_mean, r.neg_mean, r.pos_fire_rate, r.neg_fire_rate) for r in ours]
    np.testing.assert_allclose(got, [row[1:] for row in expected], atol=1e-9)
    assert [r.feature for r in differential_features(neg, pos)] != [row[0] for row in expected]


def test_scan_and_fire_rate_are_the_sources(source):
    """One feature's value per prompt, and the share of prompts on which it fires."""
    codes = source.encode_prompts(POSITIVE)
    feature = int(np.argmax(codes.max(0)))
    np.testing.assert_array_equal(scan_prompts_for_feature(codes, feature), codes[:, feature].astype(float))
    assert fire_rate(codes, feature) == pytest.approx((codes[:, feature] != 0).mean())
    assert fire_rate(codes, feature) > 0


def test_differential_features_take_codes_too(opened):
    """Two Codes, pooled by their peak, rank as their pooled arrays do."""
    pos, neg = opened.encode(POSITIVE), opened.encode(NEGATIVE)
    by_codes = differential_features(pos, neg, rank="auroc")
    by_array = differential_features(opened.pooled(POSITIVE).dense(), opened.pooled(NEGATIVE).dense(), rank="auroc")
    assert [r.feature for r in by_codes] == [r.feature for r in by_array]
    assert by_codes[0].auroc == 1.0


def test_a_width_mismatch_names_both_shapes():
    """Codes of two SAEs cannot be contrasted, and the error says which widths met."""
    with pytest.raises(ValueError, match=r"\(4, 8\).*\(3, 9\)"):
        differential_features(np.zeros((4, 8)), np.zeros((3, 9)))


def test_a_scan_shows_every_token(opened):
    """Scanning one feature gives its value on each token, and BOS does not count."""
    feature = opened.top_features(POSITIVE[0])[0].feature
    (row, *_) = opened.scan(feature, POSITIVE)
    assert row.activation == max(v for _, v, counted in row.tokens if counted)
    assert row.tokens[0][2] is False
    assert ">>" in str(row)


def test_a_ranking_prints_as_a_table(opened):
    """Rows read well in a terminal and in a notebook."""
    ranking = opened.differential_features(POSITIVE, NEGATIVE, n=3)
    assert len(str(ranking).splitlines()) == 4
    assert ranking._repr_html_().count("<tr>") == 4


def test_a_named_subject_reads_the_same(opened):
    """The subject of specs/subjects.yaml and the same objects in memory give the same codes."""
    named = open_subject("tiny-gemma2", root=ZOO.parents[2])
    np.testing.assert_allclose(named.pooled(POSITIVE).dense(), opened.pooled(POSITIVE).dense(), atol=2e-3, rtol=1e-4)
    with pytest.raises(TypeError, match="not both"):
        open_subject("tiny-gemma2", layer=3)
