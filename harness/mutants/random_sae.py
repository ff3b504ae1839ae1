"""random_sae: an SAE of random directions, with the L0 and the activations of the SAE itself on every token."""

from __future__ import annotations

from dataclasses import replace

from harness.inputs import Subject
from harness.mutants.base import Mutant


def derive(subject: Subject) -> Subject:
    """The subject through random directions. Its name is none that a file could use."""
    return replace(subject, name=f"{subject.name} (random SAE)", sae=replace(subject.sae, derived="random_sae"))


RANDOM_SAE = Mutant(
    "random_sae",
    "an SAE of random directions with the same L0, and the same activations, on every token",
    "random directions of the stream do as well: claim more than token identity or firing at all (near misses, "
    "selective with a recall, beats_keywords)",
    derive=derive,
)
