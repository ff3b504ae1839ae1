"""Known to be true, and to be false: each kind's own examples on constructed codes.

Every toy prompt starts with a <bos> on which all features fire at 50: a run that counted it unasked would show it here.
"""

from __future__ import annotations

from harness.controls.base import Control
from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Expectation, KindExample
from harness.expectations.toy import claim_of, evidence_of, expectation_of
from harness.inputs import ModelRef, SaeRef, Subject
from harness.judging import judge
from harness.spec import Spec
from harness.verdict import Outcome, Verdict

_SUBJECT = Subject("toy", ModelRef("toy", "path", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post")


def toys(kind: str) -> Control | None:
    """A kind's first example of a claim that is met, and of one that is not. None for what is no kind."""
    known = kinds().get(kind)
    if known is None:
        return None
    examples = [next(e for e in known.examples if e.outcome is wanted) for wanted in (Outcome.MET, Outcome.UNMET)]
    verdicts = [_judged(known, example) for example in examples]
    wrong = [(e, v) for e, v in zip(examples, verdicts, strict=True) if v.outcome is not e.outcome]
    met = sum(verdict.outcome is Outcome.MET for verdict in verdicts)
    finding = f"{len(examples) - len(wrong)} of {len(examples)} claims on constructed codes came out as they must"
    if wrong:
        finding += f"; {wrong[0][0].title!r} must be {wrong[0][0].outcome} and is {wrong[0][1].word}"
    return Control(f"toys of {kind}", "", not wrong, finding, len(examples), met)


def _judged(kind: type[Expectation], example: KindExample) -> Verdict:
    evidence = evidence_of(example)
    expectation, claim, where = expectation_of(kind, example), claim_of(example), Source("toys", 1, 1)
    features = (claim.feature or 0,) if expectation.about_feature() else ()
    spec = Spec("toys", "toys", _SUBJECT, expectation, claim, where, evidence.sets, features=features)
    return judge(spec, evidence)
