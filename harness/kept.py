"""Verdicts kept from earlier runs: judging is a function of the claim, its evidence and this code, so it is done once.

A kept verdict is looked up by a key over all of these, and given out only where the evidence itself still stands
(Runner.stands), so a run that keeps everything still reads and checks every row of it. What is in the key:

- the claim: every field of the Spec but those that say nothing of the verdict (_SAYS_NOTHING); sets by their prompts
  with marks and groups in order, subjects as subjects.yaml has them;
- the evidence: the code keys of all subjects (keys.py); the prompts' own keys follow from the sets;
- the code: the text of every module of the harness, and the versions of Python and of what judging calculates with.

Nothing is written before the controls of the run held (`write`): a judge that was broken for a day, and mended without
a letter of the code changing, leaves no verdict behind. Controls are kept with the verdicts that they stood beside
(keptcontrols.py). Never kept: what was not run, what a search could not ask for, and a fragile verdict that could not
be judged again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import platform
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault
from harness.inputs import PromptSet, Subject
from harness.keys import digest_of, installed_version
from harness.reports.exhibits import Card
from harness.reports.plain import put_back
from harness.reports.verdicts import PlainVerdict, verdict_from
from harness.running import Runner
from harness.spec import Best, Spec
from harness.verdict import Verdict

DAYS = 30  # after which a verdict is made again: rows of claims and code that are gone must not pile up
_SECONDS_A_DAY = 86400.0
# What judging calculates with. torch and transformers make the evidence, and are in its code keys.
_LIBRARIES = ("numpy", "scipy", "hypothesis", "google-re2", "pydantic")
_SAYS_NOTHING = {"source", "text", "why", "owner", "tags", "severity", "family", "q", "loosened_because"}


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """A verdict as judged, before --strict and mutants, and the card that the page shows."""

    verdict: Verdict
    card: Card


KeptRow = tuple[str, str, bytes]  # code key, key, packed value: what a process may send to the one that writes


@dataclass(slots=True, repr=False)
class Kept:
    """The kept verdicts of one process; where the store takes no more, they are judged again next time.

    made: what this process judged, until it is written.
    _found: by key what the store has, None where it has nothing; looked up for many claims at once.
    """

    runner: Runner
    made: list[KeptRow] = field(default_factory=list)
    _found: dict[str, bytes | None] = field(default_factory=dict)
    _texts: dict[int, tuple[Any, str]] = field(default_factory=dict)
    _keys: dict[int, tuple[Spec, str]] = field(default_factory=dict)
    _plain: dict[str, tuple[Verdict, PlainVerdict]] = field(default_factory=dict)

    def look_up(self, specs: Iterable[Spec]) -> None:
        """Ask the store for the verdicts of all these claims at once."""
        wanted: dict[str, list[str]] = {}
        for spec in specs:
            wanted.setdefault(self.runner.code_key(spec.subject), []).append(self.key(spec))
        for code, keys in wanted.items():
            self._found |= {**dict.fromkeys(keys), **self.runner.store.get_verdicts(code, keys)}

    def find(self, spec: Spec) -> KeptVerdict | None:
        """The verdict of the same claim on the same evidence by the same code; None where there is none."""
        found = self.get(spec.subject, self.key(spec)) if self.runner.stands(spec) else None
        if found is None:
            return None
        value, text = found
        return KeptVerdict(self._verdict(spec, value), Card.of(text or None, value["roles"], value["pictures"]))

    def put(self, spec: Spec, verdict: Verdict, card: Card) -> None:
        plain = PlainVerdict.of(verdict)
        self._plain[spec.id] = verdict, plain
        value = {"verdict": plain.keys, "not_finite": plain.not_finite, "roles": card.roles, "pictures": card.pictures}
        self.add(spec.subject, self.key(spec), value, card.text or "")

    def get(self, subject: Subject, key: str) -> tuple[Any, str] | None:
        """What was written under a key, and the text beside it; None where nothing was."""
        if key not in self._found:
            code = self.runner.code_key(subject)
            self._found[key] = self.runner.store.get_verdicts(code, [key]).get(key)
        value = self._found[key]
        if value is None:
            return None
        told, _, text = zlib.decompress(value).decode().partition("\n")
        return json.loads(told), text

    def add(self, subject: Subject, key: str, value: Any, text: str = "") -> None:
        """Something in JSON's types, and a long text that is JSON already, to be written with all others."""
        packed = zlib.compress(f"{json.dumps(value)}\n{text}".encode(), 1)
        self.made.append((self.runner.code_key(subject), key, packed))

    def write(self, others: Iterable[KeptRow] = ()) -> None:
        """Put what this process made, and what others sent, into the store; and drop what is older than DAYS."""
        rows = [*self.made, *others]
        self.made.clear()
        self._found.clear()
        if rows:
            with suppress(EnvironmentFault):  # nothing is lost but the time to judge it again
                self.runner.store.put_verdicts(rows)
                self.runner.store.drop_verdicts(before=time.time() - DAYS * _SECONDS_A_DAY)

    def plain(self, spec: Spec, verdict: Verdict) -> PlainVerdict | None:
        """Of a verdict that was put or found; None for another, as --strict and mutants make one. Given out once."""
        same, plain = self._plain.pop(spec.id, (None, None))
        return plain if same is verdict else None

    def key(self, spec: Spec) -> str:
        """64 hexadecimal digits; remembered, since what is not found is put."""
        if id(spec) not in self._keys:
            self._keys[id(spec)] = spec, self._key(spec)
        return self._keys[id(spec)][1]

    def _key(self, spec: Spec) -> str:
        parts = {one.name: self._part(getattr(spec, one.name)) for one in fields(spec) if one.name not in _SAYS_NOTHING}
        read = [self.runner.code_key(subject) for subject in spec.subjects]
        return digest_of({**parts, "read": " ".join(read), "code": code_digest()})

    def _part(self, value: Any) -> str:
        """A field in words that say all of it. Sets and subjects are shared by many claims: each is put so once."""
        if isinstance(value, Mapping):
            return repr([(name, self._part(one)) for name, one in sorted(value.items())])
        if isinstance(value, Best):
            return f"{self._part(value.prompts)} {self._part(value.than)} {value.by}"
        if not isinstance(value, PromptSet):
            return repr(value)
        same = value.prompts
        if id(same) not in self._texts:  # the prompts are kept, so that their id() stays their own
            told = repr(same).encode("utf-8", "backslashreplace")
            self._texts[id(same)] = same, hashlib.sha256(told).hexdigest()
        return f"{value.name!r} {self._texts[id(same)][1]}"

    def _verdict(self, spec: Spec, value: Mapping[str, Any]) -> Verdict:
        plain = PlainVerdict(value["verdict"], value["not_finite"])
        known = copy.deepcopy(plain.keys) if plain.not_finite else plain.keys
        put_back(known, plain.not_finite)
        verdict = verdict_from(known)
        self._plain[spec.id] = verdict, plain
        return verdict


@cache
def code_digest() -> str:
    """sha256 of every module of the harness and of the versions that judging depends on: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, text in _modules():
        digest.update(name.encode() + b"\0" + hashlib.sha256(text).digest())
    versions = [f"{name} {installed_version(name)}" for name in _LIBRARIES]
    digest.update(" ".join([platform.python_version(), platform.machine(), *versions]).encode())
    return digest.hexdigest()


def _modules() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        yield file.relative_to(root).as_posix(), file.read_bytes()
