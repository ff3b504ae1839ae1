"""The fixed probe read through a loaded model: the norms by which sinks are told from other tokens."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.attention_sinks import NO_SINKS, Probed, SinkRule, rule_of
from harness.bos import BosRule
from harness.capture.batching import Shapes
from harness.capture.checks import temporary_folder
from harness.capture.tokens import Tokenized
from harness.codes import Floats
from harness.errors import EnvironmentFault
from harness.inputs import Picture, Prompt, Subject
from harness.probe import TEXTS, pictures

if TYPE_CHECKING:
    from harness.capture.loaded import Batch, LoadedModel

CAPTION = "A picture."
_ANY = 10**6  # tokens of a picture are not cut
PASS_TOKENS = 64  # short passes of one to five texts: a batch of the usual size would be filled up with repeats


def probe(loaded: LoadedModel, streams: Sequence[str], max_tokens: int, bos: bool | None = None) -> dict[str, Probed]:
    """Read the probe once, and return what each of these places of the residual stream has of it.

    Texts are cut at max_tokens, and those that this model cannot read are left out. bos: whether texts begin with BOS;
    None is as the tokenizer does it. Neither the shapes that the model computes in nor the count of its batches change.
    Raises EnvironmentFault `sinks_unclear` where nothing of the probe can be read, `no_temporary_folder` where its
    pictures cannot be written.
    """
    prompts = [Prompt(text, truncate=True) for text in TEXTS]
    if loaded.visual is None:
        return _read(loaded, list(_readable(loaded, prompts, max_tokens, bos)), streams)
    with ExitStack() as stack:
        with temporary_folder("the probe for attention sinks"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="interp-probe-"))
            prompts += _drawn(Path(folder))
        return _read(loaded, list(_readable(loaded, prompts, max_tokens, bos)), streams)


def _readable(loaded: LoadedModel, prompts: Sequence[Prompt], max_tokens: int, bos: bool | None) -> Iterator[Tokenized]:
    for prompt in prompts:
        with suppress(EnvironmentFault):
            yield loaded.texts.tokenize(prompt, max_tokens if prompt.truncate else _ANY, bos)


def sink_rule(loaded: LoadedModel, subject: Subject, bos: BosRule) -> SinkRule:
    """What makes a token of this subject a sink. Raises EnvironmentFault as harness.attention_sinks.rule_of does."""
    if subject.sinks == "none":
        return NO_SINKS
    found = probe(loaded, [subject.stream], subject.max_tokens, loaded.texts.begins(bos))[subject.stream]
    return rule_of(found, subject.sinks, subject.hook, subject.name, subject.norms)


def _read(loaded: LoadedModel, texts: Sequence[Tokenized], streams: Sequence[str]) -> dict[str, Probed]:
    found: dict[str, dict[int, Any]] = {stream: {} for stream in streams}

    def keep(batch: Batch) -> None:
        for stream in streams:
            norm = stream_norms(batch.seen[stream])
            for row, i in enumerate(batch.indices):
                found[stream][i] = norm[row, : len(texts[i])].cpu().numpy()

    shapes, batches = loaded.shapes, loaded.batches
    loaded.shapes = Shapes(PASS_TOKENS)
    try:
        loaded.read(texts, list(streams), keep, failed=lambda i, error: None)
    finally:
        loaded.shapes, loaded.batches = shapes, batches
    return {stream: _joined(texts, norms) for stream, norms in found.items()}


def _joined(texts: Sequence[Tokenized], norms: Mapping[int, Any]) -> Probed:
    read = sorted(norms)
    if not read:
        text = "none of the fixed probe texts can be read by this model, so its median norm is not known."
        raise EnvironmentFault("sinks_unclear", text, "Write `sinks: none` on the subject in specs/subjects.yaml.")
    return Probed(
        norm=np.concatenate([norms[i] for i in read]),
        kind=np.concatenate([texts[i].kind for i in read]),
        token=tuple(one for i in read for one in texts[i].token),
    )


def stream_norms(h: torch.Tensor) -> torch.Tensor:
    """The norm of each activation, [rows, length] float64; h: [rows, length, d_in] of any float dtype."""
    norm: torch.Tensor = torch.linalg.vector_norm(h.float(), dim=-1, dtype=torch.float64)
    return norm


def norms_of(batch: Batch, stream: str) -> Floats:
    """The norm of each real token of a batch in the residual stream, [n_tokens]; an SAE may read a centred one."""
    return stream_norms(batch.seen[stream])[batch.real].cpu().numpy()


def _drawn(folder: Path) -> list[Prompt]:
    """The probe's pictures as files, which is what models read."""
    from PIL import Image

    prompts = []
    for number, pixels in enumerate(pictures()):
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        prompts.append(Prompt(CAPTION, image=Picture(str(path), hashlib.sha256(path.read_bytes()).hexdigest())))
    return prompts
