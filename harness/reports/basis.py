"""What the claims of a run were judged on, by keys, so that two runs can be held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.baselines import claim_digest, set_digest
from harness.errors import guarded
from harness.inputs import Prompt, PromptSet, Subject
from harness.keys import code_key, code_parts, prompt_key
from harness.spec import Spec

_DIGITS = 16  # of a set's digest: a name within one run


@dataclass(frozen=True, slots=True)
class Basis:
    """claims: by id, {claim: digest of what it measures (baselines.py), pool, tokens,
    special_tokens, sets: {role: key}, others: {subject: code key}}. sets: by key, the prompt keys in order. subjects:
    by code key, its parts (keys.py).
    """

    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sets: Mapping[str, list[str]] = field(default_factory=dict)
    subjects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Iterable[Spec]) -> Basis:
        """The basis of these claims. Prompts that a claim makes of its own (edited ones) are left out: its sets and
        fields say which they are. So is a claim whose kind raises when it is asked: it was not run."""
        asked = _Asked()
        claims = {spec.id: guarded(partial(asked.claim, spec), lambda _: None) for spec in specs}
        return cls({name: claim for name, claim in claims.items() if claim is not None}, asked.sets, asked.subjects)

    def to_dict(self) -> dict[str, Any]:
        return {"claims": self.claims, "sets": self.sets, "subjects": self.subjects}


class _Asked:
    """Digests of what many claims share, each made once: 1,000 claims in 10 files take 42 ms."""

    def __init__(self) -> None:
        self.sets: dict[str, list[str]] = {}
        self.subjects: dict[str, dict[str, str]] = {}
        self._digests: dict[int, tuple[str, tuple[Prompt, ...]]] = {}
        self._codes: dict[Subject, str] = {}

    def claim(self, spec: Spec) -> dict[str, Any]:
        self.subject(spec.subject)
        return {
            "claim": claim_digest(spec, self.digest),
            "pool": spec.claim.pool,
            "tokens": spec.claim.tokens,
            "special_tokens": spec.claim.special_tokens,
            "sets": {role: self.named(prompts) for role, prompts in sorted(spec.sets.items())},
            "others": {name: self.subject(other) for name, other in sorted(spec.others.items())},
        }

    def digest(self, prompts: PromptSet) -> str:
        """Of its prompts, which several sets may share; they are kept, so that their id() stays their own."""
        same = prompts.prompts
        if id(same) not in self._digests:
            self._digests[id(same)] = set_digest(prompts), same
        return self._digests[id(same)][0]

    def named(self, prompts: PromptSet) -> str:
        key = self.digest(prompts)[:_DIGITS]
        if key not in self.sets:
            self.sets[key] = [prompt_key(prompt) for prompt in prompts.prompts]
        return key

    def subject(self, subject: Subject) -> str:
        if subject not in self._codes:
            self._codes[subject] = code_key(subject)
            self.subjects[self._codes[subject]] = code_parts(subject)
        return self._codes[subject]
