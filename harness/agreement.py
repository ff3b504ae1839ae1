"""Where a subject would be read otherwise than its SAE was trained: what differs, and whether an owner may mean it.

Compared is what specs/subjects.yaml says, or what the harness would do, with what the SAE says (trained.py). docs/
reading-saes.md lists the same, with what is obeyed. Nothing here loads anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.digests import model_folder
from harness.inputs import Bos, ModelRef, SaeRef, Subject, parse_hook
from harness.saefields import standard_hook
from harness.trained import Training, training_of

# What `read_otherwise` may name, and what is then done in place of what the SAE says.
OTHERWISE = {
    "hook": "it reads at the subject's hook point, not at the SAE's",
    "bos": "texts begin as the subject's `bos` says, not as in training",
    "centring": "the stream is read as the model writes it, with its mean",
    "normalization": "activations go in unscaled",
    "activation": "the activation function is ReLU",
    "head": "all heads are read",
    "positions": "all positions are read",
}
# Only what can be read token by token. `batchtopk` and `matryoshka` are forms for training: which features fire
# depends on the rest of the batch. A transcoder writes elsewhere than it reads, temporal SAEs read whole contexts.
TOKENWISE = frozenset({"standard", "gated", "jumprelu", "topk", "abstopk", "matching_pursuit"})
TRAINING_ONLY = frozenset({"batchtopk", "matryoshka_batchtopk"})
# sae-lens applies these as it encodes. Any other it knows is silently left out, and must be in the weights already.
_APPLIED = frozenset({None, "none", "layer_norm", "constant_norm_rescale"})
_IN_THE_WEIGHTS = "expected_average_only_in"
_PLAIN = frozenset({None, "relu"})
_OWN_FUNCTION = {"topk": "topk", "abstopk": "topk", "jumprelu": "jumprelu"}

_WIDTHS = ("hidden_size", "n_embd", "d_model")

Code = Literal["sae_mismatch", "sae_unsupported"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the SAE says. key: in OTHERWISE where an owner may mean it, else a key of `saes:`."""

    key: str
    code: Code
    message: str
    fix: str

    @property
    def may_be_meant(self) -> bool:
        return self.key in OTHERWISE

    def __str__(self) -> str:
        return f"{self.message}. {self.fix}"


def of_shape(sae: SaeRef, said: Training) -> Iterator[Difference]:
    """What an entry of `saes:` states otherwise than its SAE says, and forms that cannot be read; never meant."""
    for key in ("d_in", "d_sae", "architecture", "k"):
        stated, is_so = getattr(sae, key), getattr(said, key)
        if stated is not None and is_so is not None and stated != is_so:
            message = f"specs/subjects.yaml says {key} {stated} of SAE {sae.name}, {said.source} says {is_so}"
            yield Difference(key, "sae_mismatch", message, f"Write `{key}: {is_so}`, or name the SAE that is meant.")
    if said.unclear:
        message = f"SAE {sae.name} cannot be read for certain, by {said.source}: {'; '.join(said.unclear)}"
        fix = "Correct the file as the SAE was trained, or save it again with sae-lens."
        yield Difference("unclear", "sae_unsupported", message, fix)
    yield from _of_form(sae, said)


def of_reading(sae: SaeRef, hook: str, said: Training, bos: Bos = "auto") -> Iterator[Difference]:
    """What would be read otherwise than the SAE was trained, at `hook`, with the subject's `bos`.

    Centring is obeyed, and so is BOS under auto: neither is here.
    """
    if said.hook_name is not None and standard_hook(hook) != said.hook_name:
        message = f"SAE {sae.name} was trained at {said.hook_name} ({said.source} says so), and would be read at {hook}"
        fix = (
            f"Write `hook: {said.hook_name}`"
            if _can_be_read(said.hook_name)
            else "Name an SAE of the place that is read"
        )
        yield Difference("hook", "sae_mismatch", message, fix + _or_mean("hook"))
    if said.hook_head_index is not None:
        message = f"SAE {sae.name} reads one attention head, {said.hook_head_index}, by {said.source}"
        yield Difference("head", "sae_unsupported", message, f"Name an SAE of a whole site{_or_mean('head')}")
    if said.seqpos_slice is not None:
        message = f"SAE {sae.name} was trained on positions {_slice(said.seqpos_slice)} only, by {said.source}"
        yield Difference(
            "positions", "sae_unsupported", message, f"Name one trained on all positions{_or_mean('positions')}"
        )
    if bos != "auto" and said.prepend_bos is not None and (bos == "prepend") != said.prepend_bos:
        how = "with" if said.prepend_bos else "without"
        message = f"SAE {sae.name} was trained {how} BOS ({said.source} says so), and the subject has `bos: {bos}`"
        yield Difference("bos", "sae_mismatch", message, f"Leave `bos` out{_or_mean('bos')}")
    yield from _of_normalization(sae, said)
    yield from _of_activation(sae, said)


def otherwise_keys(subject: Subject, said: Training) -> set[str]:
    """What `read_otherwise` of this subject has reason to name."""
    keys = {difference.key for difference in of_reading(subject.sae, subject.hook, said, subject.bos)}
    return keys | ({"centring"} if said.is_centred else set())


def left_to_refuse(
    sae: SaeRef, hook: str, said: Training, meant: Collection[str], bos: Bos = "auto"
) -> list[Difference]:
    """Every difference that nobody means."""
    return [*of_shape(sae, said), *(one for one in of_reading(sae, hook, said, bos) if one.key not in meant)]


def of_model(subject: Subject) -> Iterator[Difference]:
    """Another width than that of the stream, by the model's config.json where it is here; never meant."""
    width, d_in = _stream_width(subject.model), subject.sae.d_in
    if width is not None and d_in is not None and width != d_in:
        message = (
            f"SAE {subject.sae.name} reads {d_in} dimensions, the stream of model {subject.model.name} has {width}"
        )
        yield Difference("d_in", "sae_mismatch", message, "Pair the SAE with the model that it was trained on.")


def _stream_width(model: ModelRef) -> int | None:
    """hidden_size of the text model, under its usual names; None where no config.json is here or it names none."""
    folder = model_folder(model)
    if folder is None:
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    text = config.get("text_config")
    held = text if isinstance(text, dict) else config
    found = next((held[name] for name in _WIDTHS if name in held), None)
    return found if isinstance(found, int) else None


def said_by(sae: SaeRef) -> Training:
    """What the SAE says about its training; as specs/subjects.yaml was read, where it comes from there."""
    return sae.training if sae.training is not None else training_of(sae)


def told_otherwise(subject: Subject) -> str:
    """One line of what is read otherwise and why, for reports and the steering gate; empty where nothing is."""
    told = "; ".join(f"{key} ({OTHERWISE[key]}): {why}" for key, why in subject.read_otherwise)
    return f"read otherwise than its SAE was trained: {told}" if told else ""


def trained_on(subject: Subject) -> str:
    """The model that the SAE was trained on, where it is named otherwise than the one that is read, or is another
    checkpoint of it (`revision: step1000`); else empty.

    Names are compared without their organization, case and punctuation. A fine-tune, a quantized copy or a path has
    another name, and is no mistake.
    """
    said = said_by(subject.sae)
    is_same = said.model_name is not None and _same_name(said.model_name, subject.model)
    is_same_revision = said.model_revision in (None, f"revision {subject.model.revision}", "revision main")
    if said.model_name is None or (is_same and is_same_revision):
        return ""
    return said.model_name + (f" ({said.model_revision})" if said.model_revision else "")


def _of_form(sae: SaeRef, said: Training) -> Iterator[Difference]:
    form = said.architecture
    if form is not None and form not in TOKENWISE:
        fix = "Read an SAE of the residual stream or an MLP's output."
        if form in TRAINING_ONLY:
            fix = "Save its inference form with sae-lens (`save_inference_model`): a JumpReLU SAE."
        message = f"SAE {sae.name} is {form}, which cannot be read token by token"
        yield Difference("architecture", "sae_unsupported", message, fix)
    elif said.hook_name_out not in (None, said.hook_name):
        message = f"SAE {sae.name} reads {said.hook_name} and writes {said.hook_name_out}: it is a transcoder"
        yield Difference("architecture", "sae_unsupported", message, "Read an SAE that reconstructs what it reads.")
    if said.reshape not in (None, "none"):
        message = f"SAE {sae.name} reads attention heads ({said.reshape}), not a stream"
        fix = "Read an SAE of the residual stream or an MLP's output."
        yield Difference("reshape", "sae_unsupported", message, fix)


def _of_normalization(sae: SaeRef, said: Training) -> Iterator[Difference]:
    kind = said.normalize_activations
    if kind in _APPLIED or (kind == _IN_THE_WEIGHTS and said.norm_scaling_factor is not None):
        return
    message = f"SAE {sae.name} wants activations normalized by {kind} ({said.source} says so), which nothing here does"
    fix = "Fold it into the weights (in sae-lens, `fold_activation_norm_scaling_factor`) and save it again"
    if kind != _IN_THE_WEIGHTS:
        fix = "Fold it into the weights and save it again"
    yield Difference("normalization", "sae_unsupported", message, fix + _or_mean("normalization"))


def _of_activation(sae: SaeRef, said: Training) -> Iterator[Difference]:
    """sae-lens takes the function from the architecture, and leaves a field that says another one unread."""
    if said.activation_fn in _PLAIN or said.activation_fn == _OWN_FUNCTION.get(said.architecture or ""):
        return
    if said.architecture is None and said.activation_fn in _OWN_FUNCTION.values():
        return
    message = f"SAE {sae.name} has the activation function {said.activation_fn} ({said.source} says so), which sae-lens"
    fix = f"Name an SAE whose function it knows{_or_mean('activation')}"
    yield Difference("activation", "sae_unsupported", f"{message} would read as ReLU", fix)


def _or_mean(key: str) -> str:
    return f", or say why it is meant: `read_otherwise: {{{key}: why}}` on the subject."


def _can_be_read(hook: str) -> bool:
    try:
        parse_hook(hook)
    except ValueError:
        return False
    return True


def _slice(places: tuple[int | None, ...] | str) -> str:
    if isinstance(places, str):
        return places
    return "[" + ":".join("" if place is None else str(place) for place in places) + "]"


def _same_name(name: str, model: ModelRef) -> bool:
    return _bare(name) in (_bare(model.location), _bare(model.name))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.rsplit("/", 1)[-1].lower())
