"""Shortcuts: trivial predictors that tell two sets apart as well as the feature does, on the same units."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.codes import Floats
from harness.expectations.base import Claim
from harness.expectations.comparing import FEWEST, compared, sets_key
from harness.expectations.evidence import Evidence
from harness.expectations.results import short
from harness.spelling import spelled_alone
from harness.stats.intervals import newcombe_auroc
from harness.stats.strata import auroc_in_strata, auroc_of, quantile_strata
from harness.stats.units import LEFT_OUT, Units, count_units

KEPT = 0.7
"""AUROC that a feature must keep within strata of a shortcut, so that the shortcut does not explain it."""
COMMONEST = 3  # first and last tokens that are tried
BALANCED = (0.35, 0.65)
"""Where a shortcut scores so in another met claim about the feature, it is not what the feature stands for."""

Sides = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One predictor: what it is, in words after "the sets are told apart by", and its AUROC."""

    what: str
    auroc: float


def shortcut_to(
    evidence: Evidence, claim: Claim, roles: tuple[str, str], feature: int, bound: float
) -> Shortcut | None:
    """The best trivial predictor that explains a comparison as well as the feature; None where there is none.

    It does where its AUROC is at least the feature's, its own lower limit reaches the claim's bound, and the feature
    does not keep KEPT within strata of it, with FEWEST units a side in common strata.
    """
    found = compared(evidence, claim, *roles)
    value, own = found.rows(feature), float(found.auroc[feature])
    best = None
    for what, sides in predictors(evidence, claim, roles).items():
        score = auroc_of(*sides)
        if score < own or newcombe_auroc(score, len(sides[0]), len(sides[1]), claim.alpha)[0] < bound:
            continue
        inside = auroc_in_strata(*value, quantile_strata(*sides))
        keeps = inside.enough(FEWEST) and inside.auroc >= KEPT
        if not keeps and (best is None or score > best.auroc):
            best = Shortcut(what, score)
    return best


def said(shortcut: Shortcut, feature: int) -> str:
    """A line for a verdict: what does as well, and how to rule it out."""
    return (
        f"{shortcut.what} tells these sets apart just as well (AUROC {short(shortcut.auroc)}), so it may be all that "
        f"feature {feature} stands for. Balance the sets in it, claim another comparison of sets that are alike in it, "
        "or say why it is accepted: `shortcut_accepted:`"
    )


def predictors(evidence: Evidence, claim: Claim, roles: tuple[str, str]) -> dict[str, Sides]:
    """Every trivial predictor in both directions, with its value on each unit of both sides."""
    codes = tuple((evidence.codes(role), evidence.prompts(role).prompts) for role in roles)
    key = ("shortcuts", *sets_key(evidence, claim, *roles), claim.tokens, claim.special_tokens, claim.pool)
    return evidence.memo(key, lambda: dict(_predictors(evidence, claim, roles)), keep=codes)


def _predictors(evidence: Evidence, claim: Claim, roles: tuple[str, str]) -> Iterator[tuple[str, Sides]]:
    units = compared(evidence, claim, *roles).design
    sides = [_of_prompts(evidence, claim, role) for role in roles]
    for name, (more, less) in _NUMBERS.items():
        a, b = (_by_unit(side[name], unit) for side, unit in zip(sides, (units.positive, units.negative), strict=True))
        yield more, (a, b)
        yield less, (-a, -b)
    for place in ("first", "last"):
        tokens = [end_tokens(evidence, claim, role, place) for role in roles]
        for token, shown in _commonest(tokens):
            a, b = (
                _by_unit((side[0] == token).astype(np.float64), unit)
                for side, unit in zip(tokens, (units.positive, units.negative), strict=True)
            )
            yield f"{shown!r} as the {place} token", (a, b)
            yield f"another {place} token than {shown!r}", (-a, -b)


_NUMBERS = {
    "tokens": ("having more tokens", "having fewer tokens"),
    "characters": ("having more characters", "having fewer characters"),
    "period": ("ending with a period", "ending without a period"),
    "end": ("ending with punctuation", "ending without punctuation"),
    "capitals": ("a larger share of capitals", "a smaller share of capitals"),
    "digits": ("a larger share of digits", "a smaller share of digits"),
    "punctuation": ("a larger share of punctuation", "a smaller share of punctuation"),
    "others": ("a larger share of characters beyond ASCII", "a smaller share of characters beyond ASCII"),
}


def _of_prompts(evidence: Evidence, claim: Claim, role: str) -> dict[str, Floats]:
    """The numbers of every prompt of a role, [n_prompts] each."""
    texts = [p.text for p in evidence.prompts(role).prompts]
    ends = [text.rstrip()[-1:] for text in texts]
    return {
        "tokens": np.asarray(evidence.pooled(role, claim).lengths, np.float64),
        "characters": np.array([len(text) for text in texts], np.float64),
        "period": np.array([end == "." for end in ends], np.float64),
        "end": np.array([_is_punctuation(end) for end in ends], np.float64),
        "capitals": _shares(texts, str.isupper),
        "digits": _shares(texts, str.isdigit),
        "punctuation": _shares(texts, _is_punctuation),
        "others": _shares(texts, lambda character: not character.isascii()),
    }


def _shares(texts: Sequence[str], counts: Callable[[str], bool]) -> Floats:
    return np.array([sum(map(counts, text)) / max(len(text), 1) for text in texts], np.float64)


def _is_punctuation(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "PS"


def end_tokens(evidence: Evidence, claim: Claim, role: str, place: str) -> tuple[Units, dict[int, str]]:
    """The id of the first or last counted token of every prompt, -1 for none; and how each is written."""
    codes, counted = evidence.codes(role), np.flatnonzero(evidence.counted(role, claim))
    order = counted[::-1] if place == "first" else counted  # the later assignment stays
    token = np.full(codes.n_prompts, LEFT_OUT, np.int64)
    token[codes.prompt[order]] = codes.token_id[order]
    where = np.full(codes.n_prompts, LEFT_OUT, np.int64)
    where[codes.prompt[order]] = order
    texts = [p.text for p in evidence.prompts(role).prompts]
    shown = {int(codes.token_id[i]): spelled_alone(codes, int(i), texts[row]) for row, i in enumerate(where) if i >= 0}
    return token, {token: text.strip() for token, text in shown.items()}


def _commonest(sides: Sequence[tuple[Units, dict[int, str]]]) -> Iterator[tuple[int, str]]:
    """The commonest tokens of either side, and how they are written."""
    chosen: dict[int, str] = {}
    for tokens, shown in sides:
        found = Counter(int(t) for t in tokens if t != LEFT_OUT)
        chosen |= {token: shown[token] for token, _ in found.most_common(COMMONEST)}
    yield from chosen.items()


def _by_unit(value: Floats, unit: Units) -> Floats:
    """The mean over each unit's prompts that count, [n_units]."""
    used = unit != LEFT_OUT
    n = count_units(unit)
    size = np.bincount(unit[used], minlength=n)
    return np.asarray(np.bincount(unit[used], weights=value[used], minlength=n) / np.maximum(size, 1), np.float64)
