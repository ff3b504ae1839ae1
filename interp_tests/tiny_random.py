"""A tiny random Gemma 2, its tokenizer and its SAEs in a folder: real parts, random parameters, a second to build.

Random on purpose: with a trained model an off-by-one layer or a wrong mask can hide behind small differences.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.inputs import ModelRef, SaeRef, Subject

D_MODEL, LAYERS, D_SAE = 32, 4, 64
HOOK = "blocks.1.hook_resid_post"
TEXTS = [
    "The red ball bounced on the grass.",
    "She wore a blue dress to work, and a green coat.",
    "There are three apples in the basket.",
    "He ran.",
    "for i in range(10): print(i)",
    "The dog chased the cat around the old house until both of them were tired and lay down by the fire to sleep.",
]


@dataclass(frozen=True)
class Tiny:
    """Where everything lies; `subject` names it as specs/subjects.yaml would."""

    root: Path

    @property
    def model(self):
        return self.root / "model"

    def sae(self, architecture="jumprelu"):
        return self.root / f"sae-{architecture}"

    def subject(self, name="tiny", architecture="jumprelu", hook=HOOK, sae=None, **changes):
        meant = () if hook == HOOK else (("hook", "random SAEs read anywhere"),)
        changes = {"max_tokens": 128, "read_otherwise": meant, **changes}
        model = ModelRef("tiny", "path", str(self.model))
        found = sae or SaeRef(f"tiny-{architecture}", "path", str(self.sae(architecture)), architecture=architecture)
        return Subject(name, model, found, hook, **changes)


def build_tiny(root, seed=0, dtype=torch.float32):
    """Write model/, sae-jumprelu/ and sae-topk/ under `root`."""
    torch.manual_seed(seed)
    tiny = Tiny(Path(root))
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tiny.model)
    make_model(len(tokenizer)).to(dtype).save_pretrained(tiny.model)
    for sae in (make_jumprelu(), make_topk()):
        sae.save_model(tiny.sae(sae.cfg.architecture()))
    return tiny


def make_model(vocabulary, layers=LAYERS, cls=None, **config):
    """A random Gemma 2 with a window shorter than the longest text, so that both kinds of attention matter."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    settings = Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=D_MODEL,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=16,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
        attn_implementation="eager",
        **config,
    )
    model = Gemma2ForCausalLM(settings).eval()
    with torch.no_grad():  # Gemma 2 starts with norms of one: shuffle them, or a skipped norm would not show
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(0.0, 0.3)
    return model


def make_tokenizer(bos=True):
    """Byte-level BPE over the texts above: leading spaces belong to tokens, unknown letters become several."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<eos>", "<bos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 3, trainer)
    if bos:
        inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", add_bos_token=bos
    )


def make_jumprelu(d_in=D_MODEL, d_sae=D_SAE):
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig

    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=d_in, d_sae=d_sae, apply_b_dec_to_input=False))
    _randomize(sae)
    with torch.no_grad():
        sae.threshold.uniform_(0.5, 4.0)
    sae.cfg.metadata.hook_name = HOOK
    return sae


def make_topk(d_in=D_MODEL, d_sae=D_SAE, k=5):
    from sae_lens import TopKSAE, TopKSAEConfig

    sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, apply_b_dec_to_input=True))
    _randomize(sae)
    sae.cfg.metadata.hook_name = HOOK
    return sae


def _randomize(sae):
    with torch.no_grad():
        for weight in sae.parameters():
            weight.normal_(0.0, 0.3)


def edit_json(path, **changes):
    """Change some fields of a JSON file."""
    path = Path(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class Kept:
    """A sink that keeps everything in memory."""

    def __init__(self):
        self.rows, self.kept, self.blocks, self.faults, self.calls, self.samples = {}, {}, {}, {}, [], {}

    def codes(self, code_key, rows):
        self.calls.append(("codes", code_key, [key for key, _ in rows]))
        self.rows.update({(code_key, key): codes for key, codes in rows})

    def residuals(self, code_key, rows):
        self.kept.update({(code_key, key): values for key, values in rows})

    def sums(self, code_key, corpus_key, block, sums):
        self.blocks[code_key, corpus_key, block] = sums

    def weights(self, code_key, sample):
        self.samples[code_key] = sample

    def fault(self, code_key, prompt_key, fault):
        self.faults[code_key, prompt_key] = fault


def build_tiny_pali(root, base):
    """Write pali/ under `root`: a PaliGemma that has the language weights of `base` (a Tiny), four image tokens a
    picture of 28 x 28, and a random vision tower."""
    from transformers import AutoTokenizer, Gemma2ForCausalLM, PaliGemmaConfig, PaliGemmaForConditionalGeneration
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    folder = Path(root) / "pali"
    tokenizer = AutoTokenizer.from_pretrained(base.model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    language = Gemma2ForCausalLM.from_pretrained(base.model)
    torch.manual_seed(1)
    language.resize_token_embeddings(len(tokenizer))
    vision = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14, "projection_dim": D_MODEL, "model_type": "siglip_vision_model",
    }  # fmt: skip
    config = PaliGemmaConfig(
        text_config=language.config.to_dict(),
        vision_config=vision,
        projection_dim=D_MODEL,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = PaliGemmaForConditionalGeneration(config).eval()
    model.model.language_model.load_state_dict(language.model.state_dict())
    with torch.no_grad():
        for weight in (*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()):
            weight.normal_(0.0, 0.3)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 28, "width": 28}, image_seq_length=4).save_pretrained(folder)
    return folder
