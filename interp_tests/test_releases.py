"""sae-lens' registry is read as a file, and agrees with sae-lens' own reading of it."""

import subprocess
import sys

import pytest

from harness.releases import find_release, release_names


def test_a_release_is_what_sae_lens_says_it_is():
    """Names, repositories, loaders and paths of the releases that ship as subjects, and the number of all."""
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    theirs = get_pretrained_saes_directory()
    assert set(theirs) <= set(release_names())
    for name in ("gemma-scope-2b-pt-res-canonical", "qwen-scope-3-1.7b-base-w32k-l50", "gemma-scope-2-270m-pt-res"):
        ours = find_release(name)
        assert (ours.repository, ours.loader) == (theirs[name].repo_id, theirs[name].conversion_func)
        assert ours.paths == theirs[name].saes_map


def test_an_unknown_release_is_none():
    """A prefix of a name is not a name."""
    assert find_release("gemma-scope-2b-pt-res-canonica") is None


@pytest.mark.parametrize(
    ("release", "sae_id", "command"),
    [
        (
            "gemma-scope-2b-pt-res-canonical",
            "layer_10/width_16k/canonical",
            "hf download google/gemma-scope-2b-pt-res --include 'layer_10/width_16k/average_l0_77/*'",
        ),
        (
            "qwen-scope-3-1.7b-base-w32k-l50",
            "layer14",
            "hf download Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50 'layer14.sae.pt'",
        ),
    ],
)
def test_the_command_that_fetches_an_sae(release, sae_id, command):
    """A folder by pattern, a file by name."""
    assert find_release(release).download_command(sae_id) == command


def test_reading_it_imports_no_sae_lens():
    """`interp check` holds names against it, and must stay light."""
    code = "import sys; from harness.releases import find_release; find_release('gemma-scope-2b-pt-res-canonical');"
    code += "assert not {'sae_lens', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
