"""Reading speed on a GPU, with random weights of the shapes of gemma-2-2b and paligemma2-3b.

    .venv/bin/python benchmarks/gpu.py           # needs a CUDA device with about 60 GB
    .venv/bin/python benchmarks/gpu.py --smoke   # tiny shapes on a CPU: runs every line, measures nothing

Of each model and each SAE (16,384 and 1,048,576 features, JumpReLU, float32): tokens a second of a bare forward to
layer 10 in our batches, of ours (forward, encode, sparse codes on the host) and of the source documents' way (prompt by
prompt through the whole model with logits, dense codes), peak memory, and which share of the device's matrix rate (a
bf16 product, measured beside) the products of forward and SAE come to. Prompts are 512 texts of random words; through
paligemma2-3b text only, its vision tower being loaded and idle. Figures: benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

import torch
from measuring import ROOT, write
from torch import nn

from harness.capture.batching import Shapes
from harness.capture.loaded import LoadedModel
from harness.inputs import Prompt
from harness.zoo.tiny_gemma2 import lexicon

LAYER, HOOK = 10, "blocks.10.hook_resid_post"
TEXT = {
    "vocab_size": 257_152,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
}
TINY = {
    "vocab_size": 8192,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def gemma(shape: dict[str, int]) -> nn.Module:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    return Gemma2ForCausalLM(Gemma2Config(**shape, attn_implementation="eager"))


def paligemma(shape: dict[str, int], smoke: bool) -> nn.Module:
    from transformers import Gemma2Config, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    large = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    seen = SiglipVisionConfig(**(small if smoke else large), image_size=224, patch_size=14)
    config = PaliGemmaConfig(vision_config=seen, text_config=Gemma2Config(**shape), projection_dim=shape["hidden_size"])
    return PaliGemmaForConditionalGeneration._from_config(config, attn_implementation="eager")


def loaded(model: nn.Module, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """A model as `load_model` gives it; tiny-gemma2's tokenizer numbers the texts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "harness/zoo/tiny_gemma2/model")
    memory = torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else None
    whole = model.to(device, dtype).eval().requires_grad_(False)
    return LoadedModel(whole, tokenizer, device, Shapes.for_memory(memory))


def sae_of(d_in: int, d_sae: int, device: torch.device) -> Any:
    """Random directions; a threshold that about 70 features of unit-normal activations pass."""
    from statistics import NormalDist

    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig

    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=d_in, d_sae=d_sae, device=str(device), dtype="float32"))
    with torch.no_grad():
        for weight in (sae.W_enc, sae.W_dec):
            weight.normal_(0, d_in**-0.5)
        sae.threshold.fill_(NormalDist().inv_cdf(1 - 70 / d_sae) if d_sae > 140 else 0.5)
    return sae.eval().requires_grad_(False)


def prompts_of(count: int) -> list[Prompt]:
    drawn, words = random.Random(0), lexicon.words()
    return [Prompt(" ".join(drawn.choices(words, k=drawn.randint(5, 80)))) for _ in range(count)]


def seconds(call: Callable[[], Any], device: torch.device, repeats: int = 3) -> float:
    """The least of some calls, after one that counts nothing."""
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - began)
    return min(found[1:])


def matrix_rate(device: torch.device, dtype: torch.dtype, n: int) -> float:
    """Floating-point operations a second of one large product."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / seconds(lambda: a @ b, device)


def bare(model: LoadedModel, prompts: list[Prompt]) -> None:
    texts = [model.texts.tokenize(prompt, 512) for prompt in prompts]
    with torch.inference_mode():
        model.read(texts, [HOOK], lambda batch: None)


def as_the_source(model: LoadedModel, sae: Any, prompts: list[Prompt]) -> None:
    """Prompt by prompt through the whole model, the hook's output encoded densely and kept on the host."""
    from harness.capture.layers import decoder_of

    held: dict[str, torch.Tensor] = {}

    def keep(module: Any, given: Any, out: Any) -> None:
        held["h"] = out[0] if isinstance(out, tuple) else out

    handle = decoder_of(model.model).layers[LAYER].register_forward_hook(keep)
    for prompt in prompts:
        ids = torch.tensor([list(model.texts.tokenize(prompt, 512).ids)], device=model.device)
        with torch.no_grad():
            model.model(input_ids=ids)
            sae.encode(held["h"][0].float()).cpu()
    handle.remove()


def measure(smoke: bool) -> dict[str, Any]:
    device = torch.device("cpu" if smoke else "cuda")
    dtype = torch.float32 if smoke else torch.bfloat16
    shape, prompts = (TINY, prompts_of(8)) if smoke else (TEXT, prompts_of(512))
    rate = matrix_rate(device, dtype, 256 if smoke else 8192)
    name = "cpu" if smoke else torch.cuda.get_device_name(device)
    figures: dict[str, Any] = {"device": name, "matrix_rate": rate, "tf32": torch.backends.cuda.matmul.allow_tf32}
    for called, make in (("gemma-2-2b", lambda: gemma(shape)), ("paligemma2-3b", lambda: paligemma(shape, smoke))):
        torch.manual_seed(0)
        model = loaded(make(), device, dtype)
        for d_sae in (256, 1024) if smoke else (16_384, 1_048_576):
            figures[f"{called}, {d_sae:,} features"] = of_pair(model, d_sae, prompts, rate)
        del model
    return figures


def of_pair(model: LoadedModel, d_sae: int, prompts: list[Prompt], rate: float) -> dict[str, float]:
    sae, cuda = sae_of(model.d_model, d_sae, model.device), model.device.type == "cuda"
    few = prompts[: max(4, len(prompts) // 16)]  # the source's way is slow, and each prompt costs alike
    tokens, of_few = (sum(len(model.texts.tokenize(p, 512)) for p in some) for some in (prompts, few))
    if cuda:
        torch.cuda.reset_peak_memory_stats(model.device)
    ours = tokens / seconds(lambda: model.codes(prompts, sae, HOOK), model.device)
    peak = torch.cuda.max_memory_allocated(model.device) / 2**30 if cuda else float("nan")
    return {
        "tokens": tokens,
        "ours_tokens_s": ours,
        "peak_gib": peak,
        "bare_tokens_s": tokens / seconds(lambda: bare(model, prompts), model.device),
        "source_tokens_s": of_few / seconds(lambda: as_the_source(model, sae, few), model.device),
        "ours_share_of_matrix_rate": ours * operations(model, d_sae) / rate,
    }


def operations(model: LoadedModel, d_sae: int) -> float:
    """Of one token: the products of the layers that are run, then encoding and decoding (dense); attention left out."""
    from harness.capture.layers import decoder_of

    layers = decoder_of(model.model).layers[: LAYER + 1]
    return 2.0 * sum(weight.numel() for weight in layers.parameters()) + 4.0 * model.d_model * d_sae


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    if parser.parse_args().smoke:
        found = measure(True)
        print("smoke: every line has run; nothing of this is a measurement:", *found)
    else:
        write("gpu", measure(False))
