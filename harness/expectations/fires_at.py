"""fires_at: fires on the marked tokens, and not elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from harness.codes import Floats, Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side
from harness.expectations.bounds import Bound, ShareBound, claims_more, more_than
from harness.expectations.checks import broken, dead, feature_of, signed_codes_fault
from harness.expectations.comparing import inexact_warning
from harness.expectations.evidence import Evidence
from harness.expectations.noise import Measure
from harness.expectations.outlook import Outlook, outlook_of
from harness.expectations.rates import within_bound
from harness.expectations.results import (
    Part,
    bound_text,
    fewest,
    limits_text,
    measured,
    part,
    reachable,
    short,
    spread,
    too_few,
    verdict_of,
)
from harness.expectations.showing import MOST_SHOWN, examples_at
from harness.expectations.telling import Told
from harness.expectations.toy import rows, scattered
from harness.independence import grouping, unit_name
from harness.inputs import Prompt, PromptSet
from harness.spelling import spelled_alone
from harness.stats.auroc import SignedCodes
from harness.stats.intervals import Limits, rate_inside, rate_limits
from harness.stats.permutation import P
from harness.stats.power import mean_power
from harness.stats.slots import Slot, slots_of
from harness.stats.units import count_units
from harness.stats.within import Marked, marked_tokens, marked_units
from harness.verdict import Example, Measurement, Outcome, Reason, Verdict, inconclusive

FEWEST_MARKED = 5
CHANCE = 0.5
_MOST_MARKED = 1000
_LATE = 0.5


class FiresAt(Expectation):
    """The feature fires on the marked tokens of `prompts` and not elsewhere in them.

    The mean over prompts of the AUROC of marked against unmarked tokens inside the prompt; a marked span is one
    unit, its strongest token. Met if the lower limit of that mean reaches the bound: 9 prompts without an error show
    .7, 29 show .9. p is exact: labels are permuted inside each prompt. Let the marks stand in several places and after
    several words: where a feature of one place would meet the claim, 5 prompts with theirs elsewhere must rule it out.
    """

    kind: ClassVar[str] = "fires_at"
    gives_p: ClassVar[bool] = True
    p_decides: ClassVar[bool] = True
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "shuffled_labels", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="A set with `marks: true`; [[...]] marks where the feature should fire.")
    auroc: ShareBound = Field(
        ShareBound(at_least=0.7),
        json_schema_extra=more_than(0.5),
        description="Bound on the mean AUROC inside a prompt: .5 is chance, 1 is perfect.",
    )

    @field_validator("auroc")
    @classmethod
    def _claims_more(cls, bound: Bound) -> Bound:
        return claims_more(bound, "fires_at", 0.5)

    def in_words(self, told: Told) -> str:
        claimed = f"{told.who} fires on the marked tokens of {told.on('prompts')} and not elsewhere in them"
        return told.sentence(
            f"{claimed}: mean AUROC inside a prompt {limits_text(self.auroc)}", told.level(), told.counted()
        )

    def side(self) -> Side:
        return "high"

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        prompts = sets["prompts"].prompts
        marked = count_units(grouping(prompts, claim.over).units(_with_marks(prompts)))
        if claim.scope == "sample" and marked:
            return None
        return _too_few_marked(marked, sets["prompts"].name, unit_name(prompts, claim.over), self.auroc, claim)

    def to_be_met(self, sets: Mapping[str, PromptSet], claim: Claim) -> str | None:
        """The least mean AUROC, to a thousandth, whose limits lie inside the bound."""
        prompts = sets["prompts"].prompts
        n = count_units(grouping(prompts, claim.over).units(_with_marks(prompts)))
        if claim.scope == "sample" or n == 0:
            return None
        means = np.linspace(0, 1, 1001)
        inside = means[rate_inside(means * n, n, self.auroc.low, self.auroc.high, claim.alpha)]
        return f"a mean AUROC of {short(float(inside[0]))} or more from {n} marked prompts" if len(inside) else None

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        """Of the AUROC's bound, over the prompts (templates) seen here."""
        if claim.scope == "sample":
            return None
        marked, prompts = _marked(evidence, claim), evidence.prompts("prompts")
        feature = feature_of(claim, marked.value.d_sae)
        inside = marked.auroc_by_template(feature)
        effect = f"an AUROC of {short(float(_auroc_of_all(evidence, claim)[feature]))}"
        unit = unit_name(prompts.prompts, claim.over)

        def power(more: Sequence[int]) -> float:
            return mean_power(inside, len(inside) + more[0], self.auroc.low, self.auroc.high, claim.alpha)

        return outlook_of(power, [prompts.name], effect, marked.n, unit)

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' mean AUROC is inside the bound, [d_sae] (the effect alone, without its limits)."""
        return within_bound(self.auroc, _auroc_of_all(evidence, claim))

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        undecidable = broken(evidence, claim, ("prompts",)) or _unmarked(evidence, claim, self.auroc)
        if undecidable is not None:
            return undecidable
        marked = _marked(evidence, claim)
        feature = feature_of(claim, marked.value.d_sae)
        value = float(_auroc_of_all(evidence, claim)[feature])
        p = marked.p(feature) if claim.scope == "population" else None
        few = dead(evidence, claim, ("prompts",))
        if few is not None:
            return few
        limits = rate_limits(value * marked.n, marked.n, claim.alpha)
        found = part("auroc", limits, self.auroc, claim, marked.n, measure=Measure.AUROC)
        placed = self._explained_by_place(evidence, claim, marked, feature) if found.outcome is Outcome.MET else None
        if placed is not None:
            return placed.with_(measurement=found.measurement, p=p.value if p else None)
        return verdict_of(
            [found],
            self._finding(evidence, claim, found, p),
            p=p.value if p else None,
            also=_also(marked, feature, claim),
            examples=_examples(evidence, claim, marked, feature),
            warnings=(*_warnings(evidence, claim, marked), *inexact_warning(p)),
            details={"p_exact": p.exact} if p else {},
        )

    def _explained_by_place(self, evidence: Evidence, claim: Claim, marked: Marked, feature: int) -> Verdict | None:
        """Inconclusive where a feature of one place would meet the claim, and marks elsewhere do not rule it out."""
        if claim.scope == "sample":
            return None
        codes = evidence.codes("prompts")
        for slot in slots_of(marked, codes):
            # At twice alpha: a feature of a place that just misses the bound at alpha meets it too often by luck.
            if rate_limits(slot.auroc * marked.n, marked.n, min(2 * claim.alpha, CHANCE)).low1 < self.auroc.low:
                continue
            inside = marked.auroc_by_template(feature)[~slot.on]
            elsewhere = rate_limits(float(inside.sum()), len(inside), claim.alpha)
            if not len(inside) or elsewhere.low1 <= CHANCE:
                return self._of_place(evidence, claim, slot, elsewhere, len(inside))
        return None

    def _of_place(self, evidence: Evidence, claim: Claim, slot: Slot, elsewhere: Limits, n: int) -> Verdict:
        prompts = evidence.prompts("prompts")
        of = f"{len(slot.on) - n} of {len(slot.on)} {unit_name(prompts.prompts, claim.over)}"
        place = _place(slot, evidence)
        least = fewest(lambda m: claim.alpha ** (1 / m) > CHANCE, 1) or 0
        rest = f"the {n} elsewhere show {spread(elsewhere)} inside a prompt, which chance (.5) may be" if n else ""
        return inconclusive(
            Reason.SHORTCUT,
            f"the marks of {prompts.name} stand {place} in {of}, so a feature of that place meets the claim whatever "
            f"the words are (AUROC {short(slot.auroc)}){'; ' if rest else ''}{rest}. Vary the place of the marks: at "
            f"least {least} prompts that have theirs elsewhere.",
            details={"slot": place, "elsewhere": n},
        )

    def _finding(self, evidence: Evidence, claim: Claim, found: Part, p: P | None) -> str:
        verb = {Outcome.MET: "fires", Outcome.UNMET: "does not fire", Outcome.INCONCLUSIVE: "may or may not fire"}
        shown = f"p{'=' if p.exact else '~'}{short(p.value)}" if p is not None else "these prompts only"
        return (
            f"feature {claim.feature} {verb[found.outcome]} on the marked tokens of "
            f"{evidence.prompts('prompts').name} rather than elsewhere: AUROC inside a prompt {spread(found.limits)} "
            f"(n={found.n}{_unit(evidence, claim)}, {shown}), {bound_text(self.auroc)}"
        )


def _place(slot: Slot, evidence: Evidence) -> str:
    """`on token 2`, `on the last token`, `on token 3 from the end` or `right after 'the'`."""
    if slot.kind == "before":
        codes = evidence.codes("prompts")
        text = evidence.prompts("prompts").prompts[int(codes.prompt[slot.example])].text
        return f"right after {spelled_alone(codes, slot.example, text).strip()!r}"
    if slot.kind == "start":
        return f"on token {slot.value + 1}"
    return f"on token {slot.value + 1} from the end" if slot.value else "on the last token"


def _unit(evidence: Evidence, claim: Claim) -> str:
    unit = unit_name(evidence.prompts("prompts").prompts, claim.over)
    return f" {unit}" if unit != "prompts" else ""


def _with_marks(prompts: Sequence[Prompt]) -> Mask:
    return np.array([bool(p.marks) for p in prompts], bool)


def _marked(evidence: Evidence, claim: Claim) -> Marked:
    codes = evidence.codes("prompts")
    prompts = evidence.prompts("prompts").prompts
    marks = tuple(p.marks for p in prompts)
    key = ("marked", id(codes), claim.tokens, claim.special_tokens, id(prompts), claim.over)
    counted = evidence.counted("prompts", claim)
    units = grouping(prompts, claim.over).units(_with_marks(prompts))
    return evidence.memo(key, lambda: marked_units(codes, counted, marks, units), keep=(codes, prompts))


def _auroc_of_all(evidence: Evidence, claim: Claim) -> Floats:
    marked = _marked(evidence, claim)
    try:
        return evidence.memo(("auroc_at", id(marked)), marked.auroc_of_all, keep=marked)
    except SignedCodes:
        raise signed_codes_fault() from None


def _too_few_marked(n: int, name: str, unit: str, bound: Bound, claim: Claim) -> Verdict | None:
    """Of n perfect marks the lower limit of the mean is alpha^(1 / n): .55 for 5, .72 for 9, .81 for 14, .9 for 29."""
    least = fewest(lambda m: m >= FEWEST_MARKED and reachable(bound, m, claim.alpha), max(n, 1), _MOST_MARKED)
    if n == least:
        return None
    if n == 0:
        return inconclusive(
            Reason.TOO_FEW_PROMPTS,
            f"no prompt of {name} has a marked token: write `marks: true` in the set and [[...]] around the tokens.",
            measurement=Measurement("marked prompts", 0, 0),
        )
    because = f"{FEWEST_MARKED} marked {unit} are the fewest"
    if n >= FEWEST_MARKED:
        because = (
            f"even an AUROC of 1 in each of {n} shows only {short(claim.alpha ** (1 / n))} or more, and the bound is "
        )
        because += limits_text(bound)
    return too_few(n, None if least is None else least - n, name, because, unit)


def _unmarked(evidence: Evidence, claim: Claim, bound: Bound) -> Verdict | None:
    """Marks that meet no counted token, or prompts that are marked from end to end, leave nothing to compare."""
    n, prompts = _marked(evidence, claim).n, evidence.prompts("prompts")
    if claim.scope == "population" or n == 0:
        few, lost = (
            _too_few_marked(n, prompts.name, unit_name(prompts.prompts, claim.over), bound, claim),
            _marks_on_sinks(evidence, claim),
        )
        return few if few is None or not lost else few.with_(finding=f"{lost[0]}; {few.finding}")
    return None


def _marks_on_sinks(evidence: Evidence, claim: Claim) -> tuple[str, ...]:
    """A line where marks meet only attention sinks, as a mark on the first word does without BOS."""
    codes, prompts = evidence.codes("prompts"), evidence.prompts("prompts")
    span = marked_tokens(codes, [p.marks for p in prompts.prompts])
    counted, sinks = evidence.counted("prompts", claim), codes.left_out_sinks(claim.tokens)
    lost = np.setdiff1d(span[sinks & ~counted & (span >= 0)], span[counted & (span >= 0)])
    n = len(np.unique(span[span >= 0]))
    text = f"{len(lost)} of {n} marks of {prompts.name} are on attention sinks, which do not count"
    return (text,) if len(lost) else ()


def _also(marked: Marked, feature: int, claim: Claim) -> tuple[Measurement, ...]:
    """The share of marked spans, of unmarked tokens, and of tokens right after a span, on which it fires."""
    on, off = marked.firing(feature, True), marked.firing(feature, False)
    rates = [("marked spans that fire", *on), ("unmarked tokens that fire", *off)]
    after = marked.firing_after(feature)
    shown = [*rates, ("tokens right after a mark that fire", *after)] if after[1] else rates
    return tuple(measured(name, rate_limits(k, n, claim.alpha), n) for name, k, n in shown)


def _warnings(evidence: Evidence, claim: Claim, marked: Marked) -> tuple[str, ...]:
    n = len(evidence.prompts("prompts"))
    feature = feature_of(claim, marked.value.d_sae)
    usable = len(marked.prompt)
    unusable = (f"{n - usable} of {n} prompts have no marked, or no unmarked, counted token and are left out",)
    (on, spans), (late, after) = marked.firing(feature, True), marked.firing_after(feature)
    fires_late = after > 0 and late / after > max(_LATE, on / spans)
    hint = (f"fires on the token right after the mark in {late} of {after} places: it may read the word late",)
    return (*(unusable if usable < n else ()), *_marks_on_sinks(evidence, claim), *(hint if fires_late else ()))


def _examples(evidence: Evidence, claim: Claim, marked: Marked, feature: int) -> tuple[Example, ...]:
    """The prompts with the lowest AUROC inside."""
    auroc = marked.auroc_by_prompt(feature)
    order = np.argsort(auroc, kind="stable")[:MOST_SHOWN]
    return tuple(
        example
        for i in order
        for example in examples_at(
            evidence, claim, "prompts", [int(marked.prompt[i])], f"AUROC inside {short(float(auroc[i]))}"
        )
    )


_TEXT = "the [[red]] ball rolled away from the old green house"
FiresAt.examples = (
    KindExample("fires on the marked word only", Outcome.MET, {}, {"prompts": scattered(rows(10, _TEXT, red=3))}),
    KindExample(
        "so it does, but the marks stand in one place", Outcome.INCONCLUSIVE, {}, {"prompts": rows(10, _TEXT, red=3)}
    ),
    KindExample(
        "fires on the word after the mark",
        Outcome.UNMET,
        {},
        {"prompts": rows(20, _TEXT, ball=3)},
    ),
    KindExample("five marked prompts cannot show .7", Outcome.INCONCLUSIVE, {}, {"prompts": rows(5, _TEXT, red=3)}),
)
