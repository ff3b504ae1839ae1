"""Known to be true: a feature that no SAE has, planted in the subject's own codes on every prompt of one set.

Claimed of that set against the other it has to be met, and claimed the other way round it must not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.codes import Codes
from harness.controls.base import Control, Sample
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence
from harness.expectations.fires_more import FiresMore
from harness.inputs import PromptSet
from harness.judging import before_running, judge
from harness.mutants.swapped_sets import compared_roles
from harness.spec import Spec
from harness.verdict import Outcome, Reason, Verdict

MOST = 2


def planted(sample: Sample) -> Control | None:
    """Both ways on the sets of MOST claims. None where no claim compares two sets of prompts that can show anything."""
    tried = [one for spec in sample.where(_compares_two) for one in _both_ways(sample, spec)][: 2 * MOST]
    if not tried:
        return None
    wrong = [verdict for verdict, is_true in tried if (verdict.outcome is Outcome.MET) is not is_true]
    met = sum(verdict.outcome is Outcome.MET for verdict, _ in tried)
    finding = f"a planted feature is met where it fires and not elsewhere: {len(tried) - len(wrong)} of {len(tried)}"
    if wrong:
        finding += f"; {wrong[0].word}: {wrong[0].finding}"
    return Control("planted", sample.subject, not wrong, finding, len(tried), met)


def _compares_two(spec: Spec) -> bool:
    two = len(compared_roles(spec.expectation)) == 2 and not (spec.corpora or spec.others)
    return two and spec.claim.scope == "population"


def _both_ways(sample: Sample, spec: Spec) -> list[tuple[Verdict, bool]]:
    """[] where these sets cannot show it: too few prompts, no counted tokens, or lengths that confound."""
    first, second = compared_roles(spec.expectation)
    codes = {role: sample.case(spec).evidence.codes(role) for role in (first, second)}
    there = _claimed(spec, (first, second), _with_planted(codes, first, spec.claim))
    back = _claimed(spec, (second, first), _with_planted(codes, first, spec.claim))
    if there is None or back is None or there.reason is Reason.LENGTH_CONFOUND:
        return []
    return [(there, True), (back, False)]


def _claimed(spec: Spec, roles: tuple[str, str], codes: Mapping[str, Codes]) -> Verdict | None:
    names = dict(zip(("prompts", "than"), roles, strict=True))
    sets = {name: PromptSet(name, spec.sets[role].prompts) for name, role in names.items()}
    claim, more = replace(spec.claim, pool="max", alpha=0.05), FiresMore(prompts="prompts", than="than")
    new = (codes[roles[0]].d_sae - 1,)
    one = Spec(f"{spec.id}#planted", spec.suite, spec.subject, more, claim, spec.source, sets, features=new)
    if before_running(one) is not None:
        return None
    codes_of: dict[tuple[str, str | None], Codes] = {(name, None): codes[role] for name, role in names.items()}
    return judge(one, Evidence(sets=sets, codes_of=codes_of))


def _with_planted(codes: Mapping[str, Codes], role: str, claim: Claim) -> dict[str, Codes]:
    """The same codes with one more feature, which fires on the last counted token of each prompt of `role`."""
    widened = {name: replace(one, d_sae=one.d_sae + 1) for name, one in codes.items()}
    one = widened[role]
    counted = np.flatnonzero(one.counted(claim.tokens, claim.special_tokens))
    last = counted[np.flatnonzero(np.diff(one.prompt[counted], append=-1))]
    at = one.indptr[last + 1]
    widened[role] = replace(
        one,
        index=np.insert(one.index, at, one.d_sae - 1),
        value=np.insert(one.value, at, 1 + np.arange(len(at)) / 100),
        indptr=one.indptr + np.searchsorted(last, np.arange(one.n_tokens + 1)),
    )
    return widened
