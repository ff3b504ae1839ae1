"""beats_keywords: better than a list of words, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from harness.codes import Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side, Unfit
from harness.expectations.bounds import Bound, claims_more, more_than
from harness.expectations.checks import broken, dead, feature_of, left_out, no_units
from harness.expectations.comparing import (
    FEWEST,
    compared,
    set_design,
    sets_key,
    too_few_to_compare,
    too_sparse,
)
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound, length_warning
from harness.expectations.noise import Measure
from harness.expectations.rates import within_bound
from harness.expectations.results import Part, bound_text, limits_text, part, short, too_few, verdict_of
from harness.expectations.rivals import (
    ROLES,
    Rival,
    Tested,
    bag_of_tokens,
    diffmean,
    holds_keyword,
    holds_pattern,
    keywords_rival,
    own_words,
    pattern_rival,
    tested_prompts,
)
from harness.expectations.shortcuts import KEPT
from harness.expectations.showing import MOST_SHOWN, firing_prompts, silent_prompts
from harness.expectations.telling import Told, listed
from harness.expectations.toy import row, rows
from harness.expectations.wanted import LONGEST_PATTERN, compiled
from harness.inputs import PromptSet
from harness.stats.auroc import auroc_of_all
from harness.stats.detectors import FOLDS, paired_auroc, paired_limits
from harness.stats.intervals import Limits
from harness.stats.permutation import P
from harness.stats.units import Design
from harness.verdict import Measurement, Outcome, Verdict

_ROUNDING = 1e-9  # of two AUROCs that are one: better than a rival is more than as good


class BeatsKeywords(Expectation):
    """The feature tells `prompts` from `than` better than words do.

    It must beat each rival: a bag of tokens fitted on the prompts that `feature: {best: ...}` chose it on (else on the
    other tested ones), a list of the feature's own words, and those that the claim names: keywords, a pattern,
    DiffMean. Met if the lower limit of the difference of AUROC on the same prompts is over the bound, and the exact
    permutation p that exchanges the two scores of each prompt agrees.
    """

    kind: ClassVar[str] = "beats_keywords"
    mutants: ClassVar[frozenset[str]] = frozenset(
        {"wrong_feature", "swapped_sets", "shuffled_labels", "random_sae", "one_layer_off"}
    )

    prompts: SetRef = Field(description="What the feature should tell apart.")
    than: SetRef = Field(description="What from; the baseline's other class.")
    margin: Bound = Field(
        Bound(at_least=0.0),
        json_schema_extra=more_than(0.0),
        description="Bound on the AUROC of the feature minus that of the baseline.",
    )
    and_diffmean: bool = Field(
        False, description="Beat DiffMean too: the difference of mean activations, for which activations are kept."
    )
    keywords: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Beat this list too: whether a prompt holds one of these whole words, in any case.",
    )
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_PATTERN,
        description="Beat this too: whether a regular expression (RE2's) matches somewhere in a prompt, in any case.",
    )

    @field_validator("margin")
    @classmethod
    def _claims_more(cls, bound: Bound) -> Bound:
        return claims_more(bound, "beats_keywords", 0.0)

    @field_validator("keywords")
    @classmethod
    def _are_words(cls, keywords: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if keywords is not None and not all(word.strip() for word in keywords):
            raise ValueError("a keyword is empty")
        return keywords

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    def in_words(self, told: Told) -> str:
        rivals = "a bag of tokens, a list of its own words"
        rivals += f", the keywords {listed(self.keywords)}" if self.keywords is not None else ""
        rivals += f", the pattern {self.pattern}" if self.pattern is not None else ""
        rivals += " and DiffMean" if self.and_diffmean else ""
        claimed = f"{told.who} tells {told.on('prompts')} from {told.on('than')} better than {rivals}"
        return told.sentence(
            f"{claimed}: its AUROC minus theirs {limits_text(self.margin)}", told.level(), told.pooled()
        )

    def side(self) -> Side:
        return "high"

    def needs_residuals(self, role: str = "prompts") -> bool:
        return self.and_diffmean

    def contrast(self) -> tuple[str, str, float]:
        return "prompts", "than", KEPT

    def check_fit(self, sets: Mapping[str, PromptSet], claim: Claim) -> None:
        """Words that are in no prompt of the set are no rival: they are a slip of the pen, or the wrong set."""
        texts = [prompt.text for prompt in sets["prompts"].prompts]
        anywhere = f"in any prompt of {sets['prompts'].name}: name words that the set holds, or leave them out"
        if self.keywords is not None and not holds_keyword(texts, self.keywords).any():
            raise Unfit(("keywords",), f"none of {listed(self.keywords)} is {anywhere}", "keywords")
        if self.pattern is not None and not holds_pattern(texts, self.pattern).any():
            raise Unfit(("pattern",), f"`pattern` {self.pattern!r} matches nothing {anywhere}", "keywords")

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        design = set_design(sets, *ROLES, over=claim.over)
        return _cannot_fit(design, sets) or (
            None if claim.scope == "sample" else too_few_to_compare(design, claim.alpha, sets, *ROLES, over=claim.over)
        )

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' margin over the best rival is inside the bound, [d_sae] (without its limits and p).

        The list of each feature's own words is left out, so more features are counted than meet the claim.
        """
        units = compared(evidence, claim, *ROLES)
        a, b = units.positive, units.negative
        best = max(rival.auroc for rival in self._rivals(evidence, claim))
        margin = auroc_of_all(a, b) - best
        return np.asarray(within_bound(self.margin, margin) & (margin > self.margin.low + _ROUNDING))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = self._undecidable(evidence, claim)
        if undecidable is not None:
            return undecidable
        units = compared(evidence, claim, *ROLES)
        a, b = units.positive, units.negative
        feature = feature_of(claim, a.d_sae)
        value, side = np.r_[a.column(feature), b.column(feature)], np.arange(a.n_prompts + b.n_prompts) < a.n_prompts
        words, as_well = own_words(_tested(evidence, claim), feature, claim)
        rivals = [*self._rivals(evidence, claim), words]
        found = [
            (rival, paired_limits(value, rival.score, side, claim.alpha), paired_auroc(value, rival.score, side)[1])
            for rival in rivals
        ]
        own = found[0][1].value + rivals[0].auroc
        parts = [self._part(rival, margin, p, claim, len(side)) for rival, margin, p in found]
        unbeaten = (as_well,) if parts[-1].outcome is not Outcome.MET else ()
        p_max = max(p.value for *_, p in found)
        return verdict_of(
            parts,
            f"feature {claim.feature}, AUROC {short(own)} on {evidence.prompts('prompts').name} against "
            f"{evidence.prompts('than').name}: "
            + "; ".join(_against(*one, claim) for one in found)
            + f" (n={a.n_prompts} v {b.n_prompts}), {bound_text(self.margin)}"
            + ("" if evidence.discovery is not None else _FITTED_HERE),
            p=p_max if claim.scope == "population" else None,
            also=(
                Measurement("auroc of the feature", own, len(side)),
                *(Measurement(f"auroc of {r.name}", r.auroc, len(side)) for r in rivals),
            ),
            examples=(*silent_prompts(evidence, claim, "prompts"), *firing_prompts(evidence, claim, "than"))[
                :MOST_SHOWN
            ],
            warnings=(
                *left_out(evidence, claim, ROLES),
                *length_warning(evidence, claim, *ROLES),
                *unbeaten,
            ),
        )

    def _undecidable(self, evidence: Evidence, claim: Claim) -> Verdict | None:
        bad = broken(evidence, claim, ROLES)
        if bad is not None:
            return bad
        found = compared(evidence, claim, *ROLES)
        few = no_units(evidence, claim, ROLES) or _cannot_fit(found.design, evidence.sets)
        if claim.scope == "population":
            few = few or too_few_to_compare(found.design, claim.alpha, evidence.sets, *ROLES, over=claim.over)
        sparse = too_sparse(found, feature_of(claim, len(found.auroc)), claim)
        return few or dead(evidence, claim, ROLES) or sparse or length_confound(evidence, claim, *ROLES)

    def _part(self, rival: Rival, margin: Limits, p: P, claim: Claim, n: int) -> Part:
        """Met where the lower limit is over the bound, and the exact p, which holds at 5 a side too, agrees."""
        found = part(f"margin over {rival.name}", margin, self.margin, claim, n, measure=Measure.AUROC)
        number = margin.value if claim.scope == "sample" else margin.low1
        agrees = number > self.margin.low + _ROUNDING and (claim.scope == "sample" or p.value <= claim.alpha)
        if found.outcome is not Outcome.MET or agrees:
            return found
        return replace(found, outcome=Outcome.UNMET if claim.scope == "sample" else Outcome.INCONCLUSIVE)

    def _rivals(self, evidence: Evidence, claim: Claim) -> list[Rival]:
        """The rivals that are the same for every feature."""
        found, policy = evidence.discovery, (claim.tokens, claim.special_tokens, claim.pool)
        on = None if found is None else sets_key(found, claim, *ROLES)
        asked = (self.and_diffmean, self.keywords, self.pattern)
        key = ("rivals", *sets_key(evidence, claim, *ROLES), *policy, on, asked)
        return evidence.memo(key, lambda: self._fit(evidence, claim), keep=(_kept(evidence), found and _kept(found)))

    def _fit(self, evidence: Evidence, claim: Claim) -> list[Rival]:
        tested = _tested(evidence, claim)
        rivals = [bag_of_tokens(tested, evidence.discovery, claim)]
        if self.and_diffmean:
            rivals.append(diffmean(tested, evidence, claim))
        if self.keywords is not None:
            rivals.append(keywords_rival(tested, evidence, self.keywords))
        if self.pattern is not None:
            rivals.append(pattern_rival(tested, evidence, self.pattern))
        return rivals


def _kept(evidence: Evidence) -> tuple[object, ...]:
    """What the ids in a key are of."""
    return tuple((evidence.codes(role), evidence.prompts(role).prompts) for role in ROLES)


def _tested(evidence: Evidence, claim: Claim) -> Tested:
    key = ("tested", *sets_key(evidence, claim, *ROLES), claim.tokens, claim.special_tokens, claim.pool)
    return evidence.memo(key, lambda: tested_prompts(evidence, claim), keep=_kept(evidence))


def _against(rival: Rival, margin: Limits, p: P, claim: Claim) -> str:
    shown = "these prompts only"
    if claim.scope == "population":
        shown = f"[{short(margin.low)}, {short(margin.high)}], p={short(p.value)}"
    sign = "+" if margin.value >= 0 else "-"
    return f"{sign}{short(abs(margin.value))} over {rival.name} at {short(rival.auroc)} ({shown})"


def _cannot_fit(design: Design, sets: Mapping[str, PromptSet]) -> Verdict | None:
    """A baseline needs prompts of both sets in every fit, whatever the scope."""
    for role, n in (("prompts", design.n_positive), ("than", design.n_negative)):
        if n < FEWEST:
            because = f"a baseline fitted on other prompts, in {FOLDS} parts, needs {FEWEST} of each"
            return too_few(n, FEWEST - n, sets[role].name, because, sample_helps=False)
    return None


_FITTED_HERE = "; the bag is fitted on the other tested prompts, since the claim chose its feature on none"
_SYNONYMS = [row(f"s{i} paints x{i} q{i}", **{f"x{i}": 3 + i / 10}) for i in range(20)]
_OTHERS = [row(f"s{i} carries y{i} q{i}") for i in range(20, 40)]
_LISTED = [row(f"s{i} w{i} x{i} q{i}", **{f"x{i}": 3 + i / 10}) for i in range(20)]
_LISTED_OTHERS = [row(f"s{i} w{i} y{i} q{i}") for i in range(20, 40)]
_IN_CONTEXT = [row(f"s{i} w{i} x{i} q{i}", **{f"x{i}": 3 + i / 10}) for i in range(20)]
_OUT_OF_CONTEXT = [row(f"q{i} x{i} w{i} s{i}") for i in range(20)]
BeatsKeywords.examples = (
    KindExample(
        "fires on the same words in one context and not in the other",
        Outcome.MET,
        {},
        {"prompts": _IN_CONTEXT, "than": _OUT_OF_CONTEXT},
    ),
    KindExample(
        "a list of words, each of which is seen once",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": _LISTED, "than": _LISTED_OTHERS},
    ),
    KindExample(
        "its words in both contexts, and keywords that tell them apart as well",
        Outcome.INCONCLUSIVE,
        {"keywords": [f"s{i} w{i}" for i in range(20)]},
        {"prompts": _IN_CONTEXT, "than": _OUT_OF_CONTEXT},
    ),
    KindExample(
        "a word in all prompts of the set does it better",
        Outcome.UNMET,
        {"margin": {"at_least": 0.2}},
        {"prompts": [*_SYNONYMS[:18], row("s18 paints x18 q18"), row("s19 paints x19 q19")], "than": _OTHERS},
    ),
    KindExample(
        "four prompts cannot fit a baseline",
        Outcome.INCONCLUSIVE,
        {},
        {"prompts": rows(4, "the red ball", red=3), "than": rows(4, "the old ball")},
    ),
)
