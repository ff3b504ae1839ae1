"""What a mutant is: the evidence of a met claim, changed so that a claim that says something should no longer hold."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from harness.baselines import accepted_for
from harness.expectations.evidence import Evidence
from harness.inputs import Subject
from harness.spec import Spec

SEED = 20260


@dataclass(frozen=True, slots=True)
class Case:
    """A met claim with what it was judged from. `features`: those that it names, or the one that was chosen."""

    spec: Spec
    features: tuple[int, ...]
    evidence: Evidence
    discovery: Evidence | None = None

    def random(self, mutant: str) -> np.random.Generator:
        """The same draws for the same claim in every run and process, other ones for another claim."""
        return np.random.default_rng([SEED, zlib.crc32(self.spec.id.encode()), zlib.crc32(mutant.encode())])


@dataclass(frozen=True, slots=True)
class Variant:
    """One version of a mutant: the claim and its evidence, changed. `what` names it in a note, where it has a name."""

    spec: Spec
    evidence: Evidence
    discovery: Evidence | None = None
    what: str = ""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A way to change evidence. Either `variants` makes it of evidence that is there, or `derive` says which subject
    has to be read instead. It is killed if at most `most_met` of its versions meet the claim.

    what: what is exchanged, for docs. hint: what to assert where it survives. relabels: its versions have the very
    tokens of the claim, in other sets, so that none of them is dead where the claim is met.
    """

    name: str
    what: str
    hint: str
    variants: Callable[[Case], Iterable[Variant]] | None = None
    derive: Callable[[Subject], Subject] | None = None
    most_met: int = 0
    relabels: bool = False


def settled(spec: Spec) -> Spec:
    """The claim with its baseline resolved: a mutant must meet the number, not stumble over where it came from."""
    if spec.baseline is None:
        return spec
    return replace(spec, baseline=None, claim=replace(spec.claim, accepted=accepted_for(spec)))


def derived(spec: Spec, mutant: Mutant) -> Spec:
    """The claim about the subject that the mutant has read instead: its own, and any other that reads the same SAE.

    (Two models compared through one SAE are compared through one SAE in the mutant, too.)
    """
    assert mutant.derive is not None
    derive = mutant.derive
    others = {name: derive(s) if s.sae == spec.subject.sae else s for name, s in spec.others.items()}
    return replace(settled(spec), subject=derive(spec.subject), others=others)
