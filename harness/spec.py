"""A Spec: one claim = one pytest test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.errors import Source, SpecError
from harness.expectations.base import Claim, Expectation
from harness.inputs import Corpus, Need, PromptSet, Subject
from harness.sentences import sentences_of
from harness.stats.noise import Noise


@dataclass(frozen=True, slots=True)
class Best:
    """`feature: {best: ...}`: the feature that ranks first on discovery prompts, whatever its number."""

    prompts: PromptSet
    than: PromptSet
    by: Literal["auroc", "mean", "rate"] = "auroc"


@dataclass(frozen=True, slots=True)
class Attribution:
    """`discovered_on: {label: ..., from: ...}`: who gave the feature its label, and where. The author's word."""

    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """One accepted number. date, run: when, and in which run. claim: the digest of what was measured (baselines.py).
    read_with: the parts of the code key: weights, SAE, tokenizer, device, versions."""

    measure: str
    value: float
    n: int
    unit: str
    feature: int | None
    date: str
    run: str
    claim: str
    read_with: Mapping[str, str]
    source: Source


@dataclass(frozen=True, slots=True)
class Calibration:
    """The noise of one subject. batch: one prompt at a time against the usual batches. precision: the same prompts with
    the model in `other`. prompts, tokens: what was read. read_with: the parts of the code key (keys.py)."""

    date: str
    prompts: int
    tokens: int
    batch: Noise
    other: str
    precision: Noise
    read_with: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spec:
    """One claim on one subject. `id` is `<suite>::<spec id>` with suffixes where there are several.

    `sets`, `corpora`: what the roles of the expectation resolve to. `features`: a number, several with
    `together`, or Best; empty for kinds that read no feature. `discovered_on`: the prompts that the feature was
    found on; testing on them is a leak. `attributed_to`: the source that its number is from. `text`: the YAML lines of
    the claim, for failure texts. `baseline`: what was accepted for it, for kinds that take one. `calibration`: the
    subject's own noise. `loosened_because`: why its bar is lower than it was. `shortcut_accepted`:
    why a trivial predictor that does as well is accepted. `family`: the claims that it is corrected
    with, at `q`, which None leaves to the other members.
    """

    id: str
    suite: str
    subject: Subject
    expectation: Expectation
    claim: Claim
    source: Source
    sets: Mapping[str, PromptSet] = field(default_factory=dict)
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    others: Mapping[str, Subject] = field(default_factory=dict)
    features: tuple[int, ...] = ()
    best: Best | None = None
    together: Literal["all", "any"] | None = None
    discovered_on: PromptSet | None = None
    attributed_to: Attribution | None = None
    severity: Literal["fail", "warn"] = "fail"
    xfail: str | None = None
    why: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    family: str | None = None
    q: float | None = None
    text: str = ""
    baseline: Baseline | None = None
    calibration: Calibration | None = None
    loosened_because: str = ""
    shortcut_accepted: str = ""

    @property
    def kind(self) -> str:
        return self.expectation.kind

    @property
    def asked(self) -> Claim:
        """The claim as each feature is asked it: `any` of m features holds each to alpha / m (Bonferroni)."""
        return (
            self.claim if self.together != "any" else replace(self.claim, alpha=self.claim.alpha / len(self.features))
        )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Every subject whose evidence is needed, the spec's own first."""
        return (self.subject, *self.others.values())

    def all_sets(self) -> dict[str, PromptSet]:
        """The sets that the claim names and those that it makes of them (edited prompts), by role."""
        return {**self.sets, **self.expectation.makes(self.sets)}

    def readers(self, role: str) -> Iterator[tuple[str | None, Subject]]:
        """The subjects that read a role, as evidence names them: None for the spec's own."""
        for name in self.expectation.read_by(role):
            yield name, self.subject if name is None else self.others[name]

    def needs(self) -> Iterator[Need]:
        """Everything that must be known to judge this spec."""
        for role, prompts in self.all_sets().items():
            keep = self.expectation.needs_residuals(role)
            for _, subject in self.readers(role):
                yield Need(subject, prompts.prompts, residuals=keep)
        for role, corpus in self.corpora.items():
            for _, subject in self.readers(role):
                if self.expectation.reads_sentences:
                    yield Need(subject, sentences_of(corpus).prompts)
                else:
                    yield Need(subject, corpus=corpus, grain="sums")
        if self.expectation.reads_decoder:
            yield Need(self.subject, features=self.features, grain="weights")
        if self.best is not None:
            yield Need(self.subject, self.best.prompts.prompts)
            yield Need(self.subject, self.best.than.prompts)


@dataclass(frozen=True, slots=True)
class Broken:
    """A spec, or a whole file, that could not be read: one red test with every mistake found in it.

    families: those that are named in what could not be read.
    """

    id: str
    suite: str
    source: Source
    errors: tuple[SpecError, ...]
    tags: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
