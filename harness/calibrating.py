"""Measuring the noise of a subject: prompts of its own claims, read in other batches and in another precision."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from harness.errors import EnvironmentFault
from harness.inputs import Prompt, Subject
from harness.keys import code_parts, prompt_key
from harness.running import Runner
from harness.spec import Calibration, Spec
from harness.stats.noise import noise_between

MOST_PROMPTS = 200


def prompts_of(subject: Subject, specs: Iterable[Spec], most: int = MOST_PROMPTS) -> list[Prompt]:
    """At most so many of the distinct prompts that claims have this subject read, by the hash of their keys."""
    needs = [need for spec in specs for need in spec.needs() if need.subject == subject]
    every = {prompt_key(prompt): prompt for need in needs for prompt in need.prompts}
    order = sorted(every, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    return [every[key] for key in order[:most]]


def calibrate(subject: Subject, prompts: list[Prompt], runner: Runner) -> Calibration:
    """Read the prompts three times, and compare. Nothing of it goes to the store.

    Raises EnvironmentFault where they cannot be read, or no counted token is among them.
    """
    usual = runner.read_apart(subject, prompts)
    one_by_one = runner.read_apart(subject, prompts, one_by_one=True)
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if subject.dtype == "float32" else "float32"
    precise = runner.read_apart(replace(subject, name=f"{subject.name} ({dtype})", dtype=dtype), prompts)
    counted = usual.counted("all")
    if not counted.any():
        raise EnvironmentFault(
            "nothing_to_measure", f"no prompt of {subject.name} has a counted token.", "Add prompts."
        )
    return Calibration(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        prompts=len(prompts),
        tokens=int(counted.sum()),
        batch=noise_between(usual, one_by_one, counted),
        other=dtype,
        precision=noise_between(usual, precise, counted),
        read_with=code_parts(subject),
    )
