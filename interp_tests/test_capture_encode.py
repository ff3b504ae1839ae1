"""Codes and their reconstruction: decoded from what fires, they are the SAE's own to the last rounding."""

import numpy as np
import pytest
import torch

from harness.capture.derived import derived
from harness.capture.encode import encode
from interp_tests.tiny_random import D_MODEL, D_SAE, _randomize

TOKENS = 24


def made(name, **config):
    """A random SAE of one of sae-lens' architectures."""
    import sae_lens

    sae = getattr(sae_lens, f"{name}SAE")(getattr(sae_lens, f"{name}SAEConfig")(d_in=D_MODEL, d_sae=D_SAE, **config))
    _randomize(sae)
    return sae.float().eval().requires_grad_(False)


SAES = {
    "standard": ("Standard", {}),
    "standard, layer norm": ("Standard", {"normalize_activations": "layer_norm"}),
    "standard, rescaled": ("Standard", {"normalize_activations": "constant_norm_rescale"}),
    "gated": ("Gated", {}),
    "jumprelu": ("JumpReLU", {}),
    "topk": ("TopK", {"k": 5}),
    "topk, by decoder norm": ("TopK", {"k": 5, "rescale_acts_by_decoder_norm": True}),
    "matching pursuit": ("MatchingPursuit", {"max_iterations": 5}),
}


def scalars(h, r):
    """hh, rr, hr, ee of Codes, the long way in float64."""
    h, r = h.double().numpy(), r.double().numpy()
    return {"hh": (h * h).sum(1), "rr": (r * r).sum(1), "hr": (h * r).sum(1), "ee": ((h - r) ** 2).sum(1)}


@pytest.mark.parametrize("what", SAES)
@pytest.mark.parametrize("mutant", [None, "shuffled_decoder"])
def test_the_reconstruction_is_that_of_the_dense_codes(what, mutant):
    """Of the real tokens among padded ones; a decoder with its rows dealt anew gives another one."""
    name, config = SAES[what]
    sae = derived(made(name, **config), mutant)
    h = torch.randn(2, TOKENS // 2, D_MODEL, generator=torch.Generator().manual_seed(1)) * 3
    real = torch.ones(2, TOKENS // 2, dtype=torch.bool)
    real[1, 7:] = False
    found = encode(h, real, sae)
    with torch.inference_mode():  # each decode after its encode, which leaves it the norms
        other = sae.decode(sae.encode(h.flatten(0, 1)).roll(1, dims=1))
        codes = sae.encode(h.flatten(0, 1))
        r = sae.decode(codes)
    keep = real.flatten()
    assert len(found.index) == int((codes[keep] != 0).sum()) > 0
    dense = np.zeros((int(keep.sum()), D_SAE), np.float32)
    dense[np.repeat(np.arange(len(dense)), np.diff(found.indptr)), found.index] = found.value
    np.testing.assert_array_equal(dense, codes[keep].numpy())
    for scalar, wanted in scalars(h.flatten(0, 1)[keep], r[keep]).items():
        np.testing.assert_allclose(getattr(found, scalar), wanted, rtol=1e-4, atol=1e-3)
    assert not np.allclose(found.rr, scalars(h.flatten(0, 1)[keep], other[keep])["rr"], rtol=1e-3)


def test_tokens_on_which_nothing_fires_are_reconstructed_by_the_bias_alone():
    """Rows of CSR without a value."""
    sae = made("JumpReLU")
    with torch.no_grad():
        sae.threshold.fill_(1e9)
    found = encode(torch.randn(1, 4, D_MODEL), torch.ones(1, 4, dtype=torch.bool), sae)
    assert len(found.index) == 0
    np.testing.assert_allclose(found.rr, float((sae.b_dec.double() ** 2).sum()), rtol=1e-6)
