"""The doors to capture/: each imports it when it is called, so that a warm run never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.codes import Codes
from harness.digests import model_folder
from harness.errors import EnvironmentFault
from harness.inputs import Norms, Picture, Prompt, Reading, SaeRef, Sinks, Subject
from harness.keys import resolve_device
from harness.weights import Sample

# Reads, writes to the sink, and gives the counts by subject, in parts: (readings, sink, progress) -> counts.
Engine = Callable[[Sequence[Reading], Any, Callable[[str], None]], Iterable[Mapping[str, Mapping[str, Any]]]]


def read_here(
    readings: Sequence[Reading], sink: Any, progress: Callable[[str], None], kept: Any = None
) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """Read in this process, and give the counts by subject. kept: see engine.Kept."""
    from harness.capture.engine import read_model

    yield {name: one.to_dict() for name, one in read_model(readings, sink, progress, kept).items()}


def nothing_loaded() -> Any:
    """What `read_here` and later readings of the same model put their model into, and find it in."""
    from harness.capture.engine import Kept

    return Kept()


def on_ray(workers: int) -> Engine:
    """Read with Ray Data, on the cluster that RAY_ADDRESS names or on this machine. Raises EnvironmentFault."""
    from harness.capture.on_ray import RayEngine, started

    started()
    return RayEngine(workers)


def reader_of(
    model: Any, tokenizer: Any, sae: Any, hook: str, sinks: Sinks = "auto", processor: Any = None
) -> Callable[[Sequence[Prompt]], Codes]:
    """Reads prompts through objects that are in memory already; keeps nothing.

    processor: in place of the tokenizer, for a model that reads pictures. Raises what capture.visual.seeing raises.
    """
    from harness.capture.loaded import MOST_TOKENS, LoadedModel
    from harness.capture.visual import seeing

    tokenizer, visual = (tokenizer, None) if processor is None else seeing(processor, model.config)
    loaded = LoadedModel(model, tokenizer, next(model.parameters()).device, visual=visual)
    most = MOST_TOKENS + (visual.n_patches if visual else 0)
    return lambda prompts: loaded.codes(prompts, sae, hook, most, sinks)


def capture_stream(model: Any, layer: int, name: str) -> AbstractContextManager[dict[str, Any]]:
    """A `with` block whose forward passes put the output of layer `layer` into its dict, as `name`; the last one stays.

    Raises EnvironmentFault `layer_out_of_range` or `layers_not_found`.
    """
    from harness.capture.hooks import reading
    from harness.capture.layers import find_site

    return reading({name: find_site(model, f"blocks.{layer}.hook_resid_post")}, stop_early=False)


def weights_in_memory(model: Any, sae: Any, layer: int) -> Sample:
    """What tells the weights of a script apart, drawn as capture draws it."""
    from harness.capture.samples import sample_of

    return sample_of(model, sae, layer)


def open_picture(picture: Picture) -> Any:
    """A picture as a PIL image in RGB, opened as a model's is; EnvironmentFault says why it cannot be."""
    from harness.capture.pictures import open_picture as opened

    return opened(picture)


def train(subject: Subject, corpus: tuple[Path, ...], out: Path, **asked: Any) -> bool:
    """Train an SAE at the subject's place; False where it was stopped and can go on. Never a fallback for a load."""
    from harness.capture.training.config import TrainConfig
    from harness.capture.training.run import train_sae

    if subject.site != "hook_resid_post":
        raise EnvironmentFault("training_config", f"SAEs are trained at hook_resid_post, not at {subject.hook}.")
    device = resolve_device(subject.device)
    config = TrainConfig(
        model=_checkpoint(subject),
        layer=subject.layer,
        corpus=corpus,
        out=out,
        device=device,
        bos=subject.bos,
        sinks=subject.sinks,
        **asked,
    )
    return train_sae(config).finished


def released_digest(sae: SaeRef) -> str:
    """The digest of a published SAE's tensors as sae-lens loads them here; what `digest` pins."""
    import torch

    from harness.capture.saes import released, weights_digest

    return weights_digest(released(sae, torch.device("cpu")))


def norms_of(subject: Subject) -> Norms:
    """The median norms of a subject, for `median_norm`. Loads its model; raises EnvironmentFault `sinks_unclear`."""
    from harness.bos import bos_rule
    from harness.capture.models import load_model
    from harness.capture.probing import sink_rule

    loaded = load_model(subject, subject.layer + 1)
    return sink_rule(loaded, subject, bos_rule(subject)).norms


def _checkpoint(subject: Subject) -> Path:
    if subject.model.source == "package":
        from harness.capture.converted import converted_checkpoint

        return converted_checkpoint(subject.model.location)
    folder = model_folder(subject.model)
    if folder is None:
        raise EnvironmentFault("weights_missing", f"{subject.model.location} is not on this machine.", "Download it.")
    return folder
