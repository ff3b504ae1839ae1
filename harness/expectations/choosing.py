"""`feature: {best: ...}`: the feature that ranks first on discovery prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import EnvironmentFault
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.stats.contrast import contrast


@dataclass(frozen=True, slots=True)
class Chosen:
    """A feature and the score that it was chosen by."""

    feature: int
    score: float


def best_feature(evidence: Evidence, claim: Claim, by: Literal["auroc", "mean", "rate"]) -> Chosen:
    """The feature with the highest AUROC, mean difference or rate difference of `prompts` against `than`.

    Raises EnvironmentFault `nothing_fires`: where all are silent, the first of equals would be feature 0.
    Among equals (a small set has many features of AUROC 1) the larger mean difference wins, then the lower number.
    """
    codes = evidence.codes("prompts"), evidence.codes("than")
    key = ("contrast", id(codes[0]), id(codes[1]), claim.tokens, claim.special_tokens, claim.pool)
    pooled = evidence.pooled("prompts", claim), evidence.pooled("than", claim)
    table = evidence.memo(key, lambda: contrast(*pooled), keep=codes)
    if not np.any(table.pos_rate > 0):
        name = evidence.prompts("prompts").name
        raise EnvironmentFault("nothing_fires", f"no feature fires on the discovery prompts {name}.", "Check the SAE.")
    score = {"auroc": table.auroc, "mean": table.mean_difference, "rate": table.rate_difference}[by]
    feature = int(np.lexsort((np.arange(len(score)), -table.mean_difference, -score))[0])
    return Chosen(feature, float(score[feature]))
