"""one_layer_off: the same SAE reading the residual stream of the neighbouring layer."""

from __future__ import annotations

from dataclasses import replace

from harness.inputs import Subject
from harness.mutants.base import Mutant


def derive(subject: Subject) -> Subject:
    """The subject read one layer earlier, which costs no further layer; of layer 0 one later."""
    layer = subject.layer - 1 if subject.layer else 1
    meant = {**dict(subject.read_otherwise), "hook": "a mutant reads one layer off"}
    name, hook = f"{subject.name} (one layer off)", f"blocks.{layer}.{subject.site}"
    return replace(subject, name=name, hook=hook, read_otherwise=tuple(sorted(meant.items())))


ONE_LAYER_OFF = Mutant(
    "one_layer_off",
    "the same SAE reading one layer earlier (of layer 0: later)",
    "neighbouring layers are alike, so hold a number that moves between them: fvu, an activation, `unchanged`",
    derive=derive,
)
