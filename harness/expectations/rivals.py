"""What a feature is compared with to be more than words: bags of tokens, its own list of words, DiffMean, keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.codes import Codes, Floats, Mask, concat
from harness.expectations.base import Claim
from harness.expectations.comparing import compared
from harness.expectations.evidence import Evidence
from harness.expectations.wanted import compiled
from harness.stats.detectors import (
    Ints,
    diffmean_scores,
    folds_of,
    own_word_scores,
    ridge_scores,
    ridge_scores_of,
    token_bags,
)
from harness.stats.units import LEFT_OUT

ROLES = ("prompts", "than")


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival's score of every unit, positives first, and its AUROC."""

    name: str
    score: Floats
    auroc: float


@dataclass(frozen=True, slots=True)
class Tested:
    """The tested prompts of both sides, positives first.

    counted: [n_tokens]. side: [n_prompts] True for a positive. unit: [n_prompts], LEFT_OUT for prompts that do not
    count. fold: the part of the units that a fit leaves out, LEFT_OUT likewise.
    """

    codes: Codes
    counted: Mask
    side: Mask
    unit: Ints
    fold: Ints

    @property
    def used(self) -> Mask:
        return np.asarray(self.unit != LEFT_OUT)


def tested_prompts(evidence: Evidence, claim: Claim) -> Tested:
    """The prompts that a claim is tested on, as rivals are fitted on them and score them."""
    design = compared(evidence, claim, *ROLES).design
    codes = concat([evidence.codes(role) for role in ROLES])
    counted = np.concatenate([evidence.counted(role, claim) for role in ROLES])
    side, unit = np.arange(codes.n_prompts) < len(design.positive), design.unit
    used, fold = unit != LEFT_OUT, np.full(codes.n_prompts, LEFT_OUT, np.int64)
    fold[used] = folds_of(side[used], unit[used])
    return Tested(codes, counted, side, unit, fold)


def bag_of_tokens(tested: Tested, discovery: Evidence | None, claim: Claim) -> Rival:
    """A ridge on which tokens a prompt holds: fitted on the discovery prompts, or else on the other tested ones."""
    scores, used = np.zeros(tested.codes.n_prompts), tested.used
    if discovery is None:
        bags = token_bags(tested.codes, tested.counted, _vocabulary(tested.codes, tested.counted))
        scores[used] = ridge_scores(bags[used], tested.side[used], tested.fold[used])
        return _rival("a bag of tokens", scores, tested)
    codes = concat([discovery.codes(role) for role in ROLES])
    counted = np.concatenate([discovery.counted(role, claim) for role in ROLES])
    side = np.arange(codes.n_prompts) < discovery.codes(ROLES[0]).n_prompts
    words = _vocabulary(codes, counted)
    fitted_on, asked = token_bags(codes, counted, words), token_bags(tested.codes, tested.counted, words)
    return _rival("a bag of the discovery prompts' tokens", ridge_scores_of(fitted_on, side, asked), tested)


def diffmean(tested: Tested, evidence: Evidence, claim: Claim) -> Rival:
    """The difference of mean activations, fitted on the other tested prompts."""
    h = np.concatenate([evidence.residuals(role) for role in ROLES]).astype(np.float64)
    kept = tested.counted & tested.used[tested.codes.prompt]
    scores = diffmean_scores(h, tested.codes, kept, tested.side, tested.fold, claim.pool)
    return _rival("DiffMean", scores, tested)


def own_words(tested: Tested, feature: int, claim: Claim) -> tuple[Rival, str]:
    """A list of the feature's own words with its mean activation on each, and what to say where it is not beaten.

    A token of one unit only has the activation that it has there: whether the feature reads that word or its context,
    these prompts do not show.
    """
    value = np.asarray(tested.codes.token_column(feature), np.float64)
    value = (value != 0).astype(np.float64) if claim.pool == "any" else value
    counted = tested.counted & tested.used[tested.codes.prompt]
    scores, once = own_word_scores(value, tested.codes, counted, tested.unit, claim.pool)
    firing = tested.side & tested.used & (scores > 0)
    alone = int((firing & once).sum())
    why = (
        f"a list of its own words does as well (on {alone} of the {int(firing.sum())} prompts where it fires, its "
        "strongest word is in no other prompt): write prompts of both sets that hold the same words"
    )
    return _rival("a list of its own words", scores, tested), why


def keywords_rival(tested: Tested, evidence: Evidence, keywords: Sequence[str]) -> Rival:
    """1 where a prompt holds one of these words."""
    return _rival("the keywords", holds_keyword(_texts(evidence), keywords).astype(np.float64), tested)


def pattern_rival(tested: Tested, evidence: Evidence, pattern: str) -> Rival:
    """1 where a prompt's text matches somewhere."""
    return _rival("the pattern", holds_pattern(_texts(evidence), pattern).astype(np.float64), tested)


def holds_keyword(texts: Sequence[str], keywords: Sequence[str]) -> Mask:
    """Which texts hold one of the keywords as whole words, whatever their case and white space, [n_texts]."""
    words = "|".join(re.escape(_plain(word)) for word in keywords)
    found = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
    return np.array([found.search(_plain(text)) is not None for text in texts], bool)


def holds_pattern(texts: Sequence[str], pattern: str) -> Mask:
    """Which texts the pattern matches somewhere, whatever their case, [n_texts]."""
    found = compiled(pattern)
    return np.array([found.search(text) is not None for text in texts], bool)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(evidence: Evidence) -> list[str]:
    return [prompt.text for role in ROLES for prompt in evidence.prompts(role).prompts]


def _vocabulary(codes: Codes, counted: Mask) -> list[int]:
    return [int(token) for token in np.unique(codes.token_id[counted])]


def _rival(name: str, score: Floats, tested: Tested) -> Rival:
    """Mean score of each unit, in the order of the comparison: positives by number, then negatives.

    A rival below chance (noise, left-out fits lean that way) is taken for a coin: to beat it is no feat.
    """
    parts = []
    for these in (tested.used & tested.side, tested.used & ~tested.side):
        numbers, inverse = np.unique(tested.unit[these], return_inverse=True)
        parts.append(np.bincount(inverse, weights=score[these]) / np.bincount(inverse, minlength=len(numbers)))
    auroc = float((np.sign(parts[0][:, None] - parts[1][None, :]) + 1).mean() / 2)
    scores = np.concatenate(parts)
    return Rival(name, scores, auroc) if auroc >= 0.5 else Rival(f"{name} (at chance)", np.zeros(len(scores)), 0.5)
