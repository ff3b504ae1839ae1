"""Reading on several machines: pieces of the prompts go to Ray Data actors that each keep the model; rows come back.

Thin on purpose: which machine reads what, what is retried when one dies, how much is under way, are Ray's. Pieces are
read by the same `read_model`; a code depends on its own prompt only, so the rows are those of one machine.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.capture.engine import Kept, Progress, read_model
from harness.capture.sink import Sink
from harness.errors import EnvironmentFault
from harness.inputs import Reading

# Prompts to a piece: 128 keep a batch of every length full on a CPU, and lose at most some seconds with an actor.
PIECE = 128
_Call = tuple[str, tuple[Any, ...]]  # a method of Sink, and what it was given


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Reads a model's prompts with `workers` actors; one GPU each where the subject is on cuda.

    It uses the cluster that RAY_ADDRESS names, else starts Ray on this machine.
    """

    workers: int = 1

    def __call__(
        self, readings: Sequence[Reading], sink: Sink, progress: Progress
    ) -> Iterator[Mapping[str, Mapping[str, Any]]]:
        """The counts of each piece, by subject, as soon as its rows are in `sink`.

        Raises EnvironmentFault where the model cannot be read at all; what other pieces gave is in `sink` by then.
        """
        todo = list(pieces(readings))
        fault = None
        for done, outcome in enumerate(self._outcomes(readings, todo), 1):
            calls, stats, failed = pickle.loads(outcome)  # of our own actors
            for method, given in calls:
                getattr(sink, method)(*given)
            fault = fault or failed
            progress(f"{done} of {len(todo)} pieces read")
            yield stats
        if fault is not None:
            raise fault

    def _outcomes(self, readings: Sequence[Reading], todo: Sequence[Sequence[Reading]]) -> Iterator[bytes]:
        ray = started()
        items = [{"piece": pickle.dumps(piece)} for piece in todo]
        data = ray.data.from_items(items, override_num_blocks=len(items))
        actors = min(self.workers, len(items))
        on_gpu = readings[0].subject.device == "cuda"
        read = data.map_batches(
            _Actor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_gpus=1 if on_gpu else 0,
            num_cpus=1,
            fn_constructor_args=(str(Path.cwd()),),
        )
        for row in read.iter_rows():
            yield row["outcome"]


def started() -> Any:
    """Ray, running and quiet. Raises EnvironmentFault `ray_missing`, `ray_unreachable`."""
    if importlib.util.find_spec("ray") is None:
        raise EnvironmentFault("ray_missing", "Ray is not installed.", "Run `pip install 'interp-specs[ray]'`.")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    import ray.data

    if not ray.is_initialized():
        here = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, RuntimeError) as error:
            told = f"Ray cannot be reached: {str(error).splitlines()[0]}"
            raise EnvironmentFault("ray_unreachable", told, "Unset RAY_ADDRESS, or start the cluster.") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def pieces(readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    """The work in parts that together are all of it; each corpus is one, and so is what decoders promote.

    Every piece has all subjects, some with nothing to do, so that an actor loads the model to the same depth for all.
    """
    keys = sorted({key for reading in readings for key, _ in reading.prompts})
    for at in range(0, len(keys), PIECE):
        part = set(keys[at : at + PIECE])
        yield [
            replace(
                reading,
                prompts=tuple((key, prompt) for key, prompt in reading.prompts if key in part),
                residuals=frozenset(reading.residuals & part),
                corpora=(),
                promotions=(),
            )
            for reading in readings
        ]
    nothing = [replace(reading, prompts=(), residuals=frozenset(), corpora=(), promotions=()) for reading in readings]
    for wanted in dict.fromkeys(key for reading in readings for key, _ in reading.corpora):
        yield [
            replace(empty, corpora=tuple((key, corpus) for key, corpus in reading.corpora if key == wanted))
            for empty, reading in zip(nothing, readings, strict=True)
        ]
    if any(reading.promotions for reading in readings):
        yield [replace(empty, promotions=r.promotions) for empty, r in zip(nothing, readings, strict=True)]


class _Actor:
    """Lives on one machine of the cluster and loads the model once. `root`: the checkout, where that machine has it."""

    def __init__(self, root: str) -> None:
        if Path(root).is_dir():
            os.chdir(root)
        self.kept = Kept()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[bytes]]:
        return {"outcome": [pickle.dumps(self._read(pickle.loads(piece))) for piece in batch["piece"]]}

    def _read(self, piece: Sequence[Reading]) -> tuple[list[_Call], Mapping[str, Any], EnvironmentFault | None]:
        notes = _Notes()
        try:
            stats = read_model(piece, notes, kept=self.kept)
        except EnvironmentFault as fault:
            return notes.calls, {}, fault
        return notes.calls, {name: one.to_dict() for name, one in stats.items()}, None


class _Notes:
    """A sink that notes what it was given, for one on another machine."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []

    def __getattr__(self, method: str) -> Any:
        if method not in ("codes", "residuals", "sums", "promotions", "weights", "fault"):
            raise AttributeError(method)
        return lambda *given: self.calls.append((method, given))
