"""Trying mutants: each version of each mutant is judged as the claim itself was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from harness.errors import EnvironmentFault
from harness.expectations.choosing import best_feature
from harness.expectations.evidence import Evidence
from harness.judging import before_running, judge
from harness.mutants import MUTANTS, Case, Mutant, Variant, applicable, derived, settled
from harness.spec import Spec
from harness.verdict import Fate, Outcome, Trial, Verdict

Read = Callable[[Spec], tuple[Evidence, Evidence | None]]


class Unread(Exception):
    """Evidence of a derived subject that is not there; the message says why."""


def try_mutants(spec: Spec, verdict: Verdict, read: Read) -> tuple[Trial, ...]:
    """What becomes of every mutant of a met claim. `read` gives the evidence and the discovery evidence of a spec, or
    raises Unread."""
    features = spec.features or (() if verdict.feature is None else (verdict.feature,))
    case, names = Case(settled(spec), features, *read(spec)), applicable(spec)
    return tuple(_trial(mutant, case, spec, read) if name in names else _no(mutant) for name, mutant in MUTANTS.items())


def _no(mutant: Mutant, why: str = "it cannot change what this claim is judged from") -> Trial:
    return Trial(mutant.name, Fate.NOT_APPLICABLE, why)


def _trial(mutant: Mutant, case: Case, spec: Spec, read: Read) -> Trial:
    try:
        return _judged(mutant, _variants(mutant, case, spec, read))
    except Unread as unread:
        return Trial(mutant.name, Fate.NOT_RUN, str(unread))
    except Exception as error:  # noqa: BLE001 - a kind that raises is a fault of ours, neither a kill nor a survival
        return Trial(mutant.name, Fate.NOT_RUN, f"judging it raised {type(error).__name__}: {error}")


def _variants(mutant: Mutant, case: Case, spec: Spec, read: Read) -> Iterable[Variant]:
    if mutant.variants is not None:
        return mutant.variants(case)
    changed = derived(spec, mutant)
    return [Variant(changed, *read(changed))]


def _judged(mutant: Mutant, variants: Iterable[Variant]) -> Trial:
    outcomes = [(variant.what, _is_met(variant)) for variant in variants if before_running(variant.spec) is None]
    if not outcomes:
        return _no(mutant, "no version of it could be judged: too few prompts, or no other live feature")
    met = [what for what, holds in outcomes if holds]
    fate = Fate.SURVIVED if len(met) > mutant.most_met else Fate.KILLED
    hint = mutant.hint if fate is Fate.SURVIVED else ""
    return Trial(mutant.name, fate, " ".join(_notes(met, len(outcomes))), hint, len(outcomes), len(met))


def _is_met(variant: Variant) -> bool:
    """A fault in judging (nothing fires on the discovery prompts) leaves a claim unmet."""
    try:
        if not _reaches_its_bound(variant):
            return False
        return judge(variant.spec, variant.evidence, variant.discovery).outcome is Outcome.MET
    except EnvironmentFault:
        return False


def _reaches_its_bound(variant: Variant) -> bool:
    """False where the effect alone is outside the bound, so that no p and no resamples are needed to see it: they
    were 3/4 of the time that tiny-gemma2's mutants took."""
    spec, best = variant.spec, variant.spec.best
    features = spec.features
    if best is not None and variant.discovery is not None:
        features = (best_feature(variant.discovery, spec.claim, best.by).feature,)
    mask = spec.expectation.meeting(variant.evidence, spec.claim) if features else None
    if mask is None:
        return True
    reach = [bool(mask[feature]) for feature in features]
    return all(reach) if spec.together == "all" else any(reach)


def _notes(met: list[str], tried: int) -> Iterator[str]:
    named = [what for what in met if what]
    yield f"{len(met)} of {tried} meet the claim" if tried > 1 else f"{'meets' if met else 'does not meet'} the claim"
    if named:
        yield f"(feature {'; '.join(named)})"
