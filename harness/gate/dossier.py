"""What is known of a feature that passed: its scale, where it fires off target, and what keeps it company."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.codes import Codes, Floats
from harness.inputs import Prompt, PromptSet, Subject
from harness.runlog import RUN_LOG, RunLog
from harness.running import Runner
from harness.session import default_store
from harness.spec import Spec
from harness.spelling import spelled_alone
from harness.stats.company import cosines_with, jaccard_with
from harness.store import Store

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Activation:
    """Activations on the counted tokens of the positive prompts where the feature fires: n of them, on `prompts` of
    `of` prompts. p50 is the natural scale of a coefficient; all in the model's own units."""

    p50: float
    p99: float
    maximum: float
    n: int
    prompts: int
    of: int


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt of a contrast set, with the token on which the feature fires most."""

    text: str
    set: str
    token: str
    activation: float


@dataclass(frozen=True, slots=True)
class Dossier:
    """One feature that passed. activation: None where it fires on no positive prompt, or no claim has any, which
    `require_passed` lets none through with.

    off_target: contrast prompts on which it fires most. neighbours: (feature, cosine of the decoder directions).
    cofiring: (feature, Jaccard index over the tokens of all prompts here). read_otherwise: what was read otherwise than
    the SAE was trained, each with the owner's reason. proven_by: the claims that are enough by themselves, each with
    where the feature was found.
    """

    feature: int
    claims: tuple[str, ...]
    activation: Activation | None
    off_target: tuple[Context, ...]
    neighbours: tuple[tuple[int, float], ...]
    cofiring: tuple[tuple[int, float], ...]
    read_otherwise: tuple[tuple[str, str], ...] = ()
    proven_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def dossiers(subject: Subject, claims: Mapping[int, Sequence[Spec]], sae: Any) -> dict[int, Dossier]:
    """A dossier for each feature, from the store and the SAE in memory; Missing where a prompt was never read."""
    near = cosines_with(sae.W_dec.detach().float().cpu().numpy(), list(claims))
    with tempfile.TemporaryDirectory(prefix="interp-gate-") as folder:
        store = Store(default_store(), read_only=True)
        runner = Runner(store, RunLog(Path(folder) / RUN_LOG), may_read=lambda _: False)
        try:
            made = {f: _dossier(runner, subject, f, claims[f], near[i]) for i, f in enumerate(claims)}
        finally:
            store.close()
    return made


def _dossier(runner: Runner, subject: Subject, feature: int, claims: Sequence[Spec], near: Floats) -> Dossier:
    on, off = _sides(subject, claims)
    read = runner.codes(subject, [*on, *off]) if on or off else None
    together = np.zeros(0) if read is None else jaccard_with(read, read.counted("all"), feature)
    return Dossier(
        feature,
        tuple(spec.id for spec in claims),
        _activation(runner.codes(subject, on), feature) if on else None,
        _off_target(runner.codes(subject, list(off)), feature, off) if off else (),
        _largest(near, feature),
        _largest(together, feature),
        subject.read_otherwise,
    )


def _lines(dossier: Dossier) -> Iterator[str]:
    scale = dossier.activation
    yield f"feature {dossier.feature}: {len(dossier.claims)} claims met"
    for claim in dossier.proven_by:
        yield f"  proven by: {claim}"
    for what, why in dossier.read_otherwise:
        yield f"  read otherwise than its SAE was trained: {what}: {why}"
    if scale is not None:
        told = f"p50 {scale.p50:.4g}, p99 {scale.p99:.4g}, max {scale.maximum:.4g} (n={scale.n} tokens)"
        yield f"  activation: {told}, on {scale.prompts} of {scale.of} positive prompts"
    for row in dossier.off_target:
        yield f"  off target: {row.activation:.4g} on {row.token!r} in {row.set}: {row.text}"
    for what, rows in (("decoder cosine", dossier.neighbours), ("fires with (Jaccard)", dossier.cofiring)):
        yield f"  {what}: " + (", ".join(f"{feature} {value:.2f}" for feature, value in rows) or "none")


def _sides(subject: Subject, claims: Sequence[Spec]) -> tuple[list[Prompt], dict[Prompt, str]]:
    """(positive prompts, contrast prompts with their set). A prompt that one claim contrasts with is not positive."""
    on: dict[Prompt, str] = {}
    off: dict[Prompt, str] = {}
    for spec in claims:
        for role, prompts in spec.sets.items():
            if subject.name in [one.name for _, one in spec.readers(role)]:
                (on if _is_positive(spec, role) else off).update(_named(prompts))
    return [prompt for prompt in on if prompt not in off], off


def _named(prompts: PromptSet) -> dict[Prompt, str]:
    return dict.fromkeys(prompts.prompts, prompts.name)


def _is_positive(spec: Spec, role: str) -> bool:
    """`prompts` of a claim that it fires, `but_fires_on` of a claim that it does not."""
    return role == ("but_fires_on" if spec.expectation.side() == "low" else "prompts")


def _activation(codes: Codes, feature: int) -> Activation | None:
    values = np.where(codes.counted("all"), codes.token_column(feature), 0)
    fires = values != 0
    if not fires.any():
        return None
    p50, p99 = np.quantile(values[fires].astype(np.float64), [0.5, 0.99])
    prompts = len(np.unique(codes.prompt[fires]))
    return Activation(float(p50), float(p99), float(values[fires].max()), int(fires.sum()), prompts, codes.n_prompts)


def _off_target(codes: Codes, feature: int, off: Mapping[Prompt, str]) -> tuple[Context, ...]:
    values = np.where(codes.counted("all"), codes.token_column(feature), 0)
    peaks = [int(np.argmax(np.where(codes.prompt == i, values, -np.inf))) for i in range(codes.n_prompts)]
    rows = [
        Context(prompt.shown, name, spelled_alone(codes, at, prompt.text), float(values[at]))
        for (prompt, name), at in zip(off.items(), peaks, strict=True)
        if values[at] > 0
    ]
    return tuple(sorted(rows, key=lambda row: -row.activation)[:SHOWN])


def _largest(values: Floats, without: int) -> tuple[tuple[int, float], ...]:
    order = [int(f) for f in np.argsort(-values, kind="stable")[: SHOWN + 1] if f != without and values[f] > 0]
    return tuple((f, float(values[f])) for f in order[:SHOWN])
