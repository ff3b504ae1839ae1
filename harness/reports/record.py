"""Record: one claim as judged. Run: all of them, and what they were judged on. Reports are written from these only."""

from __future__ import annotations

import copy
import datetime
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.agreement import trained_on
from harness.baselines import acceptable
from harness.claimed import claim_in_words
from harness.controls.base import Control
from harness.errors import Source
from harness.provenance import Provenance, provenance_of
from harness.releases import public_pages
from harness.reports.basis import Basis
from harness.reports.machine import git_state, machine, versions
from harness.reports.mistakes import Mistake
from harness.reports.plain import Lost, put_back, to_plain
from harness.reports.verdicts import PlainVerdict, verdict_from
from harness.spec import Broken, Spec
from harness.verdict import Outcome, Verdict

GREEN = ("met", "unmet as expected", "unmet (warn)", "inconclusive (warn)")


@dataclass(frozen=True, slots=True)
class Record:
    """One spec and its verdict, in Python's own types only, so that it survives a worker's channel and JSON.

    fingerprint: the code key of the evidence. prompts: distinct prompts used, `from_store` of them known before
    this run. seconds: judging, and for the first record also reading. q: p adjusted over its family, None where
    this run did not judge the family. errors: what is wrong with a spec that could not be read; then outcome is
    not_run. acceptable: what `interp accept` would make its baseline, None for kinds without one and where nothing was
    measured. provenance: where the feature was found; None where that is neither given nor needed. pages: the
    addresses of the features' public pages, where they have some. kept: an earlier run judged the same claim on the
    same evidence by the same code (kept.py). claim: what is claimed, as one plain sentence; empty where the spec could
    not be read. read_otherwise: what is read otherwise than the SAE was trained, with the owner's reasons.
    sae_trained_on: another model, by its name, than the one that is read.
    """

    id: str
    suite: str
    source: Source
    verdict: Verdict
    kind: str = ""
    subject: str = ""
    device: str = ""
    features: tuple[int, ...] = ()
    fingerprint: str = ""
    prompts: int = 0
    from_store: int = 0
    seconds: float = 0.0
    alpha: float | None = None
    scope: str = ""
    q: float | None = None
    severity: str = "fail"
    xfail: str | None = None
    why: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    errors: tuple[Mistake, ...] = ()
    acceptable: dict[str, Any] | None = None
    provenance: Provenance | None = None
    pages: tuple[str, ...] = ()
    kept: bool = False
    claim: str = ""
    read_otherwise: dict[str, str] = field(default_factory=dict)
    sae_trained_on: str = ""
    _told: Mapping[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        spec: Spec,
        verdict: Verdict,
        fingerprint: str,
        prompts: int,
        from_store: int,
        seconds: float,
        kept: bool = False,
        plain: PlainVerdict | None = None,
        claim: str | None = None,
    ) -> Record:
        """The record of a spec that was read, whether or not it could be judged. plain: of the verdict, where the
        caller has it: long texts token by token make it most of the work. claim: its words, where its kind has none."""
        chosen = () if verdict.feature is None else (verdict.feature,)
        return cls(
            id=spec.id,
            suite=spec.suite,
            source=spec.source,
            verdict=verdict,
            kind=spec.kind,
            subject=spec.subject.name,
            device=spec.subject.device,
            features=spec.features or chosen,
            fingerprint=fingerprint,
            prompts=prompts,
            from_store=from_store,
            seconds=seconds,
            alpha=spec.claim.alpha,
            scope=spec.claim.scope,
            severity=spec.severity,
            xfail=spec.xfail,
            why=spec.why,
            owner=spec.owner,
            tags=spec.tags,
            text=spec.text,
            acceptable=acceptable(spec, verdict),
            provenance=provenance_of(spec),
            pages=public_pages(spec.subject.sae, spec.features or chosen),
            kept=kept,
            claim=claim_in_words(spec) if claim is None else claim,
            read_otherwise=_otherwise(spec),
            sae_trained_on=trained_on(spec.subject),
        ).in_plain_types(plain)

    @classmethod
    def broken(cls, broken: Broken) -> Record:
        """The record of a spec or file that could not be read; its first mistake is the finding."""
        errors = tuple(Mistake.of(error) for error in broken.errors)
        first = f"{errors[0].source}: {errors[0].code}: {errors[0].message}" if errors else "could not be read"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        verdict = Verdict(Outcome.NOT_RUN, first + more)
        record = cls(broken.id, broken.suite, broken.source, verdict, tags=broken.tags, errors=errors)
        return record.in_plain_types()

    @property
    def standing(self) -> str:
        """How the claim stands in its run: the outcome, with what the spec says about it."""
        outcome = self.verdict.outcome
        if self.errors:
            return "broken"
        if self.xfail and outcome in (Outcome.MET, Outcome.UNMET):
            return "unmet as expected" if outcome is Outcome.UNMET else "met unexpectedly"
        if self.severity == "warn" and outcome in (Outcome.UNMET, Outcome.INCONCLUSIVE):
            return f"{outcome} (warn)"
        return str(outcome).replace("_", " ")

    @property
    def is_red(self) -> bool:
        """Whether its test fails; one of a cuda subject that was not to be read is skipped."""
        return self.standing not in GREEN and not self.verdict.details.get("cold")

    def to_dict(self) -> dict[str, Any]:
        """One record of results.json (results.schema.json): JSON's types only; NaN is null, noted in not_finite."""
        return dict(self._told or self._as_dict())

    def _as_dict(self, plain: PlainVerdict | None = None) -> dict[str, Any]:
        verdict, lost = plain or PlainVerdict.of(self.verdict), Lost()
        before = {
            "id": self.id,
            "file": self.source.path,
            "line": self.source.line,
            "column": self.source.column,
            "suite": self.suite,
            "kind": self.kind or None,
            "subject": self.subject or None,
            "device": self.device or None,
            "features": self.features,
        }
        after = {
            "severity": self.severity,
            "xfail": self.xfail,
            "alpha": self.alpha,
            "scope": self.scope or None,
            "q": self.q,
            "errors": [error.to_dict() for error in self.errors],
            "fingerprint": self.fingerprint or None,
            "evidence": {"prompts": self.prompts, "from_store": self.from_store},
            "seconds": self.seconds,
            "why": self.why,
            "owner": self.owner,
            "tags": self.tags,
            "text": self.text,
            "acceptable": self.acceptable,
            "provenance": self.provenance and self.provenance.to_dict(),
            "pages": self.pages,
            "kept": self.kept,
            "claim": self.claim,
            "read_otherwise": self.read_otherwise,
            "sae_trained_on": self.sae_trained_on,
        }
        data = {**to_plain(before, lost), **verdict.keys, **to_plain(after, lost)}
        return {**data, "not_finite": [*verdict.not_finite, *lost]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], verdict: Verdict | None = None) -> Record:
        """The record that `to_dict` was made from; KeyError where a field is missing.

        verdict: the one that its keys stand for, where the caller has it in plain types.
        """
        known = copy.deepcopy(dict(data)) if data["not_finite"] else dict(data)
        put_back(known, known["not_finite"])
        record = cls(
            id=known["id"],
            suite=known["suite"],
            source=Source(known["file"], known["line"], known["column"]),
            verdict=verdict or verdict_from(known),
            kind=known["kind"] or "",
            subject=known["subject"] or "",
            device=known["device"] or "",
            features=tuple(known["features"]),
            fingerprint=known["fingerprint"] or "",
            prompts=known["evidence"]["prompts"],
            from_store=known["evidence"]["from_store"],
            errors=tuple(Mistake.from_dict(error) for error in known["errors"]),
            scope=known["scope"] or "",
            tags=tuple(known["tags"]),
            acceptable=known["acceptable"],
            provenance=Provenance.from_dict(known["provenance"]) if known.get("provenance") else None,
            pages=tuple(known.get("pages", ())),  # runs from before it had any
            kept=known.get("kept", False),
            claim=known.get("claim", ""),
            read_otherwise=dict(known.get("read_otherwise", {})),
            sae_trained_on=known.get("sae_trained_on", ""),
            **{name: known[name] for name in ("seconds", "alpha", "q", "severity", "xfail", "why", "owner", "text")},
        )
        object.__setattr__(record, "_told", data)  # a report, the page and results.json ask for it again
        return record

    def in_plain_types(self, plain: PlainVerdict | None = None) -> Record:
        """The same record with Python's own types only, as its file or a worker's channel would give it back.

        plain: what its verdict was made from (kept.py), or makes; of a verdict that was kept nothing is made again.
        """
        return Record.from_dict(self._as_dict(plain), self.verdict if plain and self.kept else None)


def _otherwise(spec: Spec) -> dict[str, str]:
    """The reasons of the spec's own subject, and those of others under their names."""
    own = dict(spec.subject.read_otherwise)
    others = {f"{one.name}: {key}": why for one in spec.others.values() for key, why in one.read_otherwise}
    return {**own, **others}


@dataclass(frozen=True, slots=True)
class Run:
    """All records of one run, in the order of the files, and what they were judged on.

    started: ISO 8601 in UTC. commit: the checkout's, `dirty` where the checkout differs from it, None without git.
    device: the devices of the subjects judged. capture: {subject: {loads, prompts, tokens, batches, seconds}}, what
    this run read; empty when all came from the store. partial: it was interrupted, or lost a record. faults:
    {subject, code, message} of what could not be had. controls: claims of known truth that went the same way.
    weights: {fingerprint: digests of the weights that its evidence was read with} (harness/weights.py). basis: what
    the claims were judged on, by keys.
    """

    id: str
    started: str
    seconds: float
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    machine: dict[str, Any]
    device: str
    command: str
    must_run: bool
    partial: bool
    records: tuple[Record, ...]
    capture: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: tuple[dict[str, str], ...] = ()
    controls: tuple[Control, ...] = ()
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    basis: Basis = field(default_factory=Basis)

    @property
    def invalid(self) -> tuple[str, ...]:
        """A line for each control that gave the wrong answer: with any, the run shows nothing, whatever claims say."""
        return tuple(str(control) for control in self.controls if control.misbehaves)

    @classmethod
    def now(
        cls,
        started: datetime.datetime,
        command: str,
        must_run: bool,
        records: Iterable[Record],
        capture: Mapping[str, Mapping[str, Any]],
        partial: bool = False,
        faults: Sequence[Mapping[str, str]] = (),
        root: Path | None = None,
        controls: Sequence[Control] = (),
        weights: Mapping[str, Mapping[str, Any]] | None = None,
        basis: Basis | None = None,
    ) -> Run:
        """The run that ends now. `started` is aware of its zone; `root` is the checkout whose commit counts."""
        begun = started.astimezone(datetime.UTC)
        ordered = tuple(sorted(records, key=lambda r: (r.source.path, r.source.line, r.source.column, r.id)))
        commit, dirty = git_state(root or Path.cwd())
        return cls(
            id=f"{begun:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            started=begun.isoformat(timespec="seconds"),
            seconds=round((datetime.datetime.now(datetime.UTC) - begun).total_seconds(), 3),
            commit=commit,
            dirty=dirty,
            versions=versions(),
            machine=machine(),
            device=", ".join(sorted({record.device for record in ordered if record.device})),
            command=command,
            must_run=must_run,
            partial=partial,
            records=ordered,
            capture={name: dict(counts) for name, counts in capture.items()},
            faults=tuple(dict(fault) for fault in faults),
            controls=tuple(controls),
            weights={name: dict(sample) for name, sample in (weights or {}).items()},
            basis=basis or Basis(),
        )
