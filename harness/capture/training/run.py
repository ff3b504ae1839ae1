"""train_sae: harvest a chunk, shuffle it, train on it, and again; stop and resume at any step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import torch

from harness.attention_sinks import NO_SINKS
from harness.capture.specials import special_ids
from harness.capture.training import artefacts, trainer
from harness.capture.training.config import TrainConfig, Trained
from harness.capture.training.contexts import Chunk, chunks, has_bos
from harness.capture.training.fidelity import measure, sinks_of
from harness.capture.training.harvest import Read, harvest, reader
from harness.capture.training.progress import Progress
from harness.capture.training.stopping import stop_on_signal
from harness.errors import EnvironmentFault


def train_sae(
    config: TrainConfig,
    loaded: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
    stop: Callable[[int], bool] = lambda steps: False,
) -> Trained:
    """Train an SAE as `config` says and write cfg.json, sae_weights.safetensors, CARD.md, loss.csv, loss.svg
    and loss.png to config.out.

    `loaded`: (model, tokenizer), else they are read from config.model. SIGINT, SIGTERM or `stop(steps done)`
    answering True ends the run after a step with a checkpoint in config.out; the same call goes on from there.

    Raises EnvironmentFault: `training_config`, `weights_missing`, `out_in_use`, `other_training`,
    `corpus_unreadable`, `corpus_too_small`, `layer_out_of_range`, `not_finite`.
    """
    config.check()
    _check_out(config)
    progress = progress or Progress()
    model, tokenizer = loaded or _load(config, progress)
    read = reader(model, config.hook)
    progress.say("cutting the corpus into contexts")
    planned = chunks(config, tokenizer)
    with stop_on_signal() as request:
        width = model.config.get_text_config().hidden_size
        state = trainer.new_state(config, width, prepend_bos=has_bos(tokenizer, config.bos))
        if trainer.restore(state, config):
            progress.say(f"going on from step {state.steps} of {config.steps}")
        run = _Run(config, state, tokenizer, read, progress, lambda: bool(request) or stop(state.steps))
        run.sinks = sinks_of(config, model, tokenizer)
        if all(run.train_on(chunk) for chunk in planned[state.chunk :]):
            return run.finish()
        return run.pause()


def _check_out(config: TrainConfig) -> None:
    finished = (config.out / artefacts.FILES[0]).exists() and not trainer.has_checkpoint(config.out)
    if finished:
        mend = "Remove it, or name another folder with --out."
        raise EnvironmentFault("out_in_use", f"{config.out} holds a trained SAE already.", mend)
    config.out.mkdir(parents=True, exist_ok=True)


def _load(config: TrainConfig, progress: Progress) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (config.model / "config.json").is_file():
        raise EnvironmentFault("weights_missing", f"{config.model} holds no model (no config.json).")
    progress.say(f"loading {config.name or config.model.name}")
    tokenizer = AutoTokenizer.from_pretrained(config.model, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        config.model, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    return model.to(config.device).eval(), tokenizer


class _Run:
    """One run's parts; `asked` says whether it is to stop."""

    def __init__(
        self,
        config: TrainConfig,
        state: trainer.State,
        tokenizer: Any,
        read: Read,
        progress: Progress,
        asked: Callable[[], bool],
    ) -> None:
        self.config, self.state, self.tokenizer = config, state, tokenizer
        self.read, self.progress, self.asked = read, progress, asked
        self.sinks = NO_SINKS

    def train_on(self, chunk: Chunk) -> bool:
        """Take the chunk's remaining steps; False where the run was asked to stop before its last."""
        state, size = self.state, self.config.batch_tokens
        activations = self._activations(chunk)
        if activations is None:
            return False
        if state.steps == 0:
            trainer.start_from(state, activations)
        for number in range(state.batch, chunk.steps):
            trainer.step(state, activations[number * size : (number + 1) * size])
            state.chunk, state.batch = (chunk.number, number + 1) if number + 1 < chunk.steps else (chunk.number + 1, 0)
            self._report()
            if state.steps < self.config.steps and self.asked():
                return False
            if state.steps % self.config.checkpoint_every == 0:
                trainer.save(state, self.config)
        return True

    def _activations(self, chunk: Chunk) -> torch.Tensor | None:
        """[n_tokens, d_in], shuffled by seed and chunk; None where the run was asked to stop meanwhile."""
        parts, found, config = [], 0, self.config
        special = special_ids(self.tokenizer)
        for part in harvest(self.read, chunk.contexts, special, config.device, config.precision):
            parts.append(part)
            found += len(part)
            self.progress.update(f"{self._place()}, reading the next {config.buffer_tokens} tokens: {found}")
            if self.asked():
                return None
        seed = torch.Generator().manual_seed(config.seed * 1_000_003 + chunk.number)
        return torch.cat(parts)[torch.randperm(found, generator=seed)]

    def _place(self) -> str:
        return f"step {self.state.steps} of {self.config.steps}"

    def _report(self) -> None:
        row = self.state.curve[-1]
        self.progress.update(f"{self._place()}: loss {row['loss']:.3f}, FVU {row['fvu']:.3f}")

    def pause(self) -> Trained:
        trainer.save(self.state, self.config)
        artefacts.write_curve(self.state.curve, self.config.out)
        self.progress.say(f"stopped at {self._place()}; the same command goes on from here")
        return Trained(self.config.out, False, self.state.steps, int(self.state.trainer.n_training_samples))

    def finish(self) -> Trained:
        config, curve = self.config, self.state.curve
        trainer.save(self.state, config)  # a run that breaks off from here on writes its results again, and no more
        trainer.write_sae(self.state, config)
        self.progress.say("measuring on held-out documents")
        found = measure(config, self.tokenizer, self.read, self.sinks)
        artefacts.write_curve(curve, config.out)
        artefacts.write_figure(config, curve, config.out, date.today().isoformat())
        artefacts.write_card(config, curve, found)
        trainer.remove_checkpoint(config.out)
        return Trained(config.out, True, self.state.steps, int(self.state.trainer.n_training_samples), found)
