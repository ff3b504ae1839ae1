"""Provenance: where a feature's number was found, what p would be had it been chosen here, and who asks for it."""

from dataclasses import replace

import pytest

from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.toy import evidence_of_rows, row
from harness.inputs import ModelRef, Prompt, PromptSet, SaeRef, Subject
from harness.judging import judge
from harness.provenance import Provenance, provenance_of, with_provenance
from harness.reports.failure import failure_text
from harness.reports.markdown import summary_markdown
from harness.reports.record import Record
from harness.spec import Attribution, Best, Spec
from harness.vacuity import WEAK, failing_vacuous, reasons, saying_little
from harness.verdict import Outcome, Reason
from interp_tests.language_root import HEAD, codes_of, specs_of
from interp_tests.report_cases import run

SUBJECT = Subject("toy", ModelRef("toy", "package", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post")
THINGS = ["cup", "door", "leaf", "stone", "coat", "wall", "bird", "lamp", "boat", "shoe", "tree", "glove"]
FOUND_ON = PromptSet("discovery", (Prompt("his green coat hung by the door"),))
SOURCE = Attribution("color adjectives", "https://example.org/267")
BEST = Best(FOUND_ON, PromptSet("others", (Prompt("he slept all day"),)))
LIVE = 7  # of the toy's eight features 4 never fires


def evidence():
    """Twelve sentences on which feature 0 fires, twelve on which it does not; no two share their word pairs."""
    on = [row(f"{thing} of {other} was red again near {third}", red=3 + i / 9) for i, (thing, other, third) in turns()]
    off = [row(f"under {thing} lay {other} and {third} all day") for _, (thing, other, third) in turns()]
    return evidence_of_rows(prompts=on, than=off, but_fires_on=on)


def turns():
    return enumerate(zip(THINGS, THINGS[1:] + THINGS[:1], THINGS[2:] + THINGS[:2], strict=True))


def spec_of(kind="fires_more", scope="population", fields=None, **changes):
    """A claim about feature 0 of the toy, met on its evidence."""
    given = {"prompts": "prompts", **({"than": "than"} if kind == "fires_more" else {}), **(fields or {})}
    expectation = kinds()[kind].model_validate(given)
    roles = expectation.references("prompts")
    sets = {role: evidence().sets[role] for role in roles}
    given = {"sets": sets, "features": (0,), **changes}
    return Spec("s::x", "s", SUBJECT, expectation, Claim(scope=scope), Source("s.yaml", 1), **given)


def judged(spec):
    seen, like = evidence(), {name: role for role, one in spec.sets.items() for name in [one.name]}
    codes = {(role, None): seen.codes(name) for name, role in like.items()}
    verdict = judge(spec, replace(seen, sets=spec.sets, codes_of=codes, sums_of={}))
    assert verdict.outcome is Outcome.MET, verdict.finding
    return verdict


def not_vacuous(verdict):
    """The verdict of an SAE with more features than the toy's eight, of which one is over 5 %, on sets that no trivial
    predictor tells apart, as it does the toy's."""
    left = [one for one in verdict.details.get(WEAK, ()) if one["reason"] not in ("vacuous", "shortcut")]
    return verdict.with_(details={**verdict.details, WEAK: left})


def test_without_provenance_the_finding_says_what_p_would_be_had_the_feature_been_chosen_here():
    """p times the live features, and the number itself in the record's details."""
    verdict = judged(spec_of())
    assert verdict.details["p_if_chosen_here"] == pytest.approx(verdict.p * LIVE)
    assert f"p would be {verdict.p * LIVE:.2g} ({verdict.p:.2g} x 7 live features)" in verdict.finding
    assert "nothing says where feature 0 was found: name the prompts with `discovered_on:`" in verdict.warnings[-1]


def test_p_had_it_been_chosen_here_is_at_most_one():
    """A p of .3 among seven live features is 1, not 2.1."""

    weak = judged(spec_of()).with_(p=0.3, details={})
    assert with_provenance(spec_of(), weak, LIVE).details["p_if_chosen_here"] == 1


def test_a_kind_without_a_p_names_the_features_that_could_have_been_chosen():
    """fire_rate has no p: the finding says among how many features it may have been chosen."""
    verdict = judged(spec_of("fire_rate", fields={"rate": {"at_least": 0.6}}))
    assert verdict.p is None
    assert "may have been chosen among 7 live features on these very prompts" in verdict.finding
    assert failing_vacuous(not_vacuous(verdict)).reason is Reason.NO_PROVENANCE


GIVEN = {
    "sets": {"discovered_on": FOUND_ON},
    "best": {"best": BEST, "features": ()},
    "source": {"attributed_to": SOURCE},
    "none": {},
}


@pytest.mark.parametrize("how", GIVEN)
def test_where_the_feature_was_found_is_what_the_claim_gives(how):
    """Sets and best are evidence that the tested prompts are held out; a source and nothing are not."""
    found = provenance_of(spec_of(**GIVEN[how]))
    assert found.how == how
    assert found.is_held_out == (how in ("sets", "best"))
    assert Provenance.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("how", ["sets", "source", "none"])
def test_only_a_claim_without_any_provenance_fails_failing_vacuous(how):
    """A source is shown as the author's word with what p would be, and passes; nothing at all does not."""
    verdict = judged(spec_of(**GIVEN[how]))
    assert ("p would be" in verdict.finding) == (how != "sets")
    assert ("the author's word: 'color adjectives', from https://example.org/267" in verdict.finding) == (
        how == "source"
    )
    assert failing_vacuous(not_vacuous(verdict)).word == ("inconclusive: no_provenance" if how == "none" else "met")


def too_weak():
    """Ten prompts a side, eight of the first and two of the second of which fire: an AUROC of .8 that shows no .7."""
    sides = {}
    for role, firing in (("prompts", 8), ("than", 2)):
        words = [(thing, other, third) for _, (thing, other, third) in turns()][:10]
        texts = [f"near {a} of {b} it {'red' if i < firing else 'was'} by {c}" for i, (a, b, c) in enumerate(words)]
        sides[role] = [row(text if role == "prompts" else f"so {text}", red=3 + i / 9) for i, text in enumerate(texts)]
    return evidence_of_rows(**sides)


@pytest.mark.parametrize("how", ["sets", "source", "none"])
def test_a_claim_that_lacks_prompts_is_no_provenance_where_its_feature_may_have_been_chosen_on_them(how):
    """More prompts are the wrong advice there: p times the live features is printed, and --fail-vacuous names this
    cause; without it, and with provenance, the claim stays underpowered."""
    seen = too_weak()
    spec = replace(spec_of(**GIVEN[how]), sets={role: seen.sets[role] for role in ("prompts", "than")})
    verdict = judge(spec, seen)
    assert verdict.reason is Reason.UNDERPOWERED
    assert ("live features)" in verdict.finding) == (how != "sets")
    strict = failing_vacuous(not_vacuous(verdict))
    assert strict.reason is (Reason.NO_PROVENANCE if how == "none" else Reason.UNDERPOWERED)
    assert ("too few to show the bound" in strict.finding) == (how == "none")


def test_the_most_specific_reason_comes_first_and_the_finding_names_the_others():
    """A shortcut, then vacuity, then a missing origin, in whichever order they were found."""
    found = [Reason.NO_PROVENANCE, Reason.VACUOUS, Reason.SHORTCUT]
    verdict = judged(spec_of(discovered_on=FOUND_ON)).with_(details={}, warnings=())
    for reason in found:
        verdict = saying_little(verdict, reason, f"because {reason}")
    assert [reason for reason, _ in reasons(verdict)] == found[::-1]
    strict = failing_vacuous(verdict)
    assert strict.reason is Reason.SHORTCUT
    assert strict.finding.endswith("because shortcut; because vacuous; because no_provenance")
    refuted = verdict.with_(outcome=Outcome.UNMET)
    assert failing_vacuous(refuted) is refuted
    assert saying_little(refuted, Reason.SHORTCUT, "no") is refuted


def silent():
    """The same feature, claimed to be silent on the other set."""
    expectation = kinds()["silent_on"].model_validate({"prompts": "p", "but_fires_on": "q", "rate": {"at_most": 0.3}})
    sets = evidence().sets
    return replace(spec_of(), expectation=expectation, sets={"prompts": sets["than"], "but_fires_on": sets["prompts"]})


@pytest.mark.parametrize("make", [silent, lambda: spec_of(scope="sample")], ids=["low", "sample"])
def test_claims_of_silence_or_of_their_own_prompts_need_no_provenance(make):
    """Neither the finding nor the record mentions it; the same claim of firing in general does."""
    verdict = judged(make())
    assert provenance_of(make()) is None
    assert "chosen" not in verdict.finding
    assert failing_vacuous(not_vacuous(verdict)).outcome is Outcome.MET


@pytest.mark.parametrize("how", GIVEN)
def test_the_record_carries_it_to_every_report(how):
    """results.json and back, the failure text and summary.md say where the feature was found."""
    spec = spec_of(**GIVEN[how])
    record = Record.of(spec, judged(spec_of()).with_(feature=0), "f" * 64, 24, 0, 0.1)
    again = Record.from_dict(record.to_dict())
    assert again.provenance == provenance_of(spec)
    summary = summary_markdown(run([record]))
    assert "Where the features were found" in summary
    words = {"sets": "discovery", "source": "the author's word: 'color adjectives'", "none": "not given"}
    if how in words:
        assert words[how] in failure_text(record, "pytest")
    assert ("may have been chosen on the tested prompts" in summary) == (how == "none")


CLAIM = "fires_more: {prompts: color, than: others}"


def suite(given):
    return HEAD + f"expect:\n  - id: a\n    feature: 3\n    discovered_on: {given}\n    {CLAIM}\n"


def test_a_source_is_read_as_a_label_and_a_place(tmp_path):
    """Both keys are needed; neither is a prompt set."""
    (spec,) = specs_of(tmp_path, suite("{label: color adjectives, from: https://example.org/267}"))
    assert (spec.attributed_to, spec.discovered_on) == (SOURCE, None)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{label: color adjectives}", "missing_key"),
        ("{from: https://example.org/267}", "missing_key"),
        ("{label: color, from: x, date: 2026}", "unknown_key"),
        ('{label: "", from: x}', "empty_text"),
        ("{label: 3, from: x}", "wrong_type"),
        ("nowhere", "unknown_set"),
        ("{use: nowhere}", "unknown_set"),
    ],
)
def test_a_source_that_is_not_whole_is_a_mistake(tmp_path, given, code):
    """With the code that any other wrong mapping has."""
    assert code in codes_of(tmp_path, suite(given))


def test_a_set_in_a_mapping_is_still_a_set(tmp_path):
    """`{use: ..., half: discovery}` names prompts, as before."""
    (spec,) = specs_of(tmp_path, suite("{use: prompts/words.yaml#number}"))
    assert spec.attributed_to is None
    assert len(spec.discovered_on) > 0
