"""Toy specs for the tests of mutants: a claim, its evidence, and what stands for a model that has to be read."""

from dataclasses import replace

from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, rows
from harness.inputs import ModelRef, SaeRef, Subject
from harness.mutants.trying import Unread, try_mutants
from harness.spec import Spec
from harness.verdict import Outcome, Verdict

SUBJECT = Subject(
    "toy", ModelRef("toy", "path", "zoo/model"), SaeRef("toy", "path", "zoo/sae"), "blocks.3.hook_resid_post"
)
COLOR, PLAIN = "the red ball rolled", "the old ball rolled"
MARKED = "the [[red]] ball rolled away from the old green house"


def toy_spec(kind, fields, given, name="suite::claim", **claim):
    """(spec about feature 0, its evidence); `given` has the rows of each role."""
    evidence = replace(evidence_of_rows(**given), sums_of={})  # a real claim has no sums of its prompts
    expectation = kinds()[kind].model_validate({**{role: role for role in given}, **fields})
    features = (0,) if expectation.about_feature() else ()
    made = Spec(name, "suite", SUBJECT, expectation, Claim(**claim), Source("specs/suite.yaml"), evidence.sets)
    return replace(made, features=features), evidence


def compared(name="suite::claim", n=20, positive=None, **fields):
    """fires_more of feature 0, which fires on the red prompts only."""
    given = {"prompts": rows(n, COLOR, **(positive or {"red": 3})), "than": rows(n, PLAIN)}
    scope = {"scope": fields.pop("scope")} if "scope" in fields else {}
    return toy_spec("fires_more", fields, given, name, **scope)


def fates(spec, evidence, **read):
    """{mutant: fate}; `read` gives the evidence of a derived subject by the mutant's name, else it cannot be had."""
    return {trial.mutant: str(trial.fate) for trial in trials(spec, evidence, **read)}


def trials(spec, evidence, **read):
    verdict = Verdict(Outcome.MET, "met", feature=spec.features[0] if spec.features else None)

    def reading(asked):
        if asked.subject == spec.subject:
            return evidence, None
        name = asked.subject.sae.derived or "one_layer_off"
        if name not in read:
            raise Unread(f"{asked.subject.name} has not been read")
        return read[name], None

    return try_mutants(spec, verdict, reading)
