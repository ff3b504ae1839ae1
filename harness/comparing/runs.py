"""Two runs held against each other: what flipped, what moved, what was edited, and which part of the keys did it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.comparing.edits import edits, same_prompts
from harness.comparing.noise import Moved, moved, noise_for
from harness.comparing.parts import KeyChange, key_changes, parts_of
from harness.comparing.prompts import Paired, Prompts
from harness.comparing.told import ToldRun
from harness.keys import prompt_key
from harness.reports.record import Record
from harness.spec import Spec
from harness.stats.noise import Noise
from harness.store import Store


@dataclass(frozen=True, slots=True)
class Pair:
    """One claim in both runs. edited: what of it was, in words. chosen: (then, now), where `best` chose another.
    prompts: by role, where the two read other evidence."""

    then: Record
    now: Record
    edited: tuple[str, ...]
    moved: Moved | None
    chosen: tuple[int, int] | None
    prompts: tuple[Paired, ...]

    @property
    def id(self) -> str:
        return self.now.id

    @property
    def flipped(self) -> bool:
        """The outcome is another; another reason of the same outcome is no flip."""
        return self.then.verdict.outcome is not self.now.verdict.outcome

    @property
    def is_moved(self) -> bool:
        return self.moved is not None and self.moved.beyond


@dataclass(frozen=True, slots=True)
class Comparison:
    """only_then, only_now: (claim, whether there is one of this id today), for those that one of the runs lacks."""

    then: ToldRun
    now: ToldRun
    pairs: tuple[Pair, ...]
    keys: tuple[KeyChange, ...]
    only_then: tuple[tuple[str, bool], ...]
    only_now: tuple[tuple[str, bool], ...]

    @property
    def flipped(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.flipped)


def compare(then: ToldRun, now: ToldRun, specs: Iterable[Spec], store: Store | None) -> Comparison:
    """Two runs, the earlier first. specs: those of today, for their noise and the texts of prompts; store: where the
    evidence of either may still be."""
    today = {spec.id: spec for spec in specs}
    texts: dict[str, str] = {}

    def text(key: str) -> str | None:
        if not texts:
            texts.update(_texts(today))
        return texts.get(key)

    shared = [name for name in now.records if name in then.records]
    prompts = Prompts(store, text)
    return Comparison(
        then,
        now,
        tuple(_pair(then, now, name, today.get(name), prompts) for name in shared),
        key_changes(then, now, shared, store),
        tuple((name, name in today) for name in then.records if name not in now.records),
        tuple((name, name in today) for name in now.records if name not in then.records),
    )


def _pair(then: ToldRun, now: ToldRun, claim: str, spec: Spec | None, prompts: Prompts) -> Pair:
    before, after = then.records[claim], now.records[claim]
    noise, words = _noise(then, now, claim, spec, prompts.store)
    same = same_prompts(then, now, claim)
    features = before.verdict.feature, after.verdict.feature
    chosen = (features[0], features[1]) if same and features[0] != features[1] and None not in features else None
    return Pair(
        before,
        after,
        edits(then, now, claim),
        moved(before.verdict, after.verdict, same, noise, words),
        chosen,  # type: ignore[arg-type]
        prompts.paired(then, now, claim, noise),
    )


def _noise(then: ToldRun, now: ToldRun, claim: str, spec: Spec | None, store: Store | None) -> tuple[Noise | None, str]:
    parts = [parts_of(run.records[claim].fingerprint, run, store) for run in (then, now)]
    dtypes = {one["dtype"] for one in parts if one is not None and "dtype" in one}
    return noise_for(dtypes, spec.subject if spec else None, spec.calibration if spec else None)


def _texts(specs: Mapping[str, Spec]) -> dict[str, str]:
    seen = {prompt for spec in specs.values() for prompts in spec.sets.values() for prompt in prompts.prompts}
    return {prompt_key(prompt): prompt.shown for prompt in seen}
