"""holds_under: a feature keeps firing, or stops, when its prompts are edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.codes import Mask
from harness.expectations.base import Claim, Expectation, KindExample, SetRef, Side, Unfit
from harness.expectations.bounds import Bound, ShareBound
from harness.expectations.checks import broken
from harness.expectations.editing import edits as editing
from harness.expectations.editing.drawing import Example as Drawn
from harness.expectations.editing.drawing import Language, explored, kinds_of, sampled
from harness.expectations.editing.edits import AnEdit
from harness.expectations.editing.relations import WORDS, Held, Relation, held, most_too_close
from harness.expectations.editing.searching import Counterexample, outcomes, smallest
from harness.expectations.editing.values import Values
from harness.expectations.editing.verdicts import Tried, none_made
from harness.expectations.evidence import Evidence
from harness.expectations.rates import best_text, bound_words, within_bound
from harness.expectations.results import fewest, limits_text, reachable
from harness.expectations.telling import Told
from harness.expectations.toy import rows
from harness.inputs import Prompt, PromptSet
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

DRAWN = "drawn"  # the role of the examples' prompts
LEAST_USABLE = 0.5  # of the examples drawn: fewer, and what the edits do to them says nothing about the others
_MOST_DRAWS = 1000
_TRUE_BY_CONSTRUCTION = (
    "filler_after puts text behind the prompt, and in a causal model that changes no token before it: under pool max "
    "or any the feature keeps firing whatever it encodes. Remove this edit, use filler_before or position, or claim it "
    "with `pool: last`"
)
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Pin(BaseModel):
    """A counterexample that was found once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Text = Field(description="The original.")
    edited: Text = Field(description="What it was edited to.")


class HoldsUnder(Expectation):
    """The feature keeps firing on `prompts`, or stops, or gets weaker or stronger, when they are edited.

    Examples (an original and its edit) are drawn from the prompts and `edits` before anything is read, and are read in
    one pass. `mode: search` looks for a counterexample with up to three edits at once and shrinks it to the smallest;
    met if none is found. The words of a slot are tried in their order, the simplest first; "" leaves a slot out.
    `mode: rate` draws different examples, one edit each, and holds the share that comes out as claimed against
    `rate` by its exact limits. An example counts where the feature fires on the original (for stronger: on either); for
    keeps_firing it must be able to fail: in a causal model nothing that comes later changes a token that fired.
    """

    kind: ClassVar[str] = "holds_under"
    asks: ClassVar[bool] = True
    mutants: ClassVar[frozenset[str]] = frozenset({"wrong_feature", "random_sae", "one_layer_off"})

    prompts: SetRef = Field(description="The originals; a template with slots is chosen from slot by slot.")
    edits: tuple[AnEdit, ...] = Field(
        json_schema_extra={"minItems": 1},
        description="What is done to them: swap_marked and paraphrase with their words, swap_within, position, "
        "filler_before and filler_after with or without; case, punctuation, negation, typo. swap_marked is part of "
        "every example, the others of some.",
    )
    relation: Relation = Field(description="What the edits should do to the feature.")
    mode: Literal["search", "rate"] = Field(
        "search", description="Look for a counterexample, or measure in how many examples the relation holds."
    )
    rate: ShareBound | None = Field(
        None,
        description="For `mode: rate`: bound on the share of examples in which the relation holds; at least .9 where "
        "it is left out (29, 46, 61 or 76 examples show that with 0, 1, 2 or 3 failures).",
    )
    draws: int = Field(100, ge=1, le=_MOST_DRAWS, description="How many different examples are drawn.")
    seed: int = Field(0, ge=0, description="Other examples for another number; the same for the same.")
    pinned: tuple[Pin, ...] = Field(
        (), description="For `mode: search`: counterexamples found before, always tried first."
    )

    @model_validator(mode="after")
    def _consistent(self) -> HoldsUnder:
        names = [edit.name for edit in self.edits]
        if not names:
            raise ValueError("`edits` is empty; name one, such as `case`")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the edit {twice} stands twice; put all its words into one list")
        if "swap_marked" in names and self.relation == "keeps_firing":
            raise ValueError(
                "swap_marked takes the concept out of the prompt, so a feature of it must stop firing: claim "
                "`relation: stops_firing`, or use swap_within for another word of its kind"
            )
        if self.mode == "search" and self.rate is not None:
            raise ValueError("`rate` is what `mode: rate` measures; add that, or leave `rate` out")
        if self.mode == "rate" and self.pinned:
            raise ValueError("`pinned` is tried by `mode: search`; a rate is of examples drawn at random")
        return self

    @property
    def bound(self) -> Bound:
        return self.rate or Bound(at_least=0.9)

    def in_words(self, told: Told) -> str:
        share = f" in a share of {limits_text(self.bound)} of them" if self.mode == "rate" else ""
        edits = "; ".join(edit.in_words() for edit in self.edits)
        claimed = f"{told.who} {WORDS[self.relation][0]} when prompts of {told.on('prompts')} are edited{share}"
        return told.sentence(f"{claimed} ({edits})", self._drawn_words(), self._level(told), told.pooled())

    def _drawn_words(self) -> str:
        drawn = f"{self.draws} examples are drawn" + (f" by seed {self.seed}" if self.seed else "")
        if self.mode == "rate":
            return f"{drawn}, with one edit each"
        pins = f"; {len(self.pinned)} found before are tried first" if self.pinned else ""
        return f"{drawn}, with up to three edits at once, and none of them may be a counterexample{pins}"

    def _level(self, told: Told) -> str:
        """A search has no level: one counterexample is enough."""
        return told.level() if self.mode == "rate" else ""

    def side(self) -> Side:
        """high: every relation asks the feature to fire to begin with, so that silence meets none."""
        return "high"

    def read_by(self, role: str) -> tuple[str | None, ...]:
        """The set itself is what examples are drawn from; only they are read."""
        return () if role == "prompts" else (None,)

    def check_fit(self, sets: Mapping[str, PromptSet], claim: Claim) -> None:
        prompts = sets["prompts"].prompts
        kinds = kinds_of(prompts)
        for number, edit in enumerate(self.edits):
            if self._is_true_by_construction(edit, prompts, claim):
                raise Unfit(("edits", number), _TRUE_BY_CONSTRUCTION, "construction")
            why = editing.cannot(edit, prompts, kinds)
            if why is not None:
                raise Unfit(("edits", number), why)
        for number, pin in enumerate(self.pinned):
            if pin.prompt == pin.edited:
                raise Unfit(("pinned", number), "this edit changes nothing: `prompt` and `edited` are the same text")

    def _is_true_by_construction(self, edit: AnEdit, prompts: Sequence[Prompt], claim: Claim) -> bool:
        """What is appended comes after every token that the feature fired on, and in a causal model changes none."""
        grows = claim.pool in ("max", "any") and all(p.is_causal for p in prompts)
        return grows and self.relation == "keeps_firing" and edit.name == "filler_after"

    def makes(self, sets: Mapping[str, PromptSet]) -> dict[str, PromptSet]:
        population = sets["prompts"]
        drawn = (*self._pins(population.prompts), *self._drawn(population.prompts))
        prompts = {p.content: p for example in drawn for p in (example.original, example.edited)}
        return {DRAWN: PromptSet(f"examples from {population.name}", tuple(prompts.values()))} if drawn else {}

    def _drawn(self, prompts: tuple[Prompt, ...]) -> tuple[Drawn, ...]:
        draw = explored if self.mode == "search" else sampled
        return draw(prompts, self.edits, self._required, self.draws, self.seed)

    @property
    def _required(self) -> tuple[str, ...]:
        return tuple(edit.name for edit in self.edits if edit.name == "swap_marked")

    def _pins(self, prompts: Sequence[Prompt]) -> tuple[Drawn, ...]:
        """Pinned texts, read in the way of the set's first prompt."""
        like = replace(prompts[0], marks=(), group=None, filled=())
        return tuple(
            Drawn(replace(like, text=p.prompt), replace(like, text=p.edited), ("pinned",)) for p in self.pinned
        )

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        if self.mode == "search" or claim.scope == "sample":
            return None
        made = self.draws
        if reachable(self.bound, made, claim.alpha):
            made = len(self._drawn(sets["prompts"].prompts))
        if made == 0 or reachable(self.bound, made, claim.alpha):
            return None
        n = fewest(lambda n: reachable(self.bound, n, claim.alpha), made + 1, most=_MOST_DRAWS)
        more = f"Write `draws: {n}` or more" if made == self.draws else f"Add prompts or words until there are {n}"
        fix = "No number of examples can: change the bound" if n is None else more
        return inconclusive(
            Reason.TOO_FEW_PROMPTS,
            f"{made} different examples cannot show this (even {best_text(self.bound, made)} would not prove a "
            f"rate {bound_words(self.bound)} at alpha {claim.alpha_in_words}). {fix}.",
            measurement=Measurement("examples", made, made),
        )

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask:
        """Which features' examples come out as claimed, [d_sae]."""
        examples, values = self._drawn(evidence.prompts("prompts").prompts), Values(evidence, claim)
        live = values.live()
        before = values.columns([e.original for e in examples], live)
        after = values.columns([e.edited for e in examples], live)
        found = held(self.relation, before, after, claim.noise)
        mask = np.zeros(evidence.codes(values.roles[0]).d_sae, bool)
        mask[live] = self._meets(found, claim)
        return mask

    def _meets(self, found: Held, claim: Claim) -> Mask:
        usable, holds = found.usable.sum(axis=0), found.holds.sum(axis=0)
        enough = _enough(usable, len(found.usable))
        if self.mode == "rate":
            return np.asarray(enough & within_bound(self.bound, holds / np.maximum(usable, 1)))
        clear = usable - holds <= most_too_close(claim.noise) * usable
        return np.asarray(enough & ~found.violates.any(axis=0) & clear)

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        population = evidence.prompts("prompts").prompts
        values, examples = Values(evidence, claim), self._drawn(population)
        undecidable = self.beforehand(evidence.sets, claim) or none_made(examples)
        undecidable = undecidable or broken(evidence, claim, values.roles)
        if undecidable is not None:
            return undecidable
        if self.relation != "keeps_firing":
            return self._decided(examples, examples, values, population)
        deciding = tuple(e for e in examples if not values.cannot_fail(e.original, e.edited))
        if not deciding:
            return inconclusive(
                Reason.VACUOUS,
                f"in all {len(examples)} examples the feature fires before the first token that the edit changes, and "
                "what comes later changes nothing there: true by construction. Use edits that come before the word, "
                "or `pool: last`.",
                measurement=Measurement("examples that could fail", 0, len(examples)),
            )
        found = self._decided(deciding, examples, values, population)
        certain = len(examples) - len(deciding)
        text = f"{certain} of {len(examples)} examples do not count: their edit comes after the token that fires"
        return found.with_(warnings=(*found.warnings, text)) if certain else found

    def _decided(
        self, examples: Sequence[Drawn], explored: Sequence[Drawn], values: Values, population: tuple[Prompt, ...]
    ) -> Verdict:
        """examples: those that count. explored: all that were drawn, which shrinking starts from."""
        tried = Tried(self.relation, self._names, examples, outcomes(self.relation, examples, values), values)
        return self._rate(tried) if self.mode == "rate" else self._search(tried, explored, population)

    def _rate(self, tried: Tried) -> Verdict:
        shows = tried.claim.scope == "sample" or reachable(self.bound, tried.n, tried.claim.alpha)
        return tried.silent(shows and _enough(tried.n, len(tried.examples))) or tried.rate(self.bound)

    def _search(self, tried: Tried, explored: Sequence[Drawn], population: tuple[Prompt, ...]) -> Verdict:
        pins = self._pins(population)
        if pins:
            kept = Tried(self.relation, ("pinned",), pins, outcomes(self.relation, pins, tried.values), tried.values)
            if kept.k:
                bad = next(pin for pin, wrong in zip(pins, kept.held.violates, strict=True) if wrong)
                return kept.refuted(Counterexample(bad, 0, True), "a pinned counterexample")
        if tried.k:
            language = Language(population, self.edits, self._required)
            least = smallest(self.relation, language, self.draws, self.seed, explored, tried.values)
            return tried.refuted(least, f"{tried.k} of {tried.n} examples speak against it; {least.how}")
        return tried.silent(_enough(tried.n, len(tried.examples))) or tried.close() or tried.none_found()

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(edit.name for edit in self.edits)


def _enough(usable: Any, drawn: int) -> Any:
    """Whether the examples that count, of one feature or of each, can stand for those drawn: in both modes."""
    return usable >= LEAST_USABLE * drawn


_RED, _OLD = "the [[red]] ball rolled", "the old ball rolled"
_SWAP = {"edits": [{"swap_marked": ["old"]}], "relation": "stops_firing"}
_TEAL = {"edits": [{"swap_within": ["teal"]}], "relation": "keeps_firing"}
HoldsUnder.examples = (
    KindExample(
        "stops when the color word is exchanged for another adjective",
        Outcome.MET,
        _SWAP,
        {"prompts": rows(20, _RED, red=3), "drawn": rows(20, _OLD)},
    ),
    KindExample(
        "also fires on the other adjective",
        Outcome.UNMET,
        _SWAP,
        {"prompts": rows(20, _RED, red=3), "drawn": [*rows(20, _OLD)[:12], *rows(20, _OLD, old=2)[12:]]},
    ),
    KindExample(
        "fires on no original, so it cannot stop",
        Outcome.INCONCLUSIVE,
        _SWAP,
        {"prompts": rows(20, _RED), "drawn": rows(20, _OLD)},
    ),
    KindExample(
        "keeps firing on another color in nine examples of ten",
        Outcome.MET,
        {**_TEAL, "mode": "rate"},
        {"prompts": rows(40, _RED, red=3), "drawn": rows(40, _RED.replace("red", "teal"), teal=2)},
    ),
    KindExample(
        "28 examples cannot show nine of ten",
        Outcome.INCONCLUSIVE,
        {**_TEAL, "mode": "rate", "draws": 28},
        {"prompts": rows(40, _RED, red=3), "drawn": rows(40, _RED.replace("red", "teal"), teal=2)},
    ),
)
