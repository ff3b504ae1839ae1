"""Mutants of a met claim's evidence: the registry, and which of them can change the evidence of a claim."""

from __future__ import annotations

from harness.mutants.base import Case, Mutant, Variant, derived, settled
from harness.mutants.one_layer_off import ONE_LAYER_OFF
from harness.mutants.random_sae import RANDOM_SAE
from harness.mutants.shuffled_decoder import SHUFFLED_DECODER
from harness.mutants.shuffled_labels import SHUFFLED_LABELS
from harness.mutants.swapped_sets import SWAPPED_SETS
from harness.mutants.wrong_feature import WRONG_FEATURE
from harness.spec import Spec

__all__ = ["MUTANTS", "Case", "Mutant", "Variant", "applicable", "derived", "derived_specs", "settled"]

MUTANTS: dict[str, Mutant] = {
    mutant.name: mutant
    for mutant in (WRONG_FEATURE, SWAPPED_SETS, SHUFFLED_LABELS, SHUFFLED_DECODER, RANDOM_SAE, ONE_LAYER_OFF)
}


def applicable(spec: Spec) -> frozenset[str]:
    """The names of the mutants that can change what this claim is judged from."""
    about_feature = bool(spec.features) or spec.best is not None
    return spec.expectation.changed_by() - (frozenset() if about_feature else {"wrong_feature"})


def derived_specs(spec: Spec) -> list[Spec]:
    """The claims whose evidence has to be read for the mutants that read a model."""
    names = applicable(spec)
    return [derived(spec, m) for name, m in MUTANTS.items() if m.derive is not None and name in names]
