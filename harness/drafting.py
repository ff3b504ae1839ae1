"""`interp draft`: features found on one half of two sets, and the suite that tests them on the other half.

The test half is never read here: of its prompts only their number enters, by the margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.codes import Floats, Pool
from harness.errors import SpecError
from harness.expectations.base import Claim
from harness.expectations.comparing import FEWEST, Comparison, compared, set_design
from harness.expectations.evidence import Evidence
from harness.expectations.lengths import length_confound
from harness.heldout import Half
from harness.judging import before_running
from harness.language.writing import COMMAND_LINE, entry, suite_text
from harness.running import Runner
from harness.spec import Spec
from harness.stats.contrast import mean_of_all, rate_gap, rate_of_all
from harness.stats.units import Design

Rank = Literal["mean", "auroc", "rate"]
CHANCE = 0.5
TRIAL_BOUND = 0.55  # of the claim that stands for those to be drafted: the lowest that is worth writing


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be drafted. path: of the suite, relative to specs/. a, b: references. family: of several claims."""

    path: str
    a: str
    b: str
    subject: str
    pool: Pool = "max"
    rank: Rank = "auroc"
    n: int = 5
    family: str = "draft"

    @property
    def name(self) -> str:
        """What the claims are called: the positive set's own name."""
        return _own_name(self.a)

    def text(self, entries: Sequence[str], tested: Half = "test") -> str:
        sets = {
            "positive": {"use": self.a, "half": tested},
            "negative": {"use": self.b, "half": tested},
        }
        found = {f"{role}_found_on": {"use": one["use"], "half": "discovery"} for role, one in sets.items()}
        title = f"Features that set {self.a} off from {self.b}: found on one half of each, tested on the other"
        return suite_text(self.path, title, self.subject, entries, sets | found if tested == "test" else sets)

    def trial(self, half: Half) -> str:
        """A claim of some feature on one half: what the suite will read there, before any feature is known."""
        return self.text([entry(self.keys("trial", 0, "any", TRIAL_BOUND, half))], half)

    def keys(
        self, name: str, feature: int, why: str, bound: float, half: Half = "test", together: bool = False
    ) -> dict[str, object]:
        found = {"discovered_on": ["positive_found_on", "negative_found_on"]} if half == "test" else {}
        return {
            "id": name,
            "why": why,
            **({"family": self.family} if together else {}),
            "feature": feature,
            **({"pool": self.pool} if self.pool != "max" else {}),
            **found,
            "fires_more": {"prompts": "positive", "than": "negative", "auroc": {"at_least": bound}},
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """One feature as the discovery half shows it.

    n: units of (A, B) there. bound: what the AUROC on the test half is claimed to show. p: exact, on this half;
    p_of_best: times the live features, since it was looked for among them. why_not: why no claim is written, or "".
    """

    feature: int
    score: float
    auroc: float
    bound: float
    n: tuple[int, int]
    fires: tuple[int, int]
    means: tuple[float, float]
    p: float
    live: int
    why_not: str = ""

    @property
    def p_of_best(self) -> float:
        return min(1.0, self.p * self.live)


def bound_of(found: Comparison, tested: Design, feature: int, alpha: float = 0.05) -> float:
    """The bound that a test half of this design should show, rounded down to two digits.

    The test half's AUROC should reach a - sqrt((a - L)^2 + (a - M)^2), where a is the AUROC on the discovery half, L
    its lower limit there, and M the lower limit that the same AUROC would have with the test half's numbers, both
    one-sided at 1 - alpha: the errors of two independent halves add as squares (MOVER: Zou and Donner, Statistics in
    Medicine 2008;27:1693). A claim is held by a limit, so the bound is the lower limit that such an AUROC has there.
    That the feature was the best of many is not in it: docs/statistics.md has what that costs.
    """
    a = float(found.auroc[feature])
    there = replace(found, design=tested)
    margin = math.hypot(a - found.auroc_limits(feature, alpha).low1, a - there.auroc_limits(feature, alpha).low1)
    reached = np.full(len(found.auroc), max(0.0, a - margin))
    return math.floor(100 * replace(there, auroc=reached).auroc_limits(feature, alpha).low1) / 100


def check_sets(found_on: Spec, tested: Spec) -> None:
    """Both halves must have the units that a comparison takes; known before anything is read."""
    for half, spec in (("discovery", found_on), ("test", tested)):
        early = before_running(spec)
        design = set_design(spec.sets, "prompts", "than")
        if early is not None or min(design.n_positive, design.n_negative) < FEWEST:
            sizes = f"{design.n_positive} against {design.n_negative}"
            message = (
                f"the {half} halves have {sizes} prompts (or templates), and {FEWEST} a side are the fewest: "
                "add prompts to the smaller set"
            )
            raise SpecError("too_few_to_draft", message, COMMAND_LINE)


def discover(plan: Plan, found_on: Spec, tested: Spec, runner: Runner) -> list[Draft]:
    """The `plan.n` features that rank first on the discovery half, those that can be claimed and those that cannot.

    Raises Missing and EnvironmentFault where the half cannot be read, SpecError where its sets cannot be compared.
    """
    runner.ensure([found_on])
    evidence = runner.evidence(found_on)
    unlike = length_confound(evidence, found_on.claim, "prompts", "than")
    if unlike is not None:
        raise SpecError("unlike_lengths", unlike.finding, COMMAND_LINE)
    found = compared(evidence, found_on.claim, "prompts", "than")
    design = set_design(tested.sets, "prompts", "than")
    score = _scores(plan.rank, evidence, found_on.claim, found)
    live = int(np.count_nonzero((np.diff(found.positive.ptr) > 0) | (np.diff(found.negative.ptr) > 0)))
    order = np.lexsort((np.arange(len(score)), -found.auroc, -score))[: plan.n]
    return [_drafted(found, design, int(f), float(score[f]), live) for f in order]


def _scores(rank: Rank, evidence: Evidence, claim: Claim, found: Comparison) -> Floats:
    """What features are ranked by, [d_sae]; means and rates over prompts, as `interp diff` has them."""
    if rank == "auroc":
        return found.auroc
    pos, neg = evidence.pooled("prompts", claim), evidence.pooled("than", claim)
    return mean_of_all(pos) - mean_of_all(neg) if rank == "mean" else rate_gap(rate_of_all(pos), rate_of_all(neg))


def _drafted(found: Comparison, tested: Design, feature: int, score: float, live: int) -> Draft:
    a, b = found.rows(feature)
    bound = bound_of(found, tested, feature)
    why_not = ""
    if found.n_firing(feature) < FEWEST:
        why_not = f"fires on {found.n_firing(feature)} prompts, under {FEWEST}"
    elif bound <= CHANCE:
        why_not = f"AUROC {found.auroc[feature]:.3f} less the margin is not over {CHANCE:g}"
    return Draft(
        feature,
        score,
        float(found.auroc[feature]),
        bound,
        (len(a), len(b)),
        (int(np.count_nonzero(a)), int(np.count_nonzero(b))),
        (float(a.mean()), float(b.mean())),
        found.p(feature).value,
        live,
        why_not,
    )


def suite_of(plan: Plan, drafts: Sequence[Draft], date: str) -> str:
    """The suite: a claim for each draft that can be made, one family where they are several."""
    made = [draft for draft in drafts if not draft.why_not]
    return plan.text([_entry(plan, draft, date, len(made) > 1) for draft in made])


def _entry(plan: Plan, draft: Draft, date: str, together: bool) -> str:
    why = f"Rank {plan.rank}, found by interp draft on {date}; nobody has looked at what it means."
    keys = plan.keys(f"{plan.name}-f{draft.feature}", draft.feature, why, draft.bound, together=together)
    return entry(keys, list(_remarks(draft, date)))


def _remarks(draft: Draft, date: str) -> Iterator[str]:
    """What the discovery half showed, for the reader of the file."""
    (a, b), (fires_a, fires_b), (mean_a, mean_b) = draft.n, draft.fires, draft.means
    yield (
        f"{date}, discovery half, {a} against {b}: AUROC {draft.auroc:.3f}, p {draft.p:.2g} (times {draft.live} live "
        f"features: {draft.p_of_best:.2g})"
    )
    yield f"fires on {fires_a} and {fires_b} of them, mean {mean_a:.3g} and {mean_b:.3g}"
    yield f"bound: {draft.auroc:.3f} less {draft.auroc - draft.bound:.3f}, the margin for both halves' sizes"
    if draft.p_of_best > 0.05:
        yield "as good as chance among so many features: expect the other half to refute it"


def _own_name(reference: str) -> str:
    file, _, name = reference.partition("#")
    stem = file.rpartition("/")[2].partition(".")[0]
    return f"not-{name[1:]}" if name.startswith("!") else name or stem
