"""The prompts that bear on a verdict, with the activation of each of their counted tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.expectations.base import Claim
from harness.expectations.checks import feature_of
from harness.expectations.evidence import Evidence
from harness.verdict import Example

MOST_SHOWN = 5


def examples_at(evidence: Evidence, claim: Claim, role: str, rows: Iterable[int], note: str) -> tuple[Example, ...]:
    """These rows of a role as Examples: the pooled value, and (token, activation) of the counted tokens."""
    codes = evidence.codes(role)
    feature = feature_of(claim, codes.d_sae)
    value = evidence.pooled(role, claim).column(feature)
    activation, counted = codes.token_column(feature), evidence.counted(role, claim)
    prompts = evidence.prompts(role)
    found = []
    for row in rows:
        at = codes.of_prompt(row)
        shown = zip(evidence.tokens(role, row), activation[at].tolist(), counted[at], strict=True)
        tokens = tuple((token, one) for token, one, counts in shown if counts)
        found.append(Example(prompts.prompts[row].shown, float(value[row]), prompts.name, note, tokens))
    return tuple(found)


def silent_prompts(evidence: Evidence, claim: Claim, role: str, most: int = 3) -> tuple[Example, ...]:
    """Prompts on which the feature should fire and does not; where all fire, the one that fires least."""
    order = in_order_of(evidence, claim, role, "lowest")
    value = evidence.pooled(role, claim).column(feature_of(claim, evidence.codes(role).d_sae))
    silent = [row for row in order if value[row] == 0][:most]
    if silent or not len(order):
        return examples_at(evidence, claim, role, silent, "does not fire")
    return examples_at(evidence, claim, role, order[:1], "fires least")


def firing_prompts(
    evidence: Evidence, claim: Claim, role: str, most: int = 2, note: str = "fires, and should not"
) -> tuple[Example, ...]:
    """Prompts on which the feature fires most, strongest first."""
    value = evidence.pooled(role, claim).column(feature_of(claim, evidence.codes(role).d_sae))
    order = [row for row in in_order_of(evidence, claim, role, "highest") if value[row] != 0]
    return examples_at(evidence, claim, role, order[:most], note)


def in_order_of(evidence: Evidence, claim: Claim, role: str, first: Literal["lowest", "highest"]) -> NDArray[np.int64]:
    """The prompts that have counted tokens, by pooled value; ties in the order of the set."""
    pooled = evidence.pooled(role, claim)
    value = pooled.column(feature_of(claim, pooled.d_sae))
    order = np.argsort(value if first == "lowest" else -value, kind="stable")
    return order[pooled.lengths[order] > 0]
