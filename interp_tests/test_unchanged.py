"""unchanged on toy codes: which number it takes, how far it may be off, and when it has no baseline."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.expectations import kinds
from harness.expectations.base import Accepted, Claim
from harness.expectations.noise import noise_of, usual_noise
from harness.expectations.toy import evidence_of_rows, rows
from harness.expectations.unchanged import Unchanged
from harness.verdict import Outcome, Reason

TEXT = " ".join(f"w{i}" for i in range(1100))
EVIDENCE = evidence_of_rows(
    prompts=[*rows(7, "the red ball rolled", red=3), *rows(5, "the red ball rolled")],
    than=[*rows(3, "the old ball rolled", old=2), *rows(9, "the old ball rolled")],
    corpus=rows(10, TEXT, w0=1, w7=2),
)
CLAIM = Claim(feature=0, scope="sample")
# measure -> the fields that name its evidence, and the bounded kind that reports the same number, by name.
TWINS = {
    "firing_rate": ({"prompts": "prompts"}, ("fire_rate", {"rate": {"at_least": 0}}, "firing rate")),
    "median_activation": ({"prompts": "prompts"}, ("activation", {"median": {"at_least": 0}}, "median activation")),
    "auroc": ({"prompts": "prompts", "than": "than"}, ("fires_more", {"auroc": {"at_least": 0}}, "auroc")),
    "density": ({"corpus": "corpus"}, ("density", {"rate": {"at_least": 0}}, "density")),
    "fvu": ({"prompts": "prompts"}, ("reconstruction", {"fvu": {"at_least": 0}}, "fvu")),
    "mse": ({"corpus": "corpus"}, ("reconstruction", {"mse": {"at_least": 0}}, "mse")),
    "l0": ({"prompts": "prompts"}, ("sparsity", {"l0": {"at_least": 0}}, "l0")),
}


def unchanged(measure, **fields):
    return Unchanged.model_validate({"measure": measure, **TWINS[measure][0], **fields})


def judged(measure, accepted=None, claim=CLAIM, **fields):
    return unchanged(measure, **fields).judge(EVIDENCE, dataclasses.replace(claim, accepted=accepted))


def accepted(measure, value, **more):
    feature = 0 if unchanged(measure).about_feature() else None
    return Accepted(value, "2026-11-01", **{"feature": feature, **more})


def bounded(measure):
    """The same number, as the kind that bounds it measures it."""
    fields, (kind, bound, _) = TWINS[measure]
    return kinds()[kind].model_validate({**fields, **bound}).judge(EVIDENCE, CLAIM).measurement


@pytest.mark.parametrize("measure", TWINS)
def test_the_number_is_the_one_that_the_bounded_kind_reports(measure):
    """Value and n are those of fire_rate, activation, fires_more, density, reconstruction and sparsity."""
    found, twin = judged(measure).measurement, bounded(measure)
    assert (found.value, found.n) == (twin.value, twin.n)
    assert twin.name == TWINS[measure][1][2]


def test_the_numbers_differ_from_each_other():
    """The comparison above can fail: seven measures are seven numbers."""
    assert len({judged(measure).measurement.value for measure in TWINS}) == len(TWINS)


@pytest.mark.parametrize("measure", TWINS)
def test_without_a_baseline_the_claim_is_inconclusive_and_says_how_to_accept_it(measure):
    """no_baseline, with the number that was measured and the command."""
    verdict = judged(measure)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.NO_BASELINE)
    assert "interp accept latest" in verdict.finding
    assert f"{verdict.measurement.value:.6g}" in verdict.finding


def test_a_stale_baseline_is_not_used(snapshot):
    """A number that would be met is inconclusive where the baseline is of other weights, and the finding says which."""
    value = bounded("fvu").value
    stale = accepted("fvu", value, stale="it is from other weights or another way of reading (sae aaa is now bbb)")
    verdict = judged("fvu", stale)
    assert verdict.reason is Reason.NO_BASELINE
    assert verdict.finding == snapshot
    assert judged("fvu", accepted("fvu", value)).outcome is Outcome.MET


@given(st.floats(0.01, 100), st.floats(0, 2), st.booleans())
def test_met_is_within_the_tolerance_and_nothing_else(baseline, tolerance, relative):
    """Met exactly where |now - baseline| <= tolerance, taken of the baseline or in the number's own unit."""
    value = bounded("median_activation").value
    within = tolerance if relative else {"absolute": tolerance}
    verdict = judged("median_activation", accepted("median_activation", baseline), within=within)
    allowed = tolerance * baseline if relative else tolerance
    assert (verdict.outcome is Outcome.MET) == (abs(value - baseline) <= allowed)
    assert verdict.outcome in (Outcome.MET, Outcome.UNMET)


@pytest.mark.parametrize("measure", TWINS)
def test_noise_is_the_default_tolerance(measure):
    """Left out, three times the noise of the model's precision is allowed, and no more; the finding says so."""
    value = bounded(measure).value
    variance = bounded("mse").value / judged("fvu", corpus="corpus", prompts=None).measurement.value
    for dtype in ("float32", "bfloat16"):
        claim = dataclasses.replace(CLAIM, dtype=dtype)
        noise = noise_of(measure, value, usual_noise(dtype), variance)
        inside, outside = (judged(measure, accepted(measure, value + k * noise), claim) for k in (2.7, 3.4))
        assert inside.outcome is Outcome.MET, inside.finding
        assert f"noise of {dtype}" in inside.finding
        assert outside.outcome is Outcome.UNMET


def test_bfloat16_is_noisier_than_float32():
    """A change of a thousandth is noise at half precision only."""
    off = accepted("l0", bounded("l0").value * 1.001)
    assert judged("l0", off).outcome is Outcome.UNMET
    assert judged("l0", off, dataclasses.replace(CLAIM, dtype="bfloat16")).outcome is Outcome.MET


def test_an_unmet_finding_says_by_how_much_and_what_moved(snapshot):
    """Old and new value, the relative change, and the versions that differ; where none does, that."""
    value = bounded("fvu").value
    moved = judged("fvu", accepted("fvu", value * 2, moved=("torch 2.12.0 is now 2.13.0",)))
    assert moved.outcome is Outcome.UNMET
    assert "(-50.00%)" in moved.finding
    assert moved.finding == snapshot
    still = judged("fvu", accepted("fvu", value * 2))
    assert still.finding == snapshot


def test_another_feature_is_another_number(snapshot):
    """Where another feature ranks first than the accepted one, equal numbers are no excuse."""
    value = bounded("firing_rate").value
    verdict = judged("firing_rate", accepted("firing_rate", value, feature=5))
    assert verdict.outcome is Outcome.UNMET
    assert verdict.finding == snapshot


def test_a_feature_that_never_fires_has_no_baseline():
    """Silence would be unchanged whatever happens: dead, on prompts and on a corpus."""
    silent = dataclasses.replace(CLAIM, feature=4)
    for measure in ("firing_rate", "density"):
        verdict = judged(measure, accepted(measure, 0.0), silent)
        assert verdict.reason is Reason.DEAD


def test_the_l0_of_a_topk_sae_is_vacuous():
    """It cannot change."""
    topk = dataclasses.replace(CLAIM, sae_is_topk=True)
    assert judged("l0", accepted("l0", bounded("l0").value), topk).reason is Reason.VACUOUS
    assert judged("fvu", accepted("fvu", bounded("fvu").value), topk).outcome is Outcome.MET


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"measure": "auroc", "prompts": "prompts"}, "needs `than`"),
        ({"measure": "fvu", "prompts": "prompts", "than": "than"}, "takes no `than`"),
        ({"measure": "firing_rate", "corpus": "corpus"}, "measured on `prompts`"),
        ({"measure": "fvu"}, "either `prompts` or `corpus`"),
        ({"measure": "fvu", "prompts": "prompts", "within": -0.1}, "greater than or equal to 0"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields, word):
    """Each measure says what it is taken on."""
    with pytest.raises(ValidationError, match=word):
        Unchanged.model_validate(fields)
