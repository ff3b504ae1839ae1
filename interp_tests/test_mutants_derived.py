"""The SAEs that mutants make of one, their keys, and that no file can name them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.capture.derived import derived
from harness.capture.encode import encode
from harness.capture.saes import load_sae
from harness.inputs import ModelRef, SaeRef, Subject
from harness.keys import code_key
from harness.mutants import MUTANTS
from interp_tests.project import REPO, SUBJECTS, make_project

SAE = SaeRef("tiny", "path", str(REPO / "harness/zoo/tiny_gemma2/sae"))
TOPK = SaeRef("tiny", "path", str(REPO / "harness/zoo/tiny_qwen3/sae"), format="qwen_scope", k=12)
SUBJECT = Subject("toy", ModelRef("toy", "path", "zoo/model"), SAE, "blocks.3.hook_resid_post")
READ = [mutant for mutant in MUTANTS.values() if mutant.derive is not None]


def sae(ref=SAE):
    return load_sae(ref, 128, torch.device("cpu"))


def activations(n=64):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(1, n, 128)).astype(np.float32)) * 10


def codes(encoder, h):
    found = encode(h, torch.ones(h.shape[:2], dtype=torch.bool), encoder)
    return [found.value[a:b] for a, b in zip(found.indptr, found.indptr[1:], strict=False)], found


@pytest.mark.parametrize("ref", [SAE, TOPK], ids=["jumprelu", "topk"])
def test_random_directions_fire_as_often_and_as_strongly(ref):
    """On every token the random SAE has the SAE's own L0 and activations, and other features."""
    (own, before), (random, after) = (
        codes(sae(ref), activations()),
        codes(derived(sae(ref), "random_sae"), activations()),
    )
    assert before.indptr[-1] > 100
    for a, b in zip(own, random, strict=True):
        np.testing.assert_array_equal(np.sort(a), np.sort(b))
    assert (before.index == after.index).mean() < 0.1


def test_the_strongest_random_code_goes_where_the_activation_points():
    """The largest value of a token is on the direction with the largest product with the centered activation."""
    made = sae()
    h = activations(8)
    changed = derived(made, "random_sae")
    dense = changed.encode(h[0])
    rows = made.W_dec / made.W_dec.norm(dim=1, keepdim=True)
    along = (h[0] - made.b_dec) @ rows.T
    fires = dense.max(dim=1).values > 0
    assert fires.any()
    assert torch.equal(dense.argmax(dim=1)[fires], along.argmax(dim=1)[fires])


def test_negative_codes_go_to_the_opposite_end():
    """An SAE with signed codes (abstopk) keeps their number and signs: the most negative to the most opposed."""
    made = sae()
    signed = torch.zeros(1, 1024)
    signed[0, :3] = torch.tensor([3.0, -2.0, -1.0])
    made.encode = lambda x: signed
    dense = derived(made, "random_sae").encode(activations(1)[0])
    assert sorted(dense[dense != 0].tolist()) == [-2.0, -1.0, 3.0]


def test_a_shuffled_decoder_keeps_the_codes_only():
    """The codes are equal bit by bit; each feature is decoded to another one's row, and every row is used once."""
    h = activations()
    (_, own), (_, shuffled) = codes(sae(), h), codes(derived(sae(), "shuffled_decoder"), h)
    np.testing.assert_array_equal(own.index, shuffled.index)
    np.testing.assert_array_equal(own.value, shuffled.value)
    assert not np.array_equal(own.ee, shuffled.ee)
    rows = derived(sae(), "shuffled_decoder").decode(torch.eye(1024)) - sae().b_dec
    row_of = torch.cdist(rows, sae().W_dec).argmin(dim=1)
    torch.testing.assert_close(rows, sae().W_dec[row_of], rtol=1e-4, atol=1e-5)
    assert len(set(row_of.tolist())) == 1024
    assert torch.equal(derived(sae(), "shuffled_decoder").W_dec, sae().W_dec[row_of])
    assert (row_of == torch.arange(1024)).sum() < 10


def test_derived_saes_are_the_same_ones_each_time():
    """Seeded: two makings give equal codes and errors."""
    for what in ("random_sae", "shuffled_decoder"):
        (_, a), (_, b) = (codes(derived(sae(), what), activations()) for _ in range(2))
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.ee, b.ee)


def test_nothing_derived_is_the_sae_itself():
    """Without a mutant the SAE is handed on as it is."""
    made = sae()
    assert derived(made, None) is made


@pytest.mark.parametrize("mutant", READ, ids=lambda m: m.name)
def test_derived_subjects_have_keys_and_names_of_their_own(mutant):
    """Evidence of a mutant never stands for the subject's, nor one mutant's for another's."""
    keys = [code_key(SUBJECT), *(code_key(m.derive(SUBJECT)) for m in READ)]
    assert len(set(keys)) == 4
    assert mutant.derive(SUBJECT).name != SUBJECT.name
    assert code_key(replace(SUBJECT, sae=replace(SAE, derived=None))) == code_key(SUBJECT)


def test_one_layer_off_stays_inside_the_model():
    """One earlier, and of the first layer one later, at the same site."""
    off = MUTANTS["one_layer_off"].derive
    assert off(SUBJECT).hook == "blocks.2.hook_resid_post"
    assert off(replace(SUBJECT, hook="blocks.0.hook_mlp_out")).hook == "blocks.1.hook_mlp_out"


@pytest.mark.parametrize(
    ("subjects", "named", "code"),
    [
        (SUBJECTS, "tiny (random SAE)", "unknown_subject"),
        (SUBJECTS.replace("d_in: 128", "d_in: 128, derived: random_sae"), "tiny", "derived"),
    ],
    ids=["by name", "by key"],
)
def test_no_file_can_name_a_mutant(tmp_path, subjects, named, code):
    """Neither a suite nor specs/subjects.yaml can ask for a derived subject."""
    project = make_project(tmp_path / "repo", tmp_path / "store.sqlite")
    (project.root / "specs/subjects.yaml").write_text(subjects)
    project.suite("color", "- {id: a, feature: 1, fire_rate: {prompts: color}}\n", subjects=named)
    done = project.run([sys.executable, "-m", "harness", "check"])
    assert done.returncode == 2
    assert code in done.stdout
