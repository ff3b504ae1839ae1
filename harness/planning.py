"""The plan: what the selected specs need, less what the store has, one group per model load. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from harness.inputs import Corpus, Need, Prompt, Reading, Subject
from harness.keys import code_key, corpus_key, prompt_key
from harness.promotion import SAMPLE


class Known(Protocol):
    """What the planner asks a store: which of these keys it holds."""

    def have(self, code_key: str, prompt_keys: Collection[str]) -> set[str]: ...

    def have_residuals(self, code_key: str, prompt_keys: Collection[str]) -> set[str]: ...

    def have_sums(self, code_key: str, corpus_keys: Collection[str]) -> set[str]: ...

    def have_promotions(self, code_key: str, rows: Collection[str]) -> set[str]: ...


@dataclass(frozen=True, slots=True)
class Group:
    """One model load: all the readings of one set of weights on one device."""

    readings: tuple[Reading, ...]

    @property
    def key(self) -> str:
        """Names the group's lock: the same weights, dtype and device in every process."""
        subject = self.readings[0].subject
        model = subject.model
        return "|".join([model.source, model.location, model.revision or "", subject.dtype, subject.device])

    @property
    def n_prompts(self) -> int:
        """Distinct prompts to be read, whatever the number of SAEs that read them."""
        return len({key for reading in self.readings for key, _ in reading.prompts})

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return tuple(reading.subject for reading in self.readings)


@dataclass(frozen=True, slots=True)
class Plan:
    """`groups`: what must be read. Per subject the distinct prompts `wanted`, and those held already (`warm`)."""

    groups: tuple[Group, ...]
    wanted: dict[str, int]
    warm: dict[str, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` of `count` (from 1) of what is to be read; by the key alone, so whoever asks gets the same part.

    Not by what is missing: a shard that starts again, or later than the others, must still ask for its own.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/5`; raises ValueError."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"{text!r} is no shard: write i/n with i from 1 to n, as 1/4.")
        return cls(int(found[1]), int(found[2]))

    def __contains__(self, key: str) -> bool:
        return int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard()


@dataclass(slots=True)
class _Wanted:
    subject: Subject
    prompts: dict[str, Prompt] = field(default_factory=dict)
    residuals: set[str] = field(default_factory=set)
    corpora: dict[str, Corpus] = field(default_factory=dict)
    promotions: dict[str, None] = field(default_factory=dict)

    def keep(self, shard: Shard) -> None:
        self.prompts = {key: prompt for key, prompt in self.prompts.items() if key in shard}
        self.residuals = {key for key in self.residuals if key in shard}
        self.corpora = {key: corpus for key, corpus in self.corpora.items() if key in shard}
        self.promotions = {row: None for row in self.promotions if row in shard}


def plan(needs: Iterable[Need], known: Known, shard: Shard = WHOLE) -> Plan:
    """Merge the needs by subject, leave out what is known or not of this shard, group the rest by model."""
    wanted = _merge(needs)
    if shard != WHOLE:
        for want in wanted.values():
            want.keep(shard)
    groups: dict[tuple[object, ...], list[Reading]] = defaultdict(list)
    warm: dict[str, int] = {}
    for want in wanted.values():
        reading = _missing(want, known)
        warm[want.subject.name] = len(want.prompts) - len(reading.prompts)
        if not reading.is_empty:
            subject = want.subject
            groups[subject.model, subject.dtype, subject.device].append(reading)
    return Plan(
        groups=tuple(Group(tuple(readings)) for readings in groups.values()),
        wanted={want.subject.name: len(want.prompts) for want in wanted.values()},
        warm=warm,
    )


def everything(needs: Iterable[Need], shard: Shard = WHOLE) -> tuple[Reading, ...]:
    """All that these needs ask for, one reading a subject, whatever is held already."""
    return tuple(reading for group in plan(needs, _Nothing(), shard).groups for reading in group.readings)


class _Nothing:
    """An empty store."""

    def have(self, code_key: str, prompt_keys: Collection[str]) -> set[str]:
        return set()

    have_residuals = have_sums = have_promotions = have


def _merge(needs: Iterable[Need]) -> dict[str, _Wanted]:
    wanted: dict[str, _Wanted] = {}
    merged: dict[tuple[str, int, bool], tuple[Prompt, ...]] = {}  # the prompts too, so that an id() stays their own
    for need in needs:
        want = wanted.setdefault(need.subject.name, _Wanted(need.subject))
        same = need.subject.name, id(need.prompts), need.residuals
        if same not in merged:  # many claims share the very tuple of a set: no prompt of it is hashed again
            merged[same] = need.prompts
            _merge_prompts(want, need)
        if need.corpus is not None:
            want.corpora.setdefault(corpus_key(need.corpus), need.corpus)
        if need.grain == "weights":
            want.promotions.update(dict.fromkeys([SAMPLE, *map(str, need.features)]))
    return wanted


def _merge_prompts(want: _Wanted, need: Need) -> None:
    for prompt in need.prompts:
        key = prompt_key(prompt)
        want.prompts.setdefault(key, prompt)
        if need.residuals:
            want.residuals.add(key)


def _missing(want: _Wanted, known: Known) -> Reading:
    code = code_key(want.subject)
    have = known.have(code, want.prompts.keys())
    kept = known.have_residuals(code, want.residuals) if want.residuals else set()
    unkept = want.residuals - kept
    summed = known.have_sums(code, want.corpora.keys()) if want.corpora else set()
    listed = known.have_promotions(code, want.promotions.keys()) if want.promotions else set()
    return Reading(
        subject=want.subject,
        code_key=code,
        prompts=tuple((k, p) for k, p in want.prompts.items() if k not in have or k in unkept),
        corpora=tuple((k, c) for k, c in want.corpora.items() if k not in summed),
        residuals=frozenset(unkept),
        promotions=tuple(row for row in want.promotions if row not in listed),
    )
