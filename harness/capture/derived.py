"""What mutants make of an SAE once its weights are loaded (harness/mutants); seeded, so always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from harness.capture.centring import read_centred, wants_centred
from harness.capture.encode import Encoder
from harness.inputs import Derived

SEED = 20260


def derived(sae: Any, what: Derived | None) -> Encoder:
    """The SAE itself, or the one that is made of it; `sae` may be changed and is not to be used again."""
    if what is None:
        return sae  # type: ignore[no-any-return]
    return ShuffledDecoder(sae) if what == "shuffled_decoder" else RandomDirections(sae)


class ShuffledDecoder:
    """The same codes, decoded with the decoder's rows dealt anew among the features."""

    def __init__(self, sae: Any) -> None:
        self.cfg, self._sae = sae.cfg, sae
        read_centred(self, wants_centred(sae))
        order = np.random.default_rng(SEED).permutation(int(sae.cfg.d_sae))
        self._row = torch.from_numpy(order).to(sae.W_dec.device)

    @property
    def W_dec(self) -> torch.Tensor:  # noqa: N802 - sae-lens' name
        """[d_sae, d_in]: the row that each feature is decoded to."""
        return self._sae.W_dec[self._row.argsort()]  # type: ignore[no-any-return]

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self._sae.encode(x)  # type: ignore[no-any-return]

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor:
        return self._sae.decode(feature_acts.to_dense()[:, self._row])  # type: ignore[no-any-return]


class RandomDirections:
    """On every token as many features as the SAE's own, as strong as they, but of random directions.

    The largest code goes to the direction that the centered activation lies along most, and so on down; so L0 and all
    activations are the SAE's own, token by token, and only what the features mean is random. The decoder's rows are
    the same directions, each as long as the row that it replaces.
    """

    def __init__(self, sae: Any) -> None:
        self.cfg, self._sae = sae.cfg, sae
        read_centred(self, wants_centred(sae))
        rows = np.random.default_rng(SEED).standard_normal(tuple(sae.W_dec.shape), dtype=np.float32)
        direction = torch.from_numpy(rows).to(sae.W_dec.device)
        self._direction = direction / direction.norm(dim=1, keepdim=True)
        sae.W_dec.data = self._direction * sae.W_dec.norm(dim=1, keepdim=True)

    @property
    def W_dec(self) -> torch.Tensor:  # noqa: N802 - sae-lens' name
        """[d_sae, d_in]: the random directions, each as long as the row that it replaced."""
        return self._sae.W_dec  # type: ignore[no-any-return]

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        codes, along = self._sae.encode(x), self._centered(x) @ self._direction.T
        return _dealt(codes.clamp(min=0), along) - _dealt((-codes).clamp(min=0), -along)

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor:
        return self._sae.decode(feature_acts)  # type: ignore[no-any-return]

    def _centered(self, x: torch.Tensor) -> torch.Tensor:
        """Uncentered, the mean activation would have the same directions fire on every token."""
        read: torch.Tensor = self._sae.process_sae_in(x)
        return read if self._sae.cfg.apply_b_dec_to_input else read - self._sae.b_dec


def _dealt(values: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """The values of each token, largest first, given to the columns of the largest `along`."""
    most = int((values != 0).sum(dim=1).max()) if len(values) else 0
    strongest, order = values.topk(most, dim=1).values, along.topk(most, dim=1).indices
    return torch.zeros_like(values).scatter(1, order, strongest)
