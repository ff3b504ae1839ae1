"""Noise: how far numbers move that should not, measured for a subject, and what a claim inside it comes to."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.expectations.bounds import Bound
from harness.expectations.noise import USUAL_FLOAT32, USUAL_HALF, Margin, Measure, closest, noise_of
from harness.expectations.results import Part, only
from harness.expectations.toy import codes_from_dense, rows
from harness.judging import judge
from harness.rechecking import in_float32, not_rechecked, settled_by
from harness.spec import Calibration
from harness.stats.intervals import Limits
from harness.stats.noise import Noise, noise_between
from harness.verdict import Measurement, Outcome, Reason, Verdict
from interp_tests.mutant_cases import COLOR, PLAIN, toy_spec
from interp_tests.plain_twins import noise as twin
from interp_tests.project import make_project

NOTHING = Noise(0.0, 0.0, 0.0, 0.0, 0.0)
DENSE = arrays(np.float64, (12, 5), elements=st.sampled_from([0.0, 0.0, 1.0, 1.5, 2.0]))


def read(dense, seed=0):
    """Codes of two prompts with these values; the same activations whatever the values."""
    h = np.random.default_rng(3).normal(size=(len(dense), 4))
    r = h + 0.1 * np.random.default_rng(seed).normal(size=h.shape)
    return codes_from_dense(dense, h, r, np.repeat([0, 1], len(dense) // 2), 2)


def every(codes):
    return np.ones(codes.n_tokens, bool)


@given(DENSE, DENSE)
def test_noise_is_what_comparing_token_by_token_gives(one, other):
    """Flips, the median feature's mean and L0 against loops over dense arrays."""
    a, b = read(one), read(other)
    found = noise_between(a, b, every(a))
    assert found.flips == pytest.approx(twin.flips(one, other))
    assert found.mean == pytest.approx(twin.median_move_of_means(one, other, enough=5))
    assert found.l0 == pytest.approx(twin.l0_move(one, other))


def test_two_equal_readings_have_no_noise_and_others_have_some():
    """Each figure is 0 for the same codes; another reconstruction moves the FVU alone."""
    dense = np.random.default_rng(0).integers(0, 3, (12, 5)).astype(float)
    a = read(dense)
    assert noise_between(a, read(dense), every(a)) == NOTHING
    moved = noise_between(a, read(dense, seed=7), every(a))
    assert moved.fvu > 0
    assert dataclasses.replace(moved, fvu=0.0) == NOTHING


def test_tokens_that_do_not_count_are_left_out():
    """A flip on one of them is none."""
    one = np.ones((12, 5))
    other = one.copy()
    other[0] = 0
    a, b = read(one), read(other)
    assert noise_between(a, b, every(a)).flips > 0
    assert noise_between(a, b, np.arange(12) > 0).flips == 0


def test_readings_of_other_tokens_are_not_compared():
    """Noise between two texts would be no noise."""
    a = read(np.ones((12, 5)))
    with pytest.raises(ValueError, match="token by token"):
        noise_between(a, dataclasses.replace(a, token_id=a.token_id + 1), every(a))


@pytest.mark.parametrize(
    ("outcome", "limits", "bound", "distance"),
    [
        (Outcome.MET, Limits(0.9, 0.8, 0.95, 0.7, 0.97), Bound(at_least=0.75), 0.05),
        (Outcome.MET, Limits(0.5, 0.4, 0.6, 0.3, 0.7), Bound(between=(0.2, 0.7)), 0.1),
        (Outcome.MET, only(0.8), Bound(at_least=0.75), 0.05),
        (Outcome.UNMET, Limits(0.5, 0.4, 0.6, 0.3, 0.7), Bound(at_least=0.75), 0.15),
        (Outcome.UNMET, Limits(0.5, 0.4, 0.6, 0.3, 0.7), Bound(at_most=0.1), 0.3),
    ],
)
def test_the_margin_is_from_what_decided_to_the_bound(outcome, limits, bound, distance):
    """The limit that had to be inside or outside; the number itself where there are no limits."""
    margin = Part("auroc", limits, bound, outcome, 20, measure=Measure.AUROC).margin
    assert margin.distance == pytest.approx(distance)
    assert margin.measure == "auroc"


def test_a_difference_of_means_is_as_noisy_as_the_means():
    """Two means of 100 that differ by .1 in half precision: .35 % of 200 is more than the distance to the bound."""
    limits = Limits(0.1, 0.08, 0.12, 0.07, 0.13)
    wide = Part("mean difference", limits, Bound(at_least=0.01), Outcome.MET, 20, "", Measure.MEAN_ACTIVATION, 200.0)
    narrow = dataclasses.replace(wide, scale=None)
    assert closest([wide.margin], USUAL_HALF) is not None
    assert closest([narrow.margin], USUAL_HALF) is None


def test_noise_is_chosen_by_what_a_number_is_and_not_by_its_name():
    """A part that is called a rate and has no measure has no margin; one with a measure has it, whatever its name."""
    limits = Limits(0.9, 0.8, 0.95, 0.7, 0.97)
    assert Part("rate of something", limits, Bound(at_least=0.75), Outcome.MET, 20).margin is None
    found = Part("anything", limits, Bound(at_least=0.75), Outcome.MET, 20, measure=Measure.L0).margin
    assert (found.measure, found.distance) == (Measure.L0, pytest.approx(0.05))


def test_an_undecided_part_or_one_of_unknown_noise_has_no_margin():
    """Nothing decided, nothing fragile; a rank does not move with rounding in a way that anybody measured."""
    bound = Bound(at_least=0.75)
    assert Part("auroc", only(0.8), bound, Outcome.INCONCLUSIVE, 20, measure=Measure.AUROC).margin is None
    assert Part("rank", only(3.0), Bound(at_most=5), Outcome.MET, 20).margin is None


def test_fragile_is_three_times_the_noise_and_the_closest_margin_is_told():
    """At 2.9 times it is, at 3.1 it is not; in float32 what counts firings never is, not even on the bound."""
    noise = noise_of(Measure.L0, 10.0, USUAL_HALF)
    near, far = Margin(Measure.L0, 10.0, 2.9 * noise), Margin(Measure.L0, 10.0, 3.1 * noise)
    assert closest([far, near], USUAL_HALF) == near
    assert closest([far], USUAL_HALF) is None
    assert not Margin(Measure.FIRING_RATE, 0.8, 0.0).is_fragile(USUAL_FLOAT32)
    assert Margin(Measure.MEDIAN_ACTIVATION, 0.8, 0.0).is_fragile(USUAL_FLOAT32)


def fires_on_17_of_20(dtype):
    """A rate of .85 against at least .8: .05 away, inside three times 2.3 % of it in half precision."""
    given = {"prompts": [*rows(17, COLOR, red=3), *rows(3, PLAIN)]}
    return toy_spec("fire_rate", {"rate": {"at_least": 0.8}}, given, scope="sample", dtype=dtype)


def test_a_claim_inside_the_noise_of_half_precision_is_fragile(snapshot):
    """And says by how much; the same numbers in float32 are not."""
    verdict = judge(*fires_on_17_of_20("bfloat16"))
    assert verdict.outcome is Outcome.MET
    assert verdict.fragile is True
    assert verdict.details["fragile"] == snapshot
    assert judge(*fires_on_17_of_20("float32")).fragile is False


def calibrated(spec, **changes):
    """The claim with figures of its own that stand, or differ in what `changes` says."""
    from harness.keys import code_parts

    quiet = Noise(0.001, 0.001, 0.001, 0.001, 0.001)
    parts = {**code_parts(spec.subject), **changes}
    return dataclasses.replace(spec, calibration=Calibration("2026-11-23", 20, 90, quiet, "float32", quiet, parts))


def test_a_subjects_own_noise_is_used_while_it_stands(monkeypatch, snapshot):
    """Fewer flips: no longer fragile. Measured with another transformers they are not used, and this is said."""
    monkeypatch.setattr("harness.calibration.code_parts", lambda subject: {"weights": "w", "transformers": "5.23.0"})
    monkeypatch.setattr("harness.keys.code_parts", lambda subject: {"weights": "w", "transformers": "5.23.0"})
    spec, evidence = fires_on_17_of_20("bfloat16")
    spec = dataclasses.replace(spec, subject=dataclasses.replace(spec.subject, dtype="bfloat16"))
    assert judge(calibrated(spec), evidence).fragile is False
    stale = judge(calibrated(spec, transformers="5.1.0"), evidence)
    assert stale.fragile is True
    assert stale.details["fragile"] == snapshot


def test_a_claim_met_in_half_precision_only_is_not_met(snapshot):
    """What float32 gives decides; the finding says both. One that is unmet is never saved by float32."""
    met = Verdict(Outcome.MET, "fires", Measurement("rate", 0.85, 20), fragile=True)
    unmet = Verdict(Outcome.UNMET, "does not fire", Measurement("rate", 0.75, 20))
    settled = settled_by(met, unmet)
    assert settled.outcome is Outcome.UNMET
    assert settled.finding == snapshot
    assert settled.details["float32"].startswith("unmet, rate 0.75")
    assert settled_by(met, met).outcome is Outcome.MET
    assert settled_by(unmet, met).outcome is Outcome.UNMET
    thin = Verdict(Outcome.INCONCLUSIVE, "too few", reason=Reason.UNDERPOWERED)
    assert settled_by(met, thin).reason is Reason.UNDERPOWERED
    assert not_rechecked(met, "no weights").details["float32"] == snapshot


def test_there_is_nothing_to_recheck_in_float32():
    """A subject that is read in float32 is as exact as it gets."""
    spec, _ = fires_on_17_of_20("float32")
    assert in_float32(spec) is None
    half = dataclasses.replace(spec, subject=dataclasses.replace(spec.subject, dtype="bfloat16"))
    assert in_float32(half).subject.dtype == "float32"
    assert in_float32(half).claim.dtype == "float32"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository whose subject is read in bfloat16, with one claim on the edge of its bound."""
    root = tmp_path_factory.mktemp("noise")
    made = make_project(root / "repo", root / "store.sqlite")
    subjects = made.root / "specs/subjects.yaml"
    tiny = "  tiny: {model: tiny, sae: tiny, dtype: float32, device: cpu}\n"
    subjects.write_text(subjects.read_text().replace(tiny, tiny.replace("float32", "bfloat16")))
    made.suite("edge", "- {id: edge, sparsity: {prompts: color, l0: {at_most: 1000}}, scope: sample}\n")
    made.pytest("-q")
    (record,) = made.results()["records"]
    bound = record["measurement"]["value"] * 1.0001
    made.suite("edge", f"- {{id: edge, sparsity: {{prompts: color, l0: {{at_most: {bound!r}}}}}, scope: sample}}\n")
    return made


def test_a_fragile_claim_is_judged_again_in_float32(project):
    """The model is read once more, in float32, and the record says what it gave; a second run reads nothing."""
    project.pytest("-q")
    (record,) = project.results()["records"]
    assert record["fragile"] is True
    assert record["details"]["float32"].startswith(("met", "unmet"))
    assert (record["outcome"] == "met") == record["details"]["float32"].startswith("met")
    assert any("float32" in name for name in project.results()["capture"])
    summary = (project.root / "reports/latest/summary.md").read_text()
    assert "from the bound, and" in summary.split("## Fragile")[1]
    project.pytest("-q")
    assert project.results()["capture"] == {}


def test_calibrate_keeps_the_figures_with_the_subject(project):
    """Three readings of its own prompts; the file has both comparisons and what was read; bfloat16 flips firings."""
    done = project.run([sys.executable, "-m", "harness", "calibrate", "tiny", "--prompts", "6", "--json"], CI="")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert json.loads((project.root / "specs/measured/noise/tiny.json").read_text()) == told
    assert (told["prompts"], told["other"]) == (6, "float32")
    assert told["precision"]["flips"] > 0
    assert told["read_with"]["dtype"] == "bfloat16"
    (project.root / "specs/measured/noise/tiny.json").unlink()


@pytest.mark.parametrize(
    ("subject", "env", "code", "said"),
    [
        ("tiny", {"CI": "1"}, 2, "noise is measured by a person"),
        ("tinny", {"CI": ""}, 2, "tiny"),
        ("gone", {"CI": ""}, 3, "no claim has gone read a prompt"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_message(project, subject, env, code, said):
    """In CI, an unknown subject with the nearest name, and a subject that no claim reads."""
    done = project.run([sys.executable, "-m", "harness", "calibrate", subject], **env)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_figures_that_cannot_be_read_are_a_red_test(project):
    """A typo in the file must not pass as no figures."""
    path = project.root / "specs/measured/noise/tiny.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"date": "2026-11-23", "promts": 3}')
    done = project.pytest("-q")
    path.unlink()
    assert done.returncode == 1
    assert "unknown key 'promts'" in done.stdout or "promts" in done.stdout
    assert "specs/measured/noise/tiny.json" in done.stdout
