"""Pictures with captions, prefix and causal attention, and chat: read as the model means them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.capture.loaded import LoadedModel
from harness.capture.models import load_model, load_texts
from harness.capture.saes import load_sae
from harness.capture.tokens import Texts
from harness.codes import Kind
from harness.digests import file_digest
from harness.errors import EnvironmentFault
from harness.inputs import ModelRef, Picture, Prompt
from harness.keys import code_key, prompt_key
from interp_tests.tiny_random import HOOK, TEXTS, build_tiny, build_tiny_pali

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = sorted((ROOT / "specs/images/photos").rglob("*.jpg"))


def captioned(path, text="A photo of a thing."):
    return Prompt(text, image=Picture(str(path.relative_to(ROOT)), file_digest(path)))


PICTURES = [captioned(path, f"A photo of a {path.parent.name}.") for path in PHOTOS]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def seeing(tiny):
    folder = build_tiny_pali(tiny.root, tiny)
    return replace(tiny.subject("pali"), model=ModelRef("pali", "path", str(folder), modality="image_text"))


@pytest.fixture(scope="module")
def base(tiny):
    return load_model(tiny.subject(), 2)


@pytest.fixture(scope="module")
def pali(seeing):
    return load_model(seeing, 2)


def far(a, b):
    return float(np.abs(a.values - b.values).max())


def residuals(loaded, prompts):
    return loaded.residuals(prompts, HOOK)


def test_causal_text_is_what_the_base_model_reads(base, pali):
    """The same language weights give the same activations, token for token; prefix attention gives others."""
    plain = [Prompt(text) for text in TEXTS]
    assert residuals(pali, plain).token == residuals(base, plain).token
    assert far(residuals(pali, plain), residuals(base, plain)) < 1e-4
    prefix = [Prompt(text, attention="prefix") for text in TEXTS]
    assert far(residuals(pali, prefix), residuals(base, plain)) > 0.1


def test_a_picture_is_read_as_its_processor_writes_it(seeing, pali):
    """Image tokens, BOS, the caption, a line break: the ids of PaliGemmaProcessor, each token with its kind."""
    from transformers import AutoTokenizer, PaliGemmaProcessor

    texts, prompt = load_texts(seeing), PICTURES[0]
    found = texts.tokenize(prompt, 64)
    tokenizer = AutoTokenizer.from_pretrained(seeing.model.location)
    processor = PaliGemmaProcessor(texts.visual.processor, tokenizer)
    bare = processor.tokenizer.backend_tokenizer
    bare.post_processor = None  # what add_bos_token = False means, where the tokenizer has such a switch
    from harness.capture.pictures import open_picture

    theirs = processor(images=open_picture(prompt.image), text=f"<image>{prompt.text}")["input_ids"][0]
    assert found.ids.tolist() == list(theirs)
    kinds = [Kind(k).name for k in found.kind]
    assert kinds[:5] == ["IMAGE"] * 4 + ["SPECIAL"]
    assert set(kinds[5:-1]) == {"TEXT"}
    assert kinds[-1] == "WRAPPER"
    spans = [prompt.text[a:b] for a, b in zip(found.start, found.end, strict=True) if a >= 0]
    assert "".join(spans) == prompt.text


def test_image_tokens_are_counted_only_where_asked(tiny, seeing, pali):
    """`tokens: image` counts patches, `text` the caption, neither BOS or the line break; all with specials does."""
    codes = pali.codes(PICTURES[:3], load_sae(tiny.subject().sae, 32, torch.device("cpu")), HOOK)
    assert (codes.counted("image").reshape(-1)[codes.kind == Kind.IMAGE]).all()
    assert codes.counted("image").sum() == 3 * 4
    assert codes.counted("all").sum() == codes.counted("image").sum() + codes.counted("text").sum()
    assert not codes.counted("all")[codes.kind == Kind.WRAPPER].any()
    assert codes.counted("all", "counted").all()
    for tokens in ("image", "text"):
        assert not codes.counted(tokens, "counted")[codes.kind == Kind.WRAPPER].any()
    sinks = replace(codes, sink=np.ones(codes.n_tokens, bool))
    assert not sinks.left_out_sinks("all")[codes.kind == Kind.WRAPPER].any(), "it is left out for what it is"


def test_pictures_differ_and_reach_the_caption(pali):
    """Another picture moves image tokens and the caption's tokens; the same one does not."""
    one, other = captioned(PHOTOS[0]), captioned(PHOTOS[1])
    a, b = residuals(pali, [one]), residuals(pali, [other])
    for kind in (Kind.IMAGE, Kind.TEXT):
        assert np.abs(a.values[a.kind == kind] - b.values[b.kind == kind]).max() > 0.01
    assert far(a, residuals(pali, [one])) == 0


def test_a_batch_of_all_lengths_and_ways_equals_one_at_a_time(pali):
    """Text, prefix text and real photographs together: each is what it is alone."""
    mixed = [PICTURES[0], Prompt(TEXTS[0]), PICTURES[3], Prompt(TEXTS[1], attention="prefix"), *PICTURES[4:]]
    together = residuals(pali, mixed)
    for row, prompt in enumerate(mixed):
        alone = residuals(pali, [prompt])
        assert np.abs(together.values[together.prompt == row] - alone.values).max() < 1e-5


@pytest.mark.parametrize("left_out", ["token_type_ids", "attention_mask"])
def test_leaving_out_a_mask_changes_what_is_read(pali, monkeypatch, left_out):
    """No error says so, so a test must: activations of pictures move where types or the mask are dropped."""
    prompts = [PICTURES[0], captioned(PHOTOS[1], "A long caption that makes the other one need padding, and more.")]
    right = residuals(pali, prompts)
    body = pali.model.base_model
    monkeypatch.setattr("harness.capture.batching.SHORTEST", 64)  # padding for all of them
    assert far(residuals(pali, prompts), right) < 1e-4

    def without(**given):
        return body(**{name: value for name, value in given.items() if name != left_out})

    monkeypatch.setattr(LoadedModel, "_whole", lambda self: without)
    assert far(residuals(pali, prompts), right) > 0.01


def test_eleven_photographs_are_read(pali):
    """Real pictures, sorted, one row each."""
    assert len(PICTURES) == 11
    found = residuals(pali, PICTURES)
    assert np.isfinite(found.values).all()
    assert np.bincount(found.prompt[found.kind == Kind.IMAGE]).tolist() == [4] * 11


def test_a_text_model_refuses_pictures_and_prefixes(base):
    """One clear fault each, before anything is computed."""
    with pytest.raises(EnvironmentFault, match="text_only_model"):
        base.texts.tokenize(PICTURES[0], 64)
    with pytest.raises(EnvironmentFault, match="prefix attention"):
        base.texts.tokenize(Prompt("a", attention="prefix"), 64)


def test_too_many_image_tokens_are_an_error(pali):
    """Nothing of a picture is cut, truncate or not."""
    with pytest.raises(EnvironmentFault, match="prompt_too_long"):
        pali.texts.tokenize(replace(PICTURES[0], truncate=True), 6)


TEMPLATE = "{{ bos_token }}{% for m in messages %}<start>{{ m['role'] }}\n{{ m['content'] | trim }}<end>\n{% endfor %}"


def test_chat_wraps_a_text_and_counts_only_it(base):
    """The template's own tokens are wrappers: never counted, never in a token list."""
    tokenizer = base.tokenizer
    tokenizer.chat_template = TEMPLATE
    text = " The red ball. "
    found = Texts(tokenizer, "gemma2").tokenize(Prompt(text, chat="user"), 64)
    assert found.ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(found.ids).startswith("<bos><start>user\nThe red ball.<end>")
    inside = found.kind == Kind.TEXT
    assert (
        "".join(text[a:b] for a, b in zip(found.start[inside], found.end[inside], strict=True)).strip() == text.strip()
    )
    assert (found.kind == Kind.WRAPPER).any()
    assert not (Texts(tokenizer, "gemma2").tokenize(Prompt(text), 64).kind == Kind.WRAPPER).any()


def test_a_model_without_a_chat_template_says_so(base):
    """Never a made-up wrapping."""
    base.tokenizer.chat_template = None
    with pytest.raises(EnvironmentFault, match="no_chat_template"):
        base.texts.tokenize(Prompt("a", chat="user"), 64)


def test_keys_know_pictures_attention_and_chat(seeing, tiny):
    """Each makes a miss; the default written out, another file of the same bytes, marks and groups do not."""
    text, picture = Prompt("A cat."), captioned(PHOTOS[0])
    different = [
        text,
        replace(text, attention="prefix"),
        replace(text, chat="user"),
        picture,
        replace(picture, image=captioned(PHOTOS[1]).image),
        replace(picture, attention="causal"),
        replace(picture, text="Another caption."),
    ]
    assert len({prompt_key(prompt) for prompt in different}) == len(different)
    same = replace(picture, attention="prefix", image=replace(picture.image, path="specs/images/copy.jpg"))
    assert prompt_key(same) == prompt_key(picture)
    assert prompt_key(replace(text, attention="causal")) == prompt_key(text)
    assert code_key(seeing) != code_key(tiny.subject())


def test_the_image_processor_is_in_the_key(seeing, tmp_path):
    """Another size or normalization of pictures is other evidence."""
    import shutil

    from interp_tests.tiny_random import edit_json

    copy = tmp_path / "pali"
    shutil.copytree(seeing.model.location, copy)
    moved = replace(seeing, model=replace(seeing.model, location=str(copy)))
    assert code_key(moved) == code_key(seeing)
    edit_json(copy / "preprocessor_config.json", image_mean=[0.1, 0.1, 0.1])
    assert code_key(moved) != code_key(seeing)
