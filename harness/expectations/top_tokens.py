"""top_tokens: its strongest tokens are these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.codes import Codes, Kind, Mask
from harness.expectations.base import Claim, KindExample, SetRef, Side
from harness.expectations.bounds import Bound, ShareBound
from harness.expectations.checks import broken, dead, feature_of
from harness.expectations.evidence import Evidence
from harness.expectations.rates import side_of, within_bound
from harness.expectations.results import Part, bound_text, by_value, limits_text, only, short, verdict_of
from harness.expectations.showing import MOST_SHOWN, examples_at, in_order_of
from harness.expectations.telling import Told
from harness.expectations.toy import row
from harness.expectations.wanted import WantedTokens, plain
from harness.stats.tokens import StrongestTokens, share_of_all, strongest_tokens_of_all
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

LISTED = 10
FEWEST_LISTED = 5


class TopTokens(WantedTokens):
    """The tokens on which the feature is strongest are these words, or match this pattern.

    A claim about these prompts: the share of its 10 strongest distinct tokens that match, and the lift of that share
    over the share of all distinct tokens of the prompts that match. Both bounds must hold.
    """

    kind: ClassVar[str] = "top_tokens"
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="The prompts whose tokens are listed; mix in others, or the lift stays low.")
    share: ShareBound = Field(
        ShareBound(at_least=0.6), description="Bound on the share of its 10 strongest distinct tokens."
    )
    lift: Bound = Field(Bound(at_least=5), description="Bound on that share over the share among all distinct tokens.")

    def in_words(self, told: Told) -> str:
        listed = f"the {LISTED} tokens of {told.on('prompts')} on which {told.who} is strongest"
        claimed = f"of {listed}, a share of {limits_text(self.share)} {self.wanted_words()}"
        lift = f"that share over the share among all their tokens {limits_text(self.lift)}"
        return told.sentence(claimed, lift, told.counted())

    def side(self) -> Side:
        return side_of(self.share, self.lift)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' lists are inside both bounds, [d_sae]."""
        listed = _listed(evidence, claim)
        matches = self.matches(listed.texts)
        share = share_of_all(listed.strongest, matches)
        return within_bound(self.share, share) & within_bound(self.lift, share / max(matches.mean(), 1e-12))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = broken(evidence, claim, ("prompts",)) or dead(evidence, claim, ("prompts",))
        if undecidable is not None:
            return undecidable
        listed = _listed(evidence, claim)
        types, values = listed.strongest.of(feature_of(claim, evidence.codes("prompts").d_sae))
        if len(types) < FEWEST_LISTED:
            return _too_sparse(claim, len(types))
        matches = self.matches(listed.texts)
        parts = self._parts(float(matches[types].mean()), float(matches.mean()), len(types))
        shown = ", ".join(repr(listed.texts[t]) for t in types)
        return verdict_of(
            parts,
            f"feature {claim.feature}: {int(matches[types].sum())} of its {len(types)} strongest tokens on "
            f"{evidence.prompts('prompts').name} match, {_lift_text(parts[1].limits.value)} the share among all "
            f"tokens; {bound_text(self.share)}, lift {bound_text(self.lift).removeprefix('bound ')}. They are {shown}",
            Reason.TOO_SPARSE,
            also=(Measurement("share of all distinct tokens", float(matches.mean()), len(matches)),),
            examples=examples_at(
                evidence,
                claim,
                "prompts",
                in_order_of(evidence, claim, "prompts", "highest")[:MOST_SHOWN],
                "fires most",
            ),
            details={"top_tokens": [[listed.texts[t], float(v)] for t, v in zip(types, values, strict=True)]},
        )

    def _parts(self, share: float, base: float, n: int) -> list[Part]:
        """A lift over nothing is not a number: no token of these prompts matches."""
        lift = share / base if base else float("nan")
        found = [("share of the strongest tokens", share, self.share), ("lift", lift, self.lift)]
        return [Part(name, only(value), bound, _outcome(bound, value, share), n) for name, value, bound in found]


def _outcome(bound: Bound, value: float, share: float) -> Outcome:
    """Where no token matches at all, a lift at_least is refuted rather than unknown."""
    return by_value(bound, 0.0 if share == 0 else value)


@dataclass(frozen=True, slots=True)
class _Listed:
    texts: tuple[str, ...]
    strongest: StrongestTokens


def _listed(evidence: Evidence, claim: Claim) -> _Listed:
    codes = evidence.codes("prompts")
    key = ("top_tokens", id(codes), claim.tokens, claim.special_tokens)
    return evidence.memo(key, lambda: _list(codes, evidence.counted("prompts", claim)), keep=codes)


def _list(codes: Codes, counted: Mask) -> _Listed:
    """Whitespace and special tokens are left out of the lists, and so of the base rate."""
    texts = [plain(token) for token in codes.token]
    used = counted & (codes.kind != Kind.SPECIAL) & np.array([bool(text) for text in texts], bool)
    distinct = tuple(sorted({text for text, use in zip(texts, used, strict=True) if use}))
    number = {text: i for i, text in enumerate(distinct)}
    types: NDArray[np.int64] = np.array([number.get(text, 0) for text in texts], np.int64)
    return _Listed(distinct, strongest_tokens_of_all(codes, used, types, LISTED))


def _too_sparse(claim: Claim, n: int) -> Verdict:
    return inconclusive(
        Reason.TOO_SPARSE,
        f"feature {claim.feature} fires on {n} distinct tokens of these prompts; a list needs {FEWEST_LISTED}.",
        measurement=Measurement("distinct tokens that fire", n, n),
    )


def _lift_text(lift: float) -> str:
    return f"{short(lift)} times" if np.isfinite(lift) else "and none is in"


_COLORS = ("red", "blue", "green", "black", "white", "pink")
_PLAIN = [row(f"the w{i} x{i} y{i} z{i} v{i} u{i} s{i} r{i} q{i}") for i in range(6)]
TopTokens.examples = (
    KindExample(
        "its strongest tokens are colors",
        Outcome.MET,
        {"tokens": list(_COLORS)},
        {"prompts": [*(row(f"the {c} ball{i}", **{c: 3 + i}) for i, c in enumerate(_COLORS)), *_PLAIN]},
    ),
    KindExample(
        "its strongest tokens are others",
        Outcome.UNMET,
        {"pattern": "red|blue|green|black|white|pink"},
        {"prompts": [*(row(f"the {c} ball{i}", **{f"ball{i}": 3 + i}) for i, c in enumerate(_COLORS)), *_PLAIN]},
    ),
    KindExample(
        "fires on three tokens only",
        Outcome.INCONCLUSIVE,
        {"tokens": ["red", "blue", "green"]},
        {"prompts": [*(row(f"the {c} ball{i}", **{c: 3 + i}) for i, c in enumerate(_COLORS[:3])), *_PLAIN]},
    ),
)
