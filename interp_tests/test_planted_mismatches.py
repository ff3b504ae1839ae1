"""Planted mismatches between a model, its SAE and what specs/ say of them: each is named, none is green.

A row is one entry of ROWS: what is planted, and the text by which the results name it. docs/reading-saes.md has the
same table.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.reports.exhibits import Exhibits
from harness.reports.html.page import page_html
from harness.reports.markdown import summary_markdown
from harness.reports.record import Run
from interp_tests.architectures import tiny_model
from interp_tests.planted import CLAIM, Planted, is_plain_green, told
from interp_tests.project import REPO
from interp_tests.report_cases import STARTED
from interp_tests.test_checkpoints import POINTER
from interp_tests.tiny_random import edit_json, make_tokenizer

CENTRED = {"center_writing_weights": True}
LAYER = "model.layers.0"
PAGE = REPO / "docs/reading-saes.md"


@dataclass(frozen=True)
class Row:
    """what: as the page's table has it. plant: changes the project. named: a code or a piece of the line that names
    it. gives: how, as the page's table has it: refused, warning, or record (a line of the record only)."""

    what: str
    plant: Callable[[Planted], None]
    named: str
    gives: str = "refused"


def saying(**metadata):
    """The SAE says this of itself."""
    return lambda project: project.says(**metadata)


def stating(**entry):
    """The SAE's entry states this."""
    return lambda project: project.sae.update(entry)


def reading(**entry):
    """The subject's entry states this."""
    return lambda project: project.subject.update(entry)


def topk(**entry):
    """The SAE is TopK with k 5, whatever else its entry states."""
    return lambda project: project.sae.update({"path": "zoo/sae-topk", **entry})


def without_k(project):
    """The TopK SAE's cfg.json has no k, for which sae-lens would take 100."""
    topk()(project)
    path = project.root / "zoo/sae-topk/cfg.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "k"}))


def twice(project):
    """The SAE's cfg.json has the same key two times, of which readers take the last."""
    path = project.root / project.sae["path"] / "cfg.json"
    path.write_text(path.read_text().rstrip()[:-1] + ', "architecture": "jumprelu"}')


def said_twice(field, in_metadata, at_the_top=None):
    """The TopK SAE's `metadata` says one thing, the top of its cfg.json another."""

    def plant(project):
        topk()(project)
        path = project.root / "zoo/sae-topk/cfg.json"
        config = json.loads(path.read_text())
        config["metadata"][field] = in_metadata
        path.write_text(json.dumps(config if at_the_top is None else {**config, field: at_the_top}))

    return plant


def narrow(project):
    """The model's stream has another width than the SAE's, by its config.json."""
    path = project.root / "zoo/model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_size": 24}))


def counting_specials(project):
    """The claim counts special tokens, and the SAE was trained without them."""
    project.says(exclude_special_tokens=True)
    project.claims = (CLAIM.replace("scope: sample", "scope: sample, special_tokens: counted"),)


def unlike_in_bos(trained, stated):
    """The SAE says one thing of BOS, the subject another."""

    def plant(project):
        project.says(prepend_bos=trained)
        project.subject["bos"] = stated

    return plant


def few_positions(project):
    """The model has fewer positions than a prompt has tokens; they are rotary, so that nothing else would fail."""
    path = project.root / "zoo/model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 8}))


def chatting(body):
    """Prompts are wrapped in a chat template that writes this for each message."""

    def plant(project):
        (project.root / "zoo/model/chat_template.jinja").write_text("{% for m in messages %}" + body + "{% endfor %}")
        project.sets["color"] = {"chat": "user", "prompts": project.sets["color"]}

    return plant


def wider_tokenizer(project):
    """The tokenizer has a token more than the model has embeddings, and every prompt has that token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(project.root / "zoo/model")
    tokenizer.add_tokens(["zzzz"])
    tokenizer.save_pretrained(project.root / "zoo/model")
    project.sets["color"] = [f"{text} zzzz" for text in project.sets["color"]]


def model_file(name, text):
    """A file of the model's folder says this."""
    return lambda project: (project.root / "zoo/model" / name).write_text(text)


def configured(file="config.json", **fields):
    """The model's config.json, or another of its files, has these fields."""
    return lambda project: edit_json(project.root / "zoo/model" / file, **fields)


def pointer(file):
    """git-lfs has not fetched a file."""
    return lambda project: (project.root / "zoo" / file).write_text(POINTER)


def cut_off(project):
    """A copy that ended early."""
    path = project.root / "zoo/model/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def headless(project):
    """The model is not tied to its embedding, and its checkpoint has no head; the claim is about the head."""
    configured(tie_word_embeddings=False)(project)
    project.claims = ('{id: says, scope: sample, feature: 5, promotes: {tokens: [" red", " blue", "a", "e"]}}',)


def scaled_mlp(project):
    """An SAE of the MLP's output, on a model that scales that output before adding it."""
    model = tiny_model("granite", vocab_size=400, residual_multiplier=0.22)
    for path in (project.root / "zoo/model").glob("*.safetensors"):
        path.unlink()
    model.save_pretrained(project.root / "zoo/model")
    project.says(hook_name="blocks.1.hook_mlp_out")
    project.sae["hook"] = "blocks.1.hook_mlp_out"


def moving(project):
    """A model of the hub whose commit nobody knows here."""
    project.model = {"hub": "org/nowhere", "revision": "unpinned"}


def dropout(project):
    """BPE dropout splits the same text another way each time."""
    path = project.root / "zoo/model/tokenizer.json"
    rules = json.loads(path.read_text())
    rules["model"]["dropout"] = 0.5
    path.write_text(json.dumps(rules))


def with_weights(project, edit):
    """The checkpoint after `edit` of its tensors."""
    path = project.root / "zoo/model/model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def extra(name):
    """The checkpoint has one tensor more."""
    return lambda project: with_weights(project, lambda tensors: tensors.update({name: torch.ones(8)}))


def whole_numbers(project):
    """One weight is stored in 8 bits, and nothing says with which scale."""
    name = f"{LAYER}.mlp.up_proj.weight"
    with_weights(project, lambda tensors: tensors.update({name: tensors[name].mul(100).to(torch.int8)}))


def without_token(project):
    """The tokenizer has no BOS token at all, as Qwen's."""
    project.says(prepend_bos=True)
    tokenizer = make_tokenizer(bos=False)
    tokenizer.bos_token = None
    tokenizer.save_pretrained(project.root / "zoo/model")
    path = project.root / "zoo/model/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "gemma2"}))


def asking_for_bos(project):
    """The same, and the subject asks for it."""
    without_token(project)
    project.subject["bos"] = "prepend"


def writing_bos(project):
    """A prompt has the BOS token in the middle of its text."""
    project.sets["color"] = ["The <bos>red ball."]


def unclear_sinks(project):
    """One ordinary word has 10 times the median norm at the hook point."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = project.root / "zoo/model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        model.model.embed_tokens.weight[tokenizer(" the", add_special_tokens=False)["input_ids"]] *= 20
    model.save_pretrained(folder)


ROWS = [
    Row("another layer", stating(hook="blocks.2.hook_resid_post"), "sae_mismatch: SAE tiny was trained at blocks.1"),
    Row("before the layer, not behind it", stating(hook="blocks.1.hook_resid_pre"), "sae_mismatch"),
    Row("the MLP's output, not the stream", stating(hook="blocks.1.hook_mlp_out"), "sae_mismatch"),
    Row("an SAE of attention heads", saying(hook_name="blocks.1.attn.hook_z"), "blocks.1.attn.hook_z"),
    Row("the width that it reads", stating(d_in=64), "says d_in 64 of SAE tiny, cfg.json says 32"),
    Row("the number of its features", stating(d_sae=128), "says d_sae 128 of SAE tiny, cfg.json says 64"),
    Row("its architecture", topk(architecture="jumprelu"), "says architecture jumprelu of SAE tiny, cfg.json"),
    Row("k of a TopK SAE", topk(k=7), "says k 7 of SAE tiny, cfg.json says 5"),
    Row("a TopK SAE whose entry does not say so", topk(), "TopK", "inconclusive"),
    Row("BOS, without which it was trained", unlike_in_bos(False, "prepend"), "trained without BOS"),
    Row("no BOS, with which it was trained", unlike_in_bos(True, "none"), "trained with BOS"),
    Row("one attention head", saying(hook_head_index=3), "sae_unsupported: SAE tiny reads one attention head, 3"),
    Row("positions left out in training", saying(seqpos_slice=[5, None]), "trained on positions [5:] only"),
    Row("a normalization that is not in the weights", saying(normalize_activations="expected_average_only_in"),
        "wants activations normalized by expected_average_only_in"),
    Row("the same, as sae-lens 2 wrote it", saying(normalize_activations=True), "expected_average_only_in"),
    Row("covariance whitening", saying(normalize_activations="covariance_whitening"), "covariance_whitening"),
    Row("another activation function", saying(activation_fn="tanh-relu"), "activation function tanh-relu"),
    Row("a centred stream of a model with RMSNorm", saying(model_from_pretrained_kwargs=CENTRED), "reads the mean"),
    Row("a transcoder", saying(architecture="transcoder"), "cannot be read token by token"),
    Row("the form for training", saying(architecture="batchtopk"), "Save its inference form"),
    Row("a crosscoder", saying(architecture="crosscoder"), "cannot be read token by token"),
    Row("an SAE that writes elsewhere", saying(hook_name_out="blocks.1.hook_mlp_out"), "it is a transcoder"),
    Row("BOS said in a word that means nothing", saying(prepend_bos="false"), "prepend_bos is 'false'"),
    Row("a TopK SAE that says no k", without_k, "it is topk and has no k"),
    Row("more features a token than there are", said_twice("k", 100, 100), "k is 100 of 64 features"),
    Row("an SAE that reads and writes other widths", saying(d_out=48), "d_in is 32 and d_out 48"),
    Row("a key of cfg.json that is there twice", twice, "architecture is there 2 times"),
    Row("k said in two ways", said_twice("k", 7), "k is both 7 and 5"),
    Row("BOS said in two ways", said_twice("prepend_bos", False, True), "prepend_bos is both False and True"),
    Row("a hook point's name and its layer", saying(hook_layer=3), "hook_name is 'blocks.1.hook_resid_post' and hook_"),
    Row("a hook point whose layer is left open", saying(hook_name="blocks.{layer}.hook_resid_post"), "blocks.{layer}"),
    Row("centring said in a word that means nothing", saying(model_from_pretrained_kwargs={
        "center_writing_weights": "yes"}), "center_writing_weights is 'yes'"),
    Row("a transcoder from before sae-lens had them", saying(out_hook_point="blocks.1.hook_mlp_out"),
        "it is a transcoder"),
    Row("a model of another width", narrow, "reads 32 dimensions, the stream of model tiny has 24"),
    Row("prompts longer than the texts of the training", saying(context_size=8), "longer than the 8 tokens", "warning"),
    Row("special tokens that it was not trained on", counting_specials, "trained without special tokens", "warning"),
    Row("a cfg.json of other weights", saying(d_sae=128), "sae_unreadable"),
    Row("a LoRA adapter beside the weights", model_file("adapter_config.json", "{}"), "adapter_beside_weights"),
    Row("quantized weights", configured(quantization_config={"quant_method": "gptq"}), "quantized_weights"),
    Row("a git-lfs pointer, no weights", pointer("model/model.safetensors"), "lfs_pointer"),
    Row("a git-lfs pointer, no tokenizer", pointer("model/tokenizer.json"), "lfs_pointer"),
    Row("a git-lfs pointer, no SAE", pointer("sae-jumprelu/sae_weights.safetensors"), "lfs_pointer"),
    Row("weights that are cut off", cut_off, "weights_unreadable"),
    Row("a tokenizer class that splits text its own way", configured("tokenizer_config.json",
        tokenizer_class="Qwen2TokenizerFast"), "tokenizer_mismatch"),
    Row("a tokenizer that splits at random", dropout, "at random: tokenizer.json has BPE dropout 0.5"),
    Row("a bias that config.json leaves out", extra(f"{LAYER}.self_attn.q_proj.bias"), "weights_unused"),
    Row("a norm that config.json leaves out", extra(f"{LAYER}.self_attn.q_norm.weight"), "weights_unused"),
    Row("tensors of a LoRA among the weights", extra(f"{LAYER}.mlp.up_proj.lora_A.weight"), "weights_unused"),
    Row("a weight in whole numbers", whole_numbers, "model.layers.0.mlp.up_proj.weight is I8"),
    Row("a head that is not in the checkpoint", headless, "weights_missing"),
    Row("an MLP's output that is scaled before it is added", scaled_mlp, "site_unproven"),
    Row("texts beyond the model's positions, dynamic rope", configured(max_position_embeddings=8,
        rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}), "prompt_too_long"),
    Row("a model of the hub whose commit is not known", moving, "weights_missing"),
    Row("BOS that the tokenizer does not have", without_token, "and the tokenizer of tiny has none", "warning"),
    Row("BOS asked for, and the tokenizer has none", asking_for_bos, "no_bos: tiny has `bos: prepend`"),
    Row("BOS written in a prompt", writing_bos, "double_bos: the text"),
    Row("sinks that norms do not show", unclear_sinks, "sinks_unclear: which tokens of tiny"),
    Row("median norms of other weights", reading(median_norm={"text": 9000}), "norms_changed: specs/subjects.yaml"),
    Row("another model by its name", saying(model_name="org/other-1b"), '"sae_trained_on": "org/other-1b"', "record"),
    Row("another checkpoint of the model", saying(model_name="tiny", model_from_pretrained_kwargs={
        "revision": "step1000"}), '"sae_trained_on": "tiny (revision step1000)"', "record"),
    Row("fewer positions than a prompt has tokens", few_positions, "its model only 8 positions"),
    Row("a tokenizer wider than the embeddings", wider_tokenizer, "has the token 'zzzz' (id"),
    Row("a chat template that raises", chatting("{{ raise_exception('no strings') }}"), "chat_template_failed"),
    Row("a chat template that repeats the message", chatting("{{ m.content }} {{ m.content }}"), "writes it 2 times"),
    Row("a chat template that changes the message", chatting("{{ m.content | upper }}"), "text_not_found"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that is met; the current folder, as in a run."""
    made = Planted(tmp_path / "repo")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    return made


def test_the_project_is_met_before_anything_is_planted(project):
    """What is planted is the only reason that a row can have."""
    records = project.judged()
    assert [record.standing for record in records] == ["met"]
    assert is_plain_green(records)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_what_is_planted_is_named(project, row):
    """Not read at all, or not without a word; the text names what does not fit."""
    row.plant(project)
    records = project.judged()
    assert row.named in told(records)
    if row.gives == "record":
        return
    assert not is_plain_green(records)
    if row.gives == "refused":
        assert {record.standing for record in records} <= {"broken", "not run"}


@pytest.mark.parametrize(
    "name",
    ["model.layers.9.mlp.up_proj.weight", "vision_tower.encoder.layers.0.fc1.weight", "model.mtp.proj.weight",
     f"{LAYER}.self_attn.rotary_emb.inv_freq", "lm_head.weight"],
)  # fmt: skip
def test_whole_modules_that_are_left_over_are_no_mismatch(project, name):
    """Layers behind those that are read, a vision tower, another head, and buffers that older versions saved."""
    extra(name)(project) if name != "lm_head.weight" else with_weights(project, untied)
    assert is_plain_green(project.judged())


def untied(tensors):
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()


def test_the_page_has_every_row():
    """docs/reading-saes.md and the rows above say the same: what is planted, and what it gives."""
    line = r"^\| ([^|`]+) \| (refused|inconclusive|warning|record) \|"
    table = re.findall(line, PAGE.read_text(), flags=re.MULTILINE)
    assert table == [(row.what, row.gives) for row in ROWS]
    assert len(ROWS) >= 20


def test_a_wrong_statement_is_refused_on_a_warm_store(project):
    """Evidence that was read under the right words is not judged under wrong ones."""
    assert is_plain_green(project.judged())
    wrong = {"d_in": 64}, {"d_sae": 128}, {"architecture": "topk"}, {"hook": "blocks.2.hook_resid_post"}
    for plant in (stating(**one) for one in wrong):
        before = dict(project.sae), dict(project.subject)
        plant(project)
        assert {record.standing for record in project.judged()} <= {"broken", "not run"}
        project.sae, project.subject = before
    assert is_plain_green(project.judged())


def test_a_wrong_statement_is_refused_where_the_sae_is_not(project):
    """The store says what its evidence was read with: a wrong width, form or number of features is found."""
    from harness.digests import SAE_FILES, files_digest

    project.sae["digest"] = files_digest(project.root / "zoo/sae-jumprelu", SAE_FILES)
    assert is_plain_green(project.judged())
    shutil.rmtree(project.root / "zoo/sae-jumprelu")
    assert is_plain_green(project.judged())
    right = dict(project.sae)
    for wrong in ({"d_in": 64}, {"d_sae": 128}, {"architecture": "topk"}):
        project.sae = {**right, **wrong}
        records = project.judged()
        assert {record.standing for record in records} <= {"broken", "not run"}
        assert "sae_mismatch" in told(records)
    project.sae = {**right, "d_in": 32, "d_sae": 64, "architecture": "jumprelu"}
    assert is_plain_green(project.judged())


@pytest.mark.parametrize(
    ("plant", "key"),
    [
        (stating(hook="blocks.2.hook_resid_post"), "hook"),
        (saying(hook_head_index=3), "head"),
        (saying(seqpos_slice=[5, None]), "positions"),
        (saying(normalize_activations="expected_average_only_in"), "normalization"),
        (saying(activation_fn="tanh-relu"), "activation"),
        (unlike_in_bos(True, "none"), "bos"),
        (saying(model_from_pretrained_kwargs=CENTRED), "centring"),
    ],
)
def test_what_an_owner_means_is_read_and_shown(project, plant, key):
    """With a reason it is judged, and every verdict carries the reason; without it nothing is judged."""
    plant(project)
    assert {record.standing for record in project.judged()} <= {"broken", "not run"}
    project.subject["read_otherwise"] = {key: "compared with the layer below"}
    (record,) = project.judged()
    assert record.standing == "met"
    assert any(key in line and "compared with the layer below" in line for line in record.verdict.warnings)
    assert dict(record.read_otherwise) == {key: "compared with the layer below"}


def test_every_report_shows_what_is_read_otherwise(project):
    """The summary and the page have the reason; a hook that the entry leaves out is the SAE's own."""
    project.sae.pop("hook")
    (record,) = project.judged()
    assert record.standing == "met"
    project.sae["hook"] = "blocks.2.hook_resid_post"
    project.subject["read_otherwise"] = {"hook": "one layer on, to compare"}
    run = Run.now(STARTED, command="pytest", must_run=False, records=project.judged(), capture={})
    assert "hook (it reads at the subject's hook point, not at the SAE's): one layer on" in summary_markdown(run)
    assert "one layer on, to compare" in page_html(run, Exhibits(), {})
