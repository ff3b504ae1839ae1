"""Pictures with captions, as PaliGemma reads them: 256 x <image> (at 224 pixels), <bos>, the caption, a line break."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.capture.pictures import open_picture
from harness.errors import EnvironmentFault
from harness.inputs import Picture

READ = ("paligemma",)  # of other families neither the order of tokens nor the attention has been checked


@dataclass(frozen=True, slots=True)
class Visual:
    """What makes pictures readable: the image processor, and the token that stands for one patch."""

    processor: Any
    image_id: int
    image_token: str

    @property
    def n_patches(self) -> int:
        """Image tokens of one picture: 256, 1,024 or 4,096 for 224, 448 or 896 pixels."""
        return int(self.processor.image_seq_length)

    def written(self, caption: str, bos: str) -> str:
        """The text that PaliGemmaProcessor makes of a caption, written out here: the processor itself switches BOS
        off on its tokenizer, and always returns labels, which cost the logits."""
        return f"{self.image_token * self.n_patches}{bos}{caption}\n"

    def pixels(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """[n, 3, height, width] fp32, as the processor's configuration resizes and normalizes them."""
        opened = [open_picture(picture) for picture in pictures]
        values: torch.Tensor = self.processor(images=opened, return_tensors="pt")["pixel_values"]
        return values


def load_visual(folder: Any, config: Any, tokenizer: Any, local: dict[str, Any]) -> Visual:
    """The image processor beside a checkpoint. Raises EnvironmentFault `images_unsupported` for other families."""
    from transformers import AutoImageProcessor

    from harness.keys import IMAGE_BACKEND

    _must_read_pictures(config, "Take `modality: image_text` away to read it on text.")
    processor = AutoImageProcessor.from_pretrained(folder, backend=IMAGE_BACKEND, **local)
    return _visual(processor, config, tokenizer)


def seeing(processor: Any, config: Any) -> tuple[Any, Visual]:
    """The tokenizer, and what makes pictures readable, of a processor in memory, such as AutoProcessor gives.

    The tokenizer is a copy that begins texts with BOS again: PaliGemmaProcessor switches that off on its own.
    Raises TypeError for what is not such a processor; EnvironmentFault `images_unsupported` for other families.
    """
    _must_be_processor(processor)
    _must_read_pictures(config, "Give its `tokenizer=` in place of `processor=` to read it on text.")
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.add_bos_token = True
    return tokenizer, _visual(processor.image_processor, config, tokenizer)


def _visual(processor: Any, config: Any, tokenizer: Any) -> Visual:
    image_id = int(config.image_token_id)
    return Visual(processor, image_id, str(tokenizer.convert_ids_to_tokens(image_id)))


def _must_be_processor(processor: Any) -> None:
    if any(getattr(processor, name, None) is None for name in ("image_processor", "tokenizer")):
        raise TypeError(
            f"processor= is a {type(processor).__name__}, and has to have an image processor and a tokenizer. Give "
            "what `AutoProcessor.from_pretrained` gives for the model, or a tokenizer as tokenizer= to read texts only."
        )


def _must_read_pictures(config: Any, fix: str) -> None:
    if config.model_type not in READ:
        text = f"pictures are read by {', '.join(READ)} models, not by {config.model_type}."
        raise EnvironmentFault("images_unsupported", text, fix)
