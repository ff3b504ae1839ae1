"""sae-lens's trainer, one step at a time: its `fit()` can neither be stopped nor logged without wandb."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from harness.capture.training.config import TrainConfig
from harness.errors import EnvironmentFault

CHECKPOINT = "checkpoint"
MATRICES = ("W_enc", "W_dec")


@dataclass(slots=True)
class State:
    """A trainer and what resuming needs beside it: what it was started with, the next chunk and batch, the curve."""

    trainer: Any
    fingerprint: str
    chunk: int = 0
    batch: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return int(self.trainer.n_training_steps)


def new_state(config: TrainConfig, d_in: int, prepend_bos: bool) -> State:
    """An untrained SAE, weights by config.seed, in sae-lens's SAETrainer."""
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(config.seed)
    metadata = SAEMetadata(
        model_name=config.name or config.model.name,
        hook_name=config.hook,
        prepend_bos=prepend_bos,
        context_size=config.context_length,
    )
    sae_trainer = SAETrainer(_trainer_config(config), _untrained(config, d_in, metadata), data_provider=iter(()))
    return State(sae_trainer, config.fingerprint())


def _untrained(config: TrainConfig, d_in: int, metadata: Any) -> Any:
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig

    shared: dict[str, Any] = {
        "d_in": d_in,
        "d_sae": config.d_sae,
        "normalize_activations": "expected_average_only_in",
        "device": config.device,
        "metadata": metadata,
    }
    if config.architecture == "topk":
        return TopKTrainingSAE(TopKTrainingSAEConfig(k=int(config.k), **shared))
    # L0 of the saved form settles in about 150 steps; at the default threshold rate of .01 in 300.
    return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=config.k, topk_threshold_lr=0.02, **shared))


def _trainer_config(config: TrainConfig) -> Any:
    from sae_lens.config import LoggingConfig, SAETrainerConfig

    return SAETrainerConfig(
        total_training_samples=config.steps * config.batch_tokens,
        train_batch_size_samples=config.batch_tokens,
        lr=config.lr,
        lr_end=config.lr,
        lr_warm_up_steps=config.steps // 20,
        lr_decay_steps=config.steps // 4,
        autocast=config.precision == "bfloat16",
        device=config.device,
        dead_feature_window=max(1, 100_000 // config.batch_tokens),
        logger=LoggingConfig(log_to_wandb=False),
    )


def start_from(state: State, activations: torch.Tensor) -> None:
    """Set scale and decoder bias from the first chunk: norms of sqrt(d_in) on average, and the mean as b_dec.

    In Gemma 3 270M's layer 9 the mean carries 91 to 95 % of the squared norm, by domain: there is little else to
    learn until it is found.
    """
    scale = activations.shape[1] ** 0.5 / activations.norm(dim=-1).double().mean().item()
    state.trainer.activation_scaler.scaling_factor = scale
    sae = state.trainer.sae
    with torch.no_grad():
        sae.b_dec.copy_(activations.double().mean(0) * scale)


def step(state: State, batch: torch.Tensor) -> None:
    """One step on raw activations [batch_tokens, d_in]; a row of the curve; EnvironmentFault `not_finite`."""
    output = state.trainer.step(batch)
    state.trainer.n_training_steps += 1
    loss = float(output.loss.detach())
    if not math.isfinite(loss):
        mend = "Try a lower lr; activations that are not finite come from the model."
        raise EnvironmentFault("not_finite", f"the loss is {loss} at step {state.steps}.", mend)
    state.curve.append({"step": state.steps, "tokens": int(state.trainer.n_training_samples), **_measured(output)})


def _measured(output: Any) -> dict[str, float]:
    x, r = output.sae_in.detach().double(), output.sae_out.detach().double()
    fvu = (x - r).square().sum() / (x - x.mean(0)).square().sum()
    return {"loss": round(float(output.loss.detach()), 5), "fvu": round(float(fvu), 5)}


def save(state: State, config: TrainConfig) -> None:
    """Write a checkpoint under `out`; the one before stays until this one is whole."""
    made, kept = config.out / f"{CHECKPOINT}.part", config.out / CHECKPOINT
    shutil.rmtree(made, ignore_errors=True)
    state.trainer.save_checkpoint("sae", base_path=made)
    place = {"fingerprint": state.fingerprint, "chunk": state.chunk, "batch": state.batch, "curve": state.curve}
    (made / "place.json").write_text(json.dumps(place))
    shutil.rmtree(kept, ignore_errors=True)
    made.rename(kept)


def restore(state: State, config: TrainConfig) -> bool:
    """Go on from the checkpoint under `out`, if there is one.

    Raises EnvironmentFault `other_training` where it was made by another config, corpus or model.
    """
    folder = config.out / CHECKPOINT
    if not has_checkpoint(config.out):
        return False
    place = json.loads((folder / "place.json").read_text())
    if place["fingerprint"] != state.fingerprint:
        raise EnvironmentFault(
            "other_training",
            f"{folder} is a run with another configuration, corpus or model.",
            "Give the same ones to go on with it, or name another --out.",
        )
    state.trainer.sae.load_weights_from_checkpoint(folder / "sae")
    state.trainer.load_trainer_state(folder / "sae")
    state.chunk, state.batch, state.curve = place["chunk"], place["batch"], place["curve"]
    return True


def has_checkpoint(out: Path) -> bool:
    """Whether a run can be gone on with under `out`."""
    return (out / CHECKPOINT / "place.json").is_file()


def write_sae(state: State, config: TrainConfig) -> None:
    """cfg.json and sae_weights.safetensors as sae-lens saves JumpReLU (TopK stays TopK): scale folded in, so that
    it reads raw activations (normalize_activations none), decoder rows of norm 1."""
    trainer = state.trainer
    trainer.sae.fold_activation_norm_scaling_factor(trainer.activation_scaler.scaling_factor)
    trainer.activation_scaler.scaling_factor = None
    weights, settings = trainer.sae.save_inference_model(config.out)
    settings.write_text(json.dumps(json.loads(settings.read_text()), indent=2, sort_keys=True) + "\n")
    if config.weights == "bfloat16":
        tensors = load_file(weights)
        save_file({k: v.bfloat16() if k in MATRICES else v for k, v in tensors.items()}, weights)


def remove_checkpoint(out: Path) -> None:
    """Once the SAE is written there is nothing to resume."""
    shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
