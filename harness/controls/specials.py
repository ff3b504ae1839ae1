"""Known to be true: what is measured with special tokens differs from what is measured without them.

One <bos> that is counted by mistake raises a feature's mean 25-fold and hardly moves anything else that people look at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.codes import Codes, Kind, Mask, Pooled
from harness.controls.base import Control, Sample
from harness.expectations.evidence import Evidence
from harness.spec import Spec


def specials_differ(sample: Sample) -> Control | None:
    """On the prompts of one claim. None where no prompt has a special token or an attention sink."""
    for spec in sample.where(lambda spec: bool(spec.sets)):
        evidence = sample.case(spec).evidence
        for role, by in evidence.codes_of:
            if by is None and _left_out(evidence.codes_of[role, by]).any():
                return _compared(sample.subject, spec, evidence, role)
    return None


def _left_out(codes: Codes) -> Mask:
    """Special tokens and text that is an attention sink, [n_tokens]: what `special_tokens: counted` adds."""
    return np.asarray((codes.kind == Kind.SPECIAL) | codes.left_out_sinks())


def _compared(subject: str, spec: Spec, evidence: Evidence, role: str) -> Control:
    without, with_them = (
        evidence.pooled(role, replace(spec.claim, pool="max", special_tokens=policy))
        for policy in ("ignored", "counted")
    )
    differs = _differs(without, with_them, evidence.codes(role))
    seen = "differ from" if differs else "are the same as"
    finding = f"activations on {evidence.prompts(role).name} with special tokens counted {seen} those without"
    return Control("specials_differ", subject, differs, finding, 1, int(differs))


def _differs(without: Pooled, with_them: Pooled, codes: Codes) -> bool:
    """More counted tokens; and other values, unless nothing fires on a special token."""
    longer = bool((with_them.lengths > without.lengths).any())
    special = np.repeat(_left_out(codes), np.diff(codes.indptr))
    same = len(without.value) == len(with_them.value) and bool(np.array_equal(without.value, with_them.value))
    return longer and not (same and bool((codes.value[special] != 0).any()))
