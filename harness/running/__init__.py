"""The one door to capture/: `ensure` reads what the store lacks; `evidence` is what a spec is judged from."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from harness.codes import Codes, concat
from harness.digests import verify
from harness.errors import EnvironmentFault, contained
from harness.expectations.evidence import Evidence, Stream
from harness.inputs import Corpus, Need, Prompt, PromptSet, Reading, Subject
from harness.keys import code_key, code_parts, corpus_key, prompt_key
from harness.planning import WHOLE, Group, Plan, Shard, plan
from harness.promotion import SAMPLE, Promotions, joined
from harness.runlog import WHOLE_SUBJECT, RunLog
from harness.running.asking import Asker
from harness.running.doors import Engine, read_here
from harness.running.inmemory import InMemory
from harness.running.sinks import Apart, Aside, StoreSink
from harness.running.standing import Standing
from harness.sentences import sentences_of
from harness.spec import Spec
from harness.sums import Sums
from harness.weights import stated_otherwise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.store import Store

LOCK_POLL_S = 0.2
SENTENCES_AT_ONCE = 256  # whose codes are in memory together

WhileLoaded = Callable[[Collection[Subject]], None]


class Missing(Exception):
    """Evidence that a spec needs and that could not be read; `faults` say why, each once."""

    def __init__(self, faults: Sequence[EnvironmentFault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)

    def as_fault(self) -> EnvironmentFault:
        """The first of the faults, for a caller who shows one message; it says how many there are besides."""
        first, others = self.faults[0], len(self.faults) - 1
        if not others:
            return first
        more = "There is 1 more fault." if others == 1 else f"There are {others:,} more faults."
        return EnvironmentFault(first.code, f"{first.message} {more}", first.mend)


class Cold(Missing):
    """Evidence of a subject that this run was not asked to read (a cuda subject in a plain `pytest`)."""


@dataclass(slots=True, repr=False)
class Runner:
    """Reads and hands out evidence, for one process.

    store: where evidence lies. log: what this run has read, shared by its processes (its folder also holds
    the locks). may_read: False where a cold subject is left alone. progress: takes one line.
    scratch: where evidence of this run goes once the store takes no more (a full disk); None: that is a fault.
    shard: the part of what is missing that this process reads. engine: what reads it; in this process by default.
    capture: per subject the counts of what this process read, as results.json shows them.
    """

    store: Store
    log: RunLog
    may_read: Callable[[Subject], bool] = lambda subject: True
    progress: Callable[[str], None] = lambda line: None
    shard: Shard = WHOLE
    engine: Engine | None = None
    scratch: Path | None = None
    capture: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sets: dict[tuple[str, tuple[Prompt, ...]], Codes] = field(default_factory=dict)
    _same_sets: dict[tuple[str, int], tuple[tuple[Prompt, ...], Codes]] = field(default_factory=dict)
    _streams: dict[tuple[str, int], tuple[tuple[Prompt, ...], Stream]] = field(default_factory=dict)
    _rows: dict[tuple[str, int], tuple[tuple[Prompt, ...], frozenset[tuple[str, str]]]] = field(default_factory=dict)
    _cache: dict[Any, Any] = field(default_factory=dict)
    _code_keys: dict[Subject, str] = field(default_factory=dict)
    _promoted: dict[tuple[str, str], Promotions] = field(default_factory=dict)
    _replaced: int = 0
    _wanted: list[Need] = field(default_factory=list)
    _in_memory: InMemory = field(default_factory=InMemory)
    _held: set[str] = field(default_factory=set)
    _standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        self._standing = Standing(self.log, self.code_key, self._rows_of)

    def ensure(self, specs: Iterable[Spec], while_loaded: WhileLoaded = lambda subjects: None) -> Plan:
        """Read what these specs need and the store lacks. A group that fails, fails its own specs only.

        Each process takes the lock of any cold group that is free, reads it, and waits only when all are taken.
        while_loaded: called with the subjects of each group that was read here, under its lock and before its model is
        let go: what is asked for then costs no further load, in this process or in any other.
        """
        asked = list(specs)
        made = self.read([need for spec in asked for need in spec.needs()], while_loaded)
        self._standing.take(made, asked)
        return made

    def read(self, needs: Sequence[Need], while_loaded: WhileLoaded = lambda subjects: None) -> Plan:
        """Read what these needs ask for and the store lacks. while_loaded: as in `ensure`."""
        self._wanted += needs
        self._verify({need.subject for need in needs})
        made = self._planned(needs)
        waiting = [group for group in made.groups if self._is_ours(group)]
        self._tell_what_moved([r for g in waiting for r in g.readings if not made.warm[r.subject.name]])
        while waiting:
            left = [group for group in waiting if not self._try(group, while_loaded)]
            if len(left) == len(waiting):
                time.sleep(LOCK_POLL_S)
            waiting = left
        self.log.refresh()
        return made

    def _planned(self, needs: Sequence[Need]) -> Plan:
        """What the store lacks; looked up again where it turned out damaged half-way, and so lacks all."""
        while True:
            self._replaced = self.store.replaced
            made = plan(needs, self.store, self.shard)
            if self.store.replaced == self._replaced:
                return made

    def codes(self, subject: Subject, prompts: Sequence[Prompt]) -> Codes:
        """The codes of these prompts in order, from the store; Missing says why there are none."""
        wanted = tuple(prompts)  # the very tuple of a PromptSet, which several claims share: no hashing then
        code = self.code_key(subject)
        same = self._same_sets.get((code, id(wanted)))
        if same is None:
            same = self._same_sets[code, id(wanted)] = (wanted, self._codes_of(subject, code, wanted))
        return same[1]

    def _codes_of(self, subject: Subject, code: str, wanted: tuple[Prompt, ...]) -> Codes:
        if (code, wanted) not in self._sets:
            keys = [prompt_key(prompt) for prompt in wanted]
            found = self.store.get(code, set(keys))
            self._demand(subject, keys, found)
            self._sets[code, wanted] = concat([found[key] for key in keys])
        return self._sets[code, wanted]

    def stands(self, spec: Spec) -> bool:
        """Whether all that this spec reads is in the store, undamaged; of a spec that `ensure` was asked for."""
        return self._standing.holds(spec)

    def residuals(self, subject: Subject, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """The activations themselves, [n_tokens, d_in] fp32, aligned with the tokens of `codes`."""
        import numpy as np

        keys = [prompt_key(prompt) for prompt in prompts]
        found = self.store.get_residuals(self.code_key(subject), set(keys))
        self._demand(subject, keys, found)
        return np.concatenate([found[key] for key in keys])

    def sums(self, subject: Subject, corpus: Corpus) -> Sums:
        """The streaming sums of a corpus, from the store."""
        key = corpus_key(corpus)
        found = self.store.get_sums(self.code_key(subject), key)
        if found is None:
            raise self._missing(subject, [key])
        return found

    def stream(self, subject: Subject, prompts: tuple[Prompt, ...]) -> Stream:
        """The codes of these prompts in order, taken from the store batch by batch; all must be there by now."""
        code = self.code_key(subject)
        key = code, id(prompts)
        if key not in self._streams:
            rows = [prompt_key(prompt) for prompt in prompts]
            self._demand(subject, rows, self.store.have(code, set(rows)))
            self._streams[key] = prompts, Stream(partial(self._batches, code, rows))
        return self._streams[key][1]

    def _batches(self, code: str, rows: Sequence[str]) -> Iterator[Codes]:
        for first in range(0, len(rows), SENTENCES_AT_ONCE):
            some = rows[first : first + SENTENCES_AT_ONCE]
            found = self.store.get(code, set(some))
            yield concat([found[row] for row in some])

    def promotions(self, subject: Subject, features: Sequence[int]) -> Promotions:
        """What the decoder directions of these features and of the sample promote, from the store."""
        code, rows = self.code_key(subject), [SAMPLE, *map(str, features)]
        unread = {row for row in rows if (code, row) not in self._promoted}
        found = self.store.get_promotions(code, unread)
        self._promoted |= {(code, row): one for row, one in found.items()}
        here = {row: self._promoted[code, row] for row in rows if (code, row) in self._promoted}
        self._demand(subject, rows, here)
        return joined(here.values())

    def evidence(self, spec: Spec) -> Evidence:
        """Everything that judging this spec reads."""
        return self._whole(lambda: list(spec.needs()), lambda: self._evidence(spec))

    def _whole(self, needs: Callable[[], Sequence[Need]], get: Callable[[], Evidence]) -> Evidence:
        """What `get` finds in the store; where what was there, or was just read, is gone, all that this run has asked
        for is read again first: in one load of each model, not in one for each claim.

        A file that gives back nothing of what was written to it a moment ago is damaged, whatever it says of itself.
        """
        for attempt in range(3):
            try:
                return get()
            except Missing as missing:
                if any(fault.code != "cold" for fault in missing.faults) or not self._lost(needs()) or attempt == 2:
                    raise
                if attempt == 1:
                    self.store.database.set_aside("what was just written is not found")
                self.read([*self._wanted, *needs()])
        raise AssertionError("the last attempt returns or raises")

    def _lost(self, needs: Sequence[Need]) -> bool:
        """Whether the store lacks what it had, or what this run has read, of subjects that may be read here."""
        if not all(self.may_read(need.subject) for need in needs):
            return False
        if self.store.replaced != self._replaced:
            return True
        rows = {(r.code_key, row) for group in plan(needs, self.store).groups for r in group.readings for row in r.rows}
        return bool(rows & self.log.read)

    def _evidence(self, spec: Spec) -> Evidence:
        sets = spec.all_sets()
        of_sentences = spec.expectation.reads_sentences
        read = {role: sentences_of(corpus) for role, corpus in spec.corpora.items() if of_sentences}
        return Evidence(
            sets={**sets, **read},
            codes_of={
                (role, name): self.codes(subject, prompts.prompts)
                for role, prompts in sets.items()
                for name, subject in spec.readers(role)
            },
            sums_of={
                (role, name): self.sums(subject, corpus)
                for role, corpus in spec.corpora.items()
                if not of_sentences
                for name, subject in spec.readers(role)
            },
            streams={
                (role, name): self.stream(subject, prompts.prompts)
                for role, prompts in read.items()
                for name, subject in spec.readers(role)
            },
            residuals_of={
                (role, name): self.residuals(subject, prompts.prompts)
                for role, prompts in sets.items()
                if spec.expectation.needs_residuals(role)
                for name, subject in spec.readers(role)
            },
            promotions=self.promotions(spec.subject, spec.features) if spec.expectation.reads_decoder else None,
            cache=self._cache,
            ask=Asker(self, spec.subject) if spec.expectation.asks else None,
        )

    def discovery(self, prompts: PromptSet, than: PromptSet, subject: Subject) -> Evidence:
        """The two sets on which `feature: {best: ...}` chooses."""
        needs = [Need(subject, prompts.prompts), Need(subject, than.prompts)]
        return self._whole(lambda: needs, lambda: self._discovery(prompts, than, subject))

    def _discovery(self, prompts: PromptSet, than: PromptSet, subject: Subject) -> Evidence:
        sets = {"prompts": prompts, "than": than}
        codes: dict[tuple[str, str | None], Codes] = {
            (role, None): self.codes(subject, chosen.prompts) for role, chosen in sets.items()
        }
        return Evidence(sets=sets, codes_of=codes, cache=self._cache)

    def read_aside(self, reading: Reading) -> None:
        """Read what turned out to be wanted while judging. Raises EnvironmentFault, and notes none for the run: what
        its specs need is there. The model stays in memory until another one is read."""
        verify(reading.subject)
        kept = self._in_memory.of(reading.subject)
        with self._locked(Group((reading,)), timeout=-1):
            for counts in read_here([reading], Aside(self, [reading]), lambda line: None, kept):
                self._count(counts)

    def read_apart(self, subject: Subject, prompts: Sequence[Prompt], one_by_one: bool = False) -> Codes:
        """The codes of these prompts, read now and not kept; EnvironmentFault where one cannot be.

        one_by_one: each prompt in a batch of its own, not in the device's usual one.
        """
        from harness.capture.engine import read_model

        verify(subject)
        self._in_memory.let_go()
        wanted, apart = {prompt_key(p): p for p in prompts}, Apart()
        reading = Reading(subject, self.code_key(subject), tuple(sorted(wanted.items(), key=lambda one: one[0])))
        read_model([reading], apart, self.progress, one_by_one=one_by_one)
        for fault in apart.faults:
            raise fault
        return concat([apart.found[prompt_key(p)] for p in prompts])

    def used(self, *specs: Spec) -> tuple[int, int]:
        """(distinct prompts of these specs, how many of them were in the store before this run)."""
        keys: set[tuple[str, str]] = set()
        for need in (need for spec in specs for need in spec.needs()):
            keys |= self._rows_of(self.code_key(need.subject), need.prompts)
            if need.corpus is not None:
                keys.add((self.code_key(need.subject), corpus_key(need.corpus)))
        return len(keys), len(keys - self.log.read)

    def keep(self, put: Callable[[Store], None]) -> None:
        """Write evidence; once the store takes no more, beside it, so that the run still judges what it reads."""
        try:
            put(self.store)
        except EnvironmentFault as fault:
            if self.scratch is None or fault.code != "store_not_writable":
                raise
            from harness.store import spilled

            warnings.warn(f"{fault} This run keeps its evidence to itself.", RuntimeWarning, stacklevel=2)
            self.store, self.scratch = spilled(self.store, self.scratch), None
            put(self.store)

    def _rows_of(self, code: str, prompts: tuple[Prompt, ...]) -> frozenset[tuple[str, str]]:
        """(code key, prompt key) of each, looked up by the tuple, which stays alive with it."""
        known = self._rows.get((code, id(prompts)))
        if known is None:
            known = self._rows[code, id(prompts)] = prompts, frozenset((code, prompt_key(p)) for p in prompts)
        return known[1]

    def code_key(self, subject: Subject) -> str:
        """Of a subject's evidence; made once a run, though each of its claims asks."""
        if subject not in self._code_keys:
            self._code_keys[subject] = code_key(subject)
        return self._code_keys[subject]

    def _verify(self, subjects: Iterable[Subject]) -> None:
        for subject in subjects:
            try:
                verify(subject)
                self._must_be_as_stated(subject)
            except EnvironmentFault as fault:
                self.log.note_fault(self.code_key(subject), WHOLE_SUBJECT, fault)

    def _must_be_as_stated(self, subject: Subject) -> None:
        """What subjects.yaml states of the SAE is what the evidence was read with, if there is any."""
        read = self.store.get_weights(self.code_key(subject))
        wrong = ", ".join(stated_otherwise(read, subject.sae)) if read is not None else ""
        if wrong:
            text = f"SAE {subject.sae.name}: specs/subjects.yaml says {wrong}, as the evidence was read."
            raise EnvironmentFault("sae_mismatch", text, "Correct the entry, or name the SAE that is meant.")

    def _tell_what_moved(self, cold: Iterable[Reading]) -> None:
        """Say why evidence that was there yesterday is read again."""
        for reading in cold:
            for change in self.store.other_versions(code_parts(reading.subject))[:1]:
                self.progress(f"{reading.subject.name}: {change}")

    def _is_ours(self, group: Group) -> bool:
        return all(self.may_read(subject) for subject in group.subjects)

    def _try(self, group: Group, while_loaded: WhileLoaded) -> bool:
        """True when nothing of the group is left to do: read by us, or by the process that held its lock."""
        try:
            with self._locked(group, timeout=0):
                self.log.refresh()
                left = [one for reading in group.readings if not (one := self._still_missing(reading)).is_empty]
                if left:
                    self._read(left)
                    if self._in_memory.holds_one:
                        while_loaded([reading.subject for reading in left])
                    self._in_memory.let_go()
        except filelock.Timeout:
            return False
        return True

    @contextmanager
    def _locked(self, group: Group, timeout: float) -> Iterator[None]:
        """Alone with a group; raises filelock.Timeout. Without a lock where the folder takes no file: two processes
        may then read the same, and neither loses anything. What is asked for while a group is read has its lock."""
        name = hashlib.sha256(group.key.encode()).hexdigest()[:16]
        if name in self._held:
            yield
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(filelock.FileLock(self.log.path.parent / f"{name}.lock").acquire(timeout=timeout))
            except filelock.Timeout:
                raise
            except (OSError, NotImplementedError):
                pass
            self._held.add(name)
            stack.callback(self._held.discard, name)
            yield

    def _still_missing(self, reading: Reading) -> Reading:
        code, keys = reading.code_key, [key for key, _ in reading.prompts]
        if (code, WHOLE_SUBJECT) in self.log.faults:
            return replace(reading, prompts=(), corpora=(), promotions=())
        done = self.store.have(code, keys)
        if reading.residuals:
            done -= reading.residuals - self.store.have_residuals(code, reading.residuals)
        done |= {key for key in keys if (code, key) in self.log.faults}
        summed = self.store.have_sums(code, [key for key, _ in reading.corpora])
        listed = self.store.have_promotions(code, reading.promotions)
        return replace(
            reading,
            prompts=tuple((k, p) for k, p in reading.prompts if k not in done),
            corpora=tuple((k, c) for k, c in reading.corpora if k not in summed),
            promotions=tuple(row for row in reading.promotions if row not in listed),
        )

    def _read(self, left: Sequence[Reading]) -> None:
        group = Group(tuple(left))
        what = f"{group.n_prompts} prompts" if group.n_prompts else "what needs no prompts"
        self.progress(f"reading {what} through {', '.join(s.name for s in group.subjects)}")
        try:
            with contained():
                engine = self.engine or partial(read_here, kept=self._in_memory.of(left[0].subject))
                for counts in engine(left, StoreSink(self, left), self.progress):
                    self._count(counts)
        except Exception as error:  # noqa: BLE001 - nobody foresaw it, and it fails the claims about these subjects only
            fault = EnvironmentFault.unforeseen("reading_failed", f"reading {group.subjects[0].model.name}", error)
            for reading in left:
                self.log.note_fault(reading.code_key, WHOLE_SUBJECT, fault)

    def _count(self, counts: Mapping[str, Mapping[str, Any]]) -> None:
        for name, one in counts.items():
            self.capture[name] = with_counts(self.capture.get(name, {}), one)

    def _demand(self, subject: Subject, keys: Sequence[str], found: Container[str]) -> None:
        absent = [key for key in dict.fromkeys(keys) if key not in found]
        if absent or (self.code_key(subject), WHOLE_SUBJECT) in self.log.faults:
            raise self._missing(subject, absent)

    def _missing(self, subject: Subject, keys: Sequence[str]) -> Missing:
        faults = self.log.fault_for(self.code_key(subject), keys)
        if faults:
            return Missing(faults)
        what = EnvironmentFault(
            "cold",
            f"{len(keys)} of the prompts have not been read through {subject.name} with today's weights and"
            " library versions.",
            f"Run `pytest -m gpu` where a {subject.device} device is, or import evidence.",
        )
        return Missing([what]) if self.may_read(subject) else Cold([what])


def with_counts(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of one subject, read twice or by two processes: numbers add up, the rest is the later one's."""
    added = {k: round(before[k] + v, 3) for k, v in more.items() if k in before and isinstance(v, int | float)}
    rows = {**before.get("rows", {}), **more.get("rows", {})}
    return {**before, **more, **added, "rows": rows}
