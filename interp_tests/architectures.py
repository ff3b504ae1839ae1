"""Tiny random models of every causal-LM family that transformers builds here, and what their sites truly are.

`python -m interp_tests.architectures > docs/architectures.md` writes the table. The truth is found without the
harness's proof. The stream: put into another text's pass, what was read must give the first text's logits, or it is the
model's own hidden state. The MLP's part: what the stream lacks when the MLP's weights are zero.
"""

import inspect
import logging
import re
import warnings
from pathlib import Path

import torch

from harness.capture.layers import decoder_layers
from harness.capture.loaded import LoadedModel
from harness.errors import EnvironmentFault
from harness.inputs import SITES

DOCS = Path(__file__).resolve().parents[1] / "docs"
LAYER, LARGEST = 1, 6_000_000
# One of each kind of layer: plain, parallel, norms after, LayerNorm with biases, experts, recurrent; and those whose
# MLP's output is not what is added, or that have no plain stream.
HANDFUL = (
    "llama", "gemma2", "gpt2", "gpt_neox", "phi", "olmo2", "glm4", "afmoe", "mixtral", "mamba",
    "granite", "bloom", "gemma4_text", "opt", "deepseek_v4", "xlnet",
)  # fmt: skip
SMALL = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "embedding_size", "lru_width"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim", "d_ff"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 4),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok", "moe_k", "moe_topk", "mamba_expand"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 64),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "sliding_window", "attention_window_size", "index_head_dim"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("state_size", "ssm_state_size", "mamba_d_state", "mamba_n_heads", "mamba_d_head"), 8),
    **dict.fromkeys(("mamba_num_heads", "mamba_head_dim", "linear_key_head_dim", "linear_value_head_dim"), 8),
    **dict.fromkeys(("hidden_size_per_layer_input", "index_topk"), 8),
    **dict.fromkeys(("linear_num_key_heads", "index_n_heads", "mamba_n_groups"), 2),
    **dict.fromkeys(("n_group", "topk_group", "num_shared_experts", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 160),
    "encoder_layers": 1,
}  # fmt: skip
# Where those are not a model: widths that must divide, lists that must be as long as the layers.
LATENT = {"head_dim": None, "num_key_value_heads": 4}
OWN = {
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "youtu"), LATENT),
    **dict.fromkeys(("longcat_flash", "minicpm3", "axk1", "axk2"), LATENT),
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "reformer": {"is_decoder": True},
}
OF_MLP = re.compile(r"mlp|ffn|feed_?forward|fc1|fc2|moe|expert")
OF_ATTENTION = re.compile(r"attn|attention")


def families():
    """The model types that AutoModelForCausalLM knows."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def tiny_config(family, **changes):
    """The family's own configuration, small; multipliers away from 1, where they would not show."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[family]
    known = {*inspect.signature(cls.__init__).parameters, *getattr(cls, "__dataclass_fields__", {}), *cls.attribute_map}
    given = {key: value for key, value in SMALL.items() if key in known}
    given |= {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, **OWN.get(family, {}), **changes}
    config = cls(**{key: value for key, value in given.items() if value is not None})
    for key, value in config.to_dict().items():
        if ("multiplier" in key or "residual" in key) and type(value) in (int, float) and key not in changes:
            setattr(config, key, 0.6)
    return config


def tiny_model(family, dtype=torch.float32, **changes):
    """A random model with random norms and biases, or ValueError where it would not be tiny."""
    from transformers import AutoModelForCausalLM

    config = tiny_config(family, **changes)
    with torch.device("meta"):
        size = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{size:,} parameters")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
    shaken = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            drawn = torch.randn(weight.shape, generator=shaken)
            if weight.dim() < 2:
                weight.add_(drawn * 0.3)
            elif weight.std() < 0.15:
                weight.copy_(drawn * (0.6 / weight.shape[-1] ** 0.5))
        for name, buffer in model.named_buffers():
            if "scalar" in name:
                buffer.mul_(0.7)
    return model.to(dtype)


def texts():
    """Two texts of twelve token ids, [1, 12] each."""
    drawn = torch.Generator().manual_seed(5)
    return torch.randint(3, 150, (1, 12), generator=drawn), torch.randint(3, 150, (1, 12), generator=drawn)


def read(model, hook):
    """What the harness reads at `hook` of the first text, [12, d_model], or EnvironmentFault."""
    got = []
    ids = texts()[0]
    LoadedModel(model, None, torch.device("cpu")).read(
        [ids[0].numpy()], [hook], lambda batch: got.append(batch.seen[hook])
    )
    return got[0][0, : ids.shape[1]]


def judged(model, site):
    """`right`, `wrong (relative error)`, or the code with which the harness refuses."""
    hook = f"blocks.{LAYER}.{site}"
    try:
        found = read(model, hook)
    except EnvironmentFault as fault:
        return f"refused: `{fault.code}`"
    error = off_by(found, part_of_mlp(model)) if site == "hook_mlp_out" else stream_error(model, site, found)
    return "right" if error < 1e-3 else f"WRONG ({error:.2g})"


def off_by(found, truth):
    """The largest relative error of a token."""
    return float(((found - truth).norm(dim=-1) / truth.norm(dim=-1)).max())


@torch.no_grad()
def stream_error(model, site, found):
    """How far `found` is from the stream: by patching, or from the hidden states where other paths bypass it."""
    states = model(input_ids=texts()[0], use_cache=False, output_hidden_states=True).hidden_states
    state = states[LAYER if site == "hook_resid_pre" else LAYER + 1]
    of_states = off_by(found, state[0]) if state.shape[1:] == found.shape else float("inf")
    return min(of_states, patched_error(model, site, found))


@torch.no_grad()
def patched_error(model, site, found):
    """Put `found` into the other text's pass: how far its logits stay from the first text's (1: as far as ever)."""
    mine, other = texts()

    def into(value):
        return (found[None], *value[1:]) if isinstance(value, tuple | list) else found[None]

    def before(module, args, kwargs):
        return ((found[None], *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": found[None]})

    wanted, unpatched = (model(input_ids=ids, use_cache=False)[0] for ids in (mine, other))
    layer = decoder_layers(model)[LAYER]
    if site == "hook_resid_pre":
        handle = layer.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = layer.register_forward_hook(lambda module, args, output: into(output))
    patched = model(input_ids=other, use_cache=False)[0]
    handle.remove()
    return float((patched - wanted).norm() / (unpatched - wanted).norm())


@torch.no_grad()
def part_of_mlp(model):
    """What the stream lacks after the layer when its MLP's weights are zero, [12, d_model]; the weights stay so."""
    layer, got = decoder_layers(model)[LAYER], []
    handle = layer.register_forward_hook(
        lambda m, args, out: got.append(out[0] if isinstance(out, tuple | list) else out)
    )
    model(input_ids=texts()[0], use_cache=False)
    for name, weight in layer.named_parameters():
        child = name.partition(".")[0]
        if OF_MLP.search(child) and not OF_ATTENTION.search(child):
            weight.zero_()
    model(input_ids=texts()[0], use_cache=False)
    handle.remove()
    return (got[0] - got[1])[0]


def rows():
    """(family, per site what came out) of each family that can be built, and (family, why) of the others."""
    built, others = [], []
    for family in families():
        try:
            model = tiny_model(family)
            model(input_ids=texts()[0], use_cache=False)
        except Exception as error:  # noqa: BLE001 (anything: these are other people's constructors)
            others.append((family, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:80]}"))
            continue
        built.append((family, [judged(model, site) for site in SITES]))
    return built, others


HEAD = """# Architectures tried

The harness proves every site when it loads a model. What leaves a layer must be, bit for bit, what enters the next one.
And resid_pre + attention + mlp_out must be resid_post, token by token, in float32. A site that fails is refused by name
(`site_unproven`), and the other sites of the model stay readable.

The table holds a tiny random model of every causal-LM family that transformers {version} builds here, read at layer
{layer}, with random norms and with multipliers other than 1.

- *right*: the activations that were read are the true ones, found without the proof. For the stream: put into another
  text's pass they give this text's logits, or they are the model's own hidden state. For mlp_out: they are what the
  stream lacks when the MLP's weights are zero.
- *refused*: with its code in [faults.md](faults.md).

No site is wrong: of {families} families {right} sites are right and {refused} refused. Regenerate the page with
`python -m interp_tests.architectures > docs/architectures.md`. `interp_tests/test_architectures.py` compares it.
"""


def page():
    """docs/architectures.md."""
    import transformers

    built, others = rows()
    cells = [cell for _, row in built for cell in row]
    right, wrong = cells.count("right"), sum(cell.startswith("WRONG") for cell in cells)
    counts = {"right": right, "refused": len(cells) - right - wrong, "families": len(built), "layer": LAYER}
    lines = [HEAD.format(version=transformers.__version__, **counts)]
    lines += ["| model_type | resid_pre | resid_post | mlp_out |", "|---|---|---|---|"]
    lines += [f"| {family} | {' | '.join(row)} |" for family, row in built]
    names = ", ".join(family for family, _ in others)
    lines += ["", f"Not built as a tiny text model by this script: {names}."]
    return "\n".join(lines)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(page())
