"""shuffled_decoder: the SAE's decoder rows dealt anew among its features."""

from __future__ import annotations

from dataclasses import replace

from harness.inputs import Subject
from harness.mutants.base import Mutant


def derive(subject: Subject) -> Subject:
    """The subject through the same encoder and the shuffled decoder. Its name is none that a file could use."""
    return replace(
        subject, name=f"{subject.name} (shuffled decoder)", sae=replace(subject.sae, derived="shuffled_decoder")
    )


SHUFFLED_DECODER = Mutant(
    "shuffled_decoder",
    "the SAE's decoder rows permuted among its features: the codes stay, the reconstruction does not",
    "tighten the bound: this one holds for a decoder that belongs to other features (measure it, then `interp accept`)",
    derive=derive,
)
