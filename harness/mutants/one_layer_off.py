"""one_layer_off: the same SAE reading the residual stream of the neighbouring layer."""

from __future__ import annotations

from dataclasses import replace

from harness.attention_sinks import OVER
from harness.inputs import Sinks, Subject
from harness.mutants.base import Mutant


def derive(subject: Subject) -> Subject:
    """The subject read one layer earlier, which costs no further layer; of layer 0 one later."""
    layer = subject.layer - 1 if subject.layer else 1
    meant = {**dict(subject.read_otherwise), "hook": "a mutant reads one layer off"}
    return replace(
        subject,
        name=f"{subject.name} (one layer off)",
        hook=f"blocks.{layer}.{subject.site}",
        read_otherwise=tuple(sorted(meant.items())),
        norms=None,
        sinks=_told(subject),
    )


def _told(subject: Subject) -> Sinks:
    """The subject's rule, with the medians of the other layer; a mutant stops for no unclear token there."""
    return OVER if subject.sinks == "auto" else subject.sinks


ONE_LAYER_OFF = Mutant(
    "one_layer_off",
    "the same SAE reading one layer earlier (of layer 0: later)",
    "neighbouring layers are alike, so hold a number that moves between them: fvu, an activation, `unchanged`",
    derive=derive,
)
