"""Activations -> sparse codes and scalars, on the host: fp32 through the SAE, fp64 in every sum."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from harness.capture.centring import centred, wants_centred
from harness.capture.tokens import Tokenized
from harness.codes import Codes, Kind, Mask
from harness.errors import EnvironmentFault

# encode's peak is about four dense [tokens, d_sae] fp32 arrays (jumprelu; 17 GB for 1,024 tokens at 1M features).
PEAK_ARRAYS = 4
CPU_PEAK_BYTES, GPU_PEAK_BYTES = 2**29, 2**32


class Encoder(Protocol):
    """All that reading asks of an SAE: codes of [n, d_in] activations as [n, d_sae], and back.

    One of sae-lens is given its codes back as CSR (`_decodes_csr`), any other as encode gave them.
    """

    def encode(self, x: torch.Tensor) -> torch.Tensor: ...

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some tokens read through an SAE: CSR over tokens, the scalars of Codes, and h itself [n_tokens, d_in] fp32."""

    indptr: NDArray[np.int64]
    index: NDArray[np.int32]
    value: NDArray[np.float32]
    hh: NDArray[np.float64]
    rr: NDArray[np.float64]
    hr: NDArray[np.float64]
    ee: NDArray[np.float64]
    h: NDArray[np.float32]
    d_sae: int

    def finite(self) -> NDArray[np.bool_]:
        """Which tokens have finite numbers only, [n_tokens]."""
        return np.isfinite(self.hh) & np.isfinite(self.rr)


@torch.inference_mode()
def encode(h: torch.Tensor, real: torch.Tensor, sae: Encoder) -> Encoded:
    """The `real` ([rows, length] bool) tokens of activations h ([rows, length, d_in], any float dtype).

    An SAE that was trained on the centred stream is given it, and all that is kept of h is of that stream: its
    reconstruction lies in it, too. Padding goes through the SAE, too: the shape of the product then depends on
    nothing but the bucket.
    """
    flat, keep = h.flatten(0, 1), real.flatten()
    parts = [_encode(flat[at], keep[at], sae) for at in _micro_batches(len(flat), sae, h.device.type)]
    return _joined(parts) if len(parts) > 1 else parts[0]


def _micro_batches(n: int, sae: Encoder, device: str) -> list[slice]:
    """The same parts for the same n. Over tokens it is exact; over features it is not (top-k)."""
    d_sae = int(getattr(getattr(sae, "cfg", None), "d_sae", 0) or 65_536)
    fits = (GPU_PEAK_BYTES if device == "cuda" else CPU_PEAK_BYTES) // (PEAK_ARRAYS * 4 * d_sae)
    part = min(n, 1 << max(fits, 1).bit_length() - 1)
    return [slice(at, at + part) for at in range(0, n, part)]


def _encode(h: torch.Tensor, keep: torch.Tensor, sae: Encoder) -> Encoded:
    h = centred(h.float()) if wants_centred(sae) else h.float()
    codes = sae.encode(h)
    token, feature = codes.nonzero(as_tuple=True)
    value, counts = codes[token, feature], torch.bincount(token, minlength=len(codes))
    acts = _csr(counts, feature, value, codes) if _decodes_csr(sae) else codes
    r = sae.decode(acts)[keep].double()  # at once: layer_norm keeps its scale between encode and decode
    h, fires = h[keep], keep[token]
    wide = h.double()
    return Encoded(
        indptr=np.concatenate([[0], counts[keep].cumsum(0).cpu().numpy()]).astype(np.int64),
        index=feature[fires].to(torch.int32).cpu().numpy(),
        value=value[fires].float().cpu().numpy(),
        hh=(wide * wide).sum(1).cpu().numpy(),
        rr=(r * r).sum(1).cpu().numpy(),
        hr=(wide * r).sum(1).cpu().numpy(),
        ee=((wide - r) ** 2).sum(1).cpu().numpy(),
        h=h.cpu().numpy(),
        d_sae=codes.shape[1],
    )


def trained_with_bos(sae: Encoder) -> bool | None:
    """Whether the texts that a loaded SAE was trained on began with BOS; None where it does not say."""
    said = getattr(getattr(getattr(sae, "cfg", None), "metadata", None), "prepend_bos", None)
    return said if isinstance(said, bool) else None


def _decodes_csr(sae: Encoder) -> bool:
    """In sae-lens decoding is `codes @ W_dec`, and then what is not linear, so its rows are sums over what fires: 512
    tokens with 77 of 16,384 features take 30 ms from CSR and 268 dense, as much as encoding (two cores, November 2026).
    Rescaling by decoder norms multiplies by a vector first, which torch does not do in CSR.
    """
    cfg = getattr(sae, "cfg", None)
    return type(cfg).__module__.startswith("sae_lens.") and not getattr(cfg, "rescale_acts_by_decoder_norm", False)


def _csr(counts: torch.Tensor, feature: torch.Tensor, value: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """The codes as CSR; feature, value: of all that fires, token by token; counts: how many on each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        ends = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        return torch.sparse_csr_tensor(ends, feature, value, codes.shape, check_invariants=False)


def _joined(parts: list[Encoded]) -> Encoded:
    nnz = np.cumsum([0] + [len(part.index) for part in parts])
    return Encoded(
        indptr=np.concatenate([[0]] + [p.indptr[1:] + n for p, n in zip(parts, nnz, strict=False)]).astype(np.int64),
        d_sae=parts[0].d_sae,
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("index", "value", "hh", "rr", "hr", "ee", "h")
        },
    )


def codes_of(encoded: Encoded, first: int, prompt: Tokenized, sink: Mask | None = None) -> Codes:
    """The Codes of the one prompt whose tokens begin at row `first`; raises EnvironmentFault `not_finite`.

    sink: which of its tokens are attention sinks, [n_tokens]; none unless given.
    """
    rows = slice(first, first + len(prompt))
    sink = np.zeros(len(prompt), bool) if sink is None else sink
    if not encoded.finite()[rows].all():
        at = int(np.argmin(encoded.finite()[rows]))
        raise EnvironmentFault(
            "not_finite",
            f"the model's activations are NaN or infinite from token {at} ({prompt.token[at]!r}) on.",
            "Read the model in float32 or bfloat16; float16 overflows on large activations.",
        )
    span = slice(encoded.indptr[rows.start], encoded.indptr[rows.stop])
    return Codes(
        indptr=encoded.indptr[rows.start : rows.stop + 1] - encoded.indptr[rows.start],
        index=encoded.index[span],
        value=encoded.value[span],
        prompt=np.zeros(len(prompt), np.int32),
        position=np.arange(len(prompt), dtype=np.int32),
        token_id=prompt.ids,
        token=prompt.token,
        start=prompt.start,
        end=prompt.end,
        kind=prompt.kind,
        hh=encoded.hh[rows],
        rr=encoded.rr[rows],
        hr=encoded.hr[rows],
        ee=encoded.ee[rows],
        sum_h=_sum_by_kind(encoded.h[rows][~sink], prompt.kind[~sink]),
        sink=sink,
        sink_h=encoded.h[rows][sink],
        d_sae=encoded.d_sae,
    )


def _sum_by_kind(h: NDArray[np.float32], kind: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[1, len(Kind), d_in]: the sum of h over the tokens of each kind."""
    return np.stack([h[kind == k].sum(axis=0, dtype=np.float64) for k in Kind])[None]
