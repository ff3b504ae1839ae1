"""`interp transfer`: its table, its document, its CSV as the source notebook writes it, and its errors."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from harness.census import OtherWidth
from harness.cli import transfer as command
from harness.errors import EnvironmentFault
from harness.explore import open_subject
from harness.language.sets import resolve_reference
from harness.stats.auroc import SignedCodes
from interp_tests.project import COLOR, PLAIN, make_project

NOTEBOOKS_COLUMNS = [
    "feature_idx", "category", "gemma_mean_activation", "gemma_max_activation", "paligemma_text_mean",
    "paligemma_text_max", "paligemma_mm_mean", "paligemma_mm_max", "transfer_ratio", "vision_boost",
]  # fmt: skip
SUBJECTS = """\
models:
  tiny: {path: zoo/model}
  moved: {path: zoo/moved}
saes:
  tiny: {path: zoo/sae, d_in: 128, d_sae: 1024, hook: blocks.3.hook_resid_post}
  other: {path: zoo/other, d_in: 128, d_sae: 2048, hook: blocks.3.hook_resid_post}
subjects:
  tiny: {model: tiny, sae: tiny}
  moved: {model: moved, sae: tiny}
  wide: {model: moved, sae: other}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """tiny-gemma2 and a copy whose layer 2 has noise in it."""
    root = tmp_path_factory.mktemp("transfer")
    project = make_project(root / "repo", root / "store.sqlite")
    zoo = project.root / "zoo"
    (zoo / "moved").mkdir()
    for path in (zoo / "model").iterdir():
        (zoo / "moved" / path.name).write_bytes(path.read_bytes())
    weights = load_file(zoo / "model/model.safetensors")
    torch.manual_seed(0)
    name = "model.layers.2.mlp.down_proj.weight"
    weights[name] = weights[name] + 0.02 * torch.randn_like(weights[name].float()).to(weights[name].dtype)
    save_file(weights, zoo / "moved/model.safetensors", metadata={"format": "pt"})
    (project.root / "specs/subjects.yaml").write_text(SUBJECTS)
    (project.root / "texts.txt").write_text("\n".join([*COLOR, *PLAIN]) + "\n")
    (project.root / "two.yaml").write_text(json.dumps({"prompts": {"color": COLOR, "plain": PLAIN}}))
    picture = project.root / "specs/images/one.png"
    picture.parent.mkdir()
    Image.new("RGB", (8, 8)).save(picture)
    seen = {"prompts": {"seen": {"images": ["images/one.png"], "caption": "A thing."}}}
    (project.root / "seen.yaml").write_text(json.dumps(seen))
    return project


def transfer(project, *arguments):
    return project.run([sys.executable, "-m", "harness", "transfer", *arguments])


@pytest.fixture(scope="module")
def ran(project):
    """The document of one run by the notebook's method."""
    done = transfer(project, "tiny", "moved", "--prompts", "texts.txt", "--method", "ratio_of_means", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_document_counts_every_feature_once(ran):
    """Categories and conditions as the contract fixes them, and nothing else on standard output."""
    assert set(ran) == {"categories", "conditions", "undecided"}
    assert ran["undecided"] == {}, "the ratio of means leaves nothing to more prompts"
    assert sum(one["count"] for one in ran["categories"].values()) == 1024
    assert all(len(one["features"]) == min(50, one["count"]) for one in ran["categories"].values())
    assert {"prompts", "tokens", "live_features", "mean_activation", "mse", "fvu"} <= set(
        ran["conditions"]["base_text"]
    )
    assert ran["conditions"]["base_text"]["prompts"] == len(COLOR) + len(PLAIN)
    assert ran["conditions"]["base_text"]["tokens"] == ran["conditions"]["adapted_text"]["tokens"]


def dense(project, name):
    """[n_counted_tokens, 1024] of one subject, the long way."""
    prompts = resolve_reference(project.root, str(project.root / "texts.txt"), allow_local=True).prompts
    codes = open_subject(name, root=project.root).encode(prompts)
    values = np.zeros((codes.n_tokens, codes.d_sae))
    for token in range(codes.n_tokens):
        part = slice(codes.indptr[token], codes.indptr[token + 1])
        values[token, codes.index[part]] = codes.value[part]
    return values[codes.counted()]


def test_the_csv_is_what_the_notebook_writes(project, ran, monkeypatch):
    """Its ten columns, its first 50 of each category, its numbers from means over tokens."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("INTERP_STORE", project.env["INTERP_STORE"])
    monkeypatch.setenv("INTERP_CACHE", project.env["INTERP_CACHE"])
    gemma, pali = dense(project, "tiny"), dense(project, "moved")
    expected = []
    for category, found in ran["categories"].items():
        for idx in found["features"] if category not in ("dead", "unclassified") else []:
            ratio = pali[:, idx].mean() / (gemma[:, idx].mean() + 1e-6)
            numbers = [gemma[:, idx].mean(), gemma[:, idx].max(), pali[:, idx].mean(), pali[:, idx].max(), ratio]
            expected.append((idx, category, numbers))
    with (project.root / "reports/transfer/tiny-moved/features.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == NOTEBOOKS_COLUMNS
    assert [(int(r["feature_idx"]), r["category"]) for r in rows] == [(i, c) for i, c, _ in expected]
    names = [
        "gemma_mean_activation",
        "gemma_max_activation",
        "paligemma_text_mean",
        "paligemma_text_max",
        "transfer_ratio",
    ]
    written = np.array([[float(row[name]) for name in names] for row in rows])
    assert np.allclose(written, [numbers for _, _, numbers in expected], rtol=1e-4)
    assert not np.allclose(written[:, 0], written[:, 2], rtol=1e-3), "and the two models differ"
    assert {row["vision_boost"] for row in rows} == {""}, "without pictures there is no boost, not a boost of 0"


def test_the_summary_shows_features_with_their_tokens(project, ran):
    """The strongest of each category, with tokens and no special ones."""
    text = (project.root / "reports/transfer/tiny-moved/summary.md").read_text()
    assert "## The 4 strongest features of each category" in text
    assert "strongest tokens, adapted: " in text
    assert "bos" not in text


def test_a_corpus_as_the_text_is_read_sentence_by_sentence(project):
    """Each sentence a prompt; table, document and summary say what would decide the undecided features, by class."""
    (project.root / "specs/corpus.txt").write_text(" ".join(f"{text}." for text in [*COLOR, *PLAIN]) + "\n")
    subjects = project.root / "specs/subjects.yaml"
    subjects.write_text(f"{SUBJECTS}corpora:\n  some: {{path: corpus.txt}}\n")
    done = transfer(project, "tiny", "moved", "--corpus", "some", "--out", "of-corpus", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["conditions"]["base_text"]["prompts"] <= len(COLOR) + len(PLAIN)
    wanted = found["undecided"]
    assert sum(one["features"] for one in wanted.values()) == found["categories"]["indeterminate"]["count"] > 0
    assert all(set(one) == {"features", "prompts", "pictures"} for one in wanted.values())
    assert "| looks | undecided | prompts | pictures |" in (project.root / "of-corpus/summary.md").read_text()
    shown = transfer(project, "tiny", "moved", "--corpus", "some", "--out", "of-corpus")
    assert "by the class that they look like" in shown.stdout
    for arguments, words in [
        ((), "one of them"),
        (("--corpus", "some", "--prompts", "texts.txt"), "one of them"),
        (("--corpus", "sone"), "Did you mean 'some'?"),
        (("--corpus", "some", "--method", "ratio_of_means"), "token by token"),
    ]:
        wrong = transfer(project, "tiny", "moved", *arguments)
        assert wrong.returncode == 2, wrong.stderr
        assert words in " ".join(wrong.stderr.replace("│", " ").split())
    subjects.write_text(SUBJECTS)


def test_what_cannot_be_compared_is_one_message(project):
    """Another SAE, an unknown subject, a missing file: exit 2, no traceback."""
    for arguments, words in [
        (("tiny", "wide", "--prompts", "texts.txt"), "not the same features"),
        (("tiny", "movd", "--prompts", "texts.txt"), "Did you mean 'moved'?"),
        (("tiny", "moved", "--prompts", "gone.txt"), "does not exist"),
        (("tiny", "tiny", "--prompts", "texts.txt"), "compared with itself"),
        (("tiny", "moved", "--prompts", "seen.yaml"), "--prompts holds pictures"),
        (("tiny", "moved", "--prompts", "texts.txt", "--images", "texts.txt"), "--images holds texts"),
        (("tiny", "moved", "--prompts", "texts.txt", "--images", "seen.yaml"), "moved reads text only"),
    ]:
        done = transfer(project, *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_made_is_an_environment_fault(project):
    """--out below a file: exit 3 before any model is read, no traceback."""
    done = transfer(project, "tiny", "moved", "--prompts", "texts.txt", "--out", "texts.txt/here")
    assert done.returncode == 3
    assert "texts.txt/here cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_written_is_an_environment_fault(project):
    """Something else where a file should go: exit 3 with the folder, no traceback."""
    (project.root / "taken/features.csv").mkdir(parents=True)
    done = transfer(project, "tiny", "moved", "--prompts", "texts.txt", "--out", "taken")
    assert done.returncode == 3
    assert "taken cannot be written (Is a directory)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_sets_stands_for_all_of_them(project, ran):
    """--prompts two.yaml reads both its sets: the same census as the same prompts in one file."""
    method = ("--method", "ratio_of_means", "--json", "--out", str(project.root / "elsewhere"))
    done = transfer(project, "tiny", "moved", "--prompts", "two.yaml", *method)
    assert json.loads(done.stdout) == ran
    one = transfer(project, "tiny", "moved", "--prompts", "two.yaml#color", *method)
    assert json.loads(one.stdout)["conditions"]["base_text"]["prompts"] == len(COLOR)


@pytest.mark.parametrize(
    ("error", "code"), [(OtherWidth("8 and 9"), "different_sae"), (SignedCodes("signed"), "signed_codes")]
)
def test_codes_that_cannot_be_compared_are_faults(monkeypatch, error, code):
    """What only the codes show, after both models were read, is a message with its mend too."""

    def refuses(*arguments):
        raise error

    monkeypatch.setattr(command, "open_subject", lambda name: name)
    monkeypatch.setattr(command, "census", refuses)
    with pytest.raises(EnvironmentFault, match=code):
        command._census("a", "b", (), (), "aligned", "ignored")
