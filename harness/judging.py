"""One spec judged from its evidence: the held-out check, the feature that it is about, and the kind's own rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.agreement import told_otherwise
from harness.baselines import accepted_for
from harness.calibration import own_noise
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim, Expectation
from harness.expectations.choosing import best_feature
from harness.expectations.evidence import Evidence
from harness.expectations.noise import NOISES, closest, noise_of
from harness.expectations.nulls import candidates, gates, null_of
from harness.expectations.shortcuts import said, shortcut_to
from harness.heldout import Leak, leaks
from harness.independence import counted_in_words, opening_of, split_copies, unit_name
from harness.inputs import PromptSet
from harness.provenance import needs_provenance, with_provenance
from harness.spec import Spec
from harness.vacuity import may_be_met, reasons, saying_little, says_little
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

MOST_ALPHA = 0.1
MOST_OF_AN_OPENING = 60  # characters of it that a warning shows
_DECIDED = (Outcome.MET, Outcome.UNMET)
_WORST_FIRST = (Outcome.NOT_RUN, Outcome.UNMET, Outcome.INCONCLUSIVE, Outcome.MET)


def kind_raised(spec: Spec, when: str, error: BaseException) -> Verdict:
    """The verdict of a claim whose kind raised something, whatever it was: its own claim is not run, and no other."""
    doing = f"the kind {spec.kind}, when {spec.id} {when},"
    fault = EnvironmentFault.unforeseen("judging_failed", doing, error)
    details = {"faults": [fault.code], "traceback": fault.trace}
    return Verdict(Outcome.NOT_RUN, f"could not be run: {fault}", details=details)


def before_running(spec: Spec) -> Verdict | None:
    """The verdict that no evidence can change, or None: a leak, or too few prompts for the level asked for."""
    return _leaked(spec) or spec.expectation.beforehand(spec.sets, spec.asked)


def judge(spec: Spec, evidence: Evidence, discovery: Evidence | None = None) -> Verdict:
    """The verdict of one spec. `discovery`: the two sets on which `best` chooses, where the spec says so."""
    early = before_running(spec)
    if early is not None:
        return early
    verdict = _judge(spec, evidence, discovery)
    if may_be_met(verdict) and needs_provenance(spec):
        verdict = with_provenance(spec, verdict, candidates(spec.expectation, evidence, spec.claim))
    begun = _begun_otherwise(spec, evidence)
    warned = [line for line, is_warning in begun if is_warning]
    noted = (*warnings_of(spec), *_loose_alpha(spec), *as_read(spec), *_unlike_training(spec, evidence), *warned)
    details = {**verdict.details, **({"bos": [line for line, _ in begun]} if begun else {})}
    return verdict.with_(warnings=(*verdict.warnings, *noted), details=details)


def _loose_alpha(spec: Spec) -> tuple[str, ...]:
    """A line for a level at which more than one claim in ten of no effect is met."""
    alpha = spec.claim.alpha
    if alpha <= MOST_ALPHA or spec.claim.scope == "sample":
        return ()
    return (f"alpha {spec.claim.alpha_in_words}: of claims about nothing, {alpha:.0%} are met; .05 is usual",)


def as_read(spec: Spec) -> tuple[str, ...]:
    """A line for each subject that is read otherwise than its SAE was trained, with the owner's reason."""
    return tuple(f"{subject.name} is {told}" for subject in spec.subjects if (told := told_otherwise(subject)))


def _begun_otherwise(spec: Spec, evidence: Evidence) -> tuple[tuple[str, bool], ...]:
    """(a line, whether it is a warning) for each subject whose texts begin as its SAE was trained, whatever its
    tokenizer does by itself; a warning where that was with BOS, and the tokenizer has none to put.

    A loader of sae-lens says True for all of its SAEs (Qwen-Scope's, whose tokenizer has no BOS), so what the registry
    alone says is a line of the record.
    """
    lines = dict[str, bool]()
    for (_, name), codes in evidence.codes_of.items():
        subject = spec.subject if name is None else spec.others.get(name)
        training = subject.sae.training if subject is not None else None
        if subject is None or training is None or training.prepend_bos is None or subject.bos != "auto":
            continue
        sae, first = subject.sae.name, codes.kind[codes.position == 0]
        if not training.prepend_bos:
            lines[f"texts of {subject.name} begin without BOS, as SAE {sae} was trained"] = False
        elif np.isin(first, [Kind.SPECIAL, Kind.IMAGE]).any():
            lines[f"texts of {subject.name} begin with BOS, as SAE {sae} was trained"] = False
        else:
            line = f"SAE {sae} was trained with BOS, and the tokenizer of {subject.name} has none"
            lines[line] = "registry" not in training.source
    return tuple(lines.items())


def _unlike_training(spec: Spec, evidence: Evidence) -> tuple[str, ...]:
    """A line for each set with prompts that are longer than any text that the SAE was trained on, and one where special
    tokens count that it was not trained on."""
    lines = [
        f"SAE {subject.sae.name} was trained without special tokens, which this claim counts"
        for subject in spec.subjects
        if spec.claim.special_tokens == "counted"
        and subject.sae.training is not None
        and subject.sae.training.exclude_special_tokens
    ]
    for (role, name), codes in evidence.codes_of.items():
        subject = spec.subject if name is None else spec.others.get(name)  # toys have no other subject
        training = subject.sae.training if subject is not None else None
        most = training.context_size if training is not None else None
        longer = int((np.bincount(codes.prompt) > most).sum()) if most is not None else 0
        if longer:
            of = f"{longer} of {codes.n_prompts} prompts of `{role}`"
            lines.append(f"{of} are longer than the {most} tokens of a text that its SAE was trained on")
    return tuple(lines)


def _judge(spec: Spec, evidence: Evidence, discovery: Evidence | None) -> Verdict:
    if spec.baseline is not None:
        spec = replace(spec, claim=replace(spec.claim, accepted=accepted_for(spec)))
    noise, words = own_noise(spec.subject, spec.calibration)
    spec = replace(spec, claim=replace(spec.claim, measured_noise=noise, noise_is=words))
    evidence = replace(evidence, discovery=discovery)
    if spec.best is not None and discovery is not None:
        return _judge_best(spec, evidence, discovery)
    if not spec.features:
        verdict = _with_fragile(spec.expectation.judge(evidence, spec.claim), spec.claim)
        return _with_weaknesses(verdict, spec.expectation, evidence, spec.claim)
    if spec.together is None:
        return _judge_feature(spec, evidence, spec.features[0])
    return _judge_together(spec, evidence)


def _judge_best(spec: Spec, evidence: Evidence, discovery: Evidence) -> Verdict:
    assert spec.best is not None
    chosen = best_feature(discovery, spec.claim, spec.best.by)
    verdict = _judge_feature(spec, evidence, chosen.feature)
    how = f"chosen by {spec.best.by} ({chosen.score:.3g}) on {spec.best.prompts.name} against {spec.best.than.name}"
    return verdict.with_(details={**verdict.details, "chosen": how, "chosen_score": chosen.score})


def _judge_feature(spec: Spec, evidence: Evidence, feature: int, alpha: float | None = None) -> Verdict:
    claim = replace(spec.claim, feature=feature, alpha=spec.claim.alpha if alpha is None else alpha)
    verdict = _with_fragile(spec.expectation.judge(evidence, claim).with_(feature=feature), claim)
    if verdict.outcome in _DECIDED:
        verdict = _over_words(_with_null(verdict, spec.expectation, evidence, claim), spec)
        verdict = _with_weaknesses(verdict, spec.expectation, evidence, claim)
    return _with_shortcut(verdict, spec, evidence, claim)


def _with_fragile(verdict: Verdict, claim: Claim) -> Verdict:
    """Whether what decided is inside the numerical noise of the bound; None where no such number is known."""
    details = dict(verdict.details)
    margins = details.pop("margins", [])
    if verdict.outcome not in _DECIDED or not margins:
        return verdict.with_(details=details)
    found = closest(margins, claim.noise)
    if found is not None:
        noise = NOISES * noise_of(found.measure, found.value, claim.noise)
        details["fragile"] = (
            f"{found.distance:.2g} from the bound, and {noise:.2g} is {NOISES:g} times {claim.noise_in_words}"
        )
    return verdict.with_(fragile=found is not None, details=details)


def with_outlook(spec: Spec, verdict: Verdict, evidence: Evidence) -> Verdict:
    """The power at this effect, and what would raise it, beside a claim that more prompts might decide.

    For a verdict that somebody reads only: the search for the fewest prompts takes up to 1.5 s.
    """
    if verdict.reason is not Reason.UNDERPOWERED or verdict.feature is None:
        return verdict
    outlook = spec.expectation.outlook(evidence, replace(spec.asked, feature=verdict.feature))
    if outlook is None:
        return verdict
    power = Measurement("power at this effect", outlook.power, outlook.n)
    details = {**verdict.details, "power": outlook.to_dict(), "needs": outlook.needed}
    return verdict.with_(also=(*verdict.also, power), details=details)


def _with_null(verdict: Verdict, expectation: Expectation, evidence: Evidence, claim: Claim) -> Verdict:
    null = null_of(expectation, evidence, claim)
    if null is None:
        return verdict
    details = {**verdict.details, "null": [null.meeting, null.live]}
    if null.near:
        details["null_near"] = [null.near_meeting, null.near]
    counted = verdict.with_(null_share=null.share, details=details)
    return saying_little(counted, Reason.VACUOUS, null.warning()) if gates(expectation, null) else counted


def _with_weaknesses(verdict: Verdict, expectation: Expectation, evidence: Evidence, claim: Claim) -> Verdict:
    """A met claim with what its kind knows against it: no positive control, a rival that meets the bound."""
    if verdict.outcome is Outcome.MET:
        for why in expectation.weaknesses(evidence, claim):
            verdict = saying_little(verdict, Reason.VACUOUS, why)
    return verdict


def _over_words(verdict: Verdict, spec: Spec) -> Verdict:
    """`over: words` says of which frames: words counted in these say nothing of others."""
    sets = [s for s in spec.sets.values() if unit_name(s.prompts, spec.claim.over) == "words"]
    said = [f"{s.name}: {counted_in_words(s.prompts, spec.claim.over)}" for s in sets]
    return verdict.with_(finding=f"{verdict.finding}; in these frames only ({', '.join(said)})") if said else verdict


def _with_shortcut(verdict: Verdict, spec: Spec, evidence: Evidence, claim: Claim) -> Verdict:
    """A comparison that is met, or lacks prompts to be, with the trivial predictor that does as well."""
    contrast = spec.expectation.contrast()
    if not may_be_met(verdict) or contrast is None or claim.scope == "sample" or claim.feature is None:
        return verdict
    first, second, bound = contrast
    found = shortcut_to(evidence, claim, (first, second), claim.feature, bound)
    if found is None:
        return verdict
    finding = f"{verdict.finding}; {found.what} tells these sets apart just as well"
    named = verdict.with_(finding=finding, details={**verdict.details, "shortcut": found.what})
    if spec.shortcut_accepted:
        return named.with_(warnings=(*named.warnings, f"{found.what}: accepted, {spec.shortcut_accepted}"))
    return saying_little(named, Reason.SHORTCUT, said(found, claim.feature))


def _judge_together(spec: Spec, evidence: Evidence) -> Verdict:
    """all: as bad as the worst, p the largest (intersection-union). any: the best, each at alpha / m (Bonferroni)."""
    m = len(spec.features)
    if spec.together == "all":
        verdicts = [_judge_feature(spec, evidence, f) for f in spec.features]
        shown = min(verdicts, key=lambda v: _WORST_FIRST.index(v.outcome))
        return _summed_up(_as_weak_as_all(shown, verdicts), verdicts, p=_largest_p(verdicts))
    verdicts = [_judge_feature(spec, evidence, f, spec.claim.alpha / m) for f in spec.features]
    shown = max(verdicts, key=lambda v: _any_rank(v))
    return _summed_up(shown, verdicts, p=min(1.0, m * min(_ps(verdicts))) if _ps(verdicts) else None)


def _any_rank(verdict: Verdict) -> tuple[int, bool]:
    """met beats could-not-tell, which beats unmet: `any` is refuted only when all are."""
    rank = [Outcome.NOT_RUN, Outcome.UNMET, Outcome.INCONCLUSIVE, Outcome.MET].index(verdict.outcome)
    return rank, not says_little(verdict)


def _as_weak_as_all(shown: Verdict, verdicts: Sequence[Verdict]) -> Verdict:
    """A claim about all features says little where it says little about one of them."""
    for other in verdicts:
        if other is not shown:
            for reason, why in reasons(other):
                shown = saying_little(shown, reason, f"feature {other.feature}: {why}")
    return shown


def _summed_up(shown: Verdict, verdicts: Sequence[Verdict], p: float | None) -> Verdict:
    words = [f"{v.feature}: {v.word}" for v in verdicts]
    return shown.with_(p=p, details={**shown.details, "together": words})


def _ps(verdicts: Iterable[Verdict]) -> list[float]:
    return [v.p for v in verdicts if v.p is not None]


def _largest_p(verdicts: Sequence[Verdict]) -> float | None:
    """One that could not be measured counts as 1, as in a family; None where none has a p."""
    return max(1.0 if v.p is None or math.isnan(v.p) else v.p for v in verdicts) if _ps(verdicts) else None


def _found_on(spec: Spec) -> list[PromptSet]:
    """The sets that the feature was found on."""
    return [s for s in (spec.discovered_on, spec.best and spec.best.prompts, spec.best and spec.best.than) if s]


def _leaked(spec: Spec) -> Verdict | None:
    """The same evidence in what a feature was found on and in what it is tested on."""
    found = [
        (leak, seen.name) for seen, tested in _held_out(spec) for leak in leaks(seen.prompts, tested.prompts).leaked
    ]
    if not found:
        return None
    leak, where = found[0]
    n = len({id(leak.tested) for leak, _ in found})
    return inconclusive(
        Reason.LEAKED,
        f"{n} of the tested prompts are among those that the feature was found on ({where}), "
        f"for example {_shown(leak)}: test on others.",
    )


def _shown(leak: Leak) -> str:
    if leak.tested.content == leak.found_on.content:
        return repr(leak.tested.shown)
    return f"{leak.tested.shown!r} and {leak.found_on.shown!r}, which {leak.why}"


def _held_out(spec: Spec) -> Iterator[tuple[PromptSet, PromptSet]]:
    """(a set that the feature was found on, a set that it is tested on), every two."""
    found_on = (spec.discovered_on, spec.best and spec.best.prompts, spec.best and spec.best.than)
    return ((seen, tested) for tested in spec.sets.values() for seen in found_on if seen)


def warnings_of(spec: Spec) -> tuple[str, ...]:
    """What a reader of the claim should know of its prompts: tested ones that nearly repeat what the feature was found
    on, and declared groups that make two units of near copies."""
    near = [(leaks(seen.prompts, tested.prompts), seen.name) for seen, tested in _held_out(spec)]
    nearly = [found.warning(name) for found, name in near if found.near]
    pairs = [(found.name, pair) for found in spec.sets.values() if (pair := split_copies(found.prompts)) is not None]
    splits = [
        f"groups of {name} split near copies, which then count as two: {one.shown!r} and {other.shown!r}"
        for name, (one, other) in pairs
    ]
    return (*nearly, *splits, *_openings(spec))


def _openings(spec: Spec) -> Iterator[str]:
    """A line for each set whose prompts all begin with the same sentences, where another set of the claim does not."""
    begins = {found.name: opening_of(found.prompts) for found in spec.sets.values()}
    for name, opening in begins.items():
        if opening and (len(begins) == 1 or set(begins.values()) != {opening}):
            shown = opening if len(opening) <= MOST_OF_AN_OPENING else f"{opening[:MOST_OF_AN_OPENING]}..."
            yield f"all prompts of {name} begin with {shown!r}: a feature of these words fires on every one of them"
