"""Two runs held against each other, on records and codes made for it."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calibration import own_noise
from harness.codes import split
from harness.comparing import ToldRun, compare, document, lines, told_run
from harness.comparing.noise import moved, noise_for
from harness.expectations.noise import NOISES, noise_of, usual_noise
from harness.expectations.toy import evidence_of_rows, rows
from harness.inputs import Prompt, PromptSet
from harness.keys import code_key, code_parts, prompt_key
from harness.reports.basis import Basis
from harness.reports.json import document as results_document
from harness.spec import Calibration
from harness.stats.noise import Noise
from harness.store import Store
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive
from interp_tests import report_cases as cases
from interp_tests.report_cases import SUBJECT, record, run

TEXTS = ("the red ball", "the blue hat", "the old car", "the red pen")
IN_HALF = dataclasses.replace(SUBJECT, dtype="bfloat16")
CLAIM = "tiny-gemma2/color::beats-near-misses"


def claimed(texts=TEXTS, subject=SUBJECT, **changes):
    """The spec of the cases on one set of prompts."""
    given = {"prompts": PromptSet("prompts", tuple(Prompt(text) for text in texts))}
    return dataclasses.replace(cases.spec(**changes), subject=subject, sets=given)


def of(spec, verdict=cases.MET):
    """A run of that spec alone, as its results.json tells it."""
    made = dataclasses.replace(record(verdict), fingerprint=code_key(spec.subject), text=spec.text)
    return told_run(results_document(run([made], basis=Basis.of([spec]))))


def met(value, low=None, high=None, name="auroc", **changes):
    return cases.MET.with_(measurement=Measurement(name, value, 40, low=low, high=high), **changes)


def pair(then, now, specs=(), store=None):
    (found,) = compare(then, now, specs, store).pairs
    return found


# --- what a run says of itself ----------------------------------------------------------------------------------------


def test_the_basis_names_each_set_once():
    """Two claims on one set share its key; its prompt keys are in order, and the parts are those of the key."""
    one, other = claimed(), claimed(name="twin", why="another")
    basis = Basis.of([one, other])
    assert list(basis.claims) == [one.id, other.id]
    assert list(basis.sets.values()) == [[prompt_key(Prompt(text)) for text in TEXTS]]
    assert basis.subjects == {code_key(SUBJECT): code_parts(SUBJECT)}
    assert basis.claims[one.id]["claim"] == basis.claims[other.id]["claim"]
    assert Basis.of([claimed(TEXTS[:3])]).claims[one.id]["claim"] != basis.claims[one.id]["claim"]


# --- flips and edits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "flipped"),
    [
        (cases.MET, cases.MET, False),
        (cases.MET, cases.UNMET, True),
        (cases.UNMET, cases.NOT_RUN, True),
        (cases.TOO_FEW, cases.UNDERPOWERED, False),
        (cases.UNDERPOWERED, cases.MET, True),
    ],
)
def test_a_flip_is_another_outcome(then, now, flipped):
    """Another reason for the same outcome is none."""
    found = compare(of(claimed(), then), of(claimed(), now), (), None)
    assert bool(found.flipped) is flipped


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ()),
        ({"texts": (*TEXTS[:3], "a new one", "and another")}, ("prompts: 2 added, 1 removed",)),
        ({"severity": "warn"}, ("severity fail is now warn",)),
        ({"xfail": "a reason"}, ("xfail none is now a reason",)),
        ({"why": "said otherwise"}, ()),
    ],
)
def test_what_was_edited_is_said(change, says):
    """Prompts by count and what stands beside the kind by name; a reason or an owner is no edit of the claim."""
    spec = claimed(**change)
    then, now = of(claimed()), of(spec)
    severity = {"severity": spec.severity, "xfail": spec.xfail}
    now = dataclasses.replace(now, records={CLAIM: dataclasses.replace(now.records[CLAIM], **severity)})
    assert pair(then, now).edited == says


def test_a_bound_is_edited_where_the_yaml_was():
    """An undecided verdict without a bound is no edit, and neither is a bound that holds a measured number."""
    tighter = cases.MET.with_(bound="at least 0.9")
    edited = claimed(text=cases.YAML.replace(".75", ".9"))
    assert pair(of(claimed()), of(edited, tighter)).edited == ("bound at least 0.75 is now at least 0.9",)
    assert pair(of(claimed()), of(claimed(), tighter)).edited == ()
    undecided = inconclusive(Reason.DEAD, "it is dead")
    assert pair(of(claimed()), of(edited, undecided)).edited == ()


def test_a_run_that_did_not_say_what_it_measured_is_compared_by_its_yaml():
    """One from before: an edit is seen in the text, keys and prompts are unknown."""
    old = told_run({**results_document(run([record(cases.MET)])), "basis": {"claims": {}, "sets": {}, "subjects": {}}})
    without = results_document(run([record(cases.MET)]))
    del without["basis"]
    assert told_run(without).basis == old.basis == Basis()
    changed = claimed(text=cases.YAML + "# more")
    assert pair(old, of(changed)).edited == ("its YAML",)
    assert pair(old, of(claimed())).edited == ()


def test_claims_of_one_run_only_are_named():
    """With whether there is still a claim of that name."""
    then, now = of(claimed()), of(claimed())
    other = dataclasses.replace(now.records[CLAIM], id="tiny-gemma2/color::other")
    now = ToldRun(now.id, now.started, False, {other.id: other}, Basis())
    found = compare(then, now, [claimed()], None)
    assert found.pairs == ()
    assert (found.only_then, found.only_now) == (((CLAIM, True),), ((other.id, False),))
    assert lines_of(found)[-1].startswith("0 claims in both")


def lines_of(found):
    return list(lines(found))


# --- noise ------------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["firing_rate", "median_activation", "auroc", "density", "fvu", "l0"]),
    st.sampled_from(["float32", "bfloat16", "float16"]),
    st.floats(0.01, 50),
    st.floats(0, 10),
)
def test_beyond_noise_is_beyond_three_times_the_noise(measure, dtype, value, times):
    """On the same prompts, for each measure of which the noise is known, in the unit of the number."""
    noise = usual_noise(dtype)
    step = noise_of(measure, value, noise)
    name = measure.replace("_", " ")
    found = moved(met(value, name=name), met(value + times * step, name=name), True, noise, "noise")
    if abs(times - NOISES) > 1e-3 and value + times * step != value:
        assert found.beyond is (found.now - found.then > NOISES * step)
        assert found.beyond is (times > NOISES) or step < 1e-12 * value


@pytest.mark.parametrize(
    ("now", "low", "high", "beyond"),
    [(0.85, 0.7, 0.95, False), (0.95, 0.85, 0.99, True), (0.905, 0.6, 0.91, True), (0.6, 0.4, 0.9, True)],
)
def test_on_other_prompts_the_intervals_decide(now, low, high, beyond):
    """A value outside the other's 95 % interval has moved, either way round."""
    assert moved(met(0.8, 0.7, 0.9), met(now, low, high), False, usual_noise("float32"), "").beyond is beyond
    assert moved(met(now, low, high), met(0.8, 0.7, 0.9), False, usual_noise("float32"), "").beyond is beyond


def test_a_measure_without_known_noise_is_held_against_its_interval():
    """And one with neither against rounding; another measure is not compared."""
    assert not moved(
        met(0.8, 0.7, 0.9, "cosine"), met(0.85, 0.75, 0.95, "cosine"), True, usual_noise("float32"), ""
    ).beyond
    assert moved(met(0.8, name="cosine"), met(0.81, name="cosine"), True, usual_noise("float32"), "").beyond
    assert not moved(met(0.8, name="cosine"), met(0.8, name="cosine"), True, usual_noise("float32"), "").beyond
    assert moved(met(0.8), met(0.8, name="cosine"), True, usual_noise("float32"), "") is None
    assert moved(cases.TOO_FEW, met(0.8), True, usual_noise("float32"), "") is None


def test_the_noise_of_an_mse_is_in_its_own_unit():
    """It scales with the variance, which the FVU beside it gives; without one the interval decides."""
    also = (Measurement("fvu", 0.2, 40),)
    then, noise = met(900.0, 100, 2000, "mse", also=also), usual_noise("bfloat16")
    step = NOISES * noise.fvu * 900 / 0.2
    assert not moved(then, met(900 + 0.99 * step, 100, 2000, "mse"), True, noise, "").beyond
    assert moved(then, met(900 + 1.01 * step, 100, 2000, "mse"), True, noise, "").beyond
    assert not moved(met(900.0, 100, 2000, "mse"), met(1900.0, 100, 2000, "mse"), True, noise, "").beyond


def test_a_subjects_own_noise_holds_for_its_own_precision():
    """As calibrated, where that stands today; between two precisions the usual one of the coarser."""
    own = Noise(0.5, 0.5, 0.5, 0.5, 0.5)
    calibration = Calibration("2026-11-01", 8, 80, own, "bfloat16", own, code_parts(SUBJECT))
    assert noise_for({"float32"}, SUBJECT, calibration) == own_noise(SUBJECT, calibration)
    assert noise_for({"float32"}, SUBJECT, calibration)[0] == own
    assert noise_for({"float32", "bfloat16"}, SUBJECT, calibration)[0] == usual_noise("bfloat16")
    assert noise_for({"float32"}, SUBJECT, None)[0] == usual_noise("float32")
    stale = dataclasses.replace(calibration, read_with={**code_parts(SUBJECT), "torch": "1.0"})
    assert noise_for({"float32"}, SUBJECT, stale)[0] == usual_noise("float32")
    assert noise_for(set(), SUBJECT, calibration)[0] is None


def test_half_precision_explains_what_it_moves():
    """An AUROC of .98 that becomes .97 with the dtype is within noise; with the same dtype it moved."""
    then = of(claimed(), met(0.98, 0.9, 1))
    assert not pair(then, of(claimed(subject=IN_HALF), met(0.97, 0.9, 1))).is_moved
    assert pair(then, of(claimed(), met(0.97, 0.9, 1))).is_moved


# --- keys and prompts -------------------------------------------------------------------------------------------------


def kept(store, subject, values):
    """Put one feature's value on the last token of each text into the store, under the subject's key."""
    codes = evidence_of_rows(
        prompts=[
            rows(1, text, **{text.rpartition(" ")[2]: value})[0] for text, value in zip(TEXTS, values, strict=True)
        ]
    ).codes("prompts")

    keys = [prompt_key(Prompt(text)) for text in TEXTS]
    store.put(code_key(subject), code_parts(subject), list(zip(keys, split(codes), strict=True)))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store.sqlite")


FEATURE_0 = cases.MET.with_(feature=0)


def test_prompts_are_paired_by_their_keys(store):
    """What fires no longer, newly, beyond noise, the mean and the largest, from both readings in the store."""
    kept(store, SUBJECT, [4.0, 2.0, 0.0, 1.0])
    kept(store, IN_HALF, [0.0, 2.5, 3.0, 1.0])
    found = compare(of(claimed(), FEATURE_0), of(claimed(subject=IN_HALF), FEATURE_0), [claimed()], store)
    (paired,) = found.pairs[0].prompts
    assert (paired.role, paired.n, paired.lost) == ("prompts", 4, 0)
    assert (paired.only_then, paired.only_now, paired.beyond) == (1, 1, 2)  # 2 -> 2.5 is within 3 times 29 %
    assert paired.mean == pytest.approx((-4 + 0.5 + 3 + 0) / 4)
    assert paired.largest == ((4.0, 0.0, TEXTS[0]), (0.0, 3.0, TEXTS[2]))
    (key,) = found.keys
    assert key.changes == (("dtype", "float32", "bfloat16"),)


def test_only_prompts_of_both_runs_are_paired(store):
    """An edited set is paired on what it kept; a text that no claim of today has is put together from its tokens."""
    kept(store, SUBJECT, [4.0, 2.0, 0.0, 1.0])
    kept(store, IN_HALF, [0.0, 2.0, 0.0, 1.0])
    found = compare(of(claimed(), FEATURE_0), of(claimed(TEXTS[:2], IN_HALF), FEATURE_0), (), store)
    (paired,) = found.pairs[0].prompts
    assert (paired.n, paired.only_then) == (2, 1)
    assert [text.replace(" ", "") for _, _, text in paired.largest] == ["<sink>theredballno0"]


def test_the_same_evidence_is_not_read_again(store):
    """Where key, feature and reading are the same there is nothing to pair, whatever the store holds."""
    assert pair(of(claimed(), FEATURE_0), of(claimed(), FEATURE_0), store=store).prompts == ()


def test_what_the_store_has_lost_is_counted(store):
    """Evidence of one of the two is gone: no pair is made of a missing half, and the text says so."""
    kept(store, SUBJECT, [4.0, 2.0, 0.0, 1.0])
    found = compare(of(claimed(), FEATURE_0), of(claimed(subject=IN_HALF), FEATURE_0), (), store)
    (paired,) = found.pairs[0].prompts
    assert (paired.n, paired.lost, paired.largest) == (0, 4, ())
    assert document(found)["claims"][0]["prompts"][0]["lost"] == 4


def test_a_feature_that_the_narrower_sae_lacks_is_no_crash(store):
    """Its prompts count as lost."""
    kept(store, SUBJECT, [4.0, 2.0, 0.0, 1.0])
    kept(store, IN_HALF, [4.0, 2.0, 0.0, 1.0])
    beyond = cases.MET.with_(feature=10**6)
    found = pair(of(claimed(), beyond), of(claimed(subject=IN_HALF), beyond), store=store)
    assert (found.prompts[0].n, found.prompts[0].lost) == (0, 4)


def test_parts_come_from_the_run_or_the_store_or_are_said_to_be_gone(store):
    """A run from before has none; then the store's do, and without those the key is named as unknown."""
    then, now = of(claimed()), of(claimed(subject=IN_HALF))
    bare = dataclasses.replace(then, basis=Basis(then.basis.claims, then.basis.sets, {}))
    assert compare(bare, now, (), store).keys[0].changes is None
    assert "neither the runs nor the store" in "\n".join(lines_of(compare(bare, now, (), store)))
    kept(store, SUBJECT, [4.0, 2.0, 0.0, 1.0])
    assert compare(bare, now, (), store).keys[0].changes == (("dtype", "float32", "bfloat16"),)


def test_another_choice_is_named():
    """`best` chose another feature under the same claim."""
    now = of(claimed(), Verdict(Outcome.MET, "so it is", feature=3))
    found = pair(of(claimed(), FEATURE_0), now)
    assert found.chosen == (0, 3)
    assert any("chose feature 3, not 0" in line for line in lines_of(compare(of(claimed(), FEATURE_0), now, (), None)))
