"""A hub cache as a user's machine has it: true repository names, file names and widths, tiny or repeated weights.

Layout: `models--org--name/refs/main` and `snapshots/<commit>/<files>`, which is all that an offline client reads.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = Path(__file__).resolve().parents[1]
TOKENIZER = REPO / "harness/zoo/tiny_gemma2/model"
VOCABULARY = int(json.loads((TOKENIZER / "config.json").read_text())["vocab_size"])

# Tiny beside the true width of the residual stream: the files stay at some 20 MB a model.
NARROW = {
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
QWEN3_5 = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "patch_size": 14,
}


def folder_of(hub: Path, repository: str) -> Path:
    """The snapshot of a repository, made with its ref."""
    base = hub / f"models--{repository.replace('/', '--')}"
    (base / "refs").mkdir(parents=True, exist_ok=True)
    (base / "refs/main").write_text(COMMIT)
    snapshot = base / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def put_model(hub: Path, repository: str, model, bos: bool = True) -> None:
    """A model's files in bf16, with tiny-gemma2's tokenizer beside them, less its BOS for Qwen."""
    folder = folder_of(hub, repository)
    model.to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        fields = json.loads((TOKENIZER / name).read_text())
        if not bos:
            fields |= {"post_processor": None} if name == "tokenizer.json" else {"bos_token": None}
        (folder / name).write_text(json.dumps(fields))


def gemma2(hub: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(vocab_size=VOCABULARY, hidden_size=2304, num_hidden_layers=13, **NARROW)
    put_model(hub, "google/gemma-2-2b", Gemma2ForCausalLM(config))


def gemma3_270m(hub: Path) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    config = Gemma3TextConfig(vocab_size=VOCABULARY, hidden_size=640, num_hidden_layers=18, **NARROW)
    put_model(hub, "google/gemma-3-270m", Gemma3ForCausalLM(config))


def gemma3_4b(hub: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    torch.manual_seed(0)
    text = {"vocab_size": VOCABULARY, "hidden_size": 2560, "num_hidden_layers": 18, **NARROW}
    vision = {**VISION, "image_size": 56}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    put_model(hub, "google/gemma-3-4b-pt", Gemma3ForConditionalGeneration(config))


def paligemma2(hub: Path, pixels: int) -> None:
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    torch.manual_seed(0)
    size = VOCABULARY
    text = {"model_type": "gemma2", "vocab_size": size, "hidden_size": 2304, "num_hidden_layers": 12, **NARROW}
    vision = {"model_type": "siglip_vision_model", **VISION, "image_size": pixels}
    image = json.loads((TOKENIZER / "tokenizer.json").read_text())["added_tokens"]
    token = next(entry["id"] for entry in image if entry["content"] == "<image>")
    config = PaliGemmaConfig(text_config=text, vision_config=vision, image_token_index=token, projection_dim=2304)
    repository = f"google/paligemma2-3b-pt-{pixels}"
    put_model(hub, repository, PaliGemmaForConditionalGeneration(config))
    processor = {
        "do_convert_rgb": None, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "image_processor_type": "SiglipImageProcessor",
        "image_seq_length": (pixels // 14) ** 2, "processor_class": "PaliGemmaProcessor", "resample": 3,
        "rescale_factor": 1 / 255, "size": {"height": pixels, "width": pixels},
    }  # fmt: skip
    (folder_of(hub, repository) / "preprocessor_config.json").write_text(json.dumps(processor))


def qwen3(hub: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=VOCABULARY, hidden_size=2048, num_hidden_layers=16, **NARROW)
    put_model(hub, "Qwen/Qwen3-1.7B-Base", Qwen3ForCausalLM(config), bos=False)


def qwen3_5(hub: Path) -> None:
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    torch.manual_seed(0)
    size = VOCABULARY
    text = {"vocab_size": size, "hidden_size": 2048, "num_hidden_layers": 16, **NARROW, **QWEN3_5}
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 1, "out_hidden_size": 2048,
        "patch_size": 14,
    }  # fmt: skip
    config = Qwen3_5Config(text_config=text, vision_config=vision)
    put_model(hub, "Qwen/Qwen3.5-2B-Base", Qwen3_5ForConditionalGeneration(config), bos=False)


def some(rows: int, columns: int) -> np.ndarray:
    """A matrix of zeros but for 64 columns: it compresses to nothing, and features fire."""
    matrix = np.zeros((rows, columns), np.float32)
    live = np.linspace(0, columns - 1, 64).astype(int)
    matrix[:, live] = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32) / rows**0.5
    return matrix


def jumprelu(d_in: int, d_sae: int) -> dict[str, np.ndarray]:
    """GemmaScope's five arrays; 64 features can fire."""
    return {
        "w_enc": some(d_in, d_sae),
        "w_dec": np.ascontiguousarray(some(d_in, d_sae).T),
        "b_enc": np.zeros(d_sae, np.float32),
        "b_dec": np.zeros(d_in, np.float32),
        "threshold": np.full(d_sae, 0.1, np.float32),
    }


def gemma_scope(hub: Path) -> None:
    """google/gemma-scope-2b-pt-res, where the canonical id points: one params.npz."""
    arrays = jumprelu(2304, 16384)
    folder = folder_of(hub, "google/gemma-scope-2b-pt-res") / "layer_10/width_16k/average_l0_77"
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "params.npz", **arrays)


def gemma_scope_2(hub: Path, size: str, d_in: int, layer: int) -> None:
    """google/gemma-scope-2-<size>-pt: config.json and params.safetensors."""
    where = folder_of(hub, f"google/gemma-scope-2-{size}-pt") / f"resid_post/layer_{layer}_width_16k_l0_medium"
    where.mkdir(parents=True)
    config = {"architecture": "jump_relu", "model_name": f"google/gemma-3-{size}-pt"}
    (where / "config.json").write_text(json.dumps(config))
    save_file({name: torch.from_numpy(a) for name, a in jumprelu(d_in, 16384).items()}, where / "params.safetensors")


def qwen_scope(hub: Path, repository: str, layer: int, d_in: int, d_sae: int) -> None:
    """Qwen/SAE-Res-...: one layerN.sae.pt; stride-0 tensors keep 268 MB matrices at some KB on disk."""
    generator = torch.Generator().manual_seed(0)
    column, row = (torch.randn(n, 1, generator=generator) for n in (d_sae, d_sae))
    checkpoint = {
        "W_enc": (column / d_in**0.5).expand(d_sae, d_in),
        "W_dec": (row.T / d_in**0.5).expand(d_in, d_sae),
        "b_enc": torch.zeros(1).expand(d_sae),
        "b_dec": torch.zeros(1).expand(d_in),
    }
    torch.save(checkpoint, folder_of(hub, repository) / f"layer{layer}.sae.pt")
