"""From YAML to verdict over two models: random ones of one tokenizer, read one at a time through one SAE."""

import shutil

import pytest

from harness.language.specs import load
from harness.session import open_session
from harness.spec import Spec
from harness.store import Store
from harness.verdict import Outcome
from interp_tests.tiny_random import D_SAE, TEXTS, build_tiny

SUBJECTS = """\
models:
  base: {path: zoo/base/model}
  same: {path: zoo/same/model}
  moved: {path: zoo/moved/model}
  other: {path: zoo/other/model}
saes:
  shared: {path: zoo/base/sae-jumprelu, hook: blocks.1.hook_resid_post, d_sae: 64}
subjects:
  base: {model: base, sae: shared, max_tokens: 128}
  same: {model: same, sae: shared, max_tokens: 128}
  moved: {model: moved, sae: shared, max_tokens: 128}
  other: {model: other, sae: shared, max_tokens: 128}
  other-gpu: {model: other, sae: shared, max_tokens: 128, device: cuda}
"""
HEAD = "subjects: [base]\nprompts:\n  texts:\n" + "".join(f'    - "{text}"\n' for text in TEXTS)


def moved(folder, share):
    """The model's weights with noise of this share of each tensor's own spread."""
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "model" / "model.safetensors"
    torch.manual_seed(7)
    noisy = {k: v + share * v.std() * torch.randn_like(v) if v.ndim > 1 else v for k, v in load_file(file).items()}
    save_file(noisy, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("two-models")
    build_tiny(root / "zoo/base")
    for name in ("same", "moved"):
        shutil.copytree(root / "zoo/base", root / "zoo" / name)
    moved(root / "zoo/moved", 0.02)
    build_tiny(root / "zoo/other", seed=5)
    (root / "specs").mkdir()
    (root / "specs/subjects.yaml").write_text(SUBJECTS)
    return root


@pytest.fixture
def judged(root, monkeypatch, tmp_path):
    """The records of the claims in one suite, and the session that read for them."""
    monkeypatch.chdir(root)

    def run(entries, more_sets=""):
        path = root / "specs/suite.yaml"
        path.write_text(f"{HEAD}{more_sets}expect:\n{entries}")
        items = load(root, [path]).items
        assert all(isinstance(item, Spec) for item in items), [e for i in items for e in getattr(i, "errors", ())]
        store = Store(tmp_path / "evidence.sqlite")
        session = open_session(items, store, tmp_path, lambda spec: False, lambda line: None)
        return [session.record(item) for item in items], session

    return run


CENSUS = "  - {{id: {0}, scope: sample, transfer_census: {{to: {0}, prompts: texts, stable: {{at_least: .2}}}}}}\n"


def test_a_census_of_the_same_a_moved_and_another_model(judged):
    """Equal weights change nothing, noisy ones little, another model everything; three models are loaded in turn."""
    records, session = judged("".join(CENSUS.format(name) for name in ("same", "moved", "other")))
    same, near, far = (record.verdict.details["counts"] for record in records)
    assert same["shifted"] == same["lost"] == same["rescaled"] == same["new_text"] == 0
    assert same["stable"] > near["stable"] > far["stable"]
    assert far["shifted"] > near["shifted"]
    assert sum(same.values()) == D_SAE
    loads = {name: stats["loads"] for name, stats in session.runner.capture.items()}
    assert loads == dict.fromkeys(("base", "moved", "other"), 1)  # equal weights under another name are read already


OF_CORPUS = "  - {{id: {0}, scope: sample, transfer_census: {{to: {0}, corpus: some, stable: {{at_least: .2}}}}}}\n"


def test_a_corpus_is_read_sentence_by_sentence_and_never_again(root, judged):
    """The classes are those of the same sentences as prompts; a second run reads nothing, and no code of the corpus is
    held."""
    corpus = root / "specs/corpus.txt"
    corpus.write_text("\n".join(text for text in TEXTS if len(text) > 12))
    (root / "specs/subjects.yaml").write_text(f"{SUBJECTS}corpora:\n  some: {{path: corpus.txt}}\n")
    sets = "  long:\n" + "".join(f'    - "{text}"\n' for text in TEXTS if len(text) > 12)
    asked = OF_CORPUS.format("moved") + CENSUS.format("other").replace("prompts: texts", "prompts: long").replace(
        "to: other", "to: moved, fires_above: .01, silent_below: .0025"
    )
    (found, wanted), session = judged(asked, sets)
    assert found.verdict.details["counts"] == wanted.verdict.details["counts"]
    assert session.runner.used(session.selected[0]) == (2 * (len(TEXTS) - 1), 0)
    (again, _), warm = judged(asked, sets)
    assert again.verdict.details == found.verdict.details
    assert warm.runner.capture == {}
    corpus.write_text("A sentence that was not read yet.\n" + corpus.read_text())
    _, more = judged(OF_CORPUS.format("moved"))
    assert {name: one["prompts"] for name, one in more.runner.capture.items()} == {"base": 1, "moved": 1}
    assert more.runner._sets == {}
    (root / "specs/subjects.yaml").write_text(SUBJECTS)


def test_a_feature_chosen_here_is_judged_there(judged):
    """`best` chooses on the spec's own subject; the claim is about both."""
    claim = (
        "  - id: {0}\n    feature: {{best: {{prompts: [picked], than: [rest]}}}}\n    scope: sample\n"
        "    transfers: {{to: {0}, prompts: texts, as: stable, residual_cosine: true}}\n"
    )
    sets = "  picked: [A red ball.]\n  rest: [He ran away.]\n"
    (same, other), session = judged(claim.format("same") + claim.format("other"), sets)
    cosines = [next(m for m in r.verdict.also if m.name == "residual cosine").value for r in (same, other)]
    assert cosines[0] == pytest.approx(1)
    assert cosines[1] < 0.9
    assert session.runner.used(session.selected[0])[0] > len(TEXTS)


def test_an_sae_on_its_own_and_on_another_model(judged):
    """transfers_sae reads both models' fidelity and their residual cosine; the same weights lose nothing."""
    entry = "  - {{id: {0}, scope: sample, transfers_sae: {{to: {0}, prompts: texts}}}}\n"
    (same, other), _ = judged(entry.format("same") + entry.format("other"))
    also = [{m.name: m.value for m in record.verdict.also} for record in (same, other)]
    assert same.verdict.measurement.value == pytest.approx(0)
    assert also[0]["residual cosine"] == pytest.approx(1)
    assert also[0]["l0 ratio"] == pytest.approx(1)
    assert abs(other.verdict.measurement.value) > 1e-3
    assert also[1]["residual cosine"] < 0.9


def test_a_claim_that_needs_a_gpu_for_its_other_subject_is_left_alone(judged):
    """The spec's own subject runs here, the other does not: not run, and cold, never a pass."""
    from harness.plugin import _marks

    (record,), session = judged(CENSUS.format("other-gpu"))
    assert record.verdict.outcome is Outcome.NOT_RUN
    assert record.verdict.details["cold"]
    assert [mark.name for mark in _marks(session.selected[0])] == ["gpu"]
