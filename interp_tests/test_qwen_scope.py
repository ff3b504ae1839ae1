"""SAEs in Qwen-Scope's own file format: read as sae-lens' own loader reads them, and nothing else is unpickled."""

import os

import pytest
import torch

from harness.capture.qwen_scope import read_qwen_scope
from harness.capture.saes import load_sae
from harness.errors import EnvironmentFault
from harness.inputs import SaeRef

D_IN, D_SAE, K = 8, 32, 3


def checkpoint(**changes):
    torch.manual_seed(0)
    parts = {
        "W_enc": torch.randn(D_SAE, D_IN),
        "W_dec": torch.randn(D_IN, D_SAE),
        "b_enc": torch.randn(D_SAE),
        "b_dec": torch.randn(D_IN),
    }
    return {**parts, **changes}


def saved(folder, content):
    path = folder / "layer3.sae.pt"
    torch.save(content, path)
    return path


def fault_of(action):
    with pytest.raises(EnvironmentFault) as caught:
        action()
    return caught.value


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """What sae-lens' own qwen_scope loader makes of the same file; only the download is replaced."""
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    path = saved(tmp_path, checkpoint())
    monkeypatch.setattr(loaders, "hf_hub_download", lambda **_: str(path))
    overrides = {"d_in": D_IN, "d_sae": D_SAE, "activation_fn_kwargs": {"k": K}}

    def convert(**kwargs):
        kwargs["cfg_overrides"] = {**kwargs["cfg_overrides"], **overrides}
        return loaders.qwen_scope_sae_huggingface_loader(**kwargs)

    return SAE.from_pretrained_with_cfg_and_sparsity("qwen-scope-3-1.7b-base-w32k-l50", "layer3", converter=convert)[0]


def test_it_is_what_sae_lens_makes_of_the_same_file(theirs, tmp_path):
    """Codes and reconstructions are equal; with another k they are not."""
    x = torch.randn(50, D_IN) * 3
    ours = read_qwen_scope(tmp_path / "layer3.sae.pt", K, "cpu")
    assert torch.equal(ours.encode(x), theirs.encode(x))
    assert torch.equal(ours.decode(ours.encode(x)), theirs.decode(theirs.encode(x)))
    other = read_qwen_scope(tmp_path / "layer3.sae.pt", K + 1, "cpu")
    assert not torch.equal(other.encode(x), theirs.encode(x))


def test_it_computes_the_formula_of_its_docstring(tmp_path):
    """TopK of x W_enc^T + b_enc, then ReLU; b_dec is not subtracted from the input."""
    parts = checkpoint()
    x = torch.randn(20, D_IN)
    pre = x @ parts["W_enc"].T + parts["b_enc"]
    kept = torch.zeros_like(pre).scatter(1, pre.topk(K).indices, 1.0)
    found = read_qwen_scope(saved(tmp_path, parts), K, "cpu").encode(x)
    torch.testing.assert_close(found, (pre * kept).relu())
    subtracted = (x - parts["b_dec"]) @ parts["W_enc"].T + parts["b_enc"]
    assert not torch.allclose(found.amax(1), subtracted.relu().amax(1))


class Bomb:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_that_is_not_weights_is_one_message_and_is_never_run(tmp_path, snapshot):
    """Code in a checkpoint is refused, and does not run."""
    path = saved(tmp_path, Bomb(tmp_path / "exploded"))
    fault = fault_of(lambda: read_qwen_scope(path, K, "cpu"))
    assert fault.code == "sae_unreadable"
    assert fault.message == snapshot
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2], "it holds list, not the tensors W_enc, W_dec, b_enc, b_dec"),
        ({"model": torch.zeros(2)}, "it holds model, not the tensors"),
        (checkpoint(W_enc=torch.zeros(D_SAE, D_IN + 1)), "its shapes do not fit W_dec's (8, 32): W_enc (32, 9)"),
        (checkpoint(W_dec=torch.zeros(3)), "its shapes do not fit"),
    ],
)
def test_what_is_not_such_an_sae_says_why(tmp_path, content, why):
    """Other content, other names and other shapes."""
    fault = fault_of(lambda: read_qwen_scope(saved(tmp_path, content), K, "cpu"))
    assert fault.code == "sae_unreadable"
    assert why in fault.message


def test_a_truncated_file_is_unreadable_and_an_absent_one_is_missing(tmp_path):
    """Half a download, and none."""
    path = saved(tmp_path, checkpoint())
    path.write_bytes(path.read_bytes()[:300])
    assert fault_of(lambda: read_qwen_scope(path, K, "cpu")).code == "sae_unreadable"
    path.unlink()
    assert fault_of(lambda: read_qwen_scope(path, K, "cpu")).code == "sae_missing"


def test_a_subject_names_the_format(tmp_path):
    """Through load_sae: width checked against the model, one file in the folder."""
    saved(tmp_path, checkpoint())
    ref = SaeRef("q", "path", str(tmp_path), d_in=D_IN, d_sae=D_SAE, architecture="topk", format="qwen_scope", k=K)
    assert load_sae(ref, D_IN, torch.device("cpu")).cfg.k == K
    fault = fault_of(lambda: load_sae(ref, D_IN + 1, torch.device("cpu")))
    assert (fault.code, "reads 8 dimensions, the model has 9" in fault.message) == ("sae_mismatch", True)
    torch.save(checkpoint(), tmp_path / "layer4.sae.pt")
    assert "2 files *.sae.pt, one is wanted" in fault_of(lambda: load_sae(ref, D_IN, torch.device("cpu"))).message


def test_a_release_that_sae_lens_does_not_know_is_refused_before_it_is_asked(snapshot):
    """The nearest release and id are named."""
    ref = SaeRef("far", "release", "gemma-scope-2b-pt-res-cannonical", "layer_10/width_16k/canonical")
    fault = fault_of(lambda: load_sae(ref, 2304, torch.device("cpu")))
    assert fault.message == snapshot
    ref = SaeRef("far", "release", "gemma-scope-2b-pt-res-canonical", "layer_10/width_16k/cannonical")
    fault = fault_of(lambda: load_sae(ref, 2304, torch.device("cpu")))
    assert fault.message == snapshot
