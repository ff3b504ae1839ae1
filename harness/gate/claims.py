"""What a run says of each feature: met claims, and everything else that is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from harness.gate.blocking import Reason, Why
from harness.gate.opening import Opened
from harness.gate.proof import Judged, is_proof, not_enough, origin_of
from harness.reports.basis import Basis
from harness.reports.record import Record
from harness.spec import Spec


def unproven(run: Opened, subject: str, features: Sequence[int], patterns: Sequence[str] = ()) -> list[Reason]:
    """All that keeps these features of `subject` from being proven, each thing once."""
    found = [*_of_subject(run, subject), *_of_patterns(run, subject, features, patterns)]
    for feature in features:
        found += _of_feature(run, subject, feature, patterns)
    return list(dict.fromkeys(found))


def about(run: Opened, subject: str, feature: int) -> list[Spec]:
    """The claims of today about a feature of `subject`; what chooses its feature, as the run chose it."""
    return [spec for spec in _specs(run, subject) if feature in _features(run, spec)]


def proven_by(run: Opened, subject: str, feature: int, patterns: Sequence[str] = ()) -> tuple[str, ...]:
    """The met claims about a feature that are enough by themselves, each with where its feature was found."""
    met = [claim for claim in _met(run, subject, feature) if _matches(claim[1], patterns)]
    return tuple(f"{record.id} (found on {origin_of(spec)})" for spec, record in met if is_proof((spec, record)))


def _specs(run: Opened, subject: str) -> list[Spec]:
    """Those that read the subject, also where another's claim compares with it."""
    items = run.loaded.items
    return [s for s in items if isinstance(s, Spec) and subject in [one.name for one in s.subjects]]


def _features(run: Opened, spec: Spec) -> tuple[int, ...]:
    record = run.records.get(spec.id)
    return spec.features or (record.features if record else ())


def _of_subject(run: Opened, subject: str) -> Iterator[Reason]:
    """A claim that chooses its feature may have chosen any, so it must have been judged."""
    left = [spec.id for spec in _specs(run, subject) if spec.best is not None and spec.id not in run.records]
    if left:
        told = f"{', '.join(left[:3])}{f' and {len(left) - 3} more' if len(left) > 3 else ''}"
        yield Reason(Why.NOT_JUDGED, f"claims that choose their feature were not judged in this run: {told}")


def _of_feature(run: Opened, subject: str, feature: int, patterns: Sequence[str]) -> Iterator[Reason]:
    d_sae = run.loaded.subjects[subject].sae.d_sae
    if feature < 0 or (d_sae is not None and feature >= d_sae):
        yield Reason(Why.NO_SUCH_FEATURE, f"feature {feature}: the SAE of {subject} has {d_sae}, counted from 0")
        return
    claims = about(run, subject, feature)
    for spec in claims:
        yield from _of_claim(run, spec, feature)
    yield from _of_families(run, claims)
    yield from _of_gone(run, subject, feature)
    met = [(spec, record) for spec, record in _met(run, subject, feature) if _matches(record, patterns)]
    if not met:
        of = f" among {', '.join(patterns)}" if patterns else ""
        yield Reason(Why.NO_MET_CLAIM, f"feature {feature}: no claim about it on {subject} is met{of}")
    yield from not_enough(feature, met)


def _of_claim(run: Opened, spec: Spec, feature: int) -> Iterator[Reason]:
    record = run.records.get(spec.id)
    if record is None:
        yield Reason(Why.NOT_JUDGED, f"feature {feature}: {spec.id} was not judged in this run")
    elif record.text != spec.text:
        yield Reason(Why.CLAIM_CHANGED, f"feature {feature}: {spec.id} has been edited since the run")
    elif _asked_otherwise(run, spec):
        told = "its prompts or another subject that it reads have been edited since the run"
        yield Reason(Why.CLAIM_CHANGED, f"feature {feature}: {spec.id}: {told}")
    elif record.standing != "met":
        told = f"feature {feature}: {spec.id} is {record.standing}: {record.verdict.finding}"
        yield Reason(Why.NOT_MET, told)


def _asked_otherwise(run: Opened, spec: Spec) -> bool:
    """Whether the same words claim something else today: of other prompts, or against another subject."""
    return run.judged_on.get(spec.id) != Basis.of([spec]).claims[spec.id]


def _of_families(run: Opened, claims: Sequence[Spec]) -> Iterator[Reason]:
    """What is corrected together holds together."""
    for name in dict.fromkeys(spec.family for spec in claims if spec.family is not None):
        for family in (one for one in run.loaded.families if one.name == name):
            record = run.records.get(family.id)
            if record is None:
                yield Reason(Why.NOT_JUDGED, f"{family.id} was not judged in this run")
            elif record.standing != "met":
                yield Reason(Why.NOT_MET, f"{family.id} is {record.standing}: {record.verdict.finding}")


def _of_gone(run: Opened, subject: str, feature: int) -> Iterator[Reason]:
    """An unmet claim is not got rid of by deleting it."""
    known = {item.id for item in run.loaded.items}
    for record in run.records.values():
        if record.id not in known and record.subject == subject and feature in record.features:
            told = f"feature {feature}: {record.id} ({record.standing}) is gone from specs/ since the run"
            yield Reason(Why.CLAIM_CHANGED, told)


def _met(run: Opened, subject: str, feature: int) -> list[Judged]:
    """Met claims that say something of this feature by itself, which `together: any` does not."""
    claims = [s for s in about(run, subject, feature) if s.subject.name == subject and s.together != "any"]
    judged = [(spec, run.records[spec.id]) for spec in claims if spec.id in run.records]
    return [(spec, record) for spec, record in judged if record.standing == "met"]


def _of_patterns(run: Opened, subject: str, features: Sequence[int], patterns: Sequence[str]) -> Iterator[Reason]:
    met = [record for feature in features for _, record in _met(run, subject, feature)]
    for pattern in patterns:
        if not any(_matches(record, [pattern]) for record in met):
            yield Reason(Why.NO_MET_CLAIM, f"no met claim about these features is named {pattern}")


def _matches(record: Record, patterns: Sequence[str]) -> bool:
    return not patterns or any(record.id == p or fnmatchcase(record.id, p) for p in patterns)
