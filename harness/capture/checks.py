"""What is refused before anything is read: unsafe ways of loading, weights that are no numbers, no temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from harness.errors import EnvironmentFault


def refuse_unsafe_loading() -> None:
    """TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD makes torch unpickle what a checkpoint holds: code."""
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "").lower() in ("1", "y", "yes", "true"):
        raise EnvironmentFault(
            "unsafe_loading",
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, so that a downloaded checkpoint could run code here.",
            "Unset it.",
        )


def must_be_finite(module: nn.Module, what: str) -> None:
    """Every weight is a finite number; raises EnvironmentFault `not_finite` naming the first tensor that is not."""
    for name, tensor in module.state_dict().items():
        if tensor.is_meta:  # offloaded by accelerate; looked at when its layer runs, and by the verdict's own check
            continue
        # The sum is finite only if all are (bar overflow, which the second look settles), and takes no memory.
        if not torch.isfinite(tensor.sum(dtype=torch.float64)) and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise EnvironmentFault(
                "not_finite",
                f"{what}: {bad:,} of {tensor.numel():,} values of {name} are NaN or infinite.",
                "The checkpoint is damaged, or overflowed when it was converted.",
            )


def quoted(error: Exception, most: int = 400) -> str:
    """A library's message on one line: which tensors are missing, or where to ask for access, is not in its first."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line)[:most].rstrip(". ") or type(error).__name__


@contextmanager
def temporary_folder(what: str) -> Iterator[None]:
    """Around code that makes folders in the temporary folder: a full or read-only one is EnvironmentFault
    `no_temporary_folder`, which fails who needs it. what: needs it, as the message begins."""
    try:
        yield
    except OSError as error:
        text = f"{what} needs the temporary folder, which takes nothing: {error.strerror or error}."
        fix = "Free some space, or set TMPDIR to another folder."
        raise EnvironmentFault("no_temporary_folder", text, fix) from error
