"""What a met claim needs to be enough to steer by: each thing it may lack, alone, and all that is lacking at once."""

from dataclasses import replace

import pytest

from harness.expectations import kinds
from harness.gate.blocking import Why
from harness.gate.proof import is_proof, not_enough
from harness.inputs import Prompt, PromptSet
from harness.mutants.score import with_trials
from harness.reports.record import Record
from harness.spec import Attribution, Best
from harness.vacuity import saying_little
from harness.verdict import Fate, Outcome, Reason, Trial, Verdict
from interp_tests.report_cases import SUBJECT, spec

FOUND_ON = PromptSet("discovery", ())
SOME = PromptSet("some", (Prompt("a red ball"), Prompt("a blue car")))
FIRES = kinds()["fires_more"].model_validate({"prompts": "a", "than": "b"})
SILENT = kinds()["silent_on"].model_validate({"prompts": "b", "but_fires_on": "a"})
RARE = kinds()["fire_rate"].model_validate({"prompts": "a", "rate": {"at_most": 0.5}})
OFTEN = kinds()["fire_rate"].model_validate({"prompts": "a", "rate": {"at_least": 0.5}})
RAISES = kinds()["promotes"].model_validate({"tokens": ["red"]})
MET = Verdict(Outcome.MET, "feature 17 fires more", p=1e-4, null_share=0.002, feature=17)
SURVIVED, KILLED = Trial("wrong_feature", Fate.SURVIVED), Trial("swapped_sets", Fate.KILLED)


def claim(name="a", verdict=MET, **changes):
    """A claim about feature 17 and its record: firing, in general, held out, unless `changes` say otherwise."""
    made = replace(spec(name), **{"expectation": FIRES, "discovered_on": FOUND_ON, **changes})
    made = replace(made, sets=dict.fromkeys(made.expectation.references("prompts"), SOME))
    return made, Record.of(made, verdict, "f" * 64, 40, 30, 0.1)


def asked(**how):
    return replace(spec().claim, **how)


LACKING = {
    "silence": (Why.NO_FIRING_CLAIM, {"expectation": SILENT}),
    "rarity": (Why.NO_FIRING_CLAIM, {"expectation": RARE}),
    "weights only": (Why.NO_FIRING_CLAIM, {"expectation": RAISES}),
    "another subject": (Why.NO_FIRING_CLAIM, {"others": {"other": SUBJECT}}),
    "these prompts only": (Why.SAMPLE_ONLY, {"claim": asked(scope="sample")}),
    "a warning": (Why.WARN_ONLY, {"severity": "warn"}),
    "a coin": (Why.HIGH_ALPHA, {"claim": asked(alpha=0.5)}),
    "every feature": (Why.VACUOUS, {"verdict": replace(MET, null_share=1.0)}),
    "one in nineteen": (Why.VACUOUS, {"verdict": replace(MET, null_share=0.0526)}),
    "no null share": (Why.VACUOUS, {"verdict": replace(MET, null_share=None)}),
    "says little": (Why.VACUOUS, {"verdict": saying_little(MET, Reason.VACUOUS, "300 of 1,000 meet it")}),
    "kills no mutant": (Why.VACUOUS, {"verdict": with_trials(MET, (SURVIVED,))}),
    "a shortcut": (Why.SHORTCUT, {"verdict": saying_little(MET, Reason.SHORTCUT, "the first word does as well")}),
    "no provenance": (Why.NO_PROVENANCE, {"discovered_on": None}),
    "the author's word": (Why.NO_PROVENANCE, {"discovered_on": None, "attributed_to": Attribution("red", "a page")}),
}
ENOUGH = {
    "discovery prompts": {},
    "best": {"discovered_on": None, "best": Best(FOUND_ON, FOUND_ON), "features": ()},
    "a rate": {"expectation": OFTEN},
    "one in twenty": {"verdict": replace(MET, null_share=0.05)},
    "a mutant killed": {"verdict": with_trials(MET, (SURVIVED, KILLED))},
    "mutants not run": {"verdict": with_trials(MET, (Trial("random_sae", Fate.NOT_RUN),))},
    "alpha .1": {"claim": asked(alpha=0.1)},
}


@pytest.mark.parametrize("case", LACKING)
def test_a_met_claim_that_lacks_one_thing_is_not_enough(case):
    """The reason has its own name, names the claim, and says what to do."""
    why, changes = LACKING[case]
    found = claim(**changes)
    assert not is_proof(found)
    reasons = list(not_enough(17, [found]))
    assert why in [reason.why for reason in reasons]
    assert all("feature 17: tiny-gemma2/color::a " in reason.message for reason in reasons)
    assert all(reason.message.count(". ") for reason in reasons), "a fix follows"


@pytest.mark.parametrize("case", ENOUGH)
def test_a_met_claim_with_everything_is_enough_whatever_others_lack(case):
    """One is enough; the others may be of silence or of a sample."""
    others = [claim(str(i), **changes) for i, (_, changes) in enumerate(LACKING.values())]
    assert is_proof(claim(**ENOUGH[case]))
    assert list(not_enough(17, [*others, claim(**ENOUGH[case])])) == []


def test_claims_that_lack_different_things_do_not_make_one_together():
    """A vacuous claim with provenance and a strong one without are two lacks, each named with its claim."""
    vacuous = claim("vacuous", replace(MET, null_share=0.9))
    chosen = claim("chosen", replace(MET, details={"p_if_chosen_here": 0.31}), discovered_on=None)
    reasons = {reason.why: reason.message for reason in not_enough(17, [vacuous, chosen])}
    assert set(reasons) == {Why.VACUOUS, Why.NO_PROVENANCE}
    assert "color::vacuous is met by 90% of live features" in reasons[Why.VACUOUS]
    assert (
        "color::chosen names no discovery prompts (chosen on these prompts, p would be 0.31)"
        in reasons[Why.NO_PROVENANCE]
    )


def test_claims_of_silence_are_not_blamed_beside_one_of_firing():
    """What is lacking is said of the claim that could become enough; of silence alone only that it is silence."""
    silent, warned = claim("silent", expectation=SILENT, discovered_on=None), claim("warned", severity="warn")
    assert [reason.why for reason in not_enough(17, [silent, warned])] == [Why.WARN_ONLY]
    assert [reason.why for reason in not_enough(17, [silent])] == [Why.NO_FIRING_CLAIM]


def test_many_claims_that_lack_one_thing_are_counted():
    """Three are named."""
    (reason,) = not_enough(17, [claim(str(i), severity="warn") for i in range(9)])
    assert "and 6 more claims" in reason.message
