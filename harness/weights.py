"""Weights as they were in memory when evidence was read, in digests, and how others differ from them. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.inputs import SaeRef

SETTINGS = "its settings"  # stands among the tensors of an SAE: how it is used
Tensors = Mapping[str, Mapping[str, str]]  # name -> dtype, shape, sha256 of what was sampled


@dataclass(frozen=True, slots=True)
class Sample:
    """Per tensor its dtype, its shape and the digest of its sampled rows (capture/samples.py draws them).

    decoder: the text decoder's, by its own names; outside: the rest of the model (head, vision tower); sae: the SAE's.
    """

    decoder: Tensors
    outside: Tensors
    sae: Tensors

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sample:
        """The sample that `to_dict` was made from; KeyError where a part is missing."""
        return cls(data["decoder"], data["outside"], data["sae"])


def stated_otherwise(read: Sample, sae: SaeRef) -> Iterator[str]:
    """What specs/subjects.yaml states of an SAE otherwise than it was when evidence was read: `d_in 64, not 128`.

    So a wrong statement is found from the store, where the SAE itself is not on this machine.
    """
    settings = read.sae.get(SETTINGS, {}).get("is", "")
    was = dict(pair.split(" ", 1) for pair in settings.split(", ") if " " in pair)
    for key in ("d_in", "d_sae", "architecture", "k"):
        stated = getattr(sae, key)
        if stated is not None and key in was and str(stated) != was[key]:
            yield f"{key} {stated}, not {was[key]}"


def differences(read: Sample, here: Sample) -> list[str]:
    """A line for each tensor that is not the one that evidence was read with, the SAE's first.

    All of the SAE and the decoder must be there; what lies outside the decoder is compared where both have it, since
    a backbone may come without head or vision tower.
    """
    shared = {name: tensor for name, tensor in read.outside.items() if name in here.outside}
    return [
        *_moved("SAE", read.sae, here.sae),
        *_moved("model", read.decoder, here.decoder),
        *_moved("model", shared, here.outside),
    ]


def _moved(what: str, read: Tensors, here: Tensors) -> Iterator[str]:
    for name, was in sorted(read.items()):
        now = here.get(name)
        if now is None:
            yield f"{what}: {name} is not there"
        elif now != was:
            yield f"{what}: {name} {_how(was, now)}"


def _how(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    for field in ("dtype", "shape", "is"):
        if was.get(field) != now.get(field):
            return f"is {now.get(field)} here, was {was.get(field)} when it was read"
    return "has other numbers"
