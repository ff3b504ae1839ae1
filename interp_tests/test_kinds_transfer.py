"""Claims about two models at their edges: who reads what, other tokens, other SAEs, too few prompts, images."""

import dataclasses

import numpy as np
import pytest
from pydantic import ValidationError

from harness.codes import Kind, concat, split
from harness.errors import EnvironmentFault
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.expectations.evidence import Evidence, Stream
from harness.expectations.toy import D_SAE, evidence_of_rows, row, rows
from harness.inputs import Prompt, PromptSet
from harness.stats.fidelity import METRICS, blocks_of_codes, value_of
from harness.stats.transfer.bands import BANDS, SUGGESTIONS, band_of
from harness.verdict import Outcome, Reason
from interp_tests.plain_twins import fidelity as fidelity_twin
from interp_tests.plain_twins import transfer as twin

TEXT = "the red ball rolled away from the old green house"
CLAIM = Claim(feature=0)
SAMPLE = Claim(feature=0, scope="sample")
PICTURES = [row(f"<image> <image> photo n{i}") for i in range(6)]


def seen(value, n=6):
    return [tuple((t, value if t == "<image>" else 0.0) for t, _ in picture) for picture in PICTURES[:n]]


def evidence(base, adapted, images=None):
    given = {"prompts": base, "prompts@adapted": adapted}
    return evidence_of_rows(**(given if images is None else {**given, "images@adapted": images}))


def claimed(kind, found, claim=CLAIM, **fields):
    roles = {role: role for role in found.sets}
    return kinds()[kind].model_validate({**roles, "to": "adapted", **fields}).judge(found, claim)


def transfers(base, adapted, as_, images=None, claim=CLAIM, **fields):
    return claimed("transfers", evidence(base, adapted, images), claim, **{"as": as_, **fields})


RED, HOUSE, SILENT = (rows(60, TEXT, **v) for v in ({"red": 3}, {"house": 3}, {}))


@pytest.mark.parametrize(
    ("base", "adapted", "images", "wanted"),
    [
        (RED, RED, None, "stable"),
        (RED, rows(60, TEXT, red=6), None, "rescaled"),
        (RED, HOUSE, None, "shifted"),
        (RED, SILENT, None, "lost"),
        (SILENT, RED, None, "new_text"),
        (SILENT, SILENT, seen(4.0), "new_vision"),
    ],
)
def test_each_class_is_met_by_its_own_and_unmet_by_every_other(base, adapted, images, wanted):
    """A feature of one class meets that claim, and no claim of another class."""
    for name in ("stable", "rescaled", "shifted", "lost", "new_text", "new_vision"):
        pictures = images or seen(0.0)
        verdict = transfers(base, adapted, name, pictures)
        assert (verdict.outcome is Outcome.MET) is (name == wanted), (name, verdict.finding)
        assert verdict.details["class"] == wanted
        if name != wanted:
            assert verdict.outcome is Outcome.UNMET
    mask = kinds()["transfers"].model_validate({"to": "adapted", "prompts": "p", "images": "i", "as": wanted})
    assert mask.meeting(evidence(base, adapted, images or seen(0.0)), CLAIM)[0]


def test_pictures_are_read_by_the_adapted_model_only():
    """The base cannot see: of the roles of a claim, it reads the prompts and never the pictures."""
    claim = kinds()["transfers"].model_validate({"to": "b", "prompts": "p", "images": "i", "as": "new_vision"})
    assert claim.read_by("prompts") == (None, "b")
    assert claim.read_by("images") == ("b",)
    assert claim.other_subjects() == ("b",)


def test_an_undecided_feature_is_inconclusive_and_says_why():
    """Rarely firing, half silent, or of an unclear scale: each has its reason, and none passes."""
    rare = [*RED[:3], *SILENT[3:]]
    assert transfers(rare, rare, "stable").reason is Reason.TOO_SPARSE
    assert transfers(RED, rare, "lost").reason is Reason.UNDERPOWERED
    strong = [row(TEXT + f" no{i}", red=(1 + i % 5) * (4.0 if i % 7 == 0 else 1.2)) for i in range(20)]
    plain = [row(TEXT + f" no{i}", red=1.0 + i % 5) for i in range(20)]
    verdict = transfers(plain, strong, "stable", claim=dataclasses.replace(CLAIM, alpha=0.001))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.UNDERPOWERED)
    assert "scale" in verdict.finding
    assert transfers(SILENT, SILENT, "stable").reason is Reason.DEAD


def test_a_pattern_in_between_refutes_both_stable_and_shifted():
    """Half the places kept: more prompts of this kind would not make it stable, nor shifted."""
    both = [row(TEXT + f" no{i}", red=3 + i % 5, house=3 + i % 4) for i in range(60)]
    one = [row(TEXT + f" no{i}", red=3 + i % 5) for i in range(60)]
    for name in ("stable", "shifted"):
        verdict = transfers(one, both, name)
        assert verdict.outcome is Outcome.UNMET
        assert verdict.details["class"] == "between"
        assert "is in between" in verdict.finding


def test_too_few_prompts_are_known_before_running(snapshot):
    """Silence needs 59 prompts, 29 under silent_below .1; a lone picture cannot show firing."""
    lost = kinds()["transfers"].model_validate({"to": "b", "prompts": "p", "as": "lost"})
    near = lost.model_copy(update={"silent_below": 0.1})
    for n, claim, enough in ((58, lost, False), (59, lost, True), (28, near, False), (29, near, True)):
        early = claim.beforehand({"prompts": PromptSet("p", tuple(Prompt(f"t{i}") for i in range(n)))}, CLAIM)
        assert (early is None) is enough
    enough_but_one = PromptSet("p", tuple(Prompt(f"t{i}") for i in range(58)))
    assert lost.beforehand({"prompts": enough_but_one}, CLAIM).finding == snapshot
    verdict = transfers(SILENT, SILENT, "new_vision", seen(4.0, n=1))
    assert verdict.reason is Reason.TOO_FEW_PROMPTS
    assert verdict.finding == snapshot


def test_templates_are_units():
    """60 prompts of 4 templates cannot show silence, though 60 prompts can."""
    found = evidence(RED, SILENT)
    sets = {
        "prompts": PromptSet(
            "p", tuple(Prompt(p.text, group=f"g{i % 4}") for i, p in enumerate(found.sets["prompts"].prompts))
        )
    }
    grouped = Evidence(sets=sets, codes_of=found.codes_of)
    assert claimed("transfers", found, **{"as": "lost"}).outcome is Outcome.MET
    assert claimed("transfers", grouped, **{"as": "lost"}).reason is Reason.TOO_FEW_PROMPTS


def test_scope_sample_describes_these_prompts():
    """Three prompts are enough to say what these three show."""
    verdict = transfers(rows(3, TEXT, red=3), rows(3, TEXT), "lost", claim=SAMPLE)
    assert verdict.outcome is Outcome.MET
    assert transfers(rows(3, TEXT, red=3), rows(3, TEXT), "lost").reason is Reason.TOO_FEW_PROMPTS


def test_new_vision_prints_the_fvu_of_the_image_tokens(snapshot):
    """It stands in the finding and beside the measurement, and is that of the image tokens' own vectors."""
    found = evidence(SILENT, SILENT, seen(4.0))
    verdict = claimed("transfers", found, **{"as": "new_vision"})
    codes, h = found.codes("images", "adapted"), found.residuals("images", "adapted")
    image = codes.kind == Kind.IMAGE
    r = h - np.full((len(h), 1), 0.4)
    wanted = fidelity_twin.fvu(h[image].tolist(), r[image].tolist())
    printed = next(m for m in verdict.also if m.name == "fvu on image tokens")
    assert (printed.value, printed.n) == (pytest.approx(wanted), int(image.sum()))
    assert verdict.finding == snapshot
    everything = fidelity_twin.fvu(h.tolist(), (h - np.where(image[:, None], 0.4, 5.0)).tolist())
    assert wanted != pytest.approx(everything)


def test_a_caption_is_no_picture_by_alignment_and_is_one_by_ratio():
    """Firing on the caption's words only is not new on images; the ratio pools all tokens, as its source does."""
    captions = [tuple((t, 9.0 if t == "photo" else 0.0) for t, _ in picture) for picture in PICTURES]
    assert transfers(SILENT, SILENT, "new_vision", captions).outcome is Outcome.INCONCLUSIVE
    assert transfers(SILENT, SILENT, "new_vision", captions, method="ratio_of_means").outcome is Outcome.MET
    assert transfers(SILENT, SILENT, "new_vision", seen(9.0)).outcome is Outcome.MET


def test_residual_cosine_is_printed_where_asked_and_needs_activations():
    """The mean cosine of both models' activations on counted tokens, specials and sinks left out."""
    found = evidence(RED, RED)
    verdict = claimed("transfers", found, **{"as": "stable", "residual_cosine": True})
    a, b = found.residuals("prompts"), found.residuals("prompts", "adapted")
    text = found.codes("prompts").counted()
    cosines = [np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a[text], b[text], strict=True)]
    printed = next(m for m in verdict.also if m.name == "residual cosine")
    assert (printed.value, printed.n) == (pytest.approx(np.mean(cosines)), int(text.sum()))
    claim = kinds()["transfers"].model_validate(
        {"to": "b", "prompts": "p", "images": "i", "as": "stable", "residual_cosine": True}
    )
    assert claim.needs_residuals("prompts")
    assert not claim.needs_residuals("images")
    assert not claim.model_copy(update={"residual_cosine": False}).needs_residuals("prompts")


def test_other_tokens_are_a_fault_that_names_them():
    """Models with other tokenizers are not compared; the message has the text and both tokens."""
    with pytest.raises(EnvironmentFault, match=r"different_tokens: .*token 2 is 'red' here, 'blue' in adapted"):
        transfers(rows(10, TEXT, red=3), rows(10, TEXT.replace("red", "blue"), red=3), "stable")


def test_other_widths_are_a_fault():
    """Where the pins did not say it, the codes do: features of SAEs of other widths are not the same ones."""
    found = evidence(RED, RED)
    wide = dataclasses.replace(found.codes("prompts", "adapted"), d_sae=D_SAE + 1)
    codes = {**found.codes_of, ("prompts", "adapted"): wide}
    with pytest.raises(EnvironmentFault, match="different_sae"):
        claimed("transfers", Evidence(sets=found.sets, codes_of=codes), **{"as": "stable"})


def test_signed_codes_are_a_fault_by_alignment_only():
    """Values under 0 have no log ratio; means do not mind."""
    signed = rows(60, TEXT, red=-3)
    with pytest.raises(EnvironmentFault, match="signed_codes"):
        transfers(signed, signed, "stable")
    assert transfers(RED, signed, "stable", method="ratio_of_means").outcome is Outcome.UNMET


def test_broken_numbers_in_the_other_model_are_seen():
    """A NaN in what the adapted model read, text or pictures, is not finite, whatever the base's codes are."""
    found = evidence(SILENT, SILENT, seen(4.0))
    for key in (("prompts", "adapted"), ("images", "adapted")):
        codes = found.codes_of[key]
        hh = codes.hh.copy()
        hh[np.flatnonzero(codes.counted("all"))[0]] = np.nan
        bad = {**found.codes_of, key: dataclasses.replace(codes, hh=hh)}
        verdict = claimed("transfers", Evidence(sets=found.sets, codes_of=bad), **{"as": "new_vision"})
        assert verdict.reason is Reason.NOT_FINITE


def test_ratio_of_means_in_a_claim_is_the_notebooks_with_its_thresholds():
    """Counting specials, all tokens of the pictures pooled: the classes are those of the notebook's rule told again."""
    found = evidence(RED, HOUSE, seen(4.0))
    claim = Claim(feature=0, special_tokens="counted")
    sides = [found.codes("prompts"), found.codes("prompts", "adapted"), found.codes("images", "adapted")]
    dense = [np.stack([c.token_column(f) for f in range(D_SAE)], axis=1) for c in sides]
    for thresholds in ({}, {"stability": 0.99, "factor": 1.0, "active_share": 0.2}):
        fields = {"method": "ratio_of_means", "ratio": thresholds, "prompts": "p", "images": "i", "to": "adapted"}
        names = {"stability": "stable_at", "factor": "factor", "active_share": "share"}
        told = twin.by_ratio(*map(twin.tensor, dense), **{names[k]: v for k, v in thresholds.items()})
        for name, features in told.items():
            mask = kinds()["transfers"].model_validate({**fields, "as": name}).meeting(found, claim)
            assert np.flatnonzero(mask).tolist() == features


def test_special_tokens_change_the_ratio_but_not_the_aligned_class():
    """<bos> at 50 in both models makes everything alike by ratio; ignored by id, it does not."""
    counted = dataclasses.replace(CLAIM, special_tokens="counted")
    weak = rows(20, TEXT, red=0.5)
    for claim, outcome in ((counted, Outcome.MET), (CLAIM, Outcome.UNMET)):
        assert transfers(RED[:20], weak, "stable", claim=claim, method="ratio_of_means").outcome is outcome
    assert transfers(RED[:20], weak, "rescaled").outcome is Outcome.MET


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"as": "new_vision"}, "add `images`"),
        ({"as": "lost", "method": "ratio_of_means"}, "no class lost"),
        ({"as": "stable", "ratio": {"shift": 0.1}}, "add `method: ratio_of_means`"),
        ({"as": "stable", "silent_below": 1.5}, "less than 1"),
    ],
)
def test_claims_that_cannot_be_are_refused(fields, text):
    """Each contradiction inside the claim is a message of its own."""
    with pytest.raises(ValidationError, match=text):
        kinds()["transfers"].model_validate({"to": "b", "prompts": "p", **fields})


def test_the_side_of_a_claim_follows_its_class():
    """Firing more makes a feature new, firing less makes it lost; the rest are neither."""
    sides = {
        "stable": "none",
        "rescaled": "none",
        "shifted": "none",
        "lost": "low",
        "new_text": "high",
        "new_vision": "high",
    }
    for name, side in sides.items():
        given = {"to": "b", "prompts": "p", "images": "i", "as": name}
        assert kinds()["transfers"].model_validate(given).side() == side


def test_a_census_counts_what_single_claims_say():
    """The count of each class is the number of features that meet the single claim."""
    found = evidence(RED, HOUSE, seen(4.0))
    verdict = claimed("transfer_census", found, stable={"at_least": 0.0})
    counts = verdict.details["counts"]
    for name in ("stable", "rescaled", "shifted", "lost", "new_text", "new_vision"):
        single = kinds()["transfers"].model_validate({"to": "adapted", "prompts": "p", "images": "i", "as": name})
        assert counts[name] == single.meeting(found, CLAIM).sum()
    assert sum(counts.values()) == D_SAE
    assert counts["shifted"] > 0
    assert any(m.name == "fvu on image tokens" for m in verdict.also)


def test_a_census_of_live_features_leaves_the_dead_out():
    """Of all eight, or of the seven that fire somewhere."""
    found = evidence(RED, RED)
    for of, n in (("all", 8), ("live", 7)):
        verdict = claimed("transfer_census", found, stable={"at_least": 0.0}, of=of)
        assert verdict.measurement.n == n
        assert verdict.measurement.value == pytest.approx(verdict.details["counts"]["stable"] / n)


def test_a_census_warns_of_what_it_cannot_show_and_of_too_many_undecided():
    """On 20 prompts nothing is lost or new; at a high bar nearly all is undecided."""
    few = claimed("transfer_census", evidence(RED[:20], HOUSE[:20]), stable={"at_least": 0.0})
    assert any("lost (59 prompts), new_text (59 prompts)" in w for w in few.warnings)
    enough = claimed("transfer_census", evidence(RED, HOUSE), stable={"at_least": 0.0})
    assert not any("lost" in w for w in enough.warnings)
    high = claimed("transfer_census", evidence(RED, HOUSE), undecided={"at_most": 1}, fires_above=0.99)
    assert any("undecided" in w for w in high.warnings)


SENTENCES = {"prompts": None, "corpus": "corpus"}


def of_corpus(base, adapted, images=None, batch=7):
    """The same evidence with its text as a corpus, read in batches of so many sentences."""
    found = evidence(base, adapted, images)
    roles = {role if role != "prompts" else "corpus": one for role, one in found.sets.items()}

    def stream(name):
        every = split(found.codes("prompts", name))
        parts = [concat(every[i : i + batch]) for i in range(0, len(every), batch)]
        return Stream(lambda: iter(parts))

    streams = {("corpus", name): stream(name) for name in (None, "adapted")}
    codes = {key: one for key, one in found.codes_of.items() if key[0] == "images"}
    return Evidence(sets=roles, codes_of=codes, streams=streams)


def test_a_census_of_a_corpus_says_what_one_of_the_same_prompts_says():
    """Sentence by sentence in batches, at the thresholds of prompts: the same classes, shares and wants."""
    fields = {"stable": {"at_least": 0.0}, "fires_above": 0.2, "silent_below": 0.05}
    prompts = claimed("transfer_census", evidence(RED, HOUSE, seen(4.0)), **fields)
    corpus = claimed("transfer_census", of_corpus(RED, HOUSE, seen(4.0)), **SENTENCES, **fields)
    assert corpus.details == prompts.details
    assert corpus.outcome is Outcome.MET
    assert [m for m in corpus.also if m.name != "fvu"] == [m for m in prompts.also if m.name != "fvu"]
    assert "sentences" in corpus.finding or not corpus.details["would_decide"]
    other = claimed("transfer_census", of_corpus(RED, RED, seen(4.0)), **SENTENCES, **fields)
    assert other.details["counts"] != prompts.details["counts"]


def test_a_corpus_has_thresholds_of_its_own():
    """On one sentence in 12 of 480: over .01 and under .2, so that it fires there, and does not on prompts."""
    values = (3 if i % 12 == 0 else 0 for i in range(480))
    base = [rows(1, f"{TEXT} a{i}b{i * i}c{i % 7}", red=value and value + i % 5)[0] for i, value in enumerate(values)]
    verdicts = [
        claimed("transfer_census", of_corpus(base, base, batch=100), **SENTENCES, stable={"at_least": 0.0}, **fields)
        for fields in ({}, {"fires_above": 0.2})
    ]
    stable = [verdict.details["counts"]["stable"] for verdict in verdicts]
    assert stable[0] == stable[1] + 1
    assert verdicts[1].details["would_decide"]["too_rare"]["features"] >= 1


def test_a_census_says_what_would_decide_the_undecided():
    """20 prompts leave features open: the finding and the details name the n per class."""
    few = claimed("transfer_census", evidence(RED[:20], SILENT[:20], seen(4.0)), stable={"at_least": 0.0})
    wanted = few.details["would_decide"]
    assert wanted["lost"] == {"features": 1, "prompts": 59, "pictures": None}
    assert "1 look lost (70% of them want 59 prompts)" in few.finding
    done = claimed("transfer_census", evidence(RED, SILENT, seen(4.0)), stable={"at_least": 0.0})
    assert "lost" not in done.details["would_decide"]


def test_numbers_of_a_corpus_that_are_not_finite_are_a_fault_and_silence_is_no_share():
    """NaN anywhere in the stream is no share of anything, and neither is an SAE that never fires."""
    found = of_corpus(RED, RED)
    (first, *rest) = list(found.streams["corpus", None].read())
    value = first.value.copy()
    value[-1] = np.nan
    broken = {**found.streams, ("corpus", None): Stream(lambda: iter([dataclasses.replace(first, value=value), *rest]))}
    with pytest.raises(EnvironmentFault, match="NaN") as raised:
        claimed("transfer_census", dataclasses.replace(found, streams=broken), **SENTENCES, stable={"at_least": 0.0})
    assert raised.value.code == "not_finite"

    def silenced(codes):
        nothing = np.zeros(0, codes.index.dtype), np.zeros(0, codes.value.dtype)
        return dataclasses.replace(codes, indptr=np.zeros_like(codes.indptr), index=nothing[0], value=nothing[1])

    silent = {key: Stream(lambda s=s: iter([silenced(c) for c in s.read()])) for key, s in found.streams.items()}
    verdict = claimed("transfer_census", dataclasses.replace(found, streams=silent), **SENTENCES, stable={"at_most": 1})
    assert verdict.reason is Reason.DEAD


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "either `prompts` or `corpus`"),
        ({"prompts": "p", "corpus": "c"}, "either `prompts` or `corpus`"),
        ({"corpus": "c", "method": "ratio_of_means"}, "token by token"),
    ],
)
def test_a_census_reads_prompts_or_a_corpus(fields, text):
    """One of the two, and a corpus is compared by alignment only."""
    with pytest.raises(ValidationError, match=text):
        kinds()["transfer_census"].model_validate({"to": "b", "stable": {"at_least": 0.1}, **fields})


def test_an_sae_carries_over_by_its_explained_variance():
    """Drop, band, L0 ratio and suggestion are those of both models' own vectors."""
    text = " ".join(f"w{i}" for i in range(24))
    near, far = (rows(12, text, **{f"w{i}": v + i % 2 for i in range(24)}) for v in (1.0, 4.0))
    found = evidence(near, far)
    verdict = claimed("transfers_sae", found)
    blocks = [
        blocks_of_codes(c, c.counted(), np.arange(12))
        for c in (found.codes("prompts"), found.codes("prompts", "adapted"))
    ]
    drop = value_of(METRICS["fvu"], blocks[1]) - value_of(METRICS["fvu"], blocks[0])
    assert verdict.measurement.value == pytest.approx(drop)
    assert verdict.details["band"] == band_of(
        1 - value_of(METRICS["fvu"], blocks[0]), 1 - value_of(METRICS["fvu"], blocks[1]), 1.0
    )
    assert verdict.details["suggests"] in verdict.finding
    assert {m.name for m in verdict.also} >= {"l0 ratio", "residual cosine", "explained variance, native"}
    back = claimed("transfers_sae", evidence(far, near))
    assert back.measurement.value < 0
    assert back.details["band"] == "excellent"


@pytest.mark.parametrize(
    ("native", "moved", "l0_ratio", "wanted"),
    [
        (0.692, 0.610, 1.0, "works"),
        (0.761, 0.593, 1.0, "works"),
        (0.9, 0.7, 1.0, "works"),
        (0.8, -15.0, 219 / 60, "does_not_transfer"),
        (0.9, 0.85, 1.0, "excellent"),
        (0.9, 0.86, 2.1, "does_not_transfer"),
        (0.9, 0.86, None, "excellent"),
        (0.9, 0.5, 1.0, "degraded"),
        (0.9, 0.3, 1.0, "does_not_transfer"),
        (0.3, -0.01, 1.0, "does_not_transfer"),
    ],
)
def test_bands(native, moved, l0_ratio, wanted):
    """The published anchors fall where they are said to; edges belong to the better band."""
    assert band_of(native, moved, l0_ratio) == wanted
    assert SUGGESTIONS.keys() == set(BANDS)


def test_a_topk_saes_l0_decides_no_band_and_says_so():
    """Its L0 is fixed by construction."""
    text = " ".join(f"w{i}" for i in range(24))
    near = rows(12, text, **{f"w{i}": 1.0 for i in range(24)})
    verdict = claimed("transfers_sae", evidence(near, near), dataclasses.replace(CLAIM, sae_is_topk=True))
    assert any("TopK" in w for w in verdict.warnings)
    assert not claimed("transfers_sae", evidence(near, near)).warnings


def test_an_l0_that_doubles_does_not_transfer():
    """Explained variance may hold while everything fires: then the L0 is what is measured."""
    text = " ".join(f"w{i}" for i in range(24))
    silent, found = rows(12, text), evidence(rows(12, text), rows(12, text))
    codes = found.codes("prompts", "adapted")
    dense = np.stack([codes.token_column(f) for f in range(D_SAE)], axis=1) + 0.5
    token, feature = np.nonzero(dense)
    full = dataclasses.replace(
        codes,
        indptr=np.arange(0, dense.size + 1, D_SAE),
        index=feature.astype(np.int32),
        value=dense[token, feature].astype(np.float32),
    )
    loud = Evidence(
        sets=found.sets, codes_of={**found.codes_of, ("prompts", "adapted"): full}, residuals_of=found.residuals_of
    )
    verdict = claimed("transfers_sae", loud, band="degraded")
    assert (verdict.outcome, verdict.measurement.name) == (Outcome.UNMET, "l0 ratio")
    assert claimed("transfers_sae", evidence(silent, silent), band="degraded").outcome is Outcome.MET


def test_reconstruction_by_ratio_over_another_subject(snapshot):
    """`by: ratio` divides where the default subtracts; limits are jackknifed on the quotient."""
    text = " ".join(f"w{i}" for i in range(24))
    far, near = (rows(12, text, **{f"w{i}": v + i % 2 for i in range(24)}) for v in (3.0, 1.0))
    found = evidence(far, near)
    fields = {"fvu": {"over": {"subject": "adapted", "by": "ratio"}, "at_most": 20}}
    verdict = kinds()["reconstruction"].model_validate({"prompts": "p", **fields}).judge(found, CLAIM)
    alone = [value_of(METRICS["fvu"], blocks_of_codes(c, c.counted(), np.arange(12))) for c in found.codes_of.values()]
    assert verdict.measurement.value == pytest.approx(alone[0] / alone[1])
    assert verdict.measurement.value != pytest.approx(alone[0] - alone[1])
    assert verdict.measurement.low < alone[0] / alone[1] < verdict.measurement.high
    assert verdict.finding == snapshot
