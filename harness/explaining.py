"""`interp explain`: what a claim says, what it needs, and what this many prompts could show. No model is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.claimed import claim_in_words
from harness.costing import Cost, cost_of
from harness.errors import EnvironmentFault
from harness.expectations.bounds import Bound
from harness.expectations.choosing import best_feature
from harness.expectations.evidence import Evidence
from harness.expectations.outlook import Outlook
from harness.expectations.results import bound_text, short
from harness.heldout import Prompts
from harness.independence import Over, counted_in_words, grouping
from harness.inputs import Need
from harness.judging import before_running, judge
from harness.planning import Plan, plan
from harness.provenance import Provenance, provenance_of
from harness.releases import public_pages
from harness.runlog import RUN_LOG, RunLog
from harness.running import Cold, Missing, Runner
from harness.spec import Spec
from harness.store import Store
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Reads:
    """Distinct prompts and corpora that a subject must have read, and how many the store holds under today's keys."""

    subject: str
    prompts: int
    in_store: int
    corpora: int
    corpora_in_store: int

    @property
    def to_read(self) -> int:
        """What a run would still read."""
        return self.prompts - self.in_store + self.corpora - self.corpora_in_store


@dataclass(frozen=True, slots=True)
class Explanation:
    """One spec in plain terms. units: per role the set's name, its prompts, its units, and these in words. smallest_p:
    of any evidence on these sets. cost: of what is still to be read. early: the verdict that no evidence can change.
    verdict, outlooks (per feature): where the store has all."""

    spec: Spec
    reads: tuple[Reads, ...]
    units: dict[str, tuple[str, int, int, str]]
    smallest_p: float | None
    cost: Cost
    early: Verdict | None
    verdict: Verdict | None = None
    outlooks: tuple[tuple[int, Outlook], ...] = ()
    missing: str = ""


def explain(spec: Spec, store: Store, reports: Path = Path("reports")) -> Explanation:
    """What `spec` claims, needs and costs; its power where the store has the evidence already. Reads no model.

    reports: the folder of earlier runs, which say how fast this machine reads.
    """
    early = before_running(spec)
    units = {role: _units_of(found.name, found.prompts, spec.claim.over) for role, found in spec.sets.items()}
    floor = spec.expectation.smallest_p(spec.sets, spec.asked)
    needs = list(spec.needs())
    made = plan(needs, store)
    cost = cost_of(made, spec.subjects, reports)
    found = Explanation(spec, tuple(_reads(needs, made)), units, floor, cost, early)
    return found if early is not None else _with_evidence(found, store)


def _units_of(name: str, prompts: Prompts, over: Over) -> tuple[str, int, int, str]:
    return name, len(prompts), grouping(prompts, over).n, counted_in_words(prompts, over)


def _reads(needs: Sequence[Need], made: Plan) -> Iterator[Reads]:
    cold = {reading.subject.name: len(reading.corpora) for group in made.groups for reading in group.readings}
    for name, wanted in made.wanted.items():
        corpora = len({need.corpus for need in needs if need.corpus is not None and need.subject.name == name})
        yield Reads(name, wanted, made.warm[name], corpora, corpora - cold.get(name, 0))


def _with_evidence(found: Explanation, store: Store) -> Explanation:
    spec = found.spec
    with tempfile.TemporaryDirectory(prefix="interp-explain-") as folder:
        runner = Runner(store, RunLog(Path(folder) / RUN_LOG), may_read=lambda subject: False)
        try:
            best = spec.best
            discovery = runner.discovery(best.prompts, best.than, spec.subject) if best is not None else None
            evidence = runner.evidence(spec)
            verdict = judge(spec, evidence, discovery)
            features = _features(spec, discovery)
            asked = [
                (f, spec.expectation.outlook(evidence, replace(spec.asked, feature=f)))
                for f in features
                if _measured(verdict)
            ]
        except Cold:
            return replace(found, missing="the store lacks what this claim needs; run its test, which reads it")
        except (Missing, EnvironmentFault) as fault:
            return replace(found, missing=str(fault))
    return replace(found, verdict=verdict, outlooks=tuple((f, o) for f, o in asked if o is not None))


def _features(spec: Spec, discovery: Evidence | None) -> Sequence[int]:
    if spec.best is not None and discovery is not None:
        return (best_feature(discovery, spec.claim, spec.best.by).feature,)
    return spec.features


def _measured(verdict: Verdict) -> bool:
    """Whether the claim's own number was measured: a dead or confounded one has no effect to go by."""
    return verdict.outcome in (Outcome.MET, Outcome.UNMET) or verdict.reason == "underpowered"


def bounds_of(spec: Spec) -> dict[str, str]:
    """The claim's bounds in words."""
    fields = {name: getattr(spec.expectation, name) for name in type(spec.expectation).model_fields}
    return {name: bound_text(value) for name, value in fields.items() if isinstance(value, Bound)}


def pages_of(found: Explanation) -> tuple[str, ...]:
    """The public pages of the claim's features, or of the one that was chosen."""
    chosen = found.verdict.feature if found.verdict is not None else None
    return public_pages(found.spec.subject.sae, found.spec.features or (() if chosen is None else (chosen,)))


def in_words(found: Explanation) -> Iterator[tuple[str, str]]:
    """(what, text) in the order of reading."""
    spec, claim = found.spec, found.spec.asked
    yield "claims", claim_in_words(spec)
    yield "kind", spec.kind
    for page in pages_of(found):
        yield "page", page
    yield from _beside(spec)
    for role, (name, _, _, counted) in found.units.items():
        yield role, f"{name}: {counted}"
    for role, corpus in spec.corpora.items():
        yield role, f"{corpus.name}: the first {corpus.token_limit:,} tokens"
    for reads in found.reads:
        yield "needs", _reads_text(reads)
    yield "costs", _cost_text(found.cost) if found.early is None else "nothing: what nothing can decide is not read"
    for subject in found.cost.subjects:
        lacks = ", ".join(subject.missing) or "nothing"
        yield "here", f"{subject.subject} on {subject.device}, {subject.dtype}: {lacks} missing"
    needed = spec.expectation.to_be_met(spec.sets, claim)
    if needed is not None:
        yield "to be met", needed
    if found.smallest_p is not None:
        yield "smallest p", f"{short(found.smallest_p)} (alpha {claim.alpha_in_words})"
    yield from _standing(found)


def _beside(spec: Spec) -> Iterator[tuple[str, str]]:
    """What stands beside the kind and changes what a verdict means, where it is not default."""
    if spec.discovered_on is not None:
        yield "found on", f"{spec.discovered_on.name}: {len(spec.discovered_on)} prompts, which it is not tested on"
    if spec.attributed_to is not None:
        yield "found on", Provenance("source", spec.attributed_to.where, spec.attributed_to.label).in_words
    if spec.severity != "fail":
        yield "severity", f"{spec.severity}: where it does not hold, its test passes with a line in the summary"
    if spec.xfail is not None:
        yield "xfail", f"expected to be unmet: {spec.xfail}"
    if spec.family is not None:
        q = "" if spec.q is None else f", at q {short(spec.q)}"
        yield "family", f"{spec.family}: corrected with its other claims{q}"


def _cost_text(cost: Cost) -> str:
    """`1 model load; 16 prompts (about 160 tokens); about 2 s`."""
    if not cost.loads:
        return "nothing: no model is loaded"
    loads = f"{cost.loads} model load{'s' * (cost.loads > 1)}"
    tokens = "tokens unknown, with pictures" if cost.text_tokens is None else f"about {cost.text_tokens:,} tokens"
    prompts = f"{cost.prompts} prompts ({tokens})" if cost.prompts else ""
    corpora = f"at most {cost.corpus_tokens:,} tokens of corpora" if cost.corpus_tokens else ""
    seconds = "seconds unknown on this machine" if cost.seconds is None else f"about {cost.seconds:,.0f} s"
    rate = "" if cost.seconds is None else ", at the rate of the last run that read"
    return "; ".join(filter(None, [loads, prompts, corpora, seconds + rate]))


def _reads_text(reads: Reads) -> str:
    """`216 prompts through tiny-gemma2: 200 in the store, 16 to be read`."""
    if not reads.prompts and not reads.corpora:
        return f"the weights of {reads.subject}, and no prompt"
    parts = [(reads.prompts, reads.in_store, "prompt"), (reads.corpora, reads.corpora_in_store, "corpus")]
    what = " and ".join(f"{n} {word}{'s' * (n > 1 and word == 'prompt')}" for n, _, word in parts if n)
    held = reads.in_store + reads.corpora_in_store
    return f"{what} through {reads.subject}: {held} in the store, {reads.to_read or 'nothing'} to be read"


def _standing(found: Explanation) -> Iterator[tuple[str, str]]:
    if found.early is not None:
        yield "can never", f"be met: {found.early.word}: {found.early.finding}"
    elif found.verdict is None:
        yield "now", f"not known: {found.missing}"
    else:
        yield "now", f"{found.verdict.word}: {found.verdict.finding}"
    for feature, outlook in found.outlooks:
        yield "power", f"feature {feature}: {outlook}"
    if found.verdict is not None and not found.outlooks and _measured(found.verdict):
        yield "power", "not known for this kind of claim, or these bounds"


def to_dict(found: Explanation) -> dict[str, Any]:
    """Plain types, for --json."""
    spec, verdict = found.spec, found.early or found.verdict
    found_on = provenance_of(spec)
    return {
        "id": spec.id,
        "file": spec.source.path,
        "line": spec.source.line,
        "kind": spec.kind,
        "claim": claim_in_words(spec),
        "bounds": bounds_of(spec),
        "features": list(spec.features),
        "pages": list(pages_of(found)),
        "scope": spec.claim.scope,
        "alpha": spec.claim.alpha,
        "sets": {r: {"name": n, "prompts": p, "units": u} for r, (n, p, u, _) in found.units.items()},
        "reads": [
            {"subject": r.subject, "prompts": r.prompts, "corpora": r.corpora, "to_read": r.to_read}
            for r in found.reads
        ],
        "cost": found.cost.to_dict(),
        "severity": spec.severity,
        "xfail": spec.xfail,
        "family": spec.family,
        "discovered_on": spec.discovered_on and spec.discovered_on.name,
        "provenance": found_on and found_on.to_dict(),
        "smallest_p": found.smallest_p,
        "to_be_met": spec.expectation.to_be_met(spec.sets, spec.asked),
        "decidable": found.early is None,
        "verdict": verdict and verdict.word,
        "finding": verdict and verdict.finding,
        "power": [{"feature": feature, **outlook.to_dict()} for feature, outlook in found.outlooks],
    }
