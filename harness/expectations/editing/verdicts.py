"""What the outcomes of the examples come to: the verdicts of holds_under and their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.editing.drawing import Example
from harness.expectations.editing.relations import WORDS, Held, Relation, most_too_close
from harness.expectations.editing.searching import Counterexample
from harness.expectations.editing.values import Values
from harness.expectations.rates import share_part
from harness.expectations.results import against, short, verdict_of
from harness.expectations.showing import MOST_SHOWN
from harness.verdict import Example as Shown
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive


@dataclass(frozen=True, slots=True)
class Tried:
    """Examples and how each came out. edits: the names of all edits that they are drawn with."""

    relation: Relation
    edits: tuple[str, ...]
    examples: Sequence[Example]
    held: Held
    values: Values

    @property
    def claim(self) -> Claim:
        return self.values.claim

    @property
    def n(self) -> int:
        """Examples that count: the feature fires on their originals."""
        return int(self.held.usable.sum())

    @property
    def k(self) -> int:
        """Counterexamples."""
        return int(self.held.violates.sum())

    @property
    def subject(self) -> str:
        return f"feature {self.claim.feature}"

    def silent(self, shows: bool) -> Verdict | None:
        """Inconclusive where no example counts, or where those that do cannot show the claim (`shows`)."""
        n, drawn = self.n, len(self.examples)
        measurement = Measurement("usable examples", n, drawn)
        if not n:
            text = f"{self.subject} fires on none of the {drawn} originals: dead or mistyped, or not about these."
            return inconclusive(Reason.DEAD, text, measurement=measurement)
        if shows:
            return None
        text = (
            f"{self.subject} fires on the originals of {n} of {drawn} examples only, too few to show what edits do to "
            "it: choose originals on which it fires."
        )
        return inconclusive(Reason.TOO_SPARSE, text, measurement=measurement)

    def close(self) -> Verdict | None:
        """Inconclusive where more examples than noise explains are neither for the claim nor against it."""
        close = self._close
        if close <= most_too_close(self.claim.noise) * self.n:
            return None
        text = (
            f"{self.subject}: in {close} of {self.n} examples the edit makes no difference beyond the noise of "
            f"{self.claim.dtype}, so that nothing speaks for {self.relation} or against it."
        )
        return inconclusive(Reason.UNDERPOWERED, text, measurement=Measurement("too close to call", close, self.n))

    def refuted(self, least: Counterexample, how: str) -> Verdict:
        """Unmet, with the two prompts, and the line by which the counterexample is pinned."""
        bad = least.example
        before, after = (f"{p.text!r} ({short(self.values.of(p))})" for p in (bad.original, bad.edited))
        edited = f"edited: {named(bad.edits)}"
        return Verdict(
            Outcome.UNMET,
            f"{self.subject} {WORDS[self.relation][1]} under {named(bad.edits)}: {before} -> {after}; {how}",
            measurement=Measurement("counterexamples", self.k, self.n),
            bound="no counterexample",
            examples=(
                self.values.shown(bad.original, "counterexample", "the original"),
                self.values.shown(bad.edited, "counterexample", edited),
            ),
            details={
                "pin": {"prompt": bad.original.text, "edited": bad.edited.text},
                "edits": list(bad.edits),
                "asked": least.asked,
            },
        )

    def none_found(self) -> Verdict:
        close = self._close
        return Verdict(
            Outcome.MET,
            f"{self.subject} {WORDS[self.relation][0]} under {named(self.edits)}: no counterexample in {self.n} "
            "different examples of these prompts",
            measurement=Measurement("counterexamples", 0, self.n),
            bound="no counterexample",
            warnings=(*self._left_out(), *((f"{close} of {self.n} examples are too close to call",) if close else ())),
        )

    def rate(self, bound: Bound) -> Verdict:
        """The share of examples that came out as claimed; what is too close to call did not."""
        k = int(self.held.holds.sum())
        share = share_part("rate", k / self.n, self.n, bound, self.claim)
        return verdict_of(
            [share],
            f"{self.subject} {WORDS[self.relation][0]} in {k} of {self.n} examples of these prompts under "
            f"{named(self.edits)}: {against(share, self.claim)}",
            examples=self._failures(),
            warnings=self._left_out(),
        )

    @property
    def _close(self) -> int:
        return int((self.held.usable & ~self.held.holds & ~self.held.violates).sum())

    def _failures(self) -> tuple[Shown, ...]:
        """The simplest examples that did not come out as claimed, each edit under what it was made from."""
        wrong = self.held.usable & ~self.held.holds
        failed = dict.fromkeys(e for e, bad in zip(self.examples, wrong, strict=True) if bad)
        shown = sorted(failed, key=lambda e: e.size)[:MOST_SHOWN]
        return tuple(self.values.shown(e.edited, "failures", f"{named(e.edits)} of {e.original.text!r}") for e in shown)

    def _left_out(self) -> tuple[str, ...]:
        n = len(self.examples) - self.n
        return (f"{n} examples do not count: the feature does not fire on their originals",) if n else ()


def none_made(examples: Sequence[Example]) -> Verdict | None:
    if examples:
        return None
    text = "no example came of these draws: the edits change next to none of the prompts. Change either."
    return inconclusive(Reason.TOO_FEW_PROMPTS, text, measurement=Measurement("examples", 0, 0))


def named(edits: Sequence[str]) -> str:
    """`case, typo and negation`."""
    return " and ".join([", ".join(edits[:-1]), edits[-1]] if len(edits) > 1 else edits)
