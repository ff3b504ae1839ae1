"""What judging a claim would still cost on this machine: model loads, prompts, tokens, seconds; and what is missing.

No model is read, and no tokenizer: tokens of texts are guessed from their letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.history.runs import RESULTS, NotARun, read_results, runs_in
from harness.inputs import Reading, Subject
from harness.pinning import Readiness, ready_here
from harness.planning import Group, Plan

LETTERS_A_TOKEN = 4  # of English prose and code, through tokenizers of today; tiny vocabularies take more
_MOST_RUNS = 10  # looked through for a rate, from the newest


@dataclass(frozen=True, slots=True)
class Cost:
    """loads: of models. prompts, corpus_tokens: to be read. text_tokens: a guess for the prompts, None with pictures
    among them. seconds: at the rates of the last runs that read these subjects, None where there is none. subjects:
    whether each can be read here."""

    loads: int
    prompts: int
    corpus_tokens: int
    text_tokens: int | None
    seconds: float | None
    subjects: tuple[Readiness, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for --json."""
        here = [{"subject": s.subject, "device": s.device, "missing": list(s.missing)} for s in self.subjects]
        numbers = {
            name: getattr(self, name) for name in ("loads", "prompts", "corpus_tokens", "text_tokens", "seconds")
        }
        return {**numbers, "subjects": here}


def cost_of(made: Plan, subjects: Sequence[Subject], reports: Path) -> Cost:
    """What carrying out this plan takes. subjects: all that the claim reads, whether or not anything is missing."""
    readings = [reading for group in made.groups for reading in group.readings]
    texts = [_text_tokens(reading) for reading in readings]
    known = [n for n in texts if n is not None]
    return Cost(
        loads=len(made.groups),
        prompts=sum(group.n_prompts for group in made.groups),
        corpus_tokens=sum(_corpus_tokens(reading) for reading in readings),
        text_tokens=sum(known) if len(known) == len(texts) else None,
        seconds=_seconds(made.groups, reports),
        subjects=tuple(ready_here(subject) for subject in subjects),
    )


def _text_tokens(reading: Reading) -> int | None:
    if any(prompt.image is not None for _, prompt in reading.prompts):
        return None
    return sum(len(prompt.text) for _, prompt in reading.prompts) // LETTERS_A_TOKEN


def _corpus_tokens(reading: Reading) -> int:
    return sum(corpus.token_limit for _, corpus in reading.corpora)


def _seconds(groups: Sequence[Group], reports: Path) -> float | None:
    """Loading and reading, each group at the rate of the last run that read a subject of it."""
    each = [_group_seconds(group, reports) for group in groups]
    known = [seconds for seconds in each if seconds is not None]
    return round(sum(known), 1) if len(known) == len(each) else None


def _group_seconds(group: Group, reports: Path) -> float | None:
    tokens = [_text_tokens(reading) for reading in group.readings]
    counts = _last_counts(reports, {subject.name for subject in group.subjects})
    if counts is None or None in tokens:
        return None
    wanted = sum(n or 0 for n in tokens) + sum(map(_corpus_tokens, group.readings))
    load: float = counts.get("load_seconds", 0.0) / max(counts.get("loads", 1), 1)
    reading: float = wanted * counts["seconds"] / counts["tokens"]
    return load + reading


def _last_counts(reports: Path, names: set[str]) -> Mapping[str, Any] | None:
    """What reading one of these subjects took last: the counts that a run's results.json has of it."""
    for captured in _captures(reports):
        for name in sorted(names & captured.keys()):
            if captured[name].get("tokens") and captured[name].get("seconds"):
                found: Mapping[str, Any] = captured[name]
                return found
    return None


def _captures(reports: Path) -> Iterator[Mapping[str, Any]]:
    for folder in runs_in(reports)[: -_MOST_RUNS - 1 : -1]:
        try:
            yield read_results(folder / RESULTS)["capture"]
        except NotARun:
            continue
