"""The source notebook's numbers, from a literal transcription of its cells on the real tiny models, are ours."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from harness.census import census_of
from harness.cli.transfer import document
from harness.codes import Kind
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.explore import open_subject, prompt_set
from harness.inputs import PromptSet
from harness.reports.figures import feature, means, ratios, reconstruction
from harness.reports.figures.spread import spread_of
from harness.reports.transfer import MORE_COLUMNS, write_csv
from harness.stats.transfer.ratio import RATIO_CLASSES
from interp_tests.plain_twins import notebook
from interp_tests.project import REPO

TEXTS, DRAWINGS = "prompts/source-notebook.yaml", "prompts/pictures.yaml#drawings"
COLUMNS = [
    "feature_idx", "category", "gemma_mean_activation", "gemma_max_activation", "paligemma_text_mean",
    "paligemma_text_max", "paligemma_mm_mean", "paligemma_mm_max", "transfer_ratio", "vision_boost",
]  # fmt: skip
LAYER = 3


def texts():
    from harness.language.sets import resolve_reference

    return resolve_reference(REPO, TEXTS, allow_local=True, whole_files=True).prompts


@pytest.fixture(scope="module")
def theirs():
    """The notebook's variables after its cell 11, by its own code; tiny-gemma2 is the base."""
    from sae_lens import SAE
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    base, seeing = (REPO / f"harness/zoo/{name}/model" for name in ("tiny_gemma2", "tiny_paligemma2"))
    as_read = {"dtype": torch.float32, "attn_implementation": "eager"}
    gemma = AutoModelForCausalLM.from_pretrained(base, **as_read).eval()
    pali = AutoModelForImageTextToText.from_pretrained(seeing, **as_read).eval()
    gemma_tokenizer, pali_tokenizer = (AutoTokenizer.from_pretrained(folder) for folder in (base, seeing))
    sae = SAE.load_from_disk(str(REPO / "harness/zoo/tiny_gemma2/sae"))
    words = notebook.TEXT_PROMPTS
    pairs = [(_opened(prompt.image), prompt.text) for prompt in prompt_set(DRAWINGS, REPO)]
    extractor = notebook.ActivationExtractor
    acts, gemma_tokens = notebook.extract_text_activations(
        words, gemma, gemma_tokenizer, extractor(gemma, LAYER, "gemma")
    )
    inner = pali.model.language_model
    text_acts, pali_tokens = notebook.extract_text_activations(
        words, inner, pali_tokenizer, extractor(inner, LAYER, "paligemma_lm")
    )
    processor = AutoProcessor.from_pretrained(seeing)
    mm_acts, is_image = notebook.extract_image_text_activations(
        pairs, pali, processor, extractor(pali, LAYER, "paligemma")
    )
    with torch.no_grad():
        features = [sae.encode(flat) for flat in (acts, text_acts, mm_acts)]
    return SimpleNamespace(
        gemma=gemma,
        tokenizer=gemma_tokenizer,
        features=features,
        flat=(acts, text_acts, mm_acts),
        mean=[one.mean(dim=0) for one in features],
        classes=notebook.classify_features(*features),
        tokens=(gemma_tokens, pali_tokens),
        special=notebook.get_special_token_set(gemma_tokenizer, pali_tokenizer),
        is_image=is_image,
        sae=sae,
    )


def _opened(picture):
    with Image.open(REPO / picture.path) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Base text, adapted text, pictures, as the library reads them."""
    store = tmp_path_factory.mktemp("source") / "store.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_STORE", str(store))
        base, adapted = (open_subject(name, root=REPO) for name in ("tiny-gemma2", "tiny-paligemma2"))
        return base.encode(texts()), adapted.encode(texts()), adapted.encode(prompt_set(DRAWINGS, REPO))


@pytest.fixture(scope="module")
def census(codes):
    return census_of(*codes, method="ratio_of_means", special_tokens="counted")


@pytest.fixture(scope="module")
def told(census):
    """The document of `interp transfer --json`."""
    return document(census, 50)


def close(ours, others):
    """Equal but for the order in which single precision sums."""
    np.testing.assert_allclose(np.asarray(ours), np.asarray(others), rtol=2e-4, atol=2e-6)


def dense(codes):
    """[tokens, d_sae] float32."""
    out = np.zeros((codes.n_tokens, codes.d_sae), np.float32)
    out[np.repeat(np.arange(codes.n_tokens), np.diff(codes.indptr)), codes.index] = codes.value
    return out


def test_the_prompts_are_the_notebooks():
    """All 24, to the character, code too."""
    assert [prompt.text for prompt in texts()] == notebook.TEXT_PROMPTS


def test_activations_and_features_are_the_notebooks(codes, theirs):
    """The norm of every token's activation in the residual stream, and its code, in all three conditions."""
    for ours, flat, features in zip(codes, theirs.flat, theirs.features, strict=True):
        close(np.sqrt(ours.hh), flat.norm(dim=1).numpy())
        np.testing.assert_allclose(dense(ours), features.numpy(), rtol=2e-3, atol=2e-3)
    base, adapted, _ = codes
    assert not np.allclose(base.hh, adapted.hh, rtol=1e-2), "and the two models differ"


def test_the_notebooks_own_autoencoder_can_be_read_through(theirs):
    """Its class, as it stands: encoded values of every token, and the error of its reconstruction."""
    torch.manual_seed(0)
    sae = notebook.SparseAutoencoder(128, 256)
    sae.b_dec.data.normal_()
    subject = open_subject(model=theirs.gemma, tokenizer=theirs.tokenizer, sae=sae, layer=LAYER)
    ours = subject.encode(notebook.TEXT_PROMPTS[:3])
    flat = theirs.flat[0][: ours.n_tokens]
    with torch.no_grad():
        np.testing.assert_allclose(dense(ours), sae.encode(flat).numpy(), rtol=2e-3, atol=2e-3)
    close(ours.ee / ours.d_in, notebook.reconstruction_errors(sae, flat))


def test_every_token_that_the_notebook_pools_is_counted(told, theirs):
    """80 drawings are 1,600 tokens: 16 patches, BOS, the caption and the line break that the processor adds."""
    conditions = told["conditions"]
    names = ("base_text", "adapted_text", "adapted_pictures")
    assert [conditions[name]["tokens"] for name in names] == [len(flat) for flat in theirs.flat]
    assert conditions["adapted_pictures"]["tokens"] == 1600
    assert conditions["adapted_image_tokens"]["tokens"] == sum(theirs.is_image) == 1280


def test_classes_are_the_notebooks(told, theirs):
    """The same features in each of its four categories; with special tokens ignored they are others."""
    ours = told["categories"]
    assert {name: ours[name]["features"] for name in notebook.CATEGORIES} == {
        name: features[:50] for name, features in theirs.classes.items()
    }
    assert {name: ours[name]["count"] for name in notebook.CATEGORIES} == {
        name: len(features) for name, features in theirs.classes.items()
    }
    assert min(len(theirs.classes[name]) for name in ("stable", "shifted", "new_vision")) > 0


def test_a_claim_by_the_ratio_counts_as_the_notebook_does(codes, theirs):
    """A spec with `method: ratio_of_means` and `special_tokens: counted` has the notebook's classes."""
    other = "tiny-paligemma2"
    sets = {"prompts": PromptSet("texts", texts()), "images": PromptSet("drawings", prompt_set(DRAWINGS, REPO))}
    read = {("prompts", None): codes[0], ("prompts", other): codes[1], ("images", other): codes[2]}
    claimed = {
        "to": other,
        "prompts": "texts",
        "images": "drawings",
        "method": "ratio_of_means",
        "stable": {"at_least": 0},
    }
    claim = kinds()["transfer_census"].model_validate(claimed)
    for special_tokens, same in (("counted", True), ("ignored", False)):
        found = claim.transfer(Evidence(sets, read), Claim(special_tokens=special_tokens))
        ours = {name: np.flatnonzero(found.classes == RATIO_CLASSES.index(name)).tolist() for name in theirs.classes}
        assert (ours == theirs.classes) is same


def test_without_the_line_break_the_classes_would_differ(codes, theirs):
    """The tokens that are left out by default matter: leaving them out changes a class and every boost."""
    found = census_of(*codes, method="ratio_of_means", special_tokens="ignored")
    assert {name: list(found.categories[name]) for name in theirs.classes} != theirs.classes
    pictures = codes[2]
    line_breaks = pictures.kind == Kind.WRAPPER
    assert line_breaks.sum() == 80
    assert pictures.counted("all", "counted")[line_breaks].all()
    assert not pictures.counted("all", "ignored")[line_breaks].any()


def written(census, path, more=False):
    """The CSV's rows, as text."""
    write_csv(census, path, 50, more)
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_csv_is_the_notebooks_cell_by_cell(census, theirs, tmp_path):
    """Ten columns under its names, in its order; every cell of every row."""
    rows, expected = (
        written(census, tmp_path / "features.csv"),
        notebook.exported_rows(theirs.classes, *theirs.features),
    )
    assert list(rows[0]) == COLUMNS == list(expected[0])
    keys = [(int(row["feature_idx"]), row["category"]) for row in rows]
    assert keys == [(row["feature_idx"], row["category"]) for row in expected]
    for column in COLUMNS[2:]:
        close([float(row[column]) for row in rows], [row[column] for row in expected])


def test_more_columns_come_after_the_notebooks(census, theirs, tmp_path):
    """The boost by which it classifies, and image tokens by themselves."""
    rows = written(census, tmp_path / "features.csv", more=True)
    assert list(rows[0]) == [*COLUMNS, *MORE_COLUMNS]
    features = [int(row["feature_idx"]) for row in rows]
    image = theirs.features[2][np.array(theirs.is_image)]
    over_base = notebook.ratios_over_base(*theirs.mean)[1]
    close([float(row["vision_boost_over_base"]) for row in rows], over_base[features])
    close([float(row["paligemma_image_tokens_mean"]) for row in rows], image.mean(dim=0)[features])
    close([float(row["paligemma_image_tokens_max"]) for row in rows], image.max(dim=0).values[features])


def test_the_statistics_of_conditions_are_the_notebooks(told, theirs):
    """The mean over all features and how many fire at all; the mean of the reconstruction's error."""
    for name, mean, flat in zip(told["conditions"], theirs.mean, theirs.flat, strict=False):
        one = told["conditions"][name]
        wanted, live = notebook.activation_statistics(mean)
        close(one["mean_activation"], wanted)
        assert one["live_features"] == live
        close(one["mse"], notebook.reconstruction_errors(theirs.sae, flat).mean())


def test_the_errors_of_the_box_plot_are_the_notebooks(census, theirs):
    """The MSE of every token in each condition."""
    found = reconstruction.numbers(census)
    for name, flat in zip(("base_text", "adapted_text", "adapted_pictures"), theirs.flat, strict=True):
        close(found["errors"][name], notebook.reconstruction_errors(theirs.sae, flat))


def test_the_table_of_categories_is_the_notebooks(told, census, theirs):
    """Count, mean in base and adapted, and their ratio, in the document and in the library."""
    expected = notebook.summary_table(theirs.classes, *theirs.mean[:2])
    ours = {row.category: row for row in census.category_rows()}
    for name, count, base, adapted, ratio in expected:
        row, written = ours[name], told["categories"][name]
        assert row.features == written["count"] == count
        close((row.base_text_mean, row.adapted_text_mean, row.transfer_ratio), (base, adapted, ratio))
        close(written["transfer_ratio"], ratio)


def test_the_ratios_that_are_drawn_are_the_notebooks(census, theirs):
    """Both ratios over the base, and the boost by category, of every feature."""
    spread = spread_of(census)
    text, pictures = notebook.ratios_over_base(*theirs.mean)
    found = ratios.numbers(spread)
    live = np.any([mean.numpy() > 0 for mean in theirs.mean], axis=0)
    close(found["over_base"]["adapted_text"], text[live])
    close(found["over_base"]["adapted_pictures"], pictures[live])
    boosts = notebook.boosts_by_category(theirs.classes, theirs.mean[1], theirs.mean[2])
    for name, values in boosts.items():
        close(found["boosts"][name], values)


def test_the_scatters_are_the_notebooks(census, theirs):
    """Means of every feature in base and adapted text, in base and pictures, and how many lie outside the zoom."""
    found = means.numbers(spread_of(census))
    for name, mean in zip(("base_text", "adapted_text", "adapted_pictures"), theirs.mean, strict=True):
        close(found["mean"][name], notebook.strengths(mean))
    zoom = found["zoom"]
    assert found["outside"] == notebook.zoomed(*theirs.mean[:2], limit=zoom)


def test_the_examples_are_those_that_the_notebook_selects(census, theirs):
    """The four strongest of each category where it is at home."""
    homes = {"new_vision": theirs.features[2], "new_text": theirs.features[1]}
    for name, features in theirs.classes.items():
        assert list(census.strongest(name, 4)) == notebook.select_top_features(
            features, homes.get(name, theirs.features[0]), 4
        )


def test_a_features_panels_are_the_notebooks(census, theirs):
    """Mean and maximum in three conditions and the strongest tokens with their activations, of each example."""
    analyses = census.analyses(4)
    assert len(analyses) >= 8
    for analysis in analyses:
        theirs_of_it = notebook.analyze_single_feature(
            analysis.row.feature, *theirs.features, *theirs.tokens, analysis.row.category, theirs.special
        )
        found = feature.numbers(census, analysis)
        for side, key in (("base_text", "gemma"), ("adapted_text", "pali_text"), ("adapted_pictures", "pali_mm")):
            close((found["mean"][side], found["max"][side]), (theirs_of_it[f"{key}_mean"], theirs_of_it[f"{key}_max"]))
        for side, key in (("base_text", "gemma"), ("adapted_text", "pali_text")):
            wanted = [(token.strip(), value) for token, value in theirs_of_it[f"{key}_top_tokens"] if value > 0]
            shown = found["tokens"][side]
            assert [token.strip() for token, _ in shown] == [token for token, _ in wanted]
            close([value for _, value in shown], [value for _, value in wanted])


def test_a_vision_features_histogram_holds_the_notebooks_values_on_image_tokens(census, theirs):
    """Its activation on each image token; the notebook's own mixes them with the caption's, which are counted apart."""
    chosen = [a for a in census.analyses(4) if a.row.category == "new_vision"]
    assert chosen
    image = np.array(theirs.is_image)
    for analysis in chosen:
        found = feature.numbers(census, analysis)
        close(found["image_tokens"], theirs.features[2][:, analysis.row.feature].numpy()[image])
