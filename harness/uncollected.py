"""Work in which Python's collector of cycles finds nothing, and would walk over a growing heap again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection inside; for work that is bounded and makes what is then kept. An eighth of reading 1,000 specs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def settle() -> None:
    """Whatever is alive now stays until the process ends: no later collection walks over it.

    pytest collects several times as it ends, and Hypothesis looks through all that the collector knows: a fifth of a
    warm run of 1,000 claims.
    """
    gc.freeze()


def unsettle() -> None:
    """Before another run in the same process: what the last one left behind in cycles is collected after all."""
    gc.unfreeze()
