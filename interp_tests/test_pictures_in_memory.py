"""Pictures through a model, a processor and an SAE in memory: the codes are those of the same weights by their name."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import EnvironmentFault
from harness.explore import census, open_subject, prompt_set

ROOT = Path(__file__).resolve().parents[1]
PALI, GEMMA = ROOT / "harness/zoo/tiny_paligemma2/model", ROOT / "harness/zoo/tiny_gemma2"
TEXTS = ["The red ball bounced on the grass.", "for i in range(3): print(i)"]


@pytest.fixture(scope="module")
def sae():
    from sae_lens import SAE

    return SAE.load_from_disk(str(GEMMA / "sae"))


@pytest.fixture(scope="module")
def pali():
    from transformers import AutoModelForImageTextToText

    loaded = AutoModelForImageTextToText.from_pretrained(PALI, dtype="float32", attn_implementation="eager")
    return loaded.eval()


@pytest.fixture(scope="module")
def processor():
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(PALI)


@pytest.fixture(scope="module")
def pictures():
    return prompt_set("prompts/pictures.yaml#drawings", ROOT)[:12]


@pytest.fixture(scope="module")
def opened(pali, processor, sae):
    return open_subject(model=pali, processor=processor, sae=sae, layer=3)


@pytest.fixture(scope="module")
def named():
    return open_subject("tiny-paligemma2", root=ROOT)


def dense(codes):
    """[n_tokens, d_sae]"""
    out = np.zeros((codes.n_tokens, codes.d_sae), np.float32)
    out[np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr)), codes.index] = codes.value
    return out


def assert_same(ours, theirs):
    """Every field that a claim reads: tokens, what they are, which are sinks, and all activations."""
    for field in ("prompt", "position", "token_id", "kind", "sink"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field), err_msg=field)
    assert tuple(ours.token) == tuple(theirs.token)
    np.testing.assert_allclose(dense(ours), dense(theirs), rtol=1e-4, atol=1e-4)


def test_pictures_and_texts_give_the_codes_of_the_named_subject(opened, named, pictures):
    """Captioned pictures and plain texts in one call, token by token."""
    ours, theirs = opened.encode([*pictures, *TEXTS]), named.encode([*pictures, *TEXTS])
    assert np.count_nonzero(dense(theirs)) > 1000
    assert_same(ours, theirs)


def test_other_pictures_give_other_codes(opened, named, pictures):
    """The partner: the same captions on each other's pictures are not the same codes."""
    turned = [replace(p, image=q.image) for p, q in zip(pictures, [*pictures[1:], pictures[0]], strict=True)]
    with pytest.raises(AssertionError):
        assert_same(opened.encode(turned), named.encode(pictures))


def test_texts_begin_with_bos_though_the_processor_switches_it_off(pali, processor, sae, named):
    """An SAE that does not say how it was trained leaves BOS to the tokenizer. PaliGemmaProcessor switches it off on
    its own tokenizer, which is undone on a copy."""
    plain = SimpleNamespace(encode=sae.encode, decode=sae.decode)
    opened = open_subject(model=pali, processor=processor, sae=plain, layer=3)
    assert_same(opened.encode(TEXTS), named.encode(TEXTS))
    bos = processor.tokenizer.bos_token_id
    assert opened.encode(TEXTS).token_id[0] == bos
    assert processor.tokenizer("a")["input_ids"][0] != bos


def test_a_census_over_pictures_in_memory_is_that_of_the_names(opened, named, pictures, sae):
    """Transfer through pictures, from objects alone: the same class for every feature."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(GEMMA / "model", dtype="float32", attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(GEMMA / "model")
    base = open_subject(model=model.eval(), tokenizer=tokenizer, sae=sae, layer=3)
    how = {"images": pictures, "method": "ratio_of_means"}
    ours = census(base, opened, TEXTS, **how)
    theirs = census(open_subject("tiny-gemma2", root=ROOT), named, TEXTS, **how)
    assert ours.counts == theirs.counts
    assert ours.counts["new_vision"] > 0


def test_a_processor_for_a_model_that_reads_no_pictures_is_refused(processor, sae):
    """At once, before anything is read, with what to give instead."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(GEMMA / "model")
    with pytest.raises(EnvironmentFault) as refused:
        open_subject(model=model, processor=processor, sae=sae, layer=3)
    assert refused.value.code == "images_unsupported"
    assert "not by gemma2" in str(refused.value)
    assert "`tokenizer=`" in str(refused.value)


@pytest.mark.parametrize("part", ["tokenizer", "image_processor"])
def test_half_a_processor_is_no_processor(pali, processor, sae, part):
    """A tokenizer where a processor is needed, or its other half: the error says what it is and what to give."""
    given = getattr(processor, part)
    said = (
        rf"processor= is a {type(given).__name__}, and has to have an image processor and a tokenizer\. Give what `Auto"
    )
    with pytest.raises(TypeError, match=said):
        open_subject(model=pali, processor=given, sae=sae, layer=3)


def test_a_tokenizer_and_a_processor_are_one_too_many(pali, processor, sae):
    """Two tokenizers, of which one would be used without a word."""
    with pytest.raises(TypeError, match=r"tokenizer= or processor=, not both"):
        open_subject(model=pali, tokenizer=processor.tokenizer, processor=processor, sae=sae, layer=3)
    with pytest.raises(TypeError, match=r"a name, or model="):
        open_subject("tiny-paligemma2", processor=processor)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (
            PALI,
            "by a paligemma model with a tokenizer alone. Name a subject whose model has `modality: image_text`, or "
            "give open_subject its processor as `processor=`, not a tokenizer.",
        ),
        (
            GEMMA / "model",
            "by a gemma2 model. Name a subject whose model has `modality: image_text`, or give open_subject a "
            "PaliGemma model and its processor.",
        ),
    ],
    ids=["a tokenizer where a processor is needed", "a text model"],
)
def test_pictures_that_cannot_be_read_are_refused(folder, said, sae, pictures):
    """The error names the picture, why it is not read and what to give; texts are read all the same."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

    auto = AutoModelForImageTextToText if folder == PALI else AutoModelForCausalLM
    tokenizer = AutoTokenizer.from_pretrained(folder)
    opened = open_subject(model=auto.from_pretrained(folder).eval(), tokenizer=tokenizer, sae=sae, layer=3)
    with pytest.raises(EnvironmentFault) as refused:
        opened.encode(pictures[:1])
    assert refused.value.code == "text_only_model"
    assert str(refused.value).endswith(f"the picture {pictures[0].image.path} cannot be read {said}")
    assert opened.encode(TEXTS).n_prompts == 2
