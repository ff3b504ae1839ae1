"""Trying mutants: each version of each mutant is judged as the claim itself was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from harness.errors import EnvironmentFault, guarded, in_short
from harness.expectations.choosing import best_feature
from harness.expectations.evidence import Evidence
from harness.judging import before_running, judge
from harness.mutants import MUTANTS, Case, Mutant, Variant, applicable, derived, settled
from harness.spec import Spec
from harness.verdict import Fate, Outcome, Reason, Trial, Verdict

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
    """A kind that raises is a fault of ours, neither a kill nor a survival."""

    def not_run(error: BaseException) -> Trial:
        why = str(error) if isinstance(error, Unread) else f"judging it raised {in_short(error)}"
        return Trial(mutant.name, Fate.NOT_RUN, why)

    return guarded(lambda: _judged(mutant, _variants(mutant, case, spec, read)), not_run)


def _variants(mutant: Mutant, case: Case, spec: Spec, read: Read) -> Iterable[Variant]:
    if mutant.variants is not None:
        return mutant.variants(case)
    changed = derived(spec, mutant)
    return [Variant(changed, *read(changed))]


def _judged(mutant: Mutant, variants: Iterable[Variant]) -> Trial:
    """Killed where a version is unmet or underpowered; one that is dead, or cannot be judged, shows nothing."""
    verdicts = [(variant.what, _verdict(mutant, variant)) for variant in variants]
    decided = [(what, verdict) for what, verdict in verdicts if _says_something(verdict)]
    if not decided:
        words = sorted({verdict.reason or verdict.finding for _, verdict in verdicts})
        return _no(mutant, f"no version of it could be judged: {', '.join(words) or 'no other live feature'}")
    met = [what for what, verdict in decided if verdict.outcome is Outcome.MET]
    fate = Fate.SURVIVED if len(met) > mutant.most_met else Fate.KILLED
    hint = mutant.hint if fate is Fate.SURVIVED else ""
    return Trial(mutant.name, fate, " ".join(_notes(met, len(decided))), hint, len(decided), len(met))


def _verdict(mutant: Mutant, variant: Variant) -> Verdict:
    """Of one version; one with a fault in judging (nothing fires on the discovery prompts) cannot be judged."""
    try:
        early = before_running(variant.spec)
        if early is not None:
            return early
        if mutant.relabels and not _reaches_its_bound(variant):
            return Verdict(Outcome.UNMET, "the effect is outside the bound")
        # Without `ask`: it finds a smaller counterexample, never another outcome, and would load the model again.
        return judge(variant.spec, replace(variant.evidence, ask=None), variant.discovery)
    except EnvironmentFault as fault:
        return Verdict(Outcome.NOT_RUN, fault.code)


def _says_something(verdict: Verdict) -> bool:
    return verdict.outcome in (Outcome.MET, Outcome.UNMET) or verdict.reason is Reason.UNDERPOWERED


def _reaches_its_bound(variant: Variant) -> bool:
    """False where the effect alone is outside the bound, so that no p and no resamples are needed to see it: they
    were 3/4 of the time that tiny-gemma2's mutants took."""
    spec, best = variant.spec, variant.spec.best
    features, evidence = spec.features, replace(variant.evidence, discovery=variant.discovery)
    if best is not None and variant.discovery is not None:
        features = (best_feature(variant.discovery, spec.claim, best.by).feature,)
    mask = spec.expectation.meeting(evidence, spec.claim) if features else None
    if mask is None:
        return True
    reach = [bool(mask[feature]) for feature in features]
    return all(reach) if spec.together == "all" else any(reach)


def _notes(met: list[str], tried: int) -> Iterator[str]:
    named = [what for what in met if what]
    yield f"{len(met)} of {tried} meet the claim" if tried > 1 else f"{'meets' if met else 'does not meet'} the claim"
    if named:
        yield f"(feature {'; '.join(named)})"
