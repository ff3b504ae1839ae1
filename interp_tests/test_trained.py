"""How an SAE was trained, as cfg.json, sae-lens' registry and file names say it."""

import dataclasses
import json
from collections import Counter

import pytest

from harness.inputs import SaeRef
from harness.releases import find_release, release_names
from harness.trained import Training, training_of, training_of_config
from interp_tests.project import REPO

NAMES_ALONE = ("gemma_2", "qwen_scope", "deepseek_r1", "goodfire", "gemma_2_transcoder")
FIELDS = (
    "hook_name",
    "hook_name_out",
    "model_name",
    "prepend_bos",
    "context_size",
    "architecture",
    "d_in",
    "d_sae",
    "k",
)


def released(release, sae_id):
    return training_of(SaeRef("x", "release", release, sae_id))


def written(folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    return training_of(SaeRef("x", "path", str(folder)))


def everything():
    return [(name, sae_id) for name in release_names() for sae_id in find_release(name).paths]


def test_every_published_sae_says_where_it_reads_or_that_it_does_not():
    """All of the registry gives a Training; only the layers of one cross-layer transcoder name no place."""
    found = {pair: released(*pair) for pair in everything()}
    assert len(found) > 13_000
    assert {pair[0] for pair, said in found.items() if said.hook_name is None} == {
        "mntss-gemma-2-2b-2.5m-clt-as-per-layer"
    }
    sites = Counter(said.site for said in found.values())
    assert sites["hook_resid_post"] + sites["hook_resid_pre"] > 4_800
    assert sites["attn.hook_z"] > 2_400
    assert sum(said.is_centred is True for said in found.values()) == 33
    assert not any(said.prepend_bos is False for said in found.values())


@pytest.mark.parametrize("loader", NAMES_ALONE)
def test_what_follows_from_names_is_what_the_loaders_derive(loader):
    """For each SAE of these loaders the fields are those of sae-lens' own config getter, completed as sae-lens does."""
    from sae_lens.loading import pretrained_sae_loaders as theirs

    pairs = [pair for pair in everything() if find_release(pair[0]).loader == loader]
    assert pairs
    for release, sae_id in pairs[:: max(1, len(pairs) // 400)]:
        loaded = training_of_config(theirs.load_sae_config_from_huggingface(release, sae_id), "theirs")
        assert same_fields(released(release, sae_id), loaded) == [], (release, sae_id)
        assert loaded.unclear == ()


def test_gemma_scope_2_is_what_its_loader_derives(monkeypatch):
    """Its loader asks the hub for a config and for shapes; with neither, names and paths give the rest."""
    from huggingface_hub.utils import EntryNotFoundError
    from sae_lens.loading import pretrained_sae_loaders as theirs

    def absent(*_, **__):
        raise EntryNotFoundError("offline")

    monkeypatch.setattr(theirs, "hf_hub_download", absent)
    monkeypatch.setattr(theirs, "get_safetensors_tensor_shapes", lambda *_: {"w_enc": [640, 1], "w_dec": [1, 640]})
    pairs = [pair for pair in everything() if find_release(pair[0]).loader == "gemma_3"]
    for release, sae_id in pairs[::20]:
        loaded = training_of_config(theirs.load_sae_config_from_huggingface(release, sae_id), "theirs")
        ours = dataclasses.replace(released(release, sae_id), d_in=640, d_sae=1)
        assert same_fields(ours, loaded) == [], (release, sae_id)


def same_fields(ours, theirs):
    return [
        (name, getattr(ours, name), getattr(theirs, name))
        for name in FIELDS
        if getattr(ours, name) != getattr(theirs, name)
    ]


def test_a_wrong_layer_would_be_noticed(monkeypatch):
    """The comparison with the loaders can fail: a hook of another layer is a difference."""
    ours = released("gemma-scope-2b-pt-res", "layer_10/width_16k/average_l0_77")
    assert same_fields(ours, dataclasses.replace(ours, hook_name="blocks.11.hook_resid_post"))


@pytest.mark.parametrize(
    ("release", "sae_id", "hook"),
    [
        ("gemma-scope-2b-pt-res-canonical", "layer_10/width_16k/canonical", "blocks.10.hook_resid_post"),
        ("gemma-scope-2b-pt-att-canonical", "layer_10/width_16k/canonical", "blocks.10.attn.hook_z"),
        ("gemma-scope-2b-pt-mlp-canonical", "layer_10/width_16k/canonical", "blocks.10.hook_mlp_out"),
        ("gemma-scope-2b-pt-res", "embedding/width_4k/average_l0_6", "hook_embed"),
        ("gpt2-small-res-jb-feature-splitting", "blocks.8.hook_resid_pre_768", "blocks.8.hook_resid_pre"),
        ("gpt2-small-hook-z-kk", "blocks.3.hook_z", "blocks.3.attn.hook_z"),
        ("llama_scope_lxm_8x", "l7m_8x", "blocks.7.hook_mlp_out"),
        ("llama_scope_r1_distill", "l4r_400m_slimpajama_400m_openr1_math", "blocks.4.hook_resid_post"),
        ("qwen-scope-3-1.7b-base-w32k-l50", "layer14", "blocks.14.hook_resid_post"),
        ("mwhanna-qwen3-4b-transcoders", "layer_3", "blocks.3.mlp.hook_in"),
    ],
)
def test_a_release_names_its_place(release, sae_id, hook):
    """Each loader's way of naming gives the hook point in TransformerLens' terms."""
    assert released(release, sae_id).hook_name == hook


def test_what_stands_in_a_file_on_the_hub_is_not_said():
    """BOS and form of a release in sae-lens' own format are unknown until it is loaded; its centring is registered."""
    said = released("gpt2-small-res-jb", "blocks.8.hook_resid_pre")
    assert (said.prepend_bos, said.architecture, said.is_centred) == (None, None, True)
    assert released("someone/their-saes", "layer_1") == Training(
        "sae-lens' registry, which does not list someone/their-saes"
    )
    assert released("llama_scope_lxr_8x", "l3r_8x").norm_scaling_factor is not None


def test_the_format_of_sae_lens_6(tmp_path):
    """Fields of `metadata` are read; what it does not say is None."""
    metadata = {
        "sae_lens_version": "6.54.12", "hook_name": "blocks.3.hook_resid_post", "prepend_bos": False,
        "model_from_pretrained_kwargs": {"center_writing_weights": True}, "hook_head_index": 3,
        "seqpos_slice": [5, None],
    }  # fmt: skip
    said = written(tmp_path, architecture="topk", k=12, d_in=32, d_sae=64, metadata=metadata)
    assert (said.layer, said.site, said.prepend_bos, said.is_centred) == (3, "hook_resid_post", False, True)
    assert (said.hook_head_index, said.seqpos_slice, said.architecture, said.k) == (3, (5, None), "topk", 12)
    silent = written(tmp_path, architecture="jumprelu", metadata={"sae_lens_version": "6.0.0"})
    assert silent == Training("cfg.json", architecture="jumprelu", is_whole=True)


def test_the_format_before_sae_lens_6(tmp_path):
    """Fields stand at the top, under old names; silence about BOS means that texts began with it."""
    said = written(
        tmp_path, hook_point="blocks.{layer}.hook_resid_pre", hook_point_layer=8, hook_point_head_index=None,
        activation_fn_str="tanh-relu", normalize_activations=True, d_in=768, d_sae=24576, context_size=128,
        seqpos_slice=[None],
    )  # fmt: skip
    assert (said.hook_name, said.prepend_bos, said.activation_fn) == ("blocks.8.hook_resid_pre", True, "tanh-relu")
    assert (said.normalize_activations, said.architecture) == ("expected_average_only_in", "standard")
    assert (said.hook_head_index, said.seqpos_slice) == (None, None)
    topk = written(tmp_path, activation_fn_str="topk", activation_fn_kwargs={"k": 32}, prepend_bos=False)
    assert (topk.architecture, topk.k, topk.prepend_bos) == ("topk", 32, False)


@pytest.mark.parametrize("name", ["model.layers.9", "layers.9", "transformer.h.9", "model.language_model.layers.9"])
def test_a_decoder_layer_by_its_own_name_is_its_output(name):
    """SAEs trained on a module of transformers name it as the model does."""
    assert training_of_config({"hook_name": name}, "x").hook_name == "blocks.9.hook_resid_post"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"metadata": 3}', '{"prepend_bos": "no", "d_in": "x", "k": [1]}'])
def test_an_unreadable_file_says_nothing(tmp_path, text):
    """Values of the wrong type are never read as an answer, and nothing raises."""
    (tmp_path / "cfg.json").write_text(text)
    said = training_of(SaeRef("x", "path", str(tmp_path)))
    assert (said.hook_name, said.d_in, said.k) == (None, None, None)
    assert training_of(SaeRef("x", "path", str(tmp_path / "absent"))) == Training()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("hook_name", ["blocks.1.hook_resid_post", "blocks.2.hook_resid_post"], None),
        ("seqpos_slice", "5:", "5:"),
        ("seqpos_slice", [5, "x"], "[5, 'x']"),
        ("normalize_activations", {"scale": 3}, "{'scale': 3}"),
        ("hook_head_index", [3, 4], "[3, 4]"),
    ],
)
def test_a_value_of_another_type_agrees_with_nothing(tmp_path, field, value, said):
    """It is kept as text, so that what cannot be understood is never taken for what is usual."""
    found = getattr(written(tmp_path, **{field: value}), field)
    assert found == (str(value) if said is None else said)
    assert found not in (None, "none")


@pytest.mark.parametrize(
    ("config", "unclear"),
    [
        ({"prepend_bos": "false"}, "prepend_bos is 'false', which has no meaning"),
        ({"prepend_bos": False, "metadata": {"prepend_bos": True}}, "prepend_bos is both True and False"),
        ({"k": 7, "metadata": {"k": 5}}, "k is both 5 and 7"),
        ({"architecture": "topk", "k": 7, "activation_fn_kwargs": {"k": 5}}, "k is both 7 and 5"),
        ({"architecture": "topk"}, "it is topk and has no k"),
        ({"d_in": "32"}, "d_in is '32', which has no meaning"),
        ({"d_sae": float("inf")}, "d_sae is inf, which has no meaning"),
        ({"hook_name": "blocks.1.hook_resid_post", "hook_point": "blocks.2.hook_resid_post"},
            "hook_name is both 'blocks.1.hook_resid_post' and 'blocks.2.hook_resid_post'"),
        ({"hook_name": "blocks.1.hook_resid_post", "hook_layer": 3},
            "hook_name is 'blocks.1.hook_resid_post' and hook_layer 3"),
        ({"hook_point": "model.layers.1", "hook_point_layer": "1"}, "hook_name is 'model.layers.1' and hook_layer '1'"),
        ({"normalize_activations": "none", "metadata": {"normalize_activations": "layer_norm"}},
            "normalize_activations is both 'layer_norm' and 'none'"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": 1}},
            "center_writing_weights is 1, which has no meaning"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": False},
          "metadata": {"model_from_pretrained_kwargs": {"center_writing_weights": True}}},
            "center_writing_weights is both True and False"),
        ({"model_from_pretrained_kwargs": "centred"}, "model_from_pretrained_kwargs is 'centred', no object"),
        ({"metadata": ["x"]}, "metadata is ['x'], no object"),
        ({"hook_head_index": True}, "hook_head_index is True, which has no meaning"),
        ({"apply_b_dec_to_input": "no"}, "apply_b_dec_to_input is 'no', which has no meaning"),
        ({"is_transcoder": True}, "is_transcoder is true, and nothing says where it writes"),
    ],
)  # fmt: skip
def test_what_is_said_in_two_ways_or_without_meaning_is_unclear(tmp_path, config, unclear):
    """Whichever of the two sae-lens takes, the file is no word on how the SAE was trained."""
    assert written(tmp_path, **config).unclear == (unclear,)


@pytest.mark.parametrize(
    "config",
    [
        {"d_in": 32.0, "metadata": {"d_in": 32}},
        {"hook_name": "model.layers.1", "metadata": {"hook_name": "blocks.1.hook_resid_post", "hook_layer": 1}},
        {"normalize_activations": False, "metadata": {"normalize_activations": "none"}},
        {"hook_head_index": None, "seqpos_slice": [None], "metadata": {"hook_head_index": None, "seqpos_slice": None}},
        {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "k": 5},
        {"architecture": "jumprelu", "activation_fn_kwargs": {}, "model_from_pretrained_kwargs": {}},
    ],
)
def test_the_same_said_twice_is_clear(tmp_path, config):
    """A field may stand at the top and in `metadata`, in the words of two versions."""
    assert written(tmp_path, **config).unclear == ()


def test_a_key_that_is_there_twice_is_unclear(tmp_path):
    """JSON's readers take the last of two equal keys, at the top and in `metadata` alike."""
    (tmp_path / "cfg.json").write_text(
        '{"d_in": 32, "metadata": {"prepend_bos": true, "prepend_bos": false}, "d_in": 32}'
    )
    said = training_of(SaeRef("x", "path", str(tmp_path)))
    assert said.unclear == ("prepend_bos is there 2 times", "d_in is there 2 times")


def test_a_layer_that_is_not_filled_in_agrees_with_no_place(tmp_path):
    """`{layer}` without a layer is no word on the layer, and must not be taken for silence."""
    assert written(tmp_path, hook_point="blocks.{layer}.hook_resid_pre").hook_name == "blocks.{layer}.hook_resid_pre"


def test_an_old_transcoder_says_where_it_writes(tmp_path):
    """Transcoders from before sae-lens had them name the place under names of their own."""
    said = written(tmp_path, hook_point="blocks.8.ln2.hook_normalized", out_hook_point="blocks.8.hook_mlp_out")
    assert said.hook_name_out == "blocks.8.hook_mlp_out"


@pytest.mark.parametrize("everything", [[None], [0, None], [None, None, 1], [], None])
def test_a_slice_of_all_positions_leaves_none_out(tmp_path, everything):
    """As sae-lens writes it where nothing is left out."""
    assert written(tmp_path, seqpos_slice=everything).seqpos_slice is None


def test_qwen_scope_names_its_layer_by_its_file():
    """layer3.sae.pt reads what leaves layer 3; BOS and k are not said."""
    said = training_of(SaeRef("x", "path", "harness/zoo/tiny_qwen3/sae", format="qwen_scope"))
    assert (said.hook_name, said.architecture) == ("blocks.3.hook_resid_post", "topk")
    assert (said.prepend_bos, said.k) == (None, None)


def test_every_shipped_entry_agrees_with_its_sae():
    """All of specs/subjects.yaml reads its SAEs where they say, and they all say where."""
    from harness.language.references import Folder
    from harness.language.subjects import load_subjects

    allowed = load_subjects(Folder(REPO))
    assert allowed.errors == ()
    assert len(allowed.subjects) > 10
    for subject in allowed.subjects.values():
        assert subject.sae.training.hook_name == subject.hook
        assert subject.read_otherwise == ()
