"""Batch after batch through a model: what to do when memory runs out, and when one text breaks a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.errors import EnvironmentFault, contained

if TYPE_CHECKING:
    from harness.capture.loaded import Batch, LoadedModel, TokenIds
    from harness.capture.tokens import Tokenized

Failed = Callable[[int, Exception], None]


@dataclass(frozen=True, slots=True)
class Passes:
    """One reading of some texts at some hooks. handle: takes every batch as it is done. failed: takes the index of each
    text that the model cannot be run over, with what was raised; None: that is raised."""

    model: LoadedModel
    texts: Sequence[Tokenized | TokenIds]
    hooks: Sequence[str]
    handle: Callable[[Batch], None]
    failed: Failed | None

    def read(self, left: Sequence[int], length: int) -> None:
        """Read the texts of these indices, which share a length and a way of reading."""
        while left:
            part = left[: self.model.shapes.rows(length)]
            if self._is_done(part, length):
                left = left[len(part) :]

    def _is_done(self, part: Sequence[int], length: int) -> bool:
        """Whether a batch is done with; False where memory ran out, and there are fewer rows now."""
        try:
            with contained():
                batch = self.model.forward(self.texts, part, length, self.hooks)
        except torch.OutOfMemoryError as error:
            return self._out_of_memory(part, length, error)
        except Exception as error:
            if self.failed is None:
                raise
            self._apart(part, length, error)
            return True
        try:
            self.handle(batch)
        except torch.OutOfMemoryError as error:
            return self._out_of_memory(part, length, error)
        return True

    def _apart(self, part: Sequence[int], length: int, error: Exception) -> None:
        """The texts of a batch that failed, one by one and each in the same shape: the innocent are read."""
        assert self.failed is not None
        if len(part) == 1:
            self.failed(part[0], error)
            return
        for one in part:
            while not self._is_done([one], length):
                pass

    def _out_of_memory(self, part: Sequence[int], length: int, error: Exception) -> bool:
        """Halve the rows, and say False; True where one text alone does not fit, so that it can never be read here."""
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.model.shapes.rows(length) > 1:
            self.model.shapes.halve()
            return False
        fault = too_large(length, self.model.device)
        if self.failed is None:
            raise fault from error
        self.failed(part[0], fault)
        return True


def too_large(length: int, device: torch.device) -> EnvironmentFault:
    """What is said of a text for which there is no room, even alone."""
    return EnvironmentFault("out_of_memory", f"one text of {length:,} tokens does not fit on {device}.", "Shorten it.")
