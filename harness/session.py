"""One run over some specs: plan and read once, then judge each. Knows nothing of pytest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.answers import answers
from harness.balanced import ruled_out_elsewhere
from harness.cachedir import cache_dir
from harness.controls import Control, run_controls
from harness.errors import EnvironmentFault, guarded
from harness.expectations.evidence import Evidence
from harness.families import Family, judge_family
from harness.inputs import Subject
from harness.judging import as_read, before_running, judge, kind_raised, with_outlook
from harness.kept import Kept, KeptRow, KeptVerdict
from harness.keptcontrols import KeptControls
from harness.mutants import derived_specs
from harness.mutants.score import with_trials
from harness.mutants.trying import Unread, try_mutants
from harness.planning import WHOLE, Shard
from harness.rechecking import in_float32, lacks_recheck, not_rechecked, settled_by
from harness.reports.exhibits import Exhibits
from harness.reports.joined import family_record
from harness.reports.record import Record
from harness.runlog import RUN_LOG, RunLog
from harness.running import Cold, Missing, Runner
from harness.running.doors import Engine
from harness.spec import Broken, Spec
from harness.store import Store
from harness.vacuity import failing_vacuous
from harness.verdict import Outcome, Verdict

Mutate = Literal["no", "stored", "all"]


def default_store() -> Path:
    """INTERP_STORE, else evidence.sqlite in the cache folder; content-addressed, so all checkouts may share it."""
    named = os.environ.get("INTERP_STORE")
    return Path(named) if named else cache_dir() / "evidence.sqlite"


@dataclass(slots=True, repr=False)
class SpecSession:
    """The specs selected in one process, and the runner that answers for them.

    selected: what is read at once: the specs that were chosen, and all members of the families that were.
    fail_vacuous: a claim that says little is not met (vacuity.py). mutate: judge mutants of every
    met claim's evidence; `stored` reads no model for them. exhibits: what the page shows of the evidence of each claim.
    judged_before: the ids of the claims whose verdicts were kept from an earlier run (kept.py).
    """

    runner: Runner
    selected: Sequence[Spec]
    fail_vacuous: bool = False
    mutate: Mutate = "no"
    exhibits: Exhibits = field(default_factory=Exhibits)
    judged_before: set[str] = field(default_factory=set)
    kept: Kept = field(init=False)
    _ready: bool = False
    _unprepared: EnvironmentFault | None = None
    _early: dict[str, Verdict | None] = field(default_factory=dict)
    _of_members: dict[str, Verdict] = field(default_factory=dict)
    _ahead: dict[str, tuple[Evidence, Verdict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.runner)

    def record(self, item: Spec | Broken | Family) -> Record:
        """Judge one item; everything selected is read before the first is judged. Never raises for a claim."""
        if isinstance(item, Broken):
            return Record.broken(item)
        self.prepare()
        began = time.perf_counter()
        if isinstance(item, Family):
            return self._family_record(item, began)
        verdict = self._verdict(item)
        return guarded(
            lambda: self._recorded(item, verdict, began),
            lambda error: self._recorded(item, kind_raised(item, "was put into words", error), began, item.kind),
        )

    def _recorded(self, spec: Spec, verdict: Verdict, began: float, claim: str | None = None) -> Record:
        prompts, from_store = self._used(verdict, spec)
        fingerprint = self.runner.code_key(spec.subject)
        kept, plain = spec.id in self.judged_before, self.kept.plain(spec, verdict)
        took = time.perf_counter() - began
        return Record.of(spec, verdict, fingerprint, prompts, from_store, took, kept, plain, claim)

    def _family_record(self, family: Family, began: float) -> Record:
        verdict = judge_family(family, {} if family.broken else {s.id: self._verdict(s) for s in family.members})
        prompts, from_store = self._used(verdict, *family.members)
        return family_record(family, verdict, prompts, from_store, time.perf_counter() - began)

    def _used(self, verdict: Verdict, *specs: Spec) -> tuple[int, int]:
        """(distinct prompts that a verdict was reached from, how many of them an earlier run had read)."""
        read = [] if verdict.outcome is Outcome.NOT_RUN else [spec for spec in specs if self._before(spec) is None]
        return self.runner.used(*read)

    def prepare(self) -> None:
        """Read what the selected specs lack, once. What nobody foresaw here is a fault of every claim, in one line."""
        if not self._ready:
            self._ready = True
            try:
                self.runner.ensure(self.specs_read(), self._judge_those_that_ask)
                self.kept.look_up(spec for spec in self.selected if self._before(spec) is None)
            except Exception as error:  # noqa: BLE001 - a traceback for each claim would say no more
                self._unprepared = EnvironmentFault.unforeseen("reading_failed", "reading", error)

    def specs_read(self) -> list[Spec]:
        """Whose evidence is read: not of specs that nothing can decide; of mutants where they are asked for."""
        specs = [spec for spec in self.selected if self._before(spec) is None]
        changed = [one for spec in specs for one in derived_specs(spec)] if self.mutate == "all" else []
        return [*specs, *changed]

    def _judge_those_that_ask(self, subjects: Collection[Subject]) -> None:
        """Judge the claims about these subjects that ask for more prompts, as long as their model is in memory.

        A process that judges them later finds in the store what they asked for. What cannot be judged yet is judged in
        its turn, which says why.
        """
        for spec in self.selected:
            if spec.expectation.asks and spec.subject in subjects and self._before(spec) is None:
                with suppress(EnvironmentFault):
                    judged = guarded(partial(self._evidence_and_verdict, spec), lambda _: None)
                    self._ahead |= {spec.id: judged} if judged else {}

    def controls(self, judged: Sequence[Spec], earlier: Collection[str] = ()) -> list[Control]:
        """The controls of a run that judged these claims, in whatever process: all that they read is in the store.

        earlier: the ids of those whose verdicts are an earlier run's (keptcontrols.py); none: all is made anew.
        """
        return run_controls(judged, self._read, KeptControls(self.kept, earlier))

    def keep(self, controls: Sequence[Control], others: Iterable[KeptRow] = ()) -> None:
        """Keep what was judged in this run, here and in other processes, unless a control misbehaved."""
        if all(control.holds for control in controls):
            self.kept.write(others)

    def _verdict(self, spec: Spec) -> Verdict:
        """Of a member of a family it is kept: its own test and the family's ask for it."""
        if spec.family is None:
            return self._judged(spec)
        if spec.id not in self._of_members:
            self._of_members[spec.id] = self._judged(spec)
        return self._of_members[spec.id]

    def _before(self, spec: Spec) -> Verdict | None:
        """What no evidence can change; asked for when reading, judging and counting. Of a kind that raises what it is
        asked before anything is read, that it did: nothing is read for it."""
        if spec.id not in self._early:
            self._early[spec.id] = guarded(
                lambda: self._asked(spec), lambda error: kind_raised(spec, "was asked what it needs", error)
            )
        return self._early[spec.id]

    def _asked(self, spec: Spec) -> Verdict | None:
        early = before_running(spec)
        if early is None:
            list(spec.needs())
            self.kept.key(spec)
            if self.mutate == "all":
                derived_specs(spec)
        return early

    def _judged(self, spec: Spec) -> Verdict:
        try:
            if self._unprepared is not None:
                raise self._unprepared
            return guarded(lambda: self._judge(spec), lambda error: self._not_judged(spec, error))
        except Cold as cold:
            return _not_run(f"not run: {cold}", cold.faults, cold=True)
        except Missing as missing:
            return _not_run(f"could not be run: {missing}", missing.faults)
        except EnvironmentFault as fault:
            return _not_run(f"could not be run: {fault}", [fault])

    def _not_judged(self, spec: Spec, error: BaseException) -> Verdict:
        if isinstance(error, Missing):
            raise error
        return kind_raised(spec, "was judged", error)

    def _judge(self, spec: Spec) -> Verdict:
        early = self._before(spec)
        if early is not None:
            return early.with_(warnings=(*early.warnings, *as_read(spec)))
        found = self.kept.find(spec)
        verdict = self._judged_now(spec) if found is None else self._judged_before(spec, found)
        if self.mutate != "no" and verdict.outcome is Outcome.MET:
            verdict = with_trials(verdict, try_mutants(spec, verdict, self._read_or_not), spec.expectation.rivals)
        with suppress(Missing):
            verdict = ruled_out_elsewhere(spec, verdict, self.selected, self._beside)
        return failing_vacuous(verdict) if self.fail_vacuous else verdict

    def _beside(self, spec: Spec) -> tuple[Verdict, Evidence]:
        """A claim's verdict on another one's behalf, and its evidence."""
        early = self._before(spec)
        evidence, discovery = self._read(spec)
        found = self.kept.find(spec) if early is None else None
        return early or (judge(spec, evidence, discovery) if found is None else found.verdict), evidence

    def _judged_before(self, spec: Spec, found: KeptVerdict) -> Verdict:
        self.exhibits.put_back(spec, found.card)
        self.judged_before.add(spec.id)
        return found.verdict

    def _judged_now(self, spec: Spec) -> Verdict:
        """From its evidence, and kept where nothing stood in the way."""
        ahead = self._ahead.pop(spec.id) if spec.id in self._ahead else None
        evidence, verdict = ahead or self._evidence_and_verdict(spec)
        verdict = self._rechecked(spec, verdict)
        verdict = with_outlook(spec, verdict, evidence)
        card = self.exhibits.add(spec, evidence, verdict)
        verdict = _answered(spec, verdict, evidence)
        if not (lacks_recheck(verdict) or getattr(evidence.ask, "refused", False)):
            self.kept.put(spec, verdict, card)
        return verdict

    def _evidence_and_verdict(self, spec: Spec) -> tuple[Evidence, Verdict]:
        evidence, discovery = self._read(spec)
        return evidence, judge(spec, evidence, discovery)

    def _rechecked(self, spec: Spec, verdict: Verdict) -> Verdict:
        """A fragile verdict beside that of the same claim with the models in float32, read now where they can be."""
        precise = in_float32(spec) if verdict.fragile else None
        if precise is None:
            return verdict
        try:
            self.runner.ensure([precise])
            return settled_by(verdict, judge(precise, *self._read(precise)))
        except (Missing, EnvironmentFault) as fault:
            return not_rechecked(verdict, str(fault))

    def _read(self, spec: Spec) -> tuple[Evidence, Evidence | None]:
        """What a spec is judged from, and what `best` chooses on."""
        best = spec.best
        chosen = None if best is None else self.runner.discovery(best.prompts, best.than, spec.subject)
        return self.runner.evidence(spec), chosen

    def _read_or_not(self, spec: Spec) -> tuple[Evidence, Evidence | None]:
        try:
            return self._read(spec)
        except Missing as missing:
            stored = f"{spec.subject.name} is not in the store, and no model was to be read"
            raise Unread(stored if self.mutate == "stored" else str(missing)) from missing


def _not_run(finding: str, faults: Sequence[EnvironmentFault], **details: Any) -> Verdict:
    codes = sorted({fault.code for fault in faults})
    trace = next((fault.trace for fault in faults if fault.trace), "")
    return Verdict(
        Outcome.NOT_RUN, finding, details={**details, "faults": codes, **({"traceback": trace} if trace else {})}
    )


def _answered(spec: Spec, verdict: Verdict, evidence: Evidence) -> Verdict:
    """An unmet verdict that nobody expected, with what would be true instead."""
    if verdict.outcome is not Outcome.UNMET or verdict.feature is None or spec.xfail:
        return verdict
    return verdict.with_(details={**verdict.details, **answers(spec, verdict.feature, evidence)})


def open_session(
    selected: Sequence[Spec],
    store: Store,
    shared: Path,
    must_run: Callable[[Spec], bool],
    progress: Callable[[str], None],
    fail_vacuous: bool = False,
    mutate: Mutate = "no",
    shard: Shard = WHOLE,
    engine: Engine | None = None,
    scratch: Path | None = None,
) -> SpecSession:
    """A session whose cuda subjects are read only where some selected spec of theirs must run."""
    wanted = [spec for spec in selected if must_run(spec)]
    if mutate == "all":
        wanted += [one for spec in wanted for one in guarded(partial(derived_specs, spec), lambda _: [])]
    demanded = {subject.name for spec in wanted for subject in spec.subjects}
    runner = Runner(
        store,
        RunLog(shared / RUN_LOG),
        may_read=lambda subject: subject.device != "cuda" or subject.name in demanded,
        progress=progress,
        shard=shard,
        engine=engine,
        scratch=scratch,
    )
    return SpecSession(runner, selected, fail_vacuous, mutate)
