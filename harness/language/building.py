"""Specs from what one entry of `expect:` resolves to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import SpecError
from harness.expectations.base import Claim, Expectation
from harness.inputs import Corpus, PromptSet, Subject
from harness.language.mistakes import Mistakes, gathered
from harness.language.models import SpecKeys, SuiteKeys
from harness.language.nodes import Node
from harness.language.pairing import check_pair
from harness.language.readable import nothing_to_count, unreadable
from harness.language.shelves import Shelf
from harness.spec import Attribution, Best, Spec

MAX_SPECS = 5000


@dataclass(frozen=True, slots=True)
class Suite:
    """What one file says above its claims."""

    name: str
    keys: SuiteKeys
    shelf: Shelf
    subjects: tuple[Subject, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What stands inside the kind."""

    expectation: Expectation
    sets: dict[str, PromptSet]
    corpora: dict[str, Corpus]
    others: dict[str, Subject]


@dataclass(frozen=True, slots=True)
class Told:
    """What stands beside the kind."""

    keys: SpecKeys
    features: tuple[int, ...]
    best: Best | None
    subjects: tuple[Subject, ...]
    tags: tuple[str, ...]
    discovered_on: PromptSet | None
    attributed_to: Attribution | None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that an entry resolves to, and the specs that it makes."""

    claimed: Claimed
    told: Told

    def specs(self, node: Node, suite: Suite) -> Iterator[Spec]:
        own = self.told.keys.id or self.derived_id(node)
        text = node.lines()
        self.check_subjects(node)
        self.check_count(node)
        for subject in self.told.subjects:
            for features in self.each():
                number = f"-f{features[0]}" if len(self.told.features) > 1 and self.told.keys.together is None else ""
                where = f"-{subject.name}" if len(self.told.subjects) > 1 else ""
                yield self.spec(f"{suite.name}::{own}{where}{number}", subject, features, node, suite, text)

    def check_count(self, node: Node) -> None:
        """A mistake where one entry would make more tests than a suite can mean."""
        count = len(self.told.subjects) * len(self.each())
        if count > MAX_SPECS:
            message = f"this entry makes {count:,} tests, at most {MAX_SPECS:,}: fewer features or subjects"
            raise Mistakes([node.error("too_large", message)])

    def check_subjects(self, node: Node) -> None:
        """Mistakes where a subject cannot read a set, or cannot be compared with another that the claim names."""
        errors: list[SpecError] = []
        for subject in self.told.subjects:
            for other in self.claimed.others.values():
                with gathered(errors):
                    check_pair(self.claimed.expectation, subject, other, node)
        claimed, told = self.claimed, self.told
        for subject in told.subjects:
            errors += unreadable(subject, claimed.others, claimed.expectation, claimed.sets, told.best, node)
        errors += nothing_to_count(told.keys.tokens, claimed.sets, node)
        if errors:
            raise Mistakes(errors)

    def each(self) -> list[tuple[int, ...]]:
        """The features of each test: one at a time, or all at once under `together`."""
        alone = self.told.keys.together is None and len(self.told.features) > 1
        return [(f,) for f in self.told.features] if alone else [self.told.features]

    def derived_id(self, node: Node) -> str:
        """`fires_more-color`, for a claim about the best feature; `id` is missing otherwise."""
        if self.told.best is None:
            raise Mistakes([node.error("no_id", "this spec has no `id`; add one: tests are named after it")])
        first = next(iter(self.claimed.sets.values()), None)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", first.name).strip("-.") if first is not None else ""
        return f"{self.claimed.expectation.kind}-{name}" if name else self.claimed.expectation.kind

    def spec(self, name: str, subject: Subject, features: tuple[int, ...], node: Node, suite: Suite, text: str) -> Spec:
        keys = self.told.keys
        return Spec(
            id=name,
            suite=suite.name,
            subject=subject,
            expectation=self.claimed.expectation,
            claim=self.claim(subject),
            source=node.source,
            sets=self.claimed.sets,
            corpora=self.claimed.corpora,
            others=self.claimed.others,
            features=features,
            best=self.told.best,
            together=keys.together,
            discovered_on=self.told.discovered_on,
            attributed_to=self.told.attributed_to,
            severity=keys.severity,
            xfail=keys.xfail,
            why=keys.why or "",
            owner=keys.owner or suite.keys.owner or subject.owner,
            tags=self.told.tags,
            family=keys.family,
            q=keys.q,
            loosened_because=keys.loosened_because or "",
            shortcut_accepted=keys.shortcut_accepted or "",
            text=text,
        )

    def claim(self, subject: Subject) -> Claim:
        keys = self.told.keys
        topk, dtype = subject.sae.is_topk, subject.dtype
        return Claim(None, keys.pool, keys.tokens, keys.special_tokens, keys.scope, keys.alpha, keys.over, topk, dtype)
