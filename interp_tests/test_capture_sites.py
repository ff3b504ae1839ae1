"""The right activations are read, and reading them changes nothing."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.capture.hooks import reading, run
from harness.capture.layers import decoder_layers, decoder_of, find_site
from harness.capture.loaded import LoadedModel, padded
from harness.errors import EnvironmentFault
from harness.inputs import SITES
from interp_tests.tiny_random import LAYERS, TEXTS, make_model, make_tokenizer

HARNESS = Path(__file__).resolve().parents[1] / "harness"


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return make_model(len(tokenizer))


@pytest.fixture
def batch(tokenizer):
    """Three texts of different lengths, padded."""
    return padded([tokenizer(text)["input_ids"] for text in TEXTS[:3]], 32)


def forward(model, batch, **options):
    return model(input_ids=batch[0], attention_mask=batch[1], use_cache=False, **options)


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def text_models():
    """Other architectures, each of its own family, one of them with a vision tower of equal depth."""
    import transformers as tf

    small = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    both = tf.PaliGemmaConfig(
        text_config={"model_type": "gemma2", **small},
        vision_config={"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14, **vision},
        projection_dim=16,
    )
    return [
        (tf.LlamaForCausalLM(tf.LlamaConfig(**small)), "model.layers"),
        (tf.Qwen3ForCausalLM(tf.Qwen3Config(**small)), "model.layers"),
        (tf.Gemma3ForCausalLM(tf.Gemma3TextConfig(**small)), "model.layers"),
        (tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=64, n_embd=16, n_layer=3, n_head=2)), "transformer.h"),
        (tf.PaliGemmaForConditionalGeneration(both), "model.language_model.layers"),
    ]


def test_layers_are_found_in_any_family():
    """Inside the text decoder, never in a vision tower of equal depth."""
    for other, path in text_models():
        assert decoder_layers(other) is other.get_submodule(path), type(other).__name__


def test_layers_that_cannot_be_told_apart_are_an_error(model):
    """Two lists of the right length at one depth: the candidates are named, none is taken."""
    decoder_of(model).twins = nn.ModuleList([nn.Identity() for _ in range(LAYERS)])
    try:
        with pytest.raises(EnvironmentFault, match=rf"layers \({LAYERS}\), twins \({LAYERS}\)"):
            decoder_layers(model)
    finally:
        del decoder_of(model).twins


@pytest.mark.parametrize("layer", range(LAYERS - 1))
def test_resid_post_is_the_next_hidden_state(model, batch, layer):
    """An early-stopped pass gives bit for bit what the whole model says of that layer, and of no other."""
    states = forward(model, batch, output_hidden_states=True).hidden_states
    hook = f"blocks.{layer}.hook_resid_post"
    seen = run(lambda: forward(model, batch), {hook: find_site(model, hook)})[hook]
    assert torch.equal(seen, states[layer + 1])
    assert not torch.allclose(seen, states[layer], atol=1e-2)


def test_resid_post_of_the_last_layer_is_before_the_final_norm(model, batch):
    """hidden_states[-1] is after that norm, and so is not what hook_resid_post means."""
    last = forward(model, batch, output_hidden_states=True).hidden_states[-1]
    hook = f"blocks.{LAYERS - 1}.hook_resid_post"
    seen = run(lambda: forward(model, batch), {hook: find_site(model, hook)})[hook]
    assert torch.equal(decoder_of(model).norm(seen), last)
    assert not torch.allclose(seen, last, atol=1e-2)


def test_resid_pre_is_the_hidden_state_before(model, batch):
    """What enters layer L is what left layer L - 1."""
    states = forward(model, batch, output_hidden_states=True).hidden_states
    hook = "blocks.2.hook_resid_pre"
    assert torch.equal(run(lambda: forward(model, batch), {hook: find_site(model, hook)})[hook], states[2])


def test_mlp_out_is_what_the_mlp_adds(model, batch):
    """resid_post - mlp_out - what attention adds = resid_pre: TransformerLens' meaning, after Gemma's second norm."""
    sites = {f"blocks.1.{site}": find_site(model, f"blocks.1.{site}") for site in SITES}
    layer = decoder_layers(model)[1]
    added = []
    handle = layer.post_attention_layernorm.register_forward_hook(lambda m, i, o: added.append(o))
    seen = run(lambda: forward(model, batch), sites)
    handle.remove()
    rest = seen["blocks.1.hook_resid_post"] - seen["blocks.1.hook_mlp_out"] - added[0]
    torch.testing.assert_close(rest, seen["blocks.1.hook_resid_pre"], atol=1e-5, rtol=1e-5)
    raw = seen["blocks.1.hook_mlp_out"] / layer.mlp(layer.pre_feedforward_layernorm(seen["blocks.1.hook_resid_pre"]))
    assert not torch.allclose(raw, torch.ones_like(raw), atol=1e-2)


def test_mlp_out_is_refused_where_it_is_not_known(tokenizer):
    """A layer built otherwise is named, not guessed at."""
    odd = make_model(len(tokenizer), layers=1)
    layer = decoder_layers(odd)[0]
    del layer.post_feedforward_layernorm, layer.mlp
    with pytest.raises(EnvironmentFault, match=r"site_not_found: blocks\.0\.hook_mlp_out: Gemma2DecoderLayer"):
        find_site(odd, "blocks.0.hook_mlp_out")


def test_a_layer_that_is_not_there_is_named(model):
    """With the layers that are."""
    with pytest.raises(EnvironmentFault, match="has 4 layers, 0 to 3"):
        find_site(model, "blocks.4.hook_resid_post")


def test_layers_after_the_last_site_are_not_run(model, batch):
    """Early stop saves their work; without it they run."""
    sites = {"blocks.1.hook_resid_post": find_site(model, "blocks.1.hook_resid_post")}
    ran = []
    handle = decoder_layers(model)[2].register_forward_pre_hook(lambda m, i: ran.append(1))
    run(lambda: forward(model, batch), sites)
    assert ran == []
    run(lambda: forward(model, batch), sites, stop_early=False)
    handle.remove()
    assert ran == [1]


def test_logits_are_the_same_while_being_read(model, batch):
    """Bit for bit, at every site at once; a hook that did change something would show."""
    hooks = [f"blocks.{layer}.{site}" for layer in range(LAYERS) for site in SITES]
    plain = forward(model, batch).logits
    with reading({hook: find_site(model, hook) for hook in hooks}, stop_early=False) as seen:
        read = forward(model, batch).logits
    assert seen.keys() == set(hooks)
    assert torch.equal(read, plain)
    handle = decoder_layers(model)[1].register_forward_hook(lambda m, i, o: o + 1e-3)
    assert not torch.equal(forward(model, batch).logits, plain)
    handle.remove()


def test_what_was_read_is_a_copy(model, batch):
    """Writing into it does not reach the model, and the model's later writes do not reach it."""
    sites = {"blocks.1.hook_resid_pre": find_site(model, "blocks.1.hook_resid_pre")}
    plain = forward(model, batch).logits

    def write(module, args):
        seen["blocks.1.hook_resid_pre"].zero_()

    with reading(sites, stop_early=False) as seen:
        handle = decoder_layers(model)[1].register_forward_pre_hook(write)
        read = forward(model, batch).logits
    handle.remove()
    assert torch.equal(read, plain)
    assert not seen["blocks.1.hook_resid_pre"].any()


def test_hooks_are_removed_whatever_happens(model, batch):
    """After a pass, after an error in the pass, and after an error between."""
    sites = {"blocks.1.hook_resid_post": find_site(model, "blocks.1.hook_resid_post")}
    others = hooks_on(model)  # transformers puts its own there once hidden states were asked for
    run(lambda: forward(model, batch), sites)
    assert hooks_on(model) == others
    with pytest.raises(IndexError):
        run(lambda: forward(model, (torch.full((1, 4), 10**6), torch.ones(1, 4))), sites)
    assert hooks_on(model) == others
    seen = []
    with pytest.raises(KeyboardInterrupt), reading(sites):
        raise KeyboardInterrupt(seen.append(hooks_on(model)))
    assert (seen, hooks_on(model)) == ([others + 1], others)


def test_a_site_that_cannot_be_hooked_leaves_no_hook(model):
    """When the second of two registrations fails the first is taken back."""
    good, others = find_site(model, "blocks.1.hook_resid_post"), hooks_on(model)
    with pytest.raises(AttributeError), reading({"a": good, "b": type(good)(None, before=False)}):
        pass
    assert hooks_on(model) == others


def test_a_site_that_was_never_reached_is_an_error(model):
    """Nothing is returned for it, and nothing stands in for it."""
    sites = {"blocks.1.hook_resid_post": find_site(model, "blocks.1.hook_resid_post")}
    with pytest.raises(EnvironmentFault, match=r"hook_never_fired: .* never reached blocks\.1"):
        run(lambda: None, sites)


def test_weights_are_as_they_were(model, tokenizer):
    """Reading through every site leaves each parameter and buffer bit for bit; the check sees a change."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loaded = LoadedModel(model, tokenizer, torch.device("cpu"))
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    loaded.read(ids, [f"blocks.{LAYERS - 1}.{site}" for site in SITES], lambda batch: None)
    same = [torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()]
    assert all(same)
    before["model.norm.weight"][0] += 1
    assert not all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def calls_of(source, name):
    """Line numbers where `name` is called as a function or method."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if getattr(call.func, "attr", getattr(call.func, "id", "")) == name]


def test_nothing_generates():
    """Observation only: no file of the harness calls generate; the check finds one that would."""
    assert calls_of("model.generate(ids)\ngenerate()", "generate") == [1, 2]
    found = {path.name: calls_of(path.read_text(), "generate") for path in HARNESS.rglob("*.py")}
    assert len(found) > 20
    assert {name: lines for name, lines in found.items() if lines} == {}
