"""The steering gate: every way in which a script's features may be unproven blocks, on a real run of the tiny model."""

import datetime
import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch

from harness.gate import InterventionBlocked, Why, require_passed
from harness.reports.json import content_digest
from harness.store import Store
from harness.weights import Sample
from interp_tests.project import REPO, make_project

PAGE = (REPO / "docs/steering-gate.md").read_text()
NUMBERS = '{prompts: prompts/categories.yaml#number, than: "prompts/categories.yaml#!number"}'
FOUND = "discovered_on: prompts/discovery.yaml#number"
CLAIMS = f"""
- {{id: numbers, feature: 731, {FOUND}, fires_more: {NUMBERS}}}
- id: quiet
  feature: 731
  silent_on: {{prompts: prompts/categories.yaml#code, but_fires_on: prompts/categories.yaml#number}}
- {{id: second, feature: 54, fires_more: {NUMBERS}}}
- {{id: warned, feature: 888, severity: warn, fires_more: {{prompts: plain, than: color}}}}
- {{id: awaited, feature: 267, xfail: known, fires_more: {{prompts: plain, than: color}}}}
- {{id: undecided, feature: 196, severity: warn, fires_more: {{prompts: few, than: color}}}}
- {{id: rare, feature: 407, fire_rate: {{prompts: prompts/categories.yaml#code, rate: {{at_most: .5}}}}}}
- {{id: any, features: [731, 5], together: any, fires_more: {NUMBERS}}}
- {{id: always, feature: 313, {FOUND}, fire_rate: {{prompts: prompts/categories.yaml#number, rate: {{at_least: .01}}}}}}
- {{id: these-only, feature: 313, scope: sample, fires_more: {{prompts: color, than: plain, auroc: {{at_least: .51}}}}}}
"""
FEW = {"few": ["for i in range(3): print(i)", "x = [1, 2]"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository whose claims have been judged once."""
    folder = tmp_path_factory.mktemp("gate")
    made = make_project(folder / "repo", folder / "evidence.sqlite")
    (made.root / "specs/prompts").mkdir()
    for name in ("categories.yaml", "discovery.yaml", "code-test.txt", "code-discovery.txt"):
        shutil.copy(REPO / "specs/prompts" / name, made.root / "specs/prompts")
    made.suite("claims", CLAIMS, prompts=FEW)
    done = made.pytest("-q")
    assert done.returncode == 0, done.stdout[-3000:]
    return made


@pytest.fixture
def here(project, monkeypatch, tmp_path):
    """A copy of that repository as the current folder, for a test to spoil; its evidence is shared."""
    root = tmp_path / "repo"
    shutil.copytree(project.root, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("INTERP_REPORTS", raising=False)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    return root


@pytest.fixture(scope="module")
def script():
    """What a script has in memory."""
    from sae_lens import SAE
    from transformers import AutoModelForCausalLM

    zoo = REPO / "harness/zoo/tiny_gemma2"
    model = AutoModelForCausalLM.from_pretrained(zoo / "model", dtype="float32")
    return model.requires_grad_(False), SAE.load_from_disk(zoo / "sae").requires_grad_(False)


def passed(script, *features, **more):
    return require_passed(model=script[0], sae=script[1], features=features or [731], **more)


def blocked(script, *features, **more):
    """The reasons, by name, and the whole message."""
    with pytest.raises(InterventionBlocked) as caught:
        passed(script, *features, **more)
    assert "run: pytest" in str(caught.value)
    return {reason.why for reason in caught.value.reasons}, str(caught.value)


def edit(root, change, renew=True):
    """Change results.json as a text editor would, or as one who renews its digest."""
    path = root / "reports/latest/results.json"
    document = json.loads(path.read_text())
    change(document)
    if renew:
        document["digest"] = content_digest(document)
    path.write_text(json.dumps(document))


@contextmanager
def perturbed(tensor, *at):
    """One number of a tensor moved a little."""
    before = tensor[at].clone()
    tensor[at] += 1e-3
    try:
        yield
    finally:
        tensor[at] = before


# --- what passes ------------------------------------------------------------------------------------------------------


def test_a_proven_feature_passes_with_its_dossier(here, script):
    """Its scale, off-target contexts and company, from the store and the SAE; the same for a backbone without head."""
    known = passed(script)[731]
    scale = known.activation
    assert 0 < scale.p50 < scale.p99 <= scale.maximum
    assert scale.n >= scale.prompts > scale.of / 2
    assert known.proven_by == ("claims::numbers (found on prompts/discovery.yaml#number)",)
    assert "proven by: claims::numbers" in str(known)
    assert known.off_target == tuple(sorted(known.off_target, key=lambda c: -c.activation))
    assert set(known.claims) == {"claims::numbers", "claims::quiet", "claims::any"}
    assert 731 not in [f for f, _ in (*known.neighbours, *known.cofiring)]
    assert require_passed(model=script[0].model, sae=script[1], features=[731])[731] == known
    assert "p50" in str(known)


def test_the_dossier_is_what_reading_the_prompts_says(here, script):
    """p50, p99, maximum and the strongest off-target prompt, computed by hand from codes read again."""
    import numpy as np

    from harness.language.specs import load
    from harness.running.doors import reader_of
    from harness.spec import Spec

    spec = next(s for s in load(Path()).items if isinstance(s, Spec) and s.id == "claims::numbers")
    from transformers import AutoTokenizer

    read = reader_of(
        script[0], AutoTokenizer.from_pretrained(here / "zoo/model"), script[1], "blocks.3.hook_resid_post"
    )
    on, off = (read(spec.sets[role].prompts) for role in ("prompts", "than"))
    values = [v for v, counts in zip(on.token_column(731), on.counted(), strict=True) if counts and v != 0]
    known = passed(script)[731]
    assert known.activation.n == len(values)
    found = (known.activation.p50, known.activation.p99, known.activation.maximum)
    assert found == pytest.approx((np.median(values), np.percentile(values, 99), max(values)), rel=1e-3)
    column = off.token_column(731) * off.counted()
    assert known.off_target[0].activation == pytest.approx(column.max(), rel=1e-3)
    assert known.off_target[0].text == spec.sets["than"].prompts[off.prompt[column.argmax()]].text


def test_the_pages_script_runs(here, project):
    """docs/steering-gate.md's script, as a reader copies it, passes, and stops where the weights are others."""
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    block = block.replace("harness/zoo/tiny_gemma2", "zoo")
    (project.root / "steer.py").write_text(block)
    done = project.run([sys.executable, "steer.py"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("feature 731")
    (project.root / "steer.py").write_text(block.replace("float32", "bfloat16"))
    assert "weights_differ" in project.run([sys.executable, "steer.py"]).stderr


def test_the_page_lists_every_reason():
    """docs/steering-gate.md and the code name the same reasons."""
    assert set(re.findall(r"^\| `([a-z_]+)` \| [A-Z]", PAGE, flags=re.MULTILINE)) == {str(why) for why in Why}


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["embed_tokens.weight", "layers.0.self_attn.q_proj.weight", "norm.weight"])
def test_one_changed_number_in_a_sampled_row_of_the_model_blocks(here, script, name):
    """The reason names the tensor."""
    tensor = script[0].model.get_parameter(name)
    with perturbed(tensor, *(0,) * tensor.dim()):
        why, text = blocked(script)
    assert why == {Why.WEIGHTS_DIFFER}
    assert f"model: {name} has other numbers" in text


def test_every_row_of_the_sae_is_compared(here, script):
    """The decoder row of any feature, and each threshold."""
    for tensor, at in ((script[1].W_dec, (730, 7)), (script[1].W_enc, (5, 700)), (script[1].threshold, (731,))):
        with perturbed(tensor, *at):
            assert blocked(script)[0] == {Why.WEIGHTS_DIFFER}
    assert 731 in passed(script)


def test_a_row_outside_the_sample_and_a_layer_above_are_not_seen(here, script):
    """What the page says of the limits of the comparison is so."""
    embedding = script[0].model.embed_tokens.weight
    with perturbed(embedding, 1, 0):
        assert 731 in passed(script)
    last = script[0].model.layers[-1].mlp.up_proj.weight
    assert len(script[0].model.layers) > 4
    with perturbed(last, 0, 0):
        assert 731 in passed(script)


def test_another_precision_is_named(here, script):
    """bfloat16 where float32 was read."""
    import copy

    why, text = blocked((copy.deepcopy(script[0]).to(torch.bfloat16), script[1]))
    assert why == {Why.WEIGHTS_DIFFER}
    assert "is bfloat16 here, was float32 when it was read" in text
    assert "more tensors" in text


def test_another_model_or_sae_blocks(here, script):
    """A model with other layers, and an SAE that is used otherwise."""
    import copy

    from transformers import AutoModelForCausalLM

    other = AutoModelForCausalLM.from_pretrained(REPO / "harness/zoo/tiny_qwen3/model", dtype="float32")
    assert blocked((other, script[1]))[0] == {Why.WEIGHTS_DIFFER}
    sae = copy.deepcopy(script[1])
    sae.cfg.apply_b_dec_to_input = not sae.cfg.apply_b_dec_to_input
    assert "its settings" in blocked((script[0], sae))[1]


def test_the_store_keeps_a_sample_and_older_stores_get_room_for_it(tmp_path):
    """Layout 2 has no table of samples: read-only there is none, opened to write it takes one; damage is a miss."""
    path, sample = tmp_path / "store.sqlite", Sample({"w": {"dtype": "float32"}}, {}, {"b": {"shape": "3"}})
    Store(path).close()
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("DROP TABLE weights")
        old.execute("DROP TABLE verdicts")
        old.execute("PRAGMA user_version=2")
    assert Store(path, read_only=True).get_weights("code") is None
    store = Store(path)
    store.put_weights("code", {}, sample)
    assert store.get_weights("code") == sample
    assert store.get_weights("other") is None
    store.database.write("UPDATE weights SET value=?", [(b"{}",)])
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert store.get_weights("code") is None


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feature", "why", "says"),
    [
        (888, Why.NOT_MET, "claims::warned is unmet (warn)"),
        (267, Why.NOT_MET, "claims::awaited is unmet as expected"),
        (196, Why.NOT_MET, "claims::undecided is inconclusive"),
        (5, Why.NO_MET_CLAIM, "no claim about it on tiny is met"),
        (17, Why.NO_MET_CLAIM, "no claim about it on tiny is met"),
        (4096, Why.NO_SUCH_FEATURE, "has 1024"),
    ],
)
def test_anything_but_met_blocks(here, script, feature, why, says):
    """Also what warns or is awaited, and a feature of which nothing, or only `any` of several, is claimed."""
    found, text = blocked(script, 731, feature)
    assert why in found
    assert says in text
    assert "feature 731:" not in text


def test_a_feature_that_no_claim_shows_to_fire_blocks(here, script):
    """A met claim of rarity names no prompt where it should fire: a mistyped number could meet as much."""
    why, text = blocked(script, 731, 407)
    assert why == {Why.NO_FIRING_CLAIM}
    assert "feature 407: claims::rare does not claim that the feature fires" in text
    assert "feature 731:" not in text
    assert passed(script)[731].activation is not None


def test_met_claims_that_say_too_little_block(here, script):
    """A rate that any feature meets, a claim of eight prompts only, and a number that may have been chosen here: all
    that each lacks is in one exception, with how to fix it, and features that are proven are not in it."""
    why, text = blocked(script, 731, 313, 54)
    assert {Why.VACUOUS, Why.SAMPLE_ONLY, Why.NO_PROVENANCE} <= why
    assert "feature 313: claims::always is met by" in text
    assert "feature 313: claims::these-only has scope sample. Claim it of prompts in general" in text
    assert "feature 54: claims::second names no discovery prompts (chosen on these prompts, p would be" in text
    assert "feature 731:" not in text


def test_prompts_edited_since_the_run_block(here, script):
    """The claim's own words are the same; what they are about is not."""
    suite = here / "specs/prompts/categories.yaml"
    written = suite.read_text()
    first = next(line for line in written.splitlines() if line.strip().startswith("- "))
    suite.write_text(written.replace(first, first.rstrip('"').rstrip(".") + " today." + '"' * first.endswith('"')))
    why, text = blocked(script)
    assert why == {Why.CLAIM_CHANGED}
    assert "claims::numbers: its prompts or another subject that it reads have been edited since the run" in text
    suite.write_text(written)
    assert 731 in passed(script)


def test_a_claim_that_was_not_judged_blocks(here, script):
    """A run of `-k`, a claim added or edited since, and a claim deleted."""
    suite = here / "specs/claims.yaml"
    written = suite.read_text()
    suite.write_text(written + "  - {id: new, feature: 731, fire_rate: {prompts: color, rate: {at_most: .5}}}\n")
    assert blocked(script)[0] == {Why.NOT_JUDGED}
    suite.write_text(written.replace("id: numbers, feature: 731,", "id: numbers, why: new, feature: 731,"))
    assert blocked(script)[0] == {Why.CLAIM_CHANGED}
    suite.write_text(written.replace("id: quiet", "id: other"))
    assert blocked(script)[0] == {Why.CLAIM_CHANGED, Why.NOT_JUDGED}
    suite.write_text(written + "  - {id: broken, feature: 731, fires_mor: {prompts: color}}\n")
    assert Why.SPECS_BROKEN in blocked(script)[0]


def test_specs_are_asked_for_by_name(here, script):
    """Each pattern must be a met claim of these features; one that is not, blocks."""
    assert passed(script, specs=["claims::numbers", "claims::q*"])
    why, text = blocked(script, specs=["claims::numbers", "claims::warned"])
    assert why == {Why.NO_MET_CLAIM}
    assert "claims::warned" in text


# --- the run ----------------------------------------------------------------------------------------------------------


def test_a_run_that_shows_nothing_blocks(here, script):
    """Invalid, interrupted, too old, from the future."""
    for change, why in (
        (lambda d: d["run"].update(invalid=["control x: met"]), Why.RUN_INVALID),
        (lambda d: d["run"].update(partial=True), Why.RUN_PARTIAL),
        (lambda d: d["run"].update(invalid=[], partial=False, started="2020-01-01T00:00:00+00:00"), Why.RUN_STALE),
        (lambda d: d["run"].update(started="2999-01-01T00:00:00+00:00"), Why.RUN_STALE),
    ):
        edit(here, change)
        assert why in blocked(script)[0]
    edit(here, lambda d: d["run"].update(started="2020-01-01T00:00:00+00:00"))
    assert 731 in passed(script, max_age=None)
    assert 731 in passed(script, max_age=datetime.timedelta(days=36500))


def test_a_hand_edited_record_is_refused(here, script):
    """One word changed without the digest; no digest; the same words in another order are the same record."""
    edit(
        here, lambda d: next(r for r in d["records"] if r["id"] == "claims::warned").update(outcome="met"), renew=False
    )
    assert blocked(script, 888)[0] == {Why.RUN_EDITED}
    edit(here, lambda d: d.pop("digest"), renew=False)
    assert blocked(script)[0] == {Why.RUN_EDITED}
    edit(here, lambda d: d["records"].reverse() or d["records"].reverse())
    assert 731 in passed(script)


def test_a_record_without_digests_of_weights_blocks(here, script):
    """Evidence of which nobody knows what it was read with proves nothing."""
    edit(here, lambda d: d["weights"].clear())
    assert blocked(script)[0] == {Why.WEIGHTS_UNKNOWN}


def test_evidence_that_moved_or_is_gone_blocks(here, script, monkeypatch, tmp_path):
    """Weights on disk that are no longer those of the run, and a store that lacks the prompts."""
    with monkeypatch.context() as moved:
        moved.setattr("harness.keys.CAPTURE_VERSION", "0")
        assert Why.EVIDENCE_MOVED in blocked(script)[0]
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "empty.sqlite"))
    assert blocked(script)[0] == {Why.EVIDENCE_MISSING}


def test_no_run_and_no_features(here, script):
    """Nothing to rely on blocks; nothing to ask about is a mistake of the script."""
    shutil.rmtree(here / "reports")
    assert blocked(script)[0] == {Why.RUN_MISSING}
    with pytest.raises(ValueError, match="needs the features"):
        require_passed(model=script[0], sae=script[1], features=[])


def test_a_warm_run_records_the_same_digests(here, project):
    """A run that reads no model has the digests of the run that did, from the store."""
    first = project.results()
    assert first["capture"]["tiny"]["loads"] == 1
    project.env["INTERP_REPORTS"] = str(here / "again")
    try:
        assert project.pytest("-q").returncode == 0
    finally:
        del project.env["INTERP_REPORTS"]
    again = json.loads((here / "again/latest/results.json").read_text())
    assert again["capture"] == {}
    assert again["weights"] == first["weights"] != {}


# --- the place, and what else is in the model -------------------------------------------------------------------------


def test_another_place_a_hook_training_and_odd_numbers_block(here, script):
    """The weights are those of the run; the script would act elsewhere, or on a model that computes otherwise."""
    model, _ = script
    why, text = blocked(script, hook="blocks.2.hook_resid_post")
    assert why == {Why.HOOK_DIFFERS}
    assert "read at blocks.3.hook_resid_post" in text
    assert 731 in passed(script, hook="blocks.3.hook_resid_post")
    handle = model.model.layers[1].mlp.register_forward_hook(lambda *_: None)
    try:
        assert blocked(script)[0] == {Why.MODEL_HOOKED}
    finally:
        handle.remove()
    model.train()
    try:
        assert blocked(script)[0] == {Why.TRAINING_MODE}
    finally:
        model.eval()
    assert Why.NO_SUCH_FEATURE in blocked(script, 731, "54")[0]
    assert 731 in passed(script)


def test_the_saes_own_word_on_its_place_is_compared(here, script):
    """An SAE object that says another hook point than the evidence's."""
    import copy

    other = copy.deepcopy(script[1])
    other.cfg.metadata.hook_name = "blocks.3.hook_resid_pre"
    assert blocked((script[0], other))[0] == {Why.HOOK_DIFFERS}
    assert 731 in passed((script[0], other), hook="blocks.3.hook_resid_post")
