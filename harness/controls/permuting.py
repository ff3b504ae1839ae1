"""Known to be false: comparisons on prompts dealt anew between the sets, or with marks moved inside each prompt.

Whatever a feature encodes, a random deal has a true AUROC of .5, and so meets a bound above that in at most alpha of
all draws. A single one that is met says nothing; more than LEVEL lets happen says that the limits, or what they are
made of, are wrong.
"""

from __future__ import annotations

import math
from itertools import islice

from harness.controls.base import Control, Sample, about_one_feature
from harness.judging import before_running, judge
from harness.mutants import applicable
from harness.mutants.shuffled_labels import variants
from harness.spec import Spec
from harness.stats.intervals import binomial_tail
from harness.verdict import Outcome

DRAWS = 20
LEVEL = 1e-5  # of a false alarm, per subject and run; at alpha .05 and 20 draws that is 8 met claims


def permuted_labels(sample: Sample) -> Control | None:
    """DRAWS deals, shared out among the sampled claims. None where p decides no claim."""
    specs = sample.where(_decided_by_p)
    if not specs:
        return None
    outcomes = [met for spec in specs for met in _dealt(sample, spec, math.ceil(DRAWS / len(specs)))]
    if not outcomes:
        return None
    tried, met = len(outcomes), sum(outcomes)
    alpha = max(spec.claim.alpha for spec in specs)
    p = binomial_tail(met, tried, alpha)
    finding = f"{met} of {tried} claims with permuted labels are met, where a share of {alpha:g} may be (p={p:.2g})"
    return Control("permuted_labels", sample.subject, p >= LEVEL, finding, tried, met)


def _decided_by_p(spec: Spec) -> bool:
    by_p = spec.expectation.p_decides and spec.claim.scope == "population" and spec.claim.alpha < 1
    return by_p and about_one_feature(spec) and "shuffled_labels" in applicable(spec)


def _dealt(sample: Sample, spec: Spec, draws: int) -> list[bool]:
    dealt = islice(variants(sample.case(spec)), draws)
    judged = [judge(v.spec, v.evidence, v.discovery) for v in dealt if before_running(v.spec) is None]
    return [verdict.outcome is Outcome.MET for verdict in judged]
