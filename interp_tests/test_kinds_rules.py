"""The rules of the kinds at their edges: templates, lengths, sparsity, signs, silence, samples."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import EnvironmentFault
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.choosing import best_feature
from harness.expectations.evidence import Evidence
from harness.expectations.results import short
from harness.expectations.toy import evidence_of_rows, row, rows, scattered
from harness.inputs import Filled, Prompt, PromptSet
from harness.verdict import Outcome, Reason
from interp_tests.plain_twins import limits as twin_limits
from interp_tests.plain_twins import ranks as twin

COLOR, PLAIN = "the red ball rolled", "the old ball rolled"
CLAIM = Claim(feature=0)
SAMPLE = Claim(feature=0, scope="sample")


def claimed(kind, evidence, claim=CLAIM, **fields):
    """The verdict of a claim whose roles are named after themselves."""
    roles = {role: role for role in evidence.sets}
    return kinds()[kind].model_validate({**roles, **fields}).judge(evidence, claim)


def grouped(evidence, groups):
    """The same evidence, with the template of each prompt named."""
    sets = {
        role: PromptSet(
            role,
            tuple(
                Prompt(p.text, p.marks, g) for p, g in zip(s.prompts, groups.get(role) or [None] * len(s), strict=True)
            ),
        )
        for role, s in evidence.sets.items()
    }
    return Evidence(sets=sets, codes_of=evidence.codes_of, sums_of=evidence.sums_of)


def values(*numbers):
    """Prompts whose feature 0 has these pooled values."""
    return [row(f"a red n{i}", red=v) for i, v in enumerate(numbers)]


def test_fires_more_reports_the_plain_numbers(snapshot):
    """AUROC, p, rates and means equal those of the pooled values, counted one by one."""
    a, b = (3.0, 2.0, 0.0, 5.0, 4.0, 1.5), (0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.75)
    verdict = claimed("fires_more", evidence_of_rows(prompts=values(*a), than=values(*b)))
    assert verdict.measurement.value == pytest.approx(twin.auroc(a, b))
    assert verdict.p == pytest.approx(twin.permutation_p(a, b))
    assert verdict.measurement.n == 13
    low, high = twin_limits.newcombe(twin.auroc(a, b), 6, 7, 1.959964)
    assert (verdict.measurement.low, verdict.measurement.high) == pytest.approx((low, high), abs=2e-4)
    also = {m.name: m for m in verdict.also}
    assert also["firing rate on prompts"].value == pytest.approx(5 / 6)
    assert also["mean difference"].value == pytest.approx(np.mean(a) - np.mean(b))
    assert also["ratio of means"].value == pytest.approx(np.mean(a) / np.mean(b))
    assert also["firing prompts"].value == 8
    assert verdict.finding == snapshot


def test_a_significant_effect_under_the_bound_is_not_met(snapshot):
    """AUROC .77, a small p: unmet only when the upper limit is under the bound, met when the lower one reaches it."""
    few = evidence_of_rows(prompts=values(*range(13, 53)), than=values(*range(40)))
    verdict = claimed("fires_more", few, auroc={"at_least": 0.9})
    assert verdict.p < 0.01
    assert verdict.outcome is Outcome.UNMET
    assert verdict.finding == snapshot
    assert claimed("fires_more", few, auroc={"at_least": 0.6}).outcome is Outcome.MET
    assert claimed("fires_more", few, auroc={"at_least": 0.75}).reason is Reason.UNDERPOWERED
    assert claimed("fires_more", few, auroc={"at_least": 0.8}).reason is Reason.UNDERPOWERED


def test_both_bounds_of_fires_more_must_hold():
    """A mean difference under its bound fails a perfect AUROC, and is then the measurement."""
    evidence = evidence_of_rows(prompts=rows(10, COLOR, red=3), than=rows(10, PLAIN))
    verdict = claimed("fires_more", evidence, mean_difference={"at_least": 5})
    assert (verdict.outcome, verdict.measurement.name) == (Outcome.UNMET, "mean difference")
    assert claimed("fires_more", evidence, mean_difference={"at_least": 2}).outcome is Outcome.MET


def test_fires_more_claims_more():
    """An at_most on the AUROC is another claim, and is refused with its name."""
    with pytest.raises(ValidationError, match="silent_on"):
        kinds()["fires_more"].model_validate({"prompts": "a", "than": "b", "auroc": {"at_most": 0.5}})


def test_groups_are_the_units(snapshot):
    """Twenty prompts a side in four groups are four units; with five groups on each side, five suffice."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3), than=rows(20, PLAIN))
    four = grouped(evidence, {"prompts": list("abcd") * 5, "than": list("efgh") * 5})
    verdict = claimed("fires_more", four)
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    assert verdict.finding == snapshot
    five = grouped(evidence, {"prompts": list("abcde") * 4, "than": list("fghij") * 4})
    found = claimed("fires_more", five)
    assert (found.outcome, found.measurement.n) == (Outcome.MET, 10)
    assert found.finding == snapshot
    assert found.p == pytest.approx(1 / 252)


def in_frames(evidence, words, frames=2):
    """The same rows as if made from templates: word by word, each in all frames."""
    sets = {}
    for role, made in evidence.sets.items():
        filled = [
            (
                Filled("template", i % frames, f"{{w}} in frame {i % frames}"),
                Filled("w", i // frames, words[role][i // frames]),
            )
            for i in range(len(made.prompts))
        ]
        prompts = [replace(p, group=f[0].word, filled=f) for p, f in zip(made.prompts, filled, strict=True)]
        sets[role] = PromptSet(role, tuple(prompts))
    return replace(evidence, sets=sets)


WORDS_OF = {"prompts": [f"red{i}" for i in range(9)], "than": [f"old{i}" for i in range(9)]}


def test_words_in_shared_frames_are_the_units(snapshot):
    """A frame that raises both sides alike cancels: words are ranked inside each frame, and dealt with one label in all
    frames. The p is that of counting every deal."""
    raised = np.tile([0.0, 30.0], 6)
    a, b = raised + np.repeat(np.arange(6) + 1.5, 2), raised + np.repeat([1, 2, 0, 1, 3, 1], 2)
    evidence = evidence_of_rows(prompts=values(*a), than=values(*b))
    found = claimed("fires_more", in_frames(evidence, WORDS_OF), auroc={"at_least": 0.6})
    frames = [(a[f::2], b[f::2]) for f in (0, 1)]
    assert found.measurement.value == pytest.approx(twin.mean_auroc_within(frames))
    assert found.p == pytest.approx(twin.words_p(frames))
    assert found.finding == snapshot
    assert found.measurement.n == 12


def test_more_frames_are_no_more_words(snapshot):
    """Two words a side in six frames are two, whatever a deal inside each frame would have said."""
    evidence = evidence_of_rows(prompts=values(*[3.0] * 12), than=values(*[1.0] * 12))
    found = claimed("fires_more", in_frames(evidence, WORDS_OF, frames=6))
    assert found.reason is Reason.TOO_FEW_PROMPTS
    assert found.finding == snapshot


def test_near_copies_count_once(snapshot):
    """Eight spellings of one sentence are one, for every kind that counts; one of them stands for all."""
    evidence = evidence_of_rows(prompts=rows(8, COLOR, red=3), than=rows(20, PLAIN))
    texts = [f"The red ball rolled{end}" for end in (".", "!", "?", "...", ";", ",", ":", "")]
    prompts = PromptSet("prompts", tuple(map(Prompt, texts)))
    copies = replace(evidence, sets={**evidence.sets, "prompts": prompts})
    found = claimed("fires_more", copies)
    assert found.reason is Reason.TOO_FEW_PROMPTS
    assert found.finding == snapshot
    alone = replace(copies, sets={"prompts": prompts})
    assert claimed("fire_rate", alone, rate={"at_least": 0.6}).reason is Reason.TOO_FEW_PROMPTS
    assert claimed("fires_more", evidence).outcome is Outcome.MET


def of_lengths(text, words, lengths, fires):
    """Rows of so many more words each; `fires` on the named one."""
    return [row(" ".join([text, *words[:n], f"no{i}"]), **fires) for i, n in enumerate(lengths)]


MORE = [f"more{i}" for i in range(60)]


def test_longer_prompts_are_a_confound_in_the_direction_that_helps(snapshot):
    """Pool max grows with length, however many prompts are long: eleven of 24 at 60 tokens have the median of the rest.
    The other direction helps no maximum."""
    eleven = [55] * 11 + [2] * 13
    long = [row(f"the {'red ' * (n > 2)}ball rolled off no{i}", red=3) for i, n in enumerate(eleven)]
    evidence = evidence_of_rows(
        prompts=[(*r, *((w, 0.0) for w in MORE[:n])) for r, n in zip(long, eleven, strict=True)],
        than=of_lengths(PLAIN, MORE, [2] * 24, {}),
    )
    refused = claimed("fires_more", evidence, auroc={"at_least": 0.51})
    assert refused.reason is Reason.LENGTH_CONFOUND
    assert refused.finding == snapshot
    assert claimed("fires_more", evidence, SAMPLE, auroc={"at_least": 0.51}).outcome is Outcome.MET
    swapped = evidence_of_rows(prompts=rows(10, COLOR, red=3), than=of_lengths(PLAIN, MORE, [9] * 10, {}))
    assert claimed("fires_more", swapped).outcome is Outcome.MET
    assert claimed("fires_more", swapped).warnings == ()


def test_shorter_prompts_are_a_confound_of_a_mean(snapshot):
    """A feature that fires once a prompt has a mean of its value over the length: 10 against 15 tokens met .98 under
    the null. Longer prompts help no mean, and nobody is sent to another pool."""
    mean = dataclasses.replace(CLAIM, pool="mean")
    short, long = of_lengths(COLOR, MORE, [5] * 20, {"red": 3}), of_lengths(COLOR, MORE, [10] * 20, {"red": 3})
    refused = claimed("fires_more", evidence_of_rows(prompts=short, than=long), mean)
    assert refused.reason is Reason.LENGTH_CONFOUND
    assert refused.finding == snapshot
    assert "mean" not in refused.finding.partition("pool mean")[2]
    assert claimed("fires_more", evidence_of_rows(prompts=long, than=short), mean).outcome is Outcome.UNMET
    assert claimed("fires_more", evidence_of_rows(prompts=short, than=long)).reason is not Reason.LENGTH_CONFOUND


def test_a_claim_that_holds_among_prompts_of_like_length_is_warned_only(snapshot):
    """Twelve of 24 are longer, and the feature tells the others apart just as well."""
    lengths = [20] * 12 + [5] * 12
    evidence = evidence_of_rows(
        prompts=of_lengths(COLOR, MORE, lengths, {"red": 3}), than=of_lengths(PLAIN, MORE, [5] * 24, {})
    )
    found = claimed("fires_more", evidence)
    assert found.outcome is Outcome.MET
    assert found.warnings[0] == snapshot


def test_four_firing_prompts_are_too_sparse():
    """Five must fire for a comparison of prompts in general."""
    four = evidence_of_rows(prompts=[*rows(4, COLOR, red=3), *rows(6, COLOR)], than=rows(10, PLAIN))
    five = evidence_of_rows(prompts=[*rows(5, COLOR, red=3), *rows(5, COLOR)], than=rows(10, PLAIN))
    assert claimed("fires_more", four).reason is Reason.TOO_SPARSE
    assert claimed("fires_more", five).reason is not Reason.TOO_SPARSE


def test_signed_codes_are_a_fault_by_name():
    """AUROC kinds refuse codes below 0; firing rates take them."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=-3), than=rows(20, PLAIN))
    with pytest.raises(EnvironmentFault, match="signed_codes"):
        claimed("fires_more", evidence)
    alone = evidence_of_rows(prompts=rows(20, COLOR, red=-3))
    assert claimed("fire_rate", alone).outcome is Outcome.MET


def test_an_unknown_feature_is_a_fault():
    """A number beyond the codes is not silence."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3))
    with pytest.raises(EnvironmentFault, match="feature 8 does not exist: the codes have 8 features, 0 to 7"):
        claimed("fire_rate", evidence, dataclasses.replace(CLAIM, feature=8))


def test_a_template_fires_with_its_share_of_prompts():
    """Half of each template's prompts firing is a rate of one half over templates."""
    evidence = evidence_of_rows(prompts=[*rows(20, COLOR, red=3), *rows(20, COLOR)])
    verdict = claimed("fire_rate", grouped(evidence, {"prompts": list(range(20)) * 2}), rate={"between": [0.2, 0.8]})
    assert (verdict.measurement.value, verdict.measurement.n) == (0.5, 20)
    assert verdict.outcome is Outcome.MET


def test_specials_count_only_where_the_spec_says_so():
    """<bos> fires at 50 in every toy: counting it makes any feature fire everywhere."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR))
    assert claimed("fire_rate", evidence).outcome is Outcome.UNMET
    assert claimed("fire_rate", evidence, dataclasses.replace(CLAIM, special_tokens="counted")).outcome is Outcome.MET


def test_the_first_error_of_a_newcomer_says_what_to_do(snapshot):
    """How many are missing, where, and what can be claimed of these few."""
    verdict = claimed("fires_more", evidence_of_rows(prompts=rows(3, COLOR, red=3), than=rows(20, PLAIN)))
    assert verdict.finding == snapshot
    assert verdict.details == {"add": 2, "to": "prompts"}


def test_the_number_that_would_do_does():
    """Adding as many as the static verdict asks for makes the next static verdict go away."""
    sets = {"prompts": PromptSet("p", tuple(Prompt(f"a{i}") for i in range(30)))}
    for kind, fields in (("fire_rate", {"rate": {"at_least": 0.93}}), ("fire_rate", {"rate": {"between": [0.7, 0.9]}})):
        expectation = kinds()[kind].model_validate({"prompts": "p", **fields})
        add = expectation.beforehand(sets, CLAIM).details["add"]
        for more, enough in ((add - 1, False), (add, True)):
            grown = {"prompts": PromptSet("p", tuple(Prompt(f"a{i}") for i in range(30 + more)))}
            assert (expectation.beforehand(grown, CLAIM) is None) == enough


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_stricter_alpha_needs_more_negatives(alpha):
    """The floor of the permutation p is known before running, and so is the cheapest way under it."""
    made = {n: PromptSet(n, tuple(Prompt(f"{n}{i}") for i in range(5))) for n in ("prompts", "than")}
    claim = kinds()["distinguishes"].model_validate({"prompts": "prompts", "than": "than"})
    early = claim.beforehand(made, Claim(feature=0, alpha=alpha))
    assert (early is None) == (alpha == 0.05)
    if early is not None:
        n = 5 + early.details["add"]
        assert early.details["to"] == "than"
        assert 1 / math.comb(5 + n, 5) <= alpha < 1 / math.comb(4 + n, 5)


def test_a_rate_of_all_prompts_is_for_samples_only(snapshot):
    """No number of prompts shows 100 %; the text says what else to do."""
    evidence = evidence_of_rows(prompts=rows(30, COLOR, red=3))
    verdict = claimed("fire_rate", evidence, rate={"at_least": 1})
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    assert verdict.finding == snapshot
    assert claimed("fire_rate", evidence, SAMPLE, rate={"at_least": 1}).outcome is Outcome.MET


def test_mean_and_max_are_for_samples_only():
    """They have no honest limits at small n, so for prompts in general they are inconclusive before running."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3))
    verdict = claimed("activation", evidence, max={"at_least": 1})
    assert (verdict.reason, "scope: sample" in verdict.finding) == (Reason.UNDERPOWERED, True)
    assert claimed("activation", evidence, SAMPLE, max={"at_least": 3}, mean={"at_most": 3.2}).outcome is Outcome.MET


def test_a_range_needs_both_limits_inside(snapshot):
    """Both limits inside the range: met. One outside: underpowered. What chance has is never met."""
    a, b = [float(i) for i in range(6, 46)], [float(i) + 0.5 for i in range(40)]
    evidence = evidence_of_rows(prompts=values(*a), than=values(*b))
    verdict = claimed("fires_more", evidence, auroc={"between": [0.51, 0.95]})
    assert (verdict.outcome, verdict.p <= 0.05) == (Outcome.MET, True)
    assert verdict.finding == snapshot
    assert claimed("fires_more", evidence, auroc={"between": [0.6, 0.95]}).reason is Reason.UNDERPOWERED
    assert claimed("fires_more", evidence, auroc={"between": [0.51, 0.7]}).reason is Reason.TOO_FEW_PROMPTS
    assert claimed("fires_more", evidence, auroc={"between": [0.95, 1]}).outcome is Outcome.UNMET
    loose = evidence_of_rows(prompts=values(*a[:20]), than=values(*(x + 6 for x in b[:20])))
    chance = claimed("fires_more", loose, auroc={"between": [0.501, 1]})
    assert chance.p > 0.05
    assert chance.reason is Reason.UNDERPOWERED
    assert chance.finding == snapshot


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100), st.integers(5, 14), st.sampled_from(["at_least", "between"]))
def test_a_claim_of_more_is_met_with_a_p_only(seed, n, word):
    """Whatever the numbers and the bound: no claim of fires_more or fires_at is met with a p over alpha."""
    rng = np.random.default_rng(seed)
    bound = {"at_least": 0.6} if word == "at_least" else {"between": [0.51, 1]}
    a, b = rng.integers(0, 4, n) + rng.integers(0, 2), rng.integers(0, 4, n)
    verdict = claimed("fires_more", evidence_of_rows(prompts=values(*a), than=values(*b)), auroc=bound)
    assert verdict.outcome is not Outcome.MET or verdict.p <= 0.05
    marked = [
        row(f"the [[red]] w{i} x y z", red=v, x=w, y=u) for i, (v, w, u) in enumerate(zip(a, b, b[::-1], strict=True))
    ]
    verdict = claimed("fires_at", evidence_of_rows(prompts=marked), auroc=bound)
    assert verdict.outcome is not Outcome.MET or verdict.p <= 0.05


def test_a_difference_of_ties_shows_nothing_of_other_prompts():
    """Under `pool: any` 5 that all fire and 5 that do not differ by 1; for prompts like these that is no limit."""
    evidence, claim = evidence_of_rows(prompts=rows(5, COLOR, red=3), than=rows(5, PLAIN)), {"at_least": 0.99}
    tied = dataclasses.replace(CLAIM, pool="any")
    verdict = claimed("fires_more", evidence, tied, mean_difference=claim)
    assert (verdict.reason, verdict.measurement.value) == (Reason.UNDERPOWERED, 1)
    assert verdict.measurement.low is verdict.measurement.high is None
    sample = dataclasses.replace(tied, scope="sample")
    assert claimed("fires_more", evidence, sample, mean_difference=claim).outcome is Outcome.MET


def test_a_low_precision_is_helped_by_long_prompts_of_the_other_set():
    """For precision at_most the confound lies the other way round than for at_least."""
    long = "the red ball rolled over the hill and away again"
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3), than=rows(20, long, red=3))
    assert claimed("selective", evidence, precision={"at_most": 0.9}).reason is Reason.LENGTH_CONFOUND
    assert claimed("selective", evidence, precision={"at_least": 0.8}).outcome is Outcome.UNMET


def test_an_approximate_p_is_labelled_in_every_kind_that_has_one():
    """120 against 120 distinct values: the warning, and p_exact in the details, since families correct it."""
    rng = np.random.default_rng(0)
    evidence = evidence_of_rows(prompts=values(*(rng.random(120) + 1.2)), than=values(*(rng.random(120) + 1)))
    for kind in ("fires_more", "distinguishes"):
        verdict = claimed(kind, evidence)
        assert verdict.details["p_exact"] is False
        assert any("normal approximation" in warning for warning in verdict.warnings)
    few = evidence_of_rows(prompts=values(*(rng.random(20) + 1.2)), than=values(*(rng.random(20) + 1)))
    for kind in ("fires_more", "distinguishes"):
        verdict = claimed(kind, few)
        assert verdict.details["p_exact"] is True
        assert not verdict.warnings


def test_a_sample_claim_has_no_p_and_no_limits(snapshot):
    """`scope: sample` compares the number itself."""
    evidence = evidence_of_rows(prompts=rows(2, COLOR, red=3), than=rows(2, PLAIN))
    verdict = claimed("fires_more", evidence, SAMPLE)
    assert (verdict.outcome, verdict.p, verdict.measurement.low) == (Outcome.MET, None, None)
    assert verdict.finding == snapshot


def test_the_worst_prompts_are_shown_with_their_tokens():
    """Positives that stay silent and negatives that fire most, counted tokens only, at most five."""
    than = [*rows(9, PLAIN), row("a loud one", loud=9)]
    evidence = evidence_of_rows(prompts=[*rows(8, COLOR, red=3), *rows(4, "nothing here at all")], than=than)
    shown = claimed("fires_more", evidence).examples
    assert [(e.role, e.value) for e in shown] == [("prompts", 0.0)] * 3 + [("than", 9.0)]
    assert shown[3].tokens == (("a", 0.0), ("loud", 9.0), ("one", 0.0))
    assert shown[3].text.startswith("a loud one")


def test_fires_at_says_when_the_next_token_fires(snapshot):
    """A feature that fires one token late gets a hint."""
    evidence = evidence_of_rows(prompts=rows(20, "the [[red]] ball rolled far away", ball=3))
    verdict = claimed("fires_at", evidence)
    assert verdict.outcome is Outcome.UNMET
    assert verdict.warnings[0] == snapshot
    good = claimed("fires_at", marked_anywhere(10))
    assert (good.outcome, good.warnings) == (Outcome.MET, ())


def marked_anywhere(n):
    """Prompts that fire on their marked word, which stands in another place of each."""
    return evidence_of_rows(prompts=scattered(rows(n, "the [[red]] ball rolled far away", red=3)))


def marked_on(places, fires_on=None, words=9):
    """Prompts of words of their own with the mark on these places; they fire there, or on `fires_on`."""
    made = []
    for i, at in enumerate(places):
        tokens = [(f"w{i}x{k}", 0.0) for k in range(words)]
        hit = at if fires_on is None else fires_on
        tokens[hit] = (tokens[hit][0], 3 + i / 9)
        tokens[at] = (f"[[{tokens[at][0]}]]", tokens[at][1])
        made.append(tuple(tokens))
    return evidence_of_rows(prompts=made)


SIXTEEN = [(2 + i) % 8 for i in range(16)]


@pytest.mark.parametrize(
    ("places", "fires_on", "word"),
    [
        ([3] * 16, None, "inconclusive: shortcut"),
        ([3] * 14 + [0, 7], None, "inconclusive: shortcut"),
        ([3] * 12 + [0, 1, 5, 7], None, "met"),
        (SIXTEEN, None, "met"),
        ([3] * 14 + [0, 7], 3, "inconclusive: shortcut"),
        (SIXTEEN, 3, "inconclusive: underpowered"),
        ([8] * 16, None, "inconclusive: shortcut"),
    ],
)
def test_marks_in_one_place_show_no_more_than_the_place(places, fires_on, word, snapshot):
    """A feature of that place would meet the claim too, unless five marks elsewhere rule it out."""
    verdict = claimed("fires_at", marked_on(places, fires_on))
    assert verdict.word == word
    assert verdict.finding == snapshot
    assert ("slot" in verdict.details) == (word == "inconclusive: shortcut")


def words(i, n):
    """Silent tokens of their own."""
    return [(f"w{i}x{k}", 0.0) for k in range(n)]


def test_a_place_is_counted_from_the_end_and_by_the_word_before_as_well():
    """Sentences of other lengths that end with the mark; and marks anywhere, each after the same word."""
    ends = evidence_of_rows(prompts=[row(f"{'w ' * (3 + i % 5)}n{i} [[red]]", red=3 + i) for i in range(16)])
    assert claimed("fires_at", ends).details["slot"] == "on the last token"
    after = [(*words(i, i % 7), ("the", 0.0), ("[[red]]", 3.0 + i), *words(20 + i, 1 + 3 * i % 5)) for i in range(16)]
    assert claimed("fires_at", evidence_of_rows(prompts=after)).details["slot"] == "right after 'the'"
    both = [(*one, *[("the", 0.0), ("ball", 0.0)] * 8) for one in after]
    assert claimed("fires_at", evidence_of_rows(prompts=both)).outcome is Outcome.MET  # the word stands elsewhere too


def test_a_heavy_tail_over_prompts_is_warned_of_on_the_side_of_the_bound():
    """One prompt of twenty with nine times the error: at_most says that its limit may be too low, at_least does not;
    nor does a claim of these prompts only, or one about prompts that are alike."""
    text, one = " ".join(f"w{i}" for i in range(24)), {f"w{i}": 1 for i in range(24)}
    alike = rows(20, text, **one)
    apart = [*rows(19, text, **one), *rows(1, text, **dict.fromkeys(one, 9))]

    def tails(some, claim=CLAIM, **bound):
        verdict = claimed("reconstruction", evidence_of_rows(prompts=some), claim, mse=bound)
        return [line for line in verdict.warnings if "heavy tail" in line]

    assert len(tails(apart, at_most=9)) == 1
    assert tails(apart, at_least=0.001) == tails(alike, at_most=9) == []
    assert tails(apart, dataclasses.replace(CLAIM, scope="sample"), at_most=9) == []


def test_a_place_is_no_matter_to_these_prompts_only():
    """`scope: sample` claims nothing of other prompts."""
    verdict = claimed("fires_at", marked_on([3] * 16), dataclasses.replace(CLAIM, scope="sample"))
    assert verdict.outcome is Outcome.MET


def test_marked_prompts_of_one_group_are_one(snapshot):
    """Ten prompts of one group are one unit, and too few."""
    evidence = evidence_of_rows(prompts=rows(10, "the [[red]] ball rolled far away", red=3))
    verdict = claimed("fires_at", grouped(evidence, {"prompts": ["frame"] * 10}))
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    nine = claimed("fires_at", grouped(marked_anywhere(18), {"prompts": [f"frame {i // 2}" for i in range(18)]}))
    assert (nine.outcome, nine.measurement.n) == (Outcome.MET, 9)
    assert nine.finding == snapshot


def test_fires_at_needs_marks():
    """A set without marks says how to write them."""
    verdict = claimed("fires_at", evidence_of_rows(prompts=rows(10, COLOR, red=3)))
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    assert "marks: true" in verdict.finding


def test_a_list_of_tokens_ignores_case_and_space_signs():
    """Red and ▁red are the same word; whitespace is not listed."""
    from harness.expectations.wanted import plain

    assert {plain(t) for t in ("Red", "\u2581red", "\u0120red", " red")} == {"red"}
    assert plain("\u2581\u2581") == ""


def test_a_pattern_matches_the_whole_token():
    """`ball` is not `ball3`; a broken pattern is refused where it stands."""
    found = kinds()["top_tokens"].model_validate({"prompts": "p", "pattern": "ball"})
    assert found.matches(["ball", "ball3", "BALL"]).tolist() == [True, False, True]
    with pytest.raises(ValidationError, match="not a regular expression"):
        kinds()["top_tokens"].model_validate({"prompts": "p", "pattern": "("})


def test_precision_does_not_follow_the_sizes_of_the_sets():
    """TPR / (TPR + FPR): four times as many negatives leave it alone."""

    def of(n):
        than = [*rows(n // 2, PLAIN, old=1), *rows(n - n // 2, PLAIN)]
        return claimed("selective", evidence_of_rows(prompts=rows(20, COLOR, red=3), than=than), SAMPLE)

    assert of(20).measurement.value == of(80).measurement.value == pytest.approx(1 / 1.5)


def test_beats_keywords_is_about_words():
    """A word that all prompts of the set share makes keywords as good; the feature then beats nothing."""
    words = [row(f"s{i} red q{i}", red=3) for i in range(20)], [row(f"s{i} old q{i}") for i in range(20, 40)]
    verdict = claimed("beats_keywords", evidence_of_rows(prompts=words[0], than=words[1]))
    also = {m.name: m.value for m in verdict.also}
    assert verdict.outcome is not Outcome.MET
    far = claimed("beats_keywords", evidence_of_rows(prompts=words[0], than=words[1]), margin={"at_least": 0.3})
    assert far.outcome is Outcome.UNMET
    assert also["auroc of a bag of tokens"] == 1.0


def test_a_baseline_below_chance_is_a_coin():
    """Beating a baseline that happens to be worse than chance is no feat: the feature must beat .5."""
    rng = np.random.default_rng(0)
    beaten, below = [], 0
    for _ in range(40):
        a, b = (
            [row(" ".join(f"w{w}" for w in rng.integers(0, 9, 5)) + " x", x=v) for v in rng.random(12) + 1]
            for _ in "ab"
        )
        verdict = claimed("beats_keywords", evidence_of_rows(prompts=a, than=b))
        rival = next(m for m in verdict.also if m.name.startswith("auroc of a bag"))
        assert rival.value >= 0.5
        below += "at chance" in rival.name
        beaten.append(verdict.outcome is Outcome.MET)
    assert below > 5
    assert sum(beaten) <= 5


def in_context(n=20):
    """The same words on both sides; the feature reads them in one order only, so no list of words tells them apart."""
    a = [row(f"s{i} w{i} x{i}", **{f"x{i}": 3 + i}) for i in range(n)]
    return evidence_of_rows(prompts=a, than=[row(f"x{i} s{i} w{i}") for i in range(n)])


def listed(n, per_word=1):
    """A feature that is a list of n words: 3 on each, whatever stands around it."""
    words = [f"word{i // per_word}" for i in range(n * per_word)]
    a = [row(f"s{i} t{i} {w} u{i}", **{w: 3.0}) for i, w in enumerate(words)]
    return evidence_of_rows(prompts=a, than=[row(f"p{i} q{i} v{i} z{i}") for i in range(n * per_word)])


@pytest.mark.parametrize("per_word", [1, 2])
def test_a_list_of_thirty_words_beats_no_list(per_word):
    """Not even where each word is seen once, so that no bag can learn it; the words of one context are beaten."""
    verdict = claimed("beats_keywords", listed(30, per_word))
    assert verdict.outcome is not Outcome.MET
    assert "+0 over a list of its own words at 1" in verdict.finding
    seen_once = 30 if per_word == 1 else 0
    assert any(f"on {seen_once} of the {30 * per_word} prompts" in line for line in verdict.warnings)
    context = claimed("beats_keywords", in_context())
    assert context.outcome is Outcome.MET, context.finding
    assert context.warnings == ()


def test_a_bag_is_fitted_on_the_prompts_that_chose_the_feature():
    """It knows a word that each tested prompt has for itself; without them the finding says what it was fitted on."""
    evidence, other = in_context(), in_context()
    alone = claimed("beats_keywords", evidence)
    assert "the bag is fitted on the other tested prompts" in alone.finding
    told = {"prompts": [row(f"s{i} cue{i}", s0=1) for i in range(20)], "than": [row(f"s{i} o{i}") for i in range(20)]}
    found = evidence_of_rows(**told)
    knows = claimed("beats_keywords", dataclasses.replace(other, discovery=found))
    assert knows.outcome is Outcome.MET
    assert "the bag is fitted on" not in knows.finding
    cued = [row(f"cue{i} w{i} x{i}", **{f"x{i}": 3 + i}) for i in range(20)]
    than = [row(f"o{i} x{i} w{i}") for i in range(20)]
    tested = evidence_of_rows(prompts=cued, than=than)
    assert claimed("beats_keywords", tested).outcome is Outcome.MET
    beaten = claimed("beats_keywords", dataclasses.replace(tested, discovery=found, cache={}))
    assert beaten.outcome is not Outcome.MET
    assert "over a bag of the discovery prompts' tokens at 1" in beaten.finding


@pytest.mark.parametrize("rival", [{"keywords": [f"W{i}  X{i}" for i in range(20)]}, {"pattern": r"^S\d+ w"}])
def test_keywords_that_do_as_well_are_not_beaten(rival):
    """Whole words in any case, and a pattern anywhere; words of both sides are no rival."""
    verdict = claimed("beats_keywords", in_context(), **rival)
    assert verdict.outcome is not Outcome.MET, verdict.finding
    assert f"+0 over the {next(iter(rival))}" in verdict.finding
    assert claimed("beats_keywords", in_context(), keywords=["w1", "w2"], pattern="w").outcome is Outcome.MET


def test_diffmean_is_a_second_rival():
    """With and_diffmean both must be beaten, and activations are asked for."""
    evidence = in_context()
    verdict = claimed("beats_keywords", evidence, and_diffmean=True)
    assert (
        kinds()["beats_keywords"].model_validate({"prompts": "a", "than": "b", "and_diffmean": True}).needs_residuals()
    )
    assert "DiffMean" in verdict.finding
    assert verdict.outcome is Outcome.MET
    side = {"prompts": 4.0, "than": -4.0}
    shifted = {(role, name): h + side[role] for (role, name), h in evidence.residuals_of.items()}
    told = Evidence(sets=evidence.sets, codes_of=evidence.codes_of, residuals_of=shifted)
    assert claimed("beats_keywords", told, and_diffmean=True).outcome is not Outcome.MET


def test_a_corpus_needs_five_blocks_and_says_so(snapshot):
    """Blocks hold many contexts each; prompts need ten, and live features need neither."""
    text = " ".join(f"w{i}" for i in range(100))
    four, five = (Evidence(sums_of=evidence_of_rows(corpus=rows(n, text)).sums_of) for n in (4, 5))
    verdict = claimed("sparsity", four, corpus="c", l0={"at_most": 3})
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    assert verdict.finding == snapshot
    assert claimed("sparsity", five, corpus="c", l0={"at_most": 3}).outcome is Outcome.MET
    assert claimed("sparsity", four, corpus="c", live_features={"at_least": 6}).outcome is Outcome.MET
    few = claimed("density", five, corpus="c", rate={"at_most": 0.5})
    assert few.finding == snapshot


def test_reconstruction_over_another_subject_is_paired():
    """The difference over another subject's fvu, read on the same prompts."""
    text = " ".join(f"w{i}" for i in range(24))
    near, far = ({f"w{i}": v for i in range(24)} for v in (1.0, 3.0))
    a, b = (evidence_of_rows(prompts=rows(12, text, **v)) for v in (far, near))
    both = Evidence(
        sets=a.sets, codes_of={("prompts", None): a.codes("prompts"), ("prompts", "base"): b.codes("prompts")}
    )
    claim = {"fvu": {"over": {"subject": "base"}, "at_most": 0.05}}
    verdict = claimed("reconstruction", both, **claim)
    alone = [claimed("reconstruction", e, fvu={"at_most": 1}).measurement.value for e in (a, b)]
    assert verdict.measurement.value == pytest.approx(alone[0] - alone[1])
    assert verdict.outcome is Outcome.UNMET
    assert kinds()["reconstruction"].model_validate({"prompts": "p", **claim}).other_subjects() == ("base",)
    claim["fvu"]["at_most"] = 0.5
    assert claimed("reconstruction", both, **claim).outcome is Outcome.MET


def test_a_number_that_cannot_be_computed_is_no_pass():
    """One token has no variance: fvu is not a number, and the claim inconclusive."""
    evidence = evidence_of_rows(prompts=[row("w")])
    verdict = claimed("reconstruction", evidence, SAMPLE, fvu={"at_most": 100})
    assert verdict.reason is Reason.NOT_FINITE


def test_best_feature_is_the_first_of_the_ranking():
    """Chosen on discovery prompts, by any of the three scores."""
    evidence = evidence_of_rows(prompts=rows(8, COLOR, red=3), than=rows(8, PLAIN))
    for by, score in (("auroc", 1.0), ("rate", 1.0), ("mean", 3.035)):
        found = best_feature(evidence, CLAIM, by)
        assert (found.feature, round(found.score, 3)) == (0, score)
    swapped = evidence_of_rows(prompts=rows(8, PLAIN), than=rows(8, COLOR, red=3))
    assert best_feature(swapped, CLAIM, "auroc").feature != 0


def computed(evidence):
    """What the cache holds, but the words of prompts that are shown: another feature shows others."""
    return {key for key in evidence.cache if key[0] != "tokens"}


def test_evidence_of_two_specs_on_the_same_sets_is_computed_once():
    """The second claim on another feature finds everything in the shared cache."""
    evidence = evidence_of_rows(prompts=rows(20, COLOR, red=3), than=rows(20, PLAIN))
    for kind in ("fires_more", "distinguishes", "selective", "beats_keywords"):
        claimed(kind, evidence)
        known = computed(evidence)
        again = Evidence(sets=evidence.sets, codes_of=evidence.codes_of, residuals_of={}, cache=evidence.cache)
        claimed(kind, again, dataclasses.replace(CLAIM, feature=1))
        assert computed(evidence) == known


def test_a_second_set_of_the_same_shape_is_not_mistaken_for_the_first():
    """The cache is keyed on the codes, not on names."""
    first = evidence_of_rows(prompts=rows(20, COLOR, red=3), than=rows(20, PLAIN))
    second = evidence_of_rows(prompts=rows(20, COLOR), than=rows(20, PLAIN, old=3))
    second.cache = first.cache
    assert claimed("fires_more", first).outcome is Outcome.MET
    assert claimed("fires_more", second).outcome is Outcome.UNMET


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9412, ".94"),
        (1.0, "1"),
        (12.34, "12.3"),
        (2.4e-7, "2e-7"),
        (0.00213, ".0021"),
        (4820.4, "4,820"),
        (0.0, "0"),
        (-0.25, "-.25"),
        (float("nan"), "nan"),
        (99.96, "100"),
        (0.9995, ".9995"),
        (0.05, ".05"),
    ],
)
def test_numbers_are_short(value, text):
    """Two or three digits, as a tired reader wants them."""
    assert short(value) == text


def test_a_mean_difference_of_heavy_tails_is_warned_of():
    """One prompt that holds most of the sum makes t limits too narrow; even activations and the AUROC alone do not."""
    even = [row(f"a w{i} n{i}", **{f"w{i}": 3 + i / 10}) for i in range(20)]
    heavy = [*even[:19], row("a w19 n19", w19=90)]
    silent = [row(f"b v{i} m{i}") for i in range(20)]

    def warned(prompts, **fields):
        verdict = claimed("fires_more", evidence_of_rows(prompts=prompts, than=silent), **fields)
        return [line for line in verdict.warnings if "heavy tail" in line]

    assert len(warned(heavy, mean_difference={"at_most": 20})) == 1
    assert warned(even, mean_difference={"at_most": 20}) == []
    assert warned(heavy, mean_difference={"at_least": 1}) == []
    assert warned(heavy) == []
